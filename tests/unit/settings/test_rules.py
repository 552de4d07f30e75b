"""Which rules concern a program, going by its executable and its arguments."""

from __future__ import annotations

import pytest

from pcache.settings.rules import (
    ITSELF,
    NO,
    Policy,
    Rule,
    Settings,
    matches,
    programs_of,
    script_of,
)


@pytest.mark.parametrize(
    ("argv", "script"),
    [
        ("/usr/bin/python3.11 /usr/bin/snakemake -n", b"/usr/bin/snakemake"),
        ("python3 -IS tool.py a", b"tool.py"),
        ("python3 -W ignore tool.py", b"tool.py"),
        ("python3 -m snakemake -n", b"snakemake"),
        ("python3 -Im snakemake", b"snakemake"),
        ("python3 -m", b""),
        ("python3 -c pass tool.py", b""),
        ("python3", b""),
        ("perl -w -I lib x.pl", b"x.pl"),
        ("perl -e 1 x.pl", b""),
        ("ruby3.1 /usr/bin/rake", b"/usr/bin/rake"),
        ("sh -c ls", b""),
        ("java -cp a.jar org.x.Main y", b"org.x.Main"),
        ("cat tool.py", b""),
    ],
)
def test_script(argv: str, script: bytes) -> None:
    words = argv.encode().split()
    assert script_of(words[0], words) == script


@pytest.mark.parametrize(
    ("argv", "programs"),
    [
        ("/bin/busybox ls -l", "/bin/busybox ls"),
        ("/bin/busybox", "/bin/busybox"),
        ("/bin/busybox.static sh x.sh", "/bin/busybox.static sh x.sh"),
        ("/usr/bin/coreutils --coreutils-prog=ls -l", "/usr/bin/coreutils ls"),
        ("/lib64/ld-linux-x86-64.so.2 /bin/ls -l", "/lib64/ld-linux-x86-64.so.2 /bin/ls"),
        ("/lib/ld-musl-x86_64.so.1 --library-path /l /bin/ls", "/lib/ld-musl-x86_64.so.1 /bin/ls"),
        ("/lib/ld.so --inhibit-cache --argv0 x /bin/perl y.pl", "/lib/ld.so /bin/perl y.pl"),
        ("/lib/ld.so --preload=/p /bin/busybox find", "/lib/ld.so /bin/busybox find"),
        ("/lib/ld.so --help", "/lib/ld.so"),
        ("/bin/cat ls", "/bin/cat"),
    ],
)
def test_names(argv: str, programs: str) -> None:
    words = argv.encode().split()
    assert programs_of(words[0], words) == tuple(programs.encode().split())


def test_names_by_which_a_program_that_is_many_was_started() -> None:
    assert programs_of(b"/bin/busybox", (b"/usr/bin/find", b".")) == (b"/bin/busybox", b"find")
    assert programs_of(b"/bin/busybox", (b"-sh",)) == (b"/bin/busybox", b"sh")


@pytest.mark.parametrize(
    ("argv", "strict"),
    [
        ("/bin/busybox ls", False),
        ("/bin/busybox ls -l", True),
        ("/bin/busybox cp a b", False),
        ("/bin/busybox cp -u a b", True),
        ("/bin/busybox sh -c x", True),
        ("/bin/busybox find . -name x", False),
        ("/bin/busybox find . -execdir x", True),
        ("/bin/busybox xargs ls", True),
        ("/lib/ld.so /bin/ls -l", True),
        ("/bin/dir -l", True),
        ("/bin/vdir", True),
        ("/bin/date", False),
        ("/bin/date -ur f", True),
        ("/bin/date --ref=f", True),
    ],
)
def test_times_that_are_inputs_by_any_name(argv: str, strict: bool) -> None:
    words = argv.encode().split()
    assert Policy().settings(words[0], words).strict(words) is strict


def test_rules_for_scripts() -> None:
    policy = Policy((Rule(b"tool*", strict=True), Rule(b"*/x/run", never_cache=ITSELF)))
    python = b"/usr/bin/python3"
    assert policy.settings(python, (b"python3", b"/opt/tool.py")).strict(())
    assert policy.settings(python, (b"python3", b"-m", b"tool")).strict(())
    assert not policy.settings(python, (b"python3", b"other")).watched
    assert policy.settings(b"/bin/sh", (b"sh", b"/x/run")).never(()) == ITSELF
    assert policy.settings(python, (b"python3", b"/usr/bin/snakemake")).mtime_order
    assert policy.settings(b"/usr/bin/ruby", (b"ruby", b"rake")).mtime_order


@pytest.mark.parametrize(
    ("command", "never"),
    [
        ("find|.|-mtime|+3", ITSELF),
        ("find|.|-newermt|-3 seconds", ITSELF),
        ("find|.|-newermt|now", ITSELF),
        ("find|.|-newermt|2001-02-03", NO),
        ("find|.|-newermt|@5", NO),
        ("find|.|-newer|file", NO),
        ("touch|-d|1 hour ago|f", ITSELF),
        ("touch|--date=yesterday|f", ITSELF),
        ("touch|--da|10:00|f", ITSELF),
        ("touch|-cd1000|f", ITSELF),
        ("touch|-d2001-02-03 04:05|f", NO),
        ("touch|-r|d|f", NO),
        ("tmpreaper|7d|/tmp", ITSELF),
        ("ls|-d|now", NO),
    ],
)
def test_ages(command: str, never: bytes) -> None:
    words = command.encode().split(b"|")
    assert Settings((b"/usr/bin/" + words[0],), ()).never(words) == never


def test_ages_are_switched_off() -> None:
    assert Settings((b"/bin/tmpreaper",), (Rule(b"tmpreaper", never_cache=NO),)).never(()) == NO


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("cc", "cc", True),
        ("cc", "ccc", False),
        ("cc", "c", False),
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "any", True),
        ("c?", "c", False),
        ("c?", "cc", True),
        ("*.o", "a.o.o", True),
        ("*.o", "a.oo", False),
        ("a*b*c", "aXbYbZc", True),
        ("a*b*c", "aXbYbZ", False),
        ("/usr/*/cc*", "/usr/lib/gcc/cc1", True),
        ("**", "x", True),
        ("[a]", "a", False),
    ],
)
def test_globs(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern.encode(), text.encode()) is expected


@pytest.mark.parametrize(
    ("command", "strict"),
    [
        ("tar cf x y", True),
        ("cp a b", False),
        ("cp -a b c", True),
        ("cp -Rp b c", True),
        ("cp --pres b c", True),
        ("cp --preserve=mode b c", True),
        ("cp --parents b c", False),
        ("touch a", False),
        ("touch -d now a", False),
        ("touch -r b a", True),
        ("ls", False),
        ("ls -la", True),
        ("ls --all", False),
        ("find . -name x", False),
        ("find . -newermt x", True),
        ("find . -printf %t", True),
        ("install -m 644 a b", False),
        ("install -pm 644 a b", True),
        ("diff a b", False),
        ("diff -u a b", True),
        ("cc -c a.c", False),
    ],
)
def test_strict_by_default(command: str, strict: bool) -> None:
    words = [word.encode() for word in command.split()]
    assert Settings((b"/usr/bin/" + words[0],), ()).strict(words) is strict


def test_defaults_of_programs() -> None:
    assert Settings((b"/usr/bin/date",), ()).never_cache == ITSELF
    assert Settings((b"/usr/bin/cc",), ()).never_cache == NO
    assert Settings((b"/usr/bin/make",), ()).mtime_order
    assert not Settings((b"/usr/bin/cc",), ()).mtime_order
