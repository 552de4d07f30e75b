"""Lines that ask for modification times, or pass them on."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.line import DIRECTORIES, KEPT, READS, WRITES, Line, dated, one, opaque, shell, two

_kept = st.sampled_from((*KEPT, *KEPT, "v/none"))
_trees = st.sampled_from(("v", "v", "v/sub"))
_new = st.sampled_from(("f", "f", "e/f"))
"""Where copies of directories go."""

_asking = st.one_of(
    one(lambda r: opaque(f"du -a --time {r} 2>&1; date -r {r} +%s"), _trees),
    *(
        one(lambda r, t=text: dated(t.format(r), ("v",)), _trees)  # type: ignore[misc]
        for text in (
            *("ls -t {}", "ls -tr {}/.", "ls -l --time-style=full-iso {}", "ls -ltR {}"),
            *("stat -c %n:%Y:%s:%h {}", "stat -c %y {}"),
            *("find {} -newermt 2020-06-01", "find {} -printf %p:%T@\\\\n"),
        )
    ),
    two(lambda r, w: dated(f"find {w} -newer {r}", ("v",)), _kept, _trees),
    two(lambda r, w: dated(f"test {r} -nt {w} && echo newer", ("v",), inner=True), _kept, _kept),
    two(lambda r, w: dated(f"[ {r} -ot {w} ] || echo not older", ("v",), inner=True), _kept, _kept),
    two(lambda r, w: Line(f"test {r} -nt {w}; echo $?", (), ("v",), timed=True), _kept, _kept),
    one(lambda r: dated(f"ls -t {r} | head -n 1 | xargs echo last", ("v",), inner=True), _trees),
    one(
        lambda r: dated(f'python3 -ISc "import os; print(os.stat(\\"{r}\\").st_mtime_ns)"', ("v",)),
        _kept,
    ),
    one(lambda r: dated(f"perl -e \"print +(stat '{r}')[9]\"", ("v",)), _kept),
    one(
        lambda r: dated(f'awk "BEGIN {{ print system(\\"test {r} -nt v/2\\") }}"', ("v",)),
        _kept,
    ),
)

_passing = st.one_of(
    two(lambda r, w: dated(f"cp -p {r} {w}", ("v",), (w,)), _kept),
    two(lambda r, w: dated(f"cp -u {r} {w}", ("v", w), (w,)), _kept),
    two(lambda r, w: dated(f"cp -a {r} {w}", ("v",), (w,)), _kept),
    two(lambda r, w: dated(f"install -p -m 644 {r} {w}", ("v",), (w,)), _kept),
    two(lambda r, w: dated(f"touch -r {r} {w}", ("v",), (w,)), _kept | _trees),
    two(lambda r, w: dated(f"cp -a {r} {w}", ("v", w), (w,)), _trees, _new),
    two(lambda r, w: opaque(f"rsync -a@-1 {r}/ {w} 2>&1"), _trees, st.just("f")),
    two(lambda r, w: opaque(f"rsync -rtu@-1 --delete {r}/ {w} 2>&1"), _trees, st.just("f")),
    two(lambda r, w: opaque(f"rsync -a@-1 {r} {w} 2>&1"), _kept),
    two(lambda r, w: dated(f"tar -cf {w} --sort=name {r}", ("v",), (w,)), _trees),
    two(
        lambda r, w: opaque(f"tar -cf - --sort=name {r} | tar -xf - -C {w} 2>&1"),
        _trees,
        DIRECTORIES,
    ),
    two(
        lambda r, w: dated(
            f"mkdir -p f; cp {r} f/1; touch -r {r} f", ("v", "f"), ("f",), inner=True
        ),
        _kept,
    ),
    two(lambda r, w: dated(f"gzip -c {r} >{w}", ("v",), (w,), inner=True), _kept),
    two(lambda r, w: dated(f"sort {r} >{w}; touch -d @1500000000 {w}", ("v", w), (w,), inner=True)),
    one(
        lambda w: shell(f"touch -d 2020-01-02 {w}; stat -c %Y {w}", (w,), (w,)),
        WRITES | DIRECTORIES,
    ),
)

_ADD = "test -d g/.git || git init -q --template= g; cp {} g/f; git -C g add -A"
_COMMIT = (
    "GIT_AUTHOR_DATE=@1500000000 GIT_COMMITTER_DATE=@1500000000 git -C g"
    " -c user.name=n -c user.email=e commit -qm m"
)
_git = st.one_of(
    one(lambda r: opaque(f"{{ {_ADD.format(r)}; }} 2>&1"), READS),
    one(
        lambda r: opaque(f"{{ {_ADD.format(r)} && {_COMMIT}; git -C g log --oneline; }} 2>&1"),
        READS,
    ),
    st.sampled_from(
        ("status -s", "diff", "ls-files -s", "checkout -q .", "stash list", "rev-parse HEAD^{tree}")
    ).map(lambda words: opaque(f"git -C g {words} 2>&1")),
    one(lambda r: shell(f"git hash-object {r} 2>&1", (r,)), READS),
)

_ninja = st.sampled_from(
    ("", "-v", "out1", "-j2 all >/dev/null", "-n", "-t clean", "-t targets all")
).map(lambda words: opaque(f"ninja -C n -j1 {words} 2>&1; cat n/all"))

TIMED = st.one_of(_asking, _asking, _passing, _passing, _git, _ninja)
