"""Lines that start programs in other surroundings, or with their text in other places."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.line import (
    READS,
    SOURCES,
    VARIABLE,
    Line,
    asking,
    changing,
    one,
    opaque,
    shell,
    two,
)

_READ_ONLY = "mount --bind d d; mount -o remount,ro,bind d"
_FULL = "mount -t tmpfs -o nr_inodes=1 t e"

_prefixed = st.one_of(
    *(
        one(lambda r, p=prefix: asking(f"{p} cat {r}", r), READS)  # type: ignore[misc]
        for prefix in (
            *("env --ignore-signal=INT", "env --default-signal=PIPE", "env -u LANG", "env -C ."),
            *("prlimit --nofile=20", "prlimit --fsize=1000000", "prlimit --core=0", "nice"),
            *("setpriv --bounding-set=-net_raw", "taskset -c 0"),
            *("setpriv --no-new-privs", "setarch -R", "ionice -c 3", "chrt -b 0"),
        )
    ),
    *(
        one(lambda r, p=prefix: opaque(f"{p} cat {r} 2>&1"), READS)  # type: ignore[misc]
        for prefix in (
            *(
                "env --block-signal=TERM",
                "setpriv --groups 1,2",
                "unshare -u",
                "unshare -n",
                "unshare -m",
                "unshare -fp",
            ),
            *("setpriv --reuid=daemon --clear-groups", "setpriv --regid=daemon --clear-groups"),
            *("setpriv --reuid=1 --regid=1 --clear-groups", "prlimit --as=1000000000"),
        )
    ),
    two(lambda r, w: opaque(f"setpriv --reuid=1 --clear-groups cp {r} {w} 2>&1; ls -d {w} 2>&1")),
    one(lambda r: opaque(f'unshare -m sh -c "mount --bind d e; cp {r} e/o; ls e" 2>&1'), READS),
    one(lambda r: opaque(f'unshare -m sh -c "{_FULL}; cp {r} e/o" 2>&1'), READS),
    one(lambda r: opaque(f'unshare -m sh -c "{_READ_ONLY}; cp {r} d/o" 2>&1'), READS),
    one(
        lambda w: opaque(f"{w}"),
        st.sampled_from(
            (
                "setpriv --groups 1,2 id -G",
                "nice -n 3 nice",
                'unshare -u sh -c "hostname x; hostname"',
                "ulimit -a | head -n 3",
                "umask",
                "umask 037; umask",
                "stty size <&1 2>&1",
                "tty 2>&1",
                "nproc",
                "taskset -c 0 nproc",
                "grep -c . /proc/self/limits",
                "ls /proc/self/fd | wc -l",
            )
        ),
    ),
    one(lambda r: opaque(f"cat {r} >/dev/full; echo $?"), READS),
)

_told = st.one_of(
    one(lambda r: Line(f"echo cat {r} | sh", (), (r,)), READS),
    one(lambda r: Line(f"sh <<E\ncat {r}\necho ${VARIABLE}\nE", (), (r,)), READS),
    one(lambda r: Line(f"python3 -IS - <<E\nprint(open('{r}').read())\nE", (), (r,)), READS),
    one(lambda r: Line(f"perl - {r} <<'E'\nprint scalar <>;\nE", (), (r,)), READS),
    one(lambda r: shell(f"sh sub.sh {r}", (r, "sub.sh", "o"), ("o",)), READS),
    one(lambda r: shell(f"sh -s {r} <sub.sh", (r, "sub.sh", "o"), ("o",)), READS),
    one(lambda r: Line(f'eval "cat {r}"', (f"cat {r}",), (r,)), READS),
    one(lambda r: Line(f". ./sub.sh {r}", (), None, writes=("o",)), READS),
    two(lambda r, w: Line(f'x=$(cat {r}); echo "$x" >{w}', (f"cat {r}",), (r,), w)),
    two(
        lambda r, w: Line(
            f"if cmp -s {r} {w}; then echo same; else cp {r} {w}; fi",
            (f"cmp -s {r} {w}",),
            (r, w),
            writes=(w,),
        )
    ),
    one(
        lambda r: shell(f"ls d/* | xargs -P 2 -n 1 wc -c 2>/dev/null | sort; wc -c {r}", (r, "d")),
        READS,
    ),
    two(
        lambda r, w: shell(f"for i in 1 2 3; do cat {r}; done | tee {w} | wc -l", (r,), (w,)),
        two=st.just("q"),
    ),
    two(lambda r, w: shell(f"(cat {r}; cat {w}) | sort -u", (r, w)), two=READS),
    one(
        lambda w: shell(f"cat <d/x | {{ read a; echo $a; cat; }} >{w}", ("d/x",), (w,)),
        st.just("q"),
    ),
    one(
        lambda r: shell(f"mkfifo pipe; cat {r} >pipe & sort pipe; wait; rm pipe", (r,), ("pipe",)),
        READS,
    ),
    one(lambda r: shell(f"exec 4<{r} 5<&4; read x <&4; cat <&5; exec 4<&-", (r,)), READS),
    one(lambda r: shell(f"sort {r} 3>&- | cat", (r,)), READS),
    one(
        lambda w: changing(f"make -s -C s -f Makefile {w}", ("s",), ("s",)),
        st.sampled_from(("all", "sub", "-j2 prog")),
    ),
    one(
        lambda s: shell(f'awk "/int/ {{ n++ }} END {{ print n }}" {s}', ("s",)),
        st.sampled_from(SOURCES),
    ),
    two(lambda r, w: shell(f"flock {r} flock -n {w} echo both", (r, w), (r, w))),
)

HANDED = st.one_of(_prefixed, _told)
