"""What a hit leaves is what the command would have left, whatever it finds."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.lib.differential import Bench, fresh, look
from tests.lib.environment import handed_on
from tests.lib.launch import Stdio

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -ISc"
ATTRIBUTES = f"{PYTHON} 'import os,sys; [print(n, os.listxattr(n)) for n in sys.argv[1:]]'"
SET_ATTRIBUTE = f"""{PYTHON} 'import os,sys; os.setxattr(sys.argv[1], "user.a", b"1")'"""
DEFAULT_ACL = (
    f"{PYTHON} 'import os,struct,sys; os.setxattr(sys.argv[1],"
    '"system.posix_acl_default",struct.pack("<I",2)+b"".join(struct.pack("<HHi",t,p,-1)'
    " for t,p in((1,7),(4,7),(16,7),(32,0))))'"
)
RENAME = f"{PYTHON} 'import os,sys; os.rename(sys.argv[1], sys.argv[2])'"
TOUCH_LINK = (
    f'{PYTHON} \'import os; os.readlink("l"); os.lstat("l");'
    ' os.utime("l",(1,1),follow_symlinks=False)\''
)
MOVED = "cat s >out.tmp && mv out.tmp out"


class Case(NamedTuple):
    """What is run in an empty directory: `first` and the command to be recorded; then, plainly and
    replayed, `before`, the command and `look`, whose output tells."""

    name: str
    first: str
    command: str
    before: str
    look: str
    hits: bool = True


CASES = [
    # Files that are there already.
    Case("left over", "echo 1 >s", MOVED, "echo 1 >s; echo part >out.tmp", "ls; cat out"),
    Case("left over, removed", "", ">t; rm t", "echo part >t", "ls"),
    Case(
        "left over, by python",
        "",
        f'{PYTHON} \'import os; open("t", "w"); os.remove("t")\'',
        "echo part >t",
        "ls",
    ),
    Case(
        "left over, with attributes",
        "echo 1 >s",
        MOVED,
        f"echo 1 >s; echo part >out.tmp; {SET_ATTRIBUTE} out.tmp",
        f"ls; {ATTRIBUTES} out",
        False,
    ),
    Case(
        "left over, of a group",
        "echo 1 >s",
        MOVED,
        "echo 1 >s; echo part >out.tmp; chgrp daemon out.tmp",
        "ls; stat -c %G out",
        False,
    ),
    Case(
        "left over, another name",
        "echo 1 >s",
        "cat s >t; ln t out; rm t",
        f"echo 1 >s; echo part >t; {SET_ATTRIBUTE} t",
        f"ls; {ATTRIBUTES} out",
        False,
    ),
    Case(
        "left over, its group set",
        "",
        ">f; chgrp $(id -g) f",
        "echo >f; chgrp daemon f",
        "stat -c %G f",
        False,
    ),
    Case(
        "another name",
        "echo old >f",
        "echo new >t; mv -f t f",
        "echo new >f; ln f g",
        "echo more >>f; cat g; stat -c %h f",
    ),
    Case(
        "attributes of what is replaced",
        "echo old >f",
        "echo new >t; mv -f t f",
        f"echo new >f; {SET_ATTRIBUTE} f",
        f"{ATTRIBUTES} f",
    ),
    Case(
        "group of what is replaced",
        "echo old >f",
        f"echo new >t; {RENAME} t f",
        "echo new >f; chgrp daemon f",
        "stat -c %G f",
    ),
    # Written in place.
    Case(
        "group and attributes",
        "",
        "echo new >f",
        f"echo old >f; chgrp daemon f; {SET_ATTRIBUTE} f",
        f"cat f; stat -c '%G %h' f; {ATTRIBUTES} f",
    ),
    Case(
        "longer before",
        "",
        "echo new >f",
        "seq 99 >f; stat -c %i f >i",
        "cat f; stat -c %i f | cmp - i",
    ),
    Case(
        "large",
        "",
        "seq 300000 >f",
        "seq 99 >f; stat -c %i f >i",
        "md5sum f; stat -c %i f | cmp - i",
    ),
    Case(
        "appended",
        "echo start >f",
        "exec 3>>f; sleep .2; echo more >&3",
        "echo start >f; stat -c %i f >i",
        "cat f; stat -c %i f | cmp - i",
    ),
    Case(
        "directory of what is written",
        "mkdir d",
        "echo new >d/f",
        "mkdir d; echo old >d/f; touch -d @1000 d",
        "stat -c %Y d",
    ),
    Case(
        "directory of what is right",
        "mkdir d; echo old >d/f",
        "echo new >t; mv -f t d/f",
        "mkdir d; echo new >d/f; touch -d @1000 d",
        "test $(stat -c %Y d) -gt 1000; echo $?",
    ),
    Case(
        "directory in which something was made and removed",
        "mkdir d",
        ">d/t; rm d/t",
        "mkdir d; touch -d @1000 d",
        "test $(stat -c %Y d) -gt 1000; echo $?",
    ),
    # Moved.
    Case(
        "moved as it was",
        "echo 1 >a; ln a c",
        "mv a b",
        f"echo 1 >a; ln a c; {SET_ATTRIBUTE} a; stat -c %i a >i",
        f"ls; stat -c %h b; stat -c %i b | cmp - i; {ATTRIBUTES} b",
    ),
    Case(
        "moved onto another",
        "echo 1 >a; echo 2 >b",
        f"{RENAME} a b",
        "echo 1 >a; echo 2 >b; ln b c",
        "ls; cat b c; stat -c %h b c",
    ),
    Case(
        "exchanged",
        "echo 1 >a; echo 2 >b",
        "mv a t; mv b a; mv t b",
        "echo 1 >a; echo 2 >b",
        "cat a b; ls",
        False,
    ),
    Case(
        "exchanged, with another name",
        "echo 1 >a; echo 2 >b",
        "mv a t; mv b a; mv t b",
        "echo 1 >a; echo 2 >b; ln a c",
        "cat a b; ls; stat -c %h b",
        False,
    ),
    Case(
        "moved on", "echo 1 >a; echo 2 >b", "mv b c; mv a b", "echo 1 >a; echo 2 >b", "cat b c; ls"
    ),
    Case(
        "moved into a new directory",
        "mkdir o; echo 1 >o/a; ln o/a l",
        f"mkdir -p d/e; {RENAME} o/a d/e/a; rmdir o",
        "mkdir o; echo 1 >o/a; ln o/a l",
        "find . | sort; stat -c %h l",
    ),
    Case(
        "moved and changed",
        "echo 1 >a",
        "mv a b; echo 2 >>b",
        f"echo 1 >a; {SET_ATTRIBUTE} a",
        f"cat b; {ATTRIBUTES} b",
        False,
    ),
    Case(
        "directory moved",
        "mkdir d; echo 1 >d/a; ln d/a l; touch -d 2020-01-01 d",
        "mv d e",
        "mkdir d; echo 1 >d/a; ln d/a l; touch -d 2020-01-01 d",
        "find . | sort; stat -c %h l",
    ),
    # What the directory gives.
    Case(
        "set-group-ID directory",
        "",
        "mkdir d; echo >f",
        "chgrp daemon .; chmod g+s .",
        "stat -c '%a %G' d f",
        False,
    ),
    Case(
        "recorded in a set-group-ID directory",
        "chgrp daemon .; chmod g+s .",
        "mkdir d; echo >f",
        "chgrp daemon .; chmod g+s .",
        "stat -c '%a %G' d f",
    ),
    Case(
        "a group of its own in a set-group-ID directory",
        "chgrp daemon .; chmod g+s .",
        "echo >f; chgrp $(id -g) f",
        "chgrp daemon .; chmod g+s .",
        "stat -c %G f",
        False,
    ),
    Case(
        "default access control list",
        "",
        "mkdir d; touch f",
        f"{DEFAULT_ACL} .",
        f"stat -c %a d f; {ATTRIBUTES} d f",
        False,
    ),
    Case(
        "recorded below a default access control list",
        f"{DEFAULT_ACL} .",
        "touch f",
        f"{DEFAULT_ACL} .",
        f"stat -c %a f; {ATTRIBUTES} f",
    ),
    # Holes.
    Case("holes", "", "truncate -s 50M f; echo end >>f", "", "du -k f; md5sum f"),
    Case(
        "holes over what is there",
        "",
        "truncate -s 5M f",
        "seq 99 >f; truncate -s 5M f",
        "du -k f; md5sum f",
        False,
    ),
    Case("no holes", "", "head -c 5000000 /dev/zero >f", "", "du -k f; md5sum f"),
    Case(
        "no holes in place of some",
        "",
        "head -c 5000000 /dev/zero >f",
        "truncate -s 5000000 f",
        "du -k f; md5sum f",
    ),
    # Links.
    Case(
        "times of a link",
        "echo 1 >t; ln -s t l; touch -hd @5 l",
        TOUCH_LINK,
        "echo 1 >t; chmod 600 t; ln -s t l; touch -hd @5 l",
        "stat -c '%a' t; stat -c %Y l",
    ),
    Case(
        "access time",
        "",
        "echo new >f; touch -m -d @1000 f",
        "",
        "test $(stat -c %X f) -gt 1000; echo $?",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_outputs(bench: Bench, case: Case) -> None:
    # As a shell has it for what it starts: the command is the same call below one.
    env = handed_on({**bench.env, "PWD": str(bench.directory)})
    arguments = (bench.directory, env, Stdio())
    inner = ("sh", "-c", case.command)
    outer = ("sh", "-c", 'sh -c "$1"; exit 0', "sh", case.command)
    fresh(bench, case.first)
    bench.launcher.trace(inner, *arguments)
    fresh(bench, case.before)
    bench.launcher.plain(inner, *arguments)
    expected = look(bench, case.look)
    for command in (inner, outer):
        fresh(bench, case.before)
        done = bench.launcher.replay(command, *arguments)
        assert look(bench, case.look) == expected
        if case.hits:
            assert done.counters["hits"] == 1, done.decisions
