"""Man page and completions: complete, valid, and working in the real shells."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from pcache.cli.main import VERBS
from pcache.cli.options import HELP_NAMES
from pcache.history.entries import STORED
from pcache.reference import bash, fish, helptext, man, zsh
from pcache.reference.__main__ import FILES, write
from tests.unit.report.sessions import Made, open_store

# One command line to complete, and words that must and must not be among what is offered.
LINES = [
    ("pcache ", [*VERBS, "help"], ["--quiet"]),
    ("pcache ru", ["run"], ["trace", "replay"]),
    ("pcache run --", ["--quiet", "--json", "--deny", "--verbose"], ["--check", "--intercept"]),
    ("pcache replay -q --", ["--check", "--verbose"], ["--as-root"]),
    ("pcache export --format ", ["chrome-trace", "ro-crate"], ["--quiet"]),
    ("pcache replay --intercept ", ["entry", "execve"], ["--quiet"]),
    ("pcache run --deny ptrace,n", ["ptrace,network"], ["ptrace,io_uring"]),
    ("pcache stats --", ["--json", "--help"], ["--quiet"]),
    ("pcache config ", ["show", "set"], ["--help"]),
    ("pcache help st", ["stats"], ["run"]),
    ("pcache help se", ["service", "settings"], ["stats"]),
    ("pcache config set remote.", ["remote.url", "remote.trust"], ["max_size"]),
    ("pcache config unset ", ["max_size", "sandbox.deny"], ["edit"]),
    ("pcache config edit ", [], ["max_size"]),
    ("pcache trace --json /etc/hostn", ["/etc/hostname"], []),
    ("pcache run base6", ["base64"], []),
    ("pcache run --json /dev/null base6", ["base64"], []),
    ("pcache run -- base6", ["base64"], []),
    ("pcache explain base64 /etc/hostn", ["/etc/hostname"], []),
    ("pcache explain true --", [], ["--help"]),
    ("pcache nothing ", [], ["run"]),
]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("share")
    write(directory)
    return directory


# The same for names of sessions.  In the store there are two; the last one has three executions.
SESSIONS = [
    ("pcache report ", ["last", "2", "1"], ["2.0"]),
    ("pcache report 2.", [], ["2.0"]),
    ("pcache report -o /dev/null l", ["last"], ["2"]),
    ("pcache why ", ["last", "2", "1"], []),
    ("pcache export --format json ", ["last", "2", "1"], ["json"]),
    ("pcache show ", ["last", "2", "1"], ["2.0"]),
    ("pcache show 2.", ["2.0", "2.1", "2.2"], ["1.0", "2"]),
    ("pcache show last.", ["last.0", "last.2"], []),
    ("pcache show 9.", [], ["9.0"]),
    ("pcache show 1 ", [], ["1", "last"]),
    ("pcache diff ", ["last", "1"], []),
    ("pcache diff 1 ", ["last", "2"], []),
    ("pcache diff 1 2.", ["2.1"], []),
    ("pcache diff 1 2 ", [], ["1"]),
    ("pcache rm 2.", ["2.1"], []),
    ("pcache rm --session ", ["last", "1"], []),
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, pcache: str) -> dict[str, str]:
    """The environment of somebody who has sessions."""
    directory = tmp_path_factory.mktemp("cache")
    with open_store(directory) as store:
        for last in ("link", "install"):
            made = Made(store, (b"make", last.encode()))
            made.add(STORED, f"make {last}", 0, 9)
            made.add(STORED, "cc main.c", 1, 4)
            made.add(STORED, f"{last} it", 5, 8)
            made.keep()
    path = f"{Path(pcache).parent}:/usr/bin:/bin"
    return {"PATH": path, "XDG_CACHE_HOME": str(directory), "HOME": "/nowhere"}


def checked(*command: str | Path, **options: object) -> str:
    """Runs a command that must succeed and say nothing on stderr; its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert (done.returncode, done.stderr) == (0, "")
    return str(done.stdout)


def bash_offers(line: str, script: Path, env: dict[str, str] | None = None) -> list[str]:
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    # As readline has it: = is a word of its own.
    words = [part for word in words for part in re.split(r"(=)", word) if part or not word]
    program = (
        f"source {shlex.quote(str(script))}; COMP_WORDS=({shlex.join(words)})\n"
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        '_pcache; [ -z "${COMPREPLY[*]}" ] || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return checked("bash", "--norc", "-c", program, env=env).splitlines()


def fish_offers(line: str, script: Path, env: dict[str, str] | None = None) -> list[str]:
    program = f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"
    offered = checked("fish", "--no-config", "--command", program, env=env).splitlines()
    return [candidate.partition("\t")[0] for candidate in offered]


def zsh_offers(line: str, script: Path, home: Path, env: dict[str, str] | None = None) -> list[str]:
    """What zsh lists: in a terminal of zpty, with a `compadd` that prints what it is given."""
    (home / ".zshrc").write_text(
        f"PS1='ready>'; fpath=({shlex.quote(str(script.parent))} $fpath)\n"
        "autoload -Uz compinit; compinit -u -D\n"
        "zstyle ':completion:*' verbose no\n"
        "compadd() {\n"
        '  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi\n'
        '  local -a hits; builtin compadd -A hits "$@"\n'
        '  local word; for word in $hits; do print -r -- "<<$IPREFIX$word>>"; done\n'
        "}\n"
        "show() { zle complete-word; print '<<end>>'; exit }\n"
        "zle -C complete-word list-choices _main_complete; zle -N show; bindkey '^I' show\n"
    )
    program = (
        "zmodload zsh/zpty; zpty z zsh -i; zpty -r z out '*ready>*'\n"
        f"zpty -w -n z {shlex.quote(line)}$'\\t'; zpty -r z out '*<<end>>*'; print -r -- $out\n"
    )
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", **(env or {})}
    environment |= {"ZDOTDIR": str(home), "TERM": "dumb"}
    done = subprocess.run(
        ["zsh", "-f", "-c", program],
        env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "<<end>>" in done.stdout, done.stdout + done.stderr
    return re.findall(r"<<(.*?)>>", done.stdout)[:-1]


@pytest.mark.parametrize("verb", helptext.verbs(), ids=lambda verb: verb.name)
def test_every_option_is_in_all_of_them(verb: helptext.Verb) -> None:
    table = import_module(f"pcache.cli.{verb.name}").OPTIONS
    names = {name for option in verb.options for name in option.names}
    assert names == {*table, *HELP_NAMES}
    section = man.page().partition(f".SS pcache {verb.name}\n")[2].partition("\n.SS ")[0]
    shared = man.page().partition(".SH SANDBOX\n")[2].partition(".SH ENVIRONMENT")[0]
    in_bash = bash.script().partition(f"    {verb.name})\n")[2].partition("\n        ;;")[0]
    in_zsh = zsh.script().partition(f"    {verb.name})\n")[2].partition("\n        ;;")[0]
    in_fish = [line for line in fish.script().splitlines() if f"'__pcache_at {verb.name}'" in line]
    for name in names:
        escaped = re.escape(name.replace("-", r"\-"))
        assert re.search(rf"^\.B .*{escaped}\b", section + "\n" + shared, re.MULTILINE), name
        assert re.search(rf"(?<![\w-]){name}\b", in_bash)
        assert re.search(rf"(?<![\w-]){name}\b", in_zsh)
        switch = f"-l {name[2:]} " if name.startswith("--") else f"-s {name[1:]} "
        assert any(switch in line for line in in_fish)


def test_a_help_text_that_differs_from_its_table_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = import_module("pcache.cli.gc")
    monkeypatch.setattr(module, "OPTIONS", {**module.OPTIONS, "--new": "new"})
    with pytest.raises(ValueError, match="--new"):
        helptext.verbs()


def test_every_word_of_the_help_texts_is_in_the_page(share: Path) -> None:
    shown = checked(
        "man", "--local-file", share / "man/man1/pcache.1", env={"MANWIDTH": "500", "LC_ALL": "C",
        "PATH": "/usr/bin:/bin", "MAN_KEEP_FORMATTING": ""},
    )  # fmt: skip
    words = set(re.sub(r".\x08", "", shown).split())
    for name in VERBS:
        text = import_module(f"pcache.cli.{name}").HELP.removeprefix("usage: ")
        # Headings lose their colon.
        assert {word.rstrip(":") for word in text.split()} <= words | {
            word.rstrip(":") for word in words
        }


def test_page_gives_no_warning(share: Path) -> None:
    page = share / "man/man1/pcache.1"
    assert checked("groff", "-man", "-z", "-ww", page) == ""
    checked("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
    assert "automatic memoization" in checked("lexgrog", page)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_accept_their_completions(share: Path, shell: str) -> None:
    (script,) = (share / name for name in FILES if name.startswith(shell))
    assert checked(shell, "-n", script) == ""


@pytest.mark.parametrize(("line", "wanted", "unwanted"), LINES)
def test_bash_completes(share: Path, line: str, wanted: list[str], unwanted: list[str]) -> None:
    offered = bash_offers(line, share / "bash-completion/completions/pcache")
    # Without bash-completion, arguments of a command are readline's default: files.
    if not line.startswith("pcache explain base64 /"):
        assert set(wanted) <= set(offered)
    assert not set(unwanted) & set(offered)


def test_bash_completes_values_after_an_equals_sign(share: Path) -> None:
    script = share / "bash-completion/completions/pcache"
    assert bash_offers("pcache replay --intercept=", script) == ["entry", "execve"]
    assert bash_offers("pcache replay --intercept=ex", script) == ["execve"]
    assert "--check" in bash_offers("pcache replay --intercept=execve --", script)


def test_bash_hands_the_command_to_its_own_completion(share: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(
        '_command_offset() { COMPREPLY=(offset "$1"); }\n'
        + (share / "bash-completion/completions/pcache").read_text()
    )
    assert bash_offers("pcache run -q --json f make -", script) == ["offset", "5"]
    assert bash_offers("pcache explain ma", script) == ["offset", "2"]


@pytest.mark.parametrize(("line", "wanted", "unwanted"), LINES)
def test_fish_completes(share: Path, line: str, wanted: list[str], unwanted: list[str]) -> None:
    offered = fish_offers(line, share / "fish/vendor_completions.d/pcache.fish")
    assert set(wanted) <= set(offered)
    assert not set(unwanted) & set(offered)


@pytest.mark.parametrize(("line", "wanted", "unwanted"), LINES)
def test_zsh_completes(
    share: Path, tmp_path: Path, line: str, wanted: list[str], unwanted: list[str]
) -> None:
    offered = zsh_offers(line, share / "zsh/site-functions/_pcache", tmp_path)
    # Of a path, zsh adds the last part.
    assert {Path(word).name for word in wanted} <= {Path(word).name for word in offered}
    assert not set(unwanted) & set(offered)


@pytest.mark.parametrize(("line", "wanted", "unwanted"), SESSIONS)
def test_bash_completes_sessions(
    share: Path, kept: dict[str, str], line: str, wanted: list[str], unwanted: list[str]
) -> None:
    offered = bash_offers(line, share / "bash-completion/completions/pcache", kept)
    # With the command behind two blanks, if there are several.
    names = [word.partition("  ")[0] for word in offered]
    assert len(offered) < 2 or all("  " in word for word in offered)
    assert set(wanted) <= set(names)
    assert not set(unwanted) & set(names)


@pytest.mark.parametrize(("line", "wanted", "unwanted"), SESSIONS)
def test_fish_completes_sessions(
    share: Path, kept: dict[str, str], line: str, wanted: list[str], unwanted: list[str]
) -> None:
    offered = fish_offers(line, share / "fish/vendor_completions.d/pcache.fish", kept)
    assert set(wanted) <= set(offered)
    assert not set(unwanted) & set(offered)


@pytest.mark.parametrize(("line", "wanted", "unwanted"), SESSIONS)
def test_zsh_completes_sessions(
    share: Path,
    tmp_path: Path,
    kept: dict[str, str],
    line: str,
    wanted: list[str],
    unwanted: list[str],
) -> None:
    offered = zsh_offers(line, share / "zsh/site-functions/_pcache", tmp_path, kept)
    assert set(wanted) <= set(offered)
    assert not set(unwanted) & set(offered)
