"""What make may make, by its makefiles."""

from __future__ import annotations

import pytest

from pcache.observe.makefiles import read, read_quoted


@pytest.mark.parametrize(
    ("text", "words", "suffixes"),
    [
        ("a b: c\n\tcp c a\n", {"a", "b"}, set()),
        ("a: c ; cp c a\n", {"a"}, set()),
        ("# how\na: c\n# it is done\n\n\tcp c a\n", {"a"}, set()),
        ("a.h: b.h\nall: x\n", set(), set()),
        ("A = b := c\na := b\n\tx\n", set(), set()),
        ("%.x: %.y\n\tcp $< $@\n", {"%.x"}, {".x"}),
        ("O = d/a e\nall: f\n$(O): f\n\tcp f $@\n", {"$(O)", "a", "e"}, set()),
        ("S = p.q\nO = $(S:.q=.z)\n${O}: f\n\tcp f $@\n", set(), {".z"}),
        ("O = $(patsubst %.q,$(D)/%.z,$(S))\n$(O): $(D)/%.z: %.q\n\tcp\n", set(), {".z"}),
        ("S = c f\nO = a $(addprefix x/,$(S))\n$(O): f\n\tcp\n", {"a"}, set()),
    ],
)
def test_targets(text: str, words: set[str], suffixes: set[str]) -> None:
    found: set[bytes] = set()
    endings: set[bytes] = set()
    read(text.encode(), found, endings)
    assert {one.decode() for one in found} >= words
    assert not {b"c", b"f", b"a.h", b"b.h", b"x", b"p.q"} & found
    assert not {b".q", b".y"} & endings
    assert {one.decode() for one in endings} >= suffixes


def test_quoted() -> None:
    words: set[bytes] = set()
    suffixes: set[bytes] = set()
    read_quoted(b"""file "a/b" => ['c']\nrule ".o" => '.c'\noutput: "{x}.bam"\n""", words, suffixes)
    assert words >= {b"b", b"c"}
    assert suffixes == {b".o", b".c", b".bam"}
