"""Machines that differ in one thing: the second one does what it does plainly, whatever the first
has recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.lib.launch import Launcher
from tests.lib.machines import Machine, hits

pytestmark = [pytest.mark.root, pytest.mark.system_files]


@dataclass(frozen=True)
class Difference:
    """What is done on a machine before a script is run there: $BASE is a directory of both, $WORK
    the project's, which is laid out anew each time."""

    script: str
    there: str = ":"
    here: str = ":"
    """On the one that records."""
    hit: bool = False
    """Whether the difference makes none to the script."""
    files: dict[str, str] = field(default_factory=dict)
    mapped: tuple[str, ...] = ("home",)


_LIBRARY = (
    'for n in 1 2; do mkdir -p "$BASE/lib$n"; echo "int v(void) { return $n; }" |'
    ' cc -shared -Wl,-soname,libv.so -o "$BASE/lib$n/libv.so" -x c -; done;'
    ' echo "int v(void); int main(void) { return v(); }" |'
    ' cc -o "$BASE/prog" -x c - -L"$BASE/lib1" -lv;'
    ' for n in 1 2; do echo "$BASE/lib$n" >"$BASE/conf$n";'
    ' ldconfig -X -f "$BASE/conf$n" -C "$BASE/cache$n"; done'
)

DIFFERENCES = {
    "time zone": Difference(
        "unset TZ; date -d @0 +%H:%M >out; cat out",
        "mount --bind /usr/share/zoneinfo/Asia/Tokyo $(readlink -f /etc/localtime)",
    ),
    "library of the same path": Difference(
        'LD_LIBRARY_PATH="$BASE/lib1" "$BASE/prog"; echo $? | tee out',
        'mount --bind "$BASE/lib2/libv.so" "$BASE/lib1/libv.so"',
        here=_LIBRARY,
    ),
    "cache of the loader": Difference(
        '"$BASE/prog"; echo $? | tee out',
        'mount --bind "$BASE/cache2" /etc/ld.so.cache',
        here=_LIBRARY + '; mount --bind "$BASE/cache1" /etc/ld.so.cache',
    ),
    "cache of the loader, other libraries": Difference(
        "cat in >out",
        'mount --bind "$BASE/cache" /etc/ld.so.cache',
        here='mkdir -p "$BASE/lib"; echo "$BASE/lib" >"$BASE/conf"; echo "int v;" | '
        'cc -shared -o "$BASE/lib/libvery.so" -x c -; cat /etc/ld.so.conf "$BASE/conf" '
        '>"$BASE/all"; ldconfig -X -f "$BASE/all" -C "$BASE/cache"',
        hit=True,
    ),
    "file of settings in the home": Difference(
        "git config --global user.name >out; echo $?; cat out",
        'printf "[user]\\nname = me\\n" >"$HOME/.gitconfig"',
    ),
    "program earlier in PATH": Difference(
        "tool >out; cat out",
        'mkdir -p "$HOME/bin"; printf "#!/bin/sh\\necho other\\n" >"$HOME/bin/tool";'
        ' chmod +x "$HOME/bin/tool"',
        here='mkdir -p "$BASE/bin"; printf "#!/bin/sh\\necho usual\\n" >"$BASE/bin/tool";'
        ' chmod +x "$BASE/bin/tool"',
    ),
    "host name": Difference("hostname | tee out; uname -n", "hostname elsewhere"),
    "host name, mapped, derived": Difference(
        "cat /proc/sys/kernel/hostname; hostname >out; cut -c1-200 out",
        "hostname elsewhere",
        here="hostname recorder",
        mapped=("home", "host"),
    ),
    "host name, not asked for": Difference("cat in | tee out", "hostname elsewhere", hit=True),
    "host name, mapped, asked for": Difference(
        "uname -sn >/dev/null; cat in | tee out",
        "hostname elsewhere",
        here="hostname recorder",
        mapped=("home", "host"),
        hit=True,
    ),
    "something mounted": Difference(
        "ls -A d; echo x >d/x; ls d; stat -f -c %T d",
        'mount -t tmpfs none "$WORK/d"; echo y >"$WORK/d/y"',
        files={"d/in": ""},
    ),
    "tmpfs mounted over nothing": Difference(
        'echo x >d/x; rm d/x; stat -c %d d | tr -d "0-9"',
        'mount -t tmpfs none "$WORK/d"',
        files={"d/in": ""},
    ),
    "output is a link": Difference("cat in >out; cat out", 'ln -s "$BASE/target" "$WORK/out"'),
    "output is a dangling link": Difference("cp in out; cat out", 'ln -s none "$WORK/out"'),
    "output is a directory": Difference("cp in out; ls -d out/*", 'mkdir "$WORK/out"'),
    "output has two names": Difference(
        "cat in >out; cat out; cat other 2>/dev/null",
        'echo old >"$WORK/out"; ln "$WORK/out" "$WORK/other"',
    ),
    "output has another mode": Difference(
        "cat in >out; stat -c %a out", 'echo old >"$WORK/out"; chmod 600 "$WORK/out"'
    ),
    "group of the directory": Difference(
        "cat in >d/out; stat -c %g d/out; mkdir d/sub; stat -c %a d/sub",
        'chgrp 4711 "$WORK/d"; chmod g+s "$WORK/d"',
        files={"d/in": ""},
    ),
    "access control list of the directory": Difference(
        "cat in >d/out; stat -c %a d/out",
        'setfacl -d -m u:4711:rwx "$WORK/d"',
        files={"d/in": ""},
    ),
    "extended attribute": Difference(
        "cp -a in out; getfattr -d out", 'setfattr -n user.a -v b "$WORK/in"'
    ),
    "users of the system": Difference(
        "getent passwd 4711; echo ~somebody; echo $? >out",
        'sed "\\$asomebody:x:4711:4711::/home/some:/bin/sh" /etc/passwd >"$BASE/passwd";'
        ' mount --bind "$BASE/passwd" /etc/passwd',
    ),
    "order of times": Difference(
        "make out",
        'touch -d 2020-01-01 "$WORK/in"; echo kept >"$WORK/out"',
        files={"Makefile": "out: in\n\tcp in out\n"},
    ),
    "processors": Difference("nproc | tee out", "taskset -p 1 $$ >/dev/null"),
    "kernel version": Difference(
        "cat /proc/version >out; uname -r; cat out",
        'echo other >"$BASE/version"; mount --bind "$BASE/version" /proc/version',
    ),
    "size of the disk": Difference(
        "df --output=fstype . | tail -n1 | tee out; df --output=size d | tail -n1",
        'mount -t tmpfs -o size=1M none "$WORK/d"',
        files={"d/in": ""},
    ),
    "processors that are listed": Difference(
        "grep -c ^processor /proc/cpuinfo | tee out",
        'awk "NR == 1" RS= ORS="\n\n" /proc/cpuinfo >"$BASE/info"; echo 0 >"$BASE/online";'
        ' mount --bind "$BASE/info" /proc/cpuinfo;'
        ' mount --bind "$BASE/online" /sys/devices/system/cpu/online',
    ),
    "size of the project": Difference("ls | wc -l; cat in >out", 'echo more >"$WORK/more"'),
    "name of the home": Difference('echo "${#HOME}" >/dev/null; cat in >out', hit=True),
    "case of names": Difference("ls [a-c]*; cat in >out", 'touch "$WORK/B" "$WORK/Ä"'),
}


def machine(pcache: str, base: Path, name: str, change: str) -> Machine:
    scratch = base / f"scratch-{name}"
    scratch.mkdir()
    script = f'({change}) >&2 || exit 99; exec "$@"'
    if change.startswith("taskset"):
        script = f'{change}; exec "$@"'
    return Machine(
        Launcher(pcache, scratch, as_root=SUDO),
        base,
        name,
        f"file://{base}/shared",
        prefix=("unshare", "--uts", "--mount", "sh", "-c", script, "sh"),
        variables={
            "BASE": str(base / "both"),
            "WORK": str(base / name / "somewhere" / f"project-of-{name}"),
            "PATH": f"{base}/{name}/home/bin:{base}/both/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        },
    )


@pytest.mark.parametrize("name", DIFFERENCES)
def test_difference(pcache: str, name: str) -> None:
    difference = DIFFERENCES[name]
    with open_directory() as base:
        (base / "both").mkdir()
        (base / "both/target").write_text("target\n")
        one = machine(pcache, base, "a", difference.here)
        other = machine(pcache, base, "another", difference.there)
        mapped = f"map = {list(difference.mapped)}".replace("'", '"')
        one.be_trusted(other, mapped)
        files = {
            ".pcache.toml": 'base_dir = "."\n',
            "in": "text\n",
            "run.sh": f"{difference.script}\n",
            **difference.files,
        }
        command = ("sh", "run.sh")
        one.lay_out(files)
        assert one.run(*command).status != 99
        since = time.time_ns()
        other.lay_out(files)
        expected = other.plain(*command)
        assert expected.status != 99, expected.stderr
        tree = other.snapshot(since)
        other.lay_out(files)
        result = other.run(*command, verb="replay")
        assert result.ended == expected.ended, result.own
        assert not other.snapshot(since).difference(tree), result.own
        if difference.hit:
            assert hits(result) == ["sh run.sh"], result.own
