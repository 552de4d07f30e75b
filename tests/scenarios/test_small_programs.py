"""What small programs do to files, run from a script: plain, traced, replayed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lib.edits import age, append, chmod, delete, link, mkdir, rename, touch, write
from tests.lib.scenario import ROOT_HIT, Expect, Scenario, only, step
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]

TEXTS = (write("a", "pear\napple\nfig\n"), write("b", "kiwi\nlime\n"))

SCENARIOS = [
    script(
        "cat and redirections",
        "cat a b >joined\ncat joined a\ncat <b >more\n",
        *TEXTS,
        steps=(
            step("touched", touch("a")),
            step("edited", append("b", "plum\n"), expect=only("dash run.sh", "cat")),
            step("emptied", write("a", ""), expect=only("dash run.sh", "cat")),
            step("removed", delete("a"), expect=only("dash run.sh", "cat")),
            step("unreadable mode", chmod("a", 0o000), expect=only("dash run.sh", "cat")),
            step("a directory instead", delete("a"), mkdir("a"), expect=only("dash run.sh", "cat")),
            step("an output is there already", write("joined", "old\n")),
            step(
                "another mode of the output",
                write("joined", "old\n", 0o600),
                expect=only("dash run.sh", "cat joined a", hit=("cat a b",)),
            ),
        ),
    ),
    script(
        "copies",
        "cp a copy\ncp -r tree tree2\ninstall -m 751 a installed\ncp -p b kept\n"
        "cp -l c hard\ncp -s $PWD/a soft\n",
        *TEXTS,
        write("c", "linked\n"),
        write("tree/x", "x\n"),
        write("tree/sub/y", "y\n", 0o640),
        steps=(
            step("file in the tree", write("tree/z", "z\n"), expect=only("dash run.sh", "cp -r")),
            step("file gone", delete("tree/sub/y"), expect=only("dash run.sh", "cp -r")),
            step("mode", chmod("tree/x", 0o755), expect=only("dash run.sh", "cp -r")),
            step("target is a directory", mkdir("copy"), expect=only("dash run.sh", "cp a copy")),
        ),
    ),
    script(
        "renames",
        "mv a c\nmv b c\nmkdir d\nmv c d/\nmv d e\ncat e/c\n",
        *TEXTS,
        racy=True,
        steps=(
            step(
                "content", append("b", "plum\n"), expect=only("dash run.sh", "mv", "cat", "mkdir")
            ),
            step("target there", write("c", "c\n"), expect=only("dash run.sh", "mv", "mkdir")),
            step("d there", mkdir("d"), expect=only("dash run.sh", "mkdir", "mv")),
            step("no source", delete("a"), expect=only("dash run.sh", "mv", "mkdir")),
        ),
    ),
    script(
        "copies renamed at once",
        "cp a x.tmp && mv x.tmp x\ncp b y.tmp && mv -f y.tmp y\ncat x y\n",
        *TEXTS,
        retrace=False,
        steps=(
            step("edited", append("b", "plum\n"), expect=only("dash run.sh", "cp b", "mv", "cat")),
        ),
    ),
    script(
        "temporary file renamed over the target",
        "sort a >a.tmp\nmv a.tmp a\nsort <b >b.tmp && mv -f b.tmp b\n",
        *TEXTS,
        racy=True,
        steps=(
            step("edited", append("a", "date\n"), expect=only("dash run.sh", "sort", "mv")),
            step("left over", write("a.tmp", "?\n"), expect=ROOT_HIT),
        ),
    ),
    script(
        "append",
        "echo one >>log\ncat a >>log\ntee -a log <b\necho end >>log\ntail -n 2 log\n",
        *TEXTS,
        write("log", "start\n"),
        racy=True,
        steps=(
            step(
                "log edited",
                append("log", "more\n"),
                expect=only("dash run.sh", "tee", hit=("cat a", "tail")),
            ),
            step("no log", delete("log"), expect=only("dash run.sh", "tee", hit=("cat a", "tail"))),
        ),
    ),
    script(
        "directories",
        "mkdir -p x/y/z\nmkdir x/w\necho 1 >x/y/f\nrmdir empty\nmkdir -p x/y/z\nrm -rf old\n"
        # What is made and removed within milliseconds may be gone before it is looked at.
        "mkdir -m 700 closed\nsleep 0.2\nrm -r x/y/z\nrmdir none 2>&1\n",
        write("old/1", "1"),
        write("old/2/3", "3"),
        mkdir("empty"),
        uncached=("sleep",),
        steps=(
            step(
                "more to remove",
                write("old/4", "4"),
                expect=only("dash run.sh", "sleep", "rm -rf old"),
            ),
            step(
                "nothing to remove",
                delete("old"),
                expect=only("dash run.sh", "sleep", "rm -rf old"),
            ),
            step("x there", mkdir("x"), expect=only("dash run.sh", "sleep", "mkdir -p")),
            step(
                "x a file",
                write("x", ""),
                expect=only("dash run.sh", "sleep", "mkdir", "rm -r x"),
            ),
        ),
    ),
    script(
        "links",
        "ln -s a s\nln a h\nln -sf b s\ncat s h\nreadlink chain\ncat chain\nln -sfn tree t\n"
        "cat t/x\nrm h\nln b h2\n",
        *TEXTS,
        write("tree/x", "x\n"),
        link("t", "."),
        link("chain", "middle"),
        link("middle", "a"),
        racy=True,
        steps=(
            step("link swapped", link("middle", "b"), expect=only("dash run.sh", "cat chain")),
            step(
                "same content behind",
                write("same", "pear\napple\nfig\n"),
                link("middle", "same"),
                expect=only("dash run.sh", "cat chain"),
            ),
            step(
                "behind it",
                append("a", "+\n"),
                expect=only("dash run.sh", "cat", "ln a h", "ln -s"),
            ),
        ),
    ),
    Scenario(
        "hard links to what was made",
        ("sh", "run.sh"),
        (
            *TEXTS,
            write(
                "run.sh",
                "cp a made\nln made one\nln one two\n"
                "cp b temporary\nln temporary kept\nrm temporary\n"
                "ln -f a again\nln -f b again\ncat made kept again\n",
            ),
        ),
        steps=(
            step("what is linked twice", append("a", "more\n"), expect=Expect(root=False)),
            step("what is linked and removed", append("b", "more\n"), expect=Expect(root=False)),
            step(
                "as the command left it",
                built=True,
                expect=Expect(root=False),
                root_hit=False,
            ),
        ),
        retrace=False,
    ),
    script(
        "links that are there, made anew",
        "ln -sf b new\nln -sfn self self\nrm gone\nreadlink read\nrm read\nls -F shown\n",
        *TEXTS,
        link("new", "none/at all"),
        link("self", "tree"),
        link("gone", "none"),
        link("read", "a"),
        link("shown", "a"),
        steps=(
            step(
                "as the command left it",
                built=True,
                expect=only("dash run.sh", "rm", "readlink", "ln"),
            ),
            step("where the new one led", link("new", "none/at one"), expect=ROOT_HIT),
            step(
                "a longer way", link("new", "none/at all/"), expect=only("dash run.sh", "ln -sf b")
            ),
            step(
                "a file instead",
                delete("new"),
                write("new", ""),
                expect=only("dash run.sh", "ln -sf b"),
            ),
            step("where it was read", link("read", "b"), expect=only("dash run.sh", "readlink")),
            step("where the removed one led", link("gone", "nine"), expect=ROOT_HIT),
            step("a directory behind it", link("shown", "."), expect=only("dash run.sh", "ls")),
        ),
    ),
    script(
        "modes and times",
        "chmod 600 a\nchmod u+x,g-w b\ntouch new\ntouch -d '2020-01-02 03:04:05' old\n"
        "touch -d '2021-01-01' a\n: >empty\numask 077\n: >private\ntest -x b && echo x\n",
        *TEXTS,
        racy=True,
        steps=(
            step("mode", chmod("b", 0o640), expect=only("dash run.sh", "chmod u+x")),
            step(
                "content of a", append("a", "+\n"), expect=only("dash run.sh", "chmod 600", "touch")
            ),
            step("new is there", write("new", "?\n"), expect=only("dash run.sh", "touch new")),
        ),
    ),
    script(
        "listings",
        "ls\nls sub\necho *.txt\necho sub/*\nfind . -name '*.txt' -type f | sort\n"
        "for f in *.txt; do wc -c $f; done\n"
        "ls -d none* 2>&1\ndu -a --apparent-size sub >/dev/null\n",
        write("1.txt", "1"),
        write("2.txt", "22"),
        write("sub/3.txt", "333"),
        may=("sort",),
        steps=(
            step(
                "one more",
                write("4.txt", "4444"),
                expect=only("dash run.sh", "ls", "find", "sort", "wc -c 4"),
            ),
            step(
                "one deeper",
                write("sub/5.txt", "5"),
                expect=only("dash run.sh", "ls sub", "find", "sort", "du", hit=("wc -c 1.txt",)),
            ),
            step("one less", delete("2.txt"), expect=only("dash run.sh", "ls", "find", "sort")),
            step(
                "other name",
                rename("2.txt", "0.txt"),
                expect=only("dash run.sh", "ls", "find", "sort", "wc -c 0"),
            ),
            step(
                "a directory",
                mkdir("none"),
                # What find prints to sort is the same.
                expect=only("dash run.sh", "ls", "find", may=("sort",)),
            ),
            step(
                "content only",
                write("1.txt", "11"),
                expect=only("dash run.sh", "wc -c 1.txt", hit=("find",), may=("sort",)),
            ),
        ),
    ),
    script(
        "text tools",
        "sort a b | head -n 3\nhead -n 1 a\ntail -n 1 b\ngrep -c e a b\n"
        "grep none a\necho $?\ntr a-z A-Z <a >upper\nwc -l <upper\ncut -c1-2 b | uniq | tee cut\n"
        "awk '{n++} END {print n}' a b\ncmp a b\ndiff a b >diff || true\nsplit -l 1 a part.\n"
        "cat part.*\nbase64 a\nmd5sum a b >sums\nmd5sum -c sums\n",
        *TEXTS,
        may=("head -n 3", "uniq", "tee cut"),
        steps=(
            step(
                "b edited",
                append("b", "plum\n"),
                expect=only(
                    "dash run.sh", " b", "head -n 3", "uniq", "tee", "sums", hit=("tr a-z", "split")
                ),
            ),
        ),
    ),
    script(
        "archives",
        "tar -cf t.tar a tree\ntar -tf t.tar\nmkdir out\ntar -xf t.tar -C out\n"
        "tar -czf t.tgz --sort=name tree\ngzip -k a\ngunzip -c a.gz\n",
        *TEXTS,
        write("tree/x", "x\n"),
        link("tree/l", "x"),
        # Times are inputs of tar, and the archive that was just restored has a new one.
        uncached=("tar -tf", "tar -xf"),
        retrace=False,
        steps=(
            step(
                "edited",
                append("tree/x", "+\n"),
                age("tree/x", 100),
                expect=only("dash run.sh", "tar", "gzip", hit=("gzip -k",)),
            ),
        ),
    ),
    script(
        "here-documents and reads",
        'cat <<E\nfrom $HOME\nE\nwhile read line; do echo "<$line>"; done <a\n'
        "{ read one; cat; } <b\ncat </dev/null\ncat - b </dev/null\n",
        *TEXTS,
        steps=(step("other home", env={"HOME": "/else"}, expect=only("dash run.sh", "cat")),),
        may=("cat",),
    ),
    script(
        "overwritten in place",
        "dd if=a of=b bs=1 count=2 conv=notrunc 2>/dev/null\ntruncate -s 3 a\ntruncate -s 10 new\n"
        "printf xyz | dd of=a bs=1 seek=1 conv=notrunc 2>/dev/null\ncat a b\n",
        *TEXTS,
        racy=True,
        steps=(
            step(
                "edited",
                append("b", "+\n"),
                expect=only("dash run.sh", "dd", "truncate -s 3", "cat"),
            ),
        ),
    ),
    script(
        "edited in place",
        "sed -i s/fig/date/ a\nperl -pi -e s/i/o/ b\ncat a b\nbusybox sed -i 1d a\ncat a\n",
        *TEXTS,
        racy=True,
        steps=(step("edited", append("a", "fig\n")), step("gone", delete("b"))),
    ),
    script(
        "made and removed again",
        "d=scratch.d\nmkdir $d\ncp a $d/1\nsort $d/1 >$d/2\ncat $d/2\nrm -rf $d\n: >t && rm t\n",
        *TEXTS,
        racy=True,
        steps=(
            step(
                "edited",
                append("a", "+\n"),
                expect=only("dash run.sh", "mkdir", "cp", "sort", "cat", "rm"),
            ),
        ),
    ),
]


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-")
)
def test_small_programs(scenario: Scenario, check: Callable[[Scenario], None]) -> None:
    check(scenario)


def test_most_of_it_must_hit() -> None:
    """The list itself cannot quietly come to expect nothing."""
    assert sum(scenario.first == ROOT_HIT for scenario in SCENARIOS) >= 9
