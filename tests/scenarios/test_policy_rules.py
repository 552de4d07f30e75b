"""Rules of the configuration and defaults of `strict` and `never_cache`, against plain runs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.lib.edits import Edit, append, chmod, delete, touch, write
from tests.lib.scenario import ROOT_HIT, Expect, Scenario, only, step
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]

Check = Callable[[Scenario], None]
NOT_AS_A_WHOLE = Expect(root=False)


def configured(text: str) -> Edit:
    return write(".pcache.toml", text)


def test_archives_depend_on_times(check: Check) -> None:
    setup = (write("d/a", "a\n"), write("d/b", "b\n"))
    steps = (
        step("a file touched", touch("d/a"), expect=only("tar")),
        step("the directory touched", touch("d"), expect=only("tar")),
        step("mode", chmod("d/b", 0o600), expect=only("tar")),
    )
    check(Scenario("tar", ("tar", "--owner=x:1", "-cf", "t.tar", "d"), setup, steps))


def test_times_are_inputs_of_the_callers_too(check: Check) -> None:
    check(
        script(
            "times",
            "stat -c %Y a\ncat b\n",
            write("a", "a\n"),
            write("b", "b\n"),
            # Not of the second that is printed: it might be its time.
            lambda root: os.utime(root / "b", (1e9, 1e9)),
            steps=(
                step("looked at", touch("a"), expect=only("dash run.sh", "stat", hit=("cat b",))),
                step("not looked at", touch("b"), expect=ROOT_HIT),
            ),
        )
    )


def test_times_that_the_script_sets_are_none_of_its_inputs(check: Check) -> None:
    text = "cp a d/a\ntouch -d 2001-02-03 d/a\nstat -c '%n %Y' d/a\n"
    setup = (write("run.sh", text), write("a", "a\n"), write("d/other", ""))
    steps = (step("touched", touch("a"), touch("d"), expect=ROOT_HIT),)
    check(Scenario("own times", ("sh", "run.sh"), setup, steps, retrace=False))


def test_options_decide(check: Check) -> None:
    setup = (write("a", "a\n"),)
    steps = (
        step("plain copy", touch("a"), expect=ROOT_HIT),
        step("with times", touch("a"), command=("cp", "-p", "a", "b"), expect=Expect(root=False)),
        step("again", touch("a"), command=("cp", "-p", "a", "b"), expect=Expect(root=False)),
    )
    check(Scenario("cp", ("cp", "a", "b"), setup, steps))


def test_date_always_runs_but_its_caller_is_replayed(check: Check) -> None:
    check(
        script(
            "date",
            "date +%Y\ncat a\n",
            write("a", "a\n"),
            uncached=("date",),
            steps=(step("edited", append("a", "+\n"), expect=only("dash", "date", "cat a")),),
        )
    )


def test_never_cached_with_its_callers(check: Check) -> None:
    rule = '[program.cat]\nnever_cache = "callers"\n'
    check(
        script(
            "callers",
            "cat a\nsort b\n",
            write("a", "a\n"),
            write("b", "b\n"),
            configured(rule),
            uncached=("cat",),
            first=only("dash run.sh", "cat a", hit=("sort b",)),
        )
    )


def test_failures_need_not_be_cached(check: Check) -> None:
    rule = '[program."*"]\ncache_failures = false\n'
    check(
        script(
            "failures",
            "ls none\nls a\n",
            write("a", "a\n"),
            configured(rule),
            uncached=("ls none",),
        )
    )


def test_ignored_variables(check: Check) -> None:
    steps = (
        step("ignored", env={"MY_NAME": "b"}, expect=ROOT_HIT),
        step("not ignored", env={"OTHER": "b"}, expect=only("sort")),
    )
    setup = (write("in", "b\na\n"), configured('[program.sort]\nignore_env = ["MY_*"]\n'))
    check(Scenario("env", ("sort", "in"), setup, steps, env={"MY_NAME": "a"}))


def test_ignored_paths_are_no_inputs(check: Check) -> None:
    """The program reads the file to no effect: only then is ignoring it right."""
    text = "import os\nos.stat('noise/a')\nopen('noise/b').read()\nprint('same')\n"
    setup = (
        write("run.py", text),
        write("noise/a", "1\n"),
        write("noise/b", "2\n"),
        configured('[program."python3*"]\nignore_paths = ["noise/*"]\n'),
    )
    steps = (
        step("content", append("noise/b", "+\n"), append("noise/a", "+\n"), expect=ROOT_HIT),
        step("the program", append("run.py", "print('more')\n"), expect=only("python3")),
    )
    check(Scenario("paths", ("python3", "-S", "run.py"), setup, steps))


def test_extra_inputs(check: Check) -> None:
    setup = (
        write("in", "b\na\n"),
        write("version", "1\n"),
        configured('[program.sort]\nextra_inputs = ["version"]\n'),
    )
    steps = (
        step("changed", append("version", "+\n"), expect=only("sort")),
        step("gone", delete("version"), expect=only("sort")),
        step("touched", touch("version"), expect=ROOT_HIT),
    )
    check(Scenario("extra", ("sort", "in"), setup, steps))


def test_other_rules_are_other_records(check: Check) -> None:
    steps = (
        step(
            "a rule about something else",
            write(".pcache.toml", "[program.cat]\nstrict = true\n"),
            expect=only("sort"),
        ),
    )
    check(Scenario("rules", ("sort", "in"), (write("in", "b\na\n"),), steps))
