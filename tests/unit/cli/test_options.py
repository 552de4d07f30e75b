"""The option splitter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.cli.options import HelpWanted, parse
from pcache.errors import UsageError

SPEC = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "-i": "intercept=",
    "--intercept": "intercept=",
}


@pytest.mark.parametrize(
    ("args", "options", "rest"),
    [
        ([], {}, []),
        (["make", "-j2"], {}, ["make", "-j2"]),
        (["-q", "make", "-q"], {"quiet": True}, ["make", "-q"]),
        (["--quiet", "--", "-q"], {"quiet": True}, ["-q"]),
        (["--", "--", "x"], {}, ["--", "x"]),
        (["--intercept=execve", "make"], {"intercept": "execve"}, ["make"]),
        (["--intercept", "entry", "make"], {"intercept": "entry"}, ["make"]),
        (["--intercept=", "make"], {"intercept": ""}, ["make"]),
        (["--intercept=a=b"], {"intercept": "a=b"}, []),
        (["-ientry", "make"], {"intercept": "entry"}, ["make"]),
        (["-i", "-q", "make"], {"intercept": "-q"}, ["make"]),
        (["-qv", "make"], {"quiet": True, "verbose": True}, ["make"]),
        (["-qi", "entry", "make"], {"quiet": True, "intercept": "entry"}, ["make"]),
        (["-i", "a", "-i", "b"], {"intercept": "b"}, []),
        (["-", "x"], {}, ["-", "x"]),
        (["", "x"], {}, ["", "x"]),
    ],
)
def test_splits(args: list[str], options: dict[str, str | bool], rest: list[str]) -> None:
    assert parse(args, SPEC) == (options, rest)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--loud"], "unknown option --loud"),
        (["--loud=1"], "unknown option --loud"),
        (["-x"], "unknown option -x"),
        (["-qx"], "unknown option -x"),
        (["--quiet=yes"], "option --quiet takes no value"),
        (["--intercept"], "option --intercept needs a value"),
        (["-i"], "option -i needs a value"),
    ],
)
def test_refuses(args: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(args, SPEC)


def test_unknown_option_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["-x"], SPEC)
    assert caught.value.remedy == "known options: -h --help -i --intercept -q --quiet -v"


@pytest.mark.parametrize("args", [["-h"], ["--help"], ["-q", "--help", "make"], ["-qh"]])
def test_help_is_always_known(args: list[str]) -> None:
    with pytest.raises(HelpWanted):
        parse(args, SPEC)


def test_help_of_the_command_is_not_ours() -> None:
    assert parse(["make", "--help"], SPEC) == ({}, ["make", "--help"])


@given(st.lists(st.text(max_size=5)))
def test_a_command_after_two_dashes_is_never_touched(command: list[str]) -> None:
    assert parse(["-q", "--", *command], SPEC) == ({"quiet": True}, command)
