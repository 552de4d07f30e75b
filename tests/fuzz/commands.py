"""Lines of random shell scripts: ordinary programs, builtins, and what is composed of them."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.forms import FORMS
from tests.fuzz.handed import HANDED
from tests.fuzz.line import (
    DIRECTORIES,
    DIRECTORY_LINK,
    LINK,
    READS,
    TOOL,
    UNREAD,
    VARIABLE,
    WRITES,
    Line,
    asking,
    changing,
    one,
    pair,
    printing,
    python,
    shell,
    two,
)
from tests.fuzz.timed import TIMED

_printing = st.one_of(
    *(
        printing(program)
        for program in (
            *("cat", "sort", "wc -l", "head -n 2", "tail -n 1", "md5sum", "nl", "tac", "rev"),
            *("grep -n e", "grep -c a", "cut -c1-2", "od -c", "base64", "uniq", "cksum"),
            *("sed s/e/E/", "sed -n 1p", "stat -Lc %a:%F", "readlink", "readlink -f", "test -x"),
            *("gzip -nc", "busybox sort", "busybox wc", "test -L", "perl -ne print"),
        )
    ),
    printing("awk {print NR, $1}", quoted="awk '{print NR, $1}'"),
    *(pair(program) for program in ("cat", "cmp", "diff", "paste", "comm", "join")),
)

_from_stdin = two(lambda r, w: Line(f"tr a-z A-Z <{r} >{w}", ("tr a-z A-Z",), (r,), w)) | one(
    lambda r: Line(f"wc -c <{r}", ("wc -c",), (r,)), READS
)

_copying = st.one_of(
    two(lambda r, w: changing(f"cp {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"cp -p {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"cp -f {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"cp -P {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"install -m 640 {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"sort -o {w} {r}", (r,), (w,))),
    two(lambda r, w: changing(f"uniq {r} {w}", (r,), (w,))),
    two(
        lambda r, w: changing(f"cp -r {r} {w}", (r,), (w,)),
        st.sampled_from(("d", "e", DIRECTORY_LINK)),
        st.just("f"),
    ),
    two(
        lambda r, w: changing(f"tar -cf {w} --mtime=@0 --sort=name {r}", (r,), (w,)),
        DIRECTORIES | READS,
    ),
    one(
        lambda r: Line(
            f"tar -cf - --mtime=@0 {r} 2>/dev/null | tar -tf - 2>&1 | cat >{UNREAD}",
            (),
            (r,),
            UNREAD,
        ),
        READS,
    ),
)

_naming = st.one_of(
    two(lambda r, w: changing(f"mv {r} {w}", (), (r, w))),
    two(lambda r, w: changing(f"mv -f {r} {w}", (), (r, w))),
    two(lambda r, w: changing(f"mv -n {r} {w}", (), (r, w))),
    two(lambda r, w: changing(f"mv -T {r} {w}", (), (r, w)), DIRECTORIES, DIRECTORIES),
    two(lambda r, w: changing(f"ln -s {r} {w}", (), (w,))),
    two(lambda r, w: changing(f"ln -sf {r} {w}", (), (w,)), two=st.just(LINK)),
    two(lambda r, w: changing(f"ln -sfn {r} {w}", (), (w,)), DIRECTORIES, st.just("k")),
    two(lambda r, w: changing(f"ln -f {r} {w}", (r,), (w,))),
    one(lambda w: changing(f"rm -f {w}", (), (w,)), WRITES | READS),
    one(lambda w: changing(f"rm {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"unlink {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"rm -rf {w}", (), (w,)), DIRECTORIES | WRITES),
    one(lambda w: changing(f"mkdir -p {w}", (), (w,)), DIRECTORIES),
    one(lambda w: changing(f"mkdir {w}", (), (w,)), DIRECTORIES),
    one(lambda w: changing(f"rmdir {w}", (), (w,)), DIRECTORIES),
)

_attributes = st.one_of(
    one(lambda w: changing(f"touch {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"touch -d 2020-01-02 {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"chmod 600 {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"chmod u+x {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"chmod 755 {w}", (), (w,)), DIRECTORIES),
)

_in_place = st.one_of(
    one(lambda w: changing(f"sed -i s/a/A/ {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"perl -pi -e s/e/E/ {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"truncate -s 5 {w}", (), (w,)), WRITES),
    two(lambda r, w: Line(f"cat {r} >>{w}", (f"cat {r}",), (r,), writes=(w,))),
    one(
        lambda r: Line(
            f"tee -a {UNREAD} <{r}", (f"tee -a {UNREAD}",), (r, UNREAD), writes=(UNREAD,)
        ),
        READS,
    ),
    one(lambda w: Line(f"echo more >>{w}", (), (w,), writes=(w,)), WRITES),
    one(
        lambda w: Line(
            f"sort {w} >{w}.tmp; mv {w}.tmp {w}",
            (f"sort {w}", f"mv {w}.tmp {w}"),
            (w, f"{w}.tmp"),
            writes=(w, f"{w}.tmp"),
        ),
        WRITES,
    ),
    two(
        lambda r, w: changing(f"dd if={r} of={w} bs=2 count=1 conv=notrunc status=none", (r,), (w,))
    ),
)

_built_in = st.one_of(
    one(lambda w: Line(f"echo text >{w}", (), (), w), WRITES),
    one(lambda w: Line(f": >{w}", (), (), w), WRITES),
    one(lambda w: Line(f"echo ${VARIABLE} >{w}", (), (), w), WRITES),
    one(lambda r: Line(f"test -f {r} && echo file {r}", (), (r,)), READS),
    one(lambda r: Line(f"test -s {r} || echo empty {r}", (), (r,)), READS),
    one(lambda r: Line(f"read line <{r}; echo $line", (), (r,)), READS),
    one(lambda r: Line(f"while read -r w; do echo $w; done <{r}", (), (r,)), READS),
    one(lambda w: Line(f"cat >{w} <<E\nhere $HOME ${VARIABLE}\nE", (), (), w), WRITES),
    st.just(Line("for f in d/*; do echo $f; done", (), ("d",))),
    st.just(Line("echo *", (), None)),
    st.just(Line("no-such-program 2>&1", (), None)),
)

_listing = st.one_of(
    one(lambda r: Line(f"ls {r}", (f"ls {r}",), (r,)), DIRECTORIES),
    one(lambda r: Line(f"ls -A {r}/", (f"ls -A {r}/",), (r,)), DIRECTORIES),
    one(lambda r: shell(f"find {r} -name x* | sort", (r,)), DIRECTORIES),
    st.just(Line("ls", ("ls",), None)),
    st.just(shell("find . -type f | sort", None)),
    st.just(Line("du -a --apparent-size -b d", ("du -a --apparent-size -b d",), ("d",))),
    st.just(shell("wc -c d/* 2>&1 | tail -n 1", ("d",))),
    st.just(shell("ls d | xargs -n 1 echo", ("d",))),
)

_composed = st.one_of(
    one(lambda r: shell(f"sort {r} 2>&1 | uniq -c >{UNREAD}", (r,), (UNREAD,)), READS),
    one(lambda r: shell(f"cat {r} 2>&1 | tr a-z A-Z 2>&1 | tee {UNREAD}", (r,), (UNREAD,)), READS),
    two(lambda r, w: shell(f"cp {r} {w} && cat {w}", (r,), (w,))),
    two(lambda r, w: shell(f"cat {r} >{w} & wait; wc -c {w}", (r,), (w,))),
    two(lambda r, w: shell(f"umask 077; cat {r} >{w}", (r,), (w,))),
    two(lambda r, w: shell(f"exec cat {r} >{w}", (r,), (w,))),
    two(lambda r, w: shell(f"mkdir t && cp {r} t/1 && mv t/1 {w}; rm -rf t", (r, "t"), (w, "t"))),
    one(lambda r: shell(f"cd d && cat {r} ../{r}", (f"d/{r}", r, "d")), READS),
    one(lambda r: shell(f"cat {r}; exit 3", (r,)), READS),
    one(lambda r: shell(f"cat {r}; kill -TERM $$", (r,)), READS),
    one(lambda r: Line(f"sort {r} | head -n 1", (f"sort {r}",), (r,)), READS),
    one(
        lambda r: Line(f"grep -q a {r} && cp {r} o", (f"grep -q a {r}",), (r, "o"), writes=("o",)),
        READS,
    ),
    one(
        lambda r: Line(
            f"cp {r} {UNREAD} 2>/dev/null & cp c {UNREAD}2 2>/dev/null & wait",
            (),
            (r, "c", UNREAD, f"{UNREAD}2"),
            writes=(UNREAD, f"{UNREAD}2"),
        ),
        READS,
    ),
    one(lambda r: Line(f"{TOOL} {r}", (), (r, f"bin1/{TOOL}", f"bin2/{TOOL}")), READS),
    one(lambda r: shell(f"{TOOL} {r}", (r, f"bin1/{TOOL}", f"bin2/{TOOL}")), READS),
    one(lambda r: Line(f"./sub.sh {r}", (), (r, "sub.sh", "o"), writes=("o",)), READS),
    st.just(Line(f"printenv {VARIABLE}", (f"printenv {VARIABLE}",))),
    st.just(shell(f"env | grep ^{VARIABLE}", ())),
    st.just(Line("pwd -P; /bin/pwd", ("/bin/pwd",))),
)

_interpreted = st.one_of(
    two(lambda r, w: python(f'open("{w}", "w").write(open("{r}").read()[::-1])', (r,), (w,))),
    two(lambda r, w: python(f'open("{w}", "a").write(str(len(open("{r}").read())))', (r,), (w,))),
    two(
        lambda r, w: python(
            f'import os; print(os.path.getsize("{r}")); os.rename("{r}", "{w}")', (r,), (r, w)
        )
    ),
    one(lambda r: python(f'import os; print(sorted(os.listdir("{r}")))', (r,), ()), DIRECTORIES),
    one(
        lambda r: python(
            f'import os; print(os.path.exists("{r}"), os.path.isdir("{r}"))', (r,), ()
        ),
        READS,
    ),
)

_older = st.sampled_from(("a", "c", "d/x"))
"""What a script hardly writes: two files of one run may have one time, or not."""

_asking = st.one_of(
    two(lambda r, w: Line(f"test {r} -ef {w} && echo one", (), (r, w))),
    two(lambda r, w: Line(f"test {r} -nt {w} && echo newer", (), (r, w)), _older, _older),
    one(lambda r: asking(f"stat -Lc %h:%u:%g {r}", r), READS),
    one(lambda r: python(f'import os; print(os.stat("{r}").st_nlink)', (r,), ()), READS),
    two(lambda r, w: python(f'import os; print(os.path.samefile("{r}", "{w}"))', (r, w), ())),
    st.just(shell("find . -type f -links +1 | sort", None)),
    st.just(shell("find d e -group daemon -o -perm -g+s | sort", ("d", "e"))),
    one(lambda r: asking(f"du -k {r}", r), DIRECTORIES),
)
"""What stat(2) tells beside type, mode and size."""

_handed_down = st.one_of(
    *(
        one(lambda r, p=prefix: asking(f"{p} cat {r}", r), READS)  # type: ignore[misc]
        for prefix in ("nice -n 5", "timeout 9", "setsid -w", "env -i", "nohup", "stdbuf -o0")
    ),
    one(lambda r: shell(f"exec 3<{r}; read x <&3; cat <&3", (r,)), READS),
    one(lambda r: Line(f"{{ head -c 2; cat; }} <{r}", (), (r,)), READS),
    two(lambda r, w: Line(f"{{ cat {r}; echo +; cat {r}; }} >{w}", (), (r,), w)),
    two(lambda r, w: shell(f"exec >{w}; cat {r}; python3 -ISc 'print(1)'", (r,), (w,))),
    two(lambda r, w: shell(f"ulimit -f 1; cat {r} {r} {r} >{w}", (r,), (w,))),
    two(lambda r, w: shell(f"flock -n {w} cat {r}", (r,), (w,))),
    one(lambda r: shell(f"trap '' PIPE; sort {r} | head -n 1", (r,)), READS),
    one(lambda r: Line(f"cat {r} <&-", (f"cat {r}",), (r,)), READS),
    one(lambda r: Line(f"cat {r} 2>&1 >&-", (f"cat {r}",), (r,)), READS),
)
"""Descriptors, limits and signals that a program finds itself with."""

_whole = st.one_of(
    one(lambda w: changing(f"truncate -s 1M {w}", (), (w,)), WRITES),
    one(lambda w: changing(f"chmod g+s {w}", (), (w,)), DIRECTORIES),
    two(lambda r, w: changing(f"cp -a {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"ln -f {r} {w}", (r,), (w,)), WRITES),
    two(lambda r, w: changing(f"mv --backup=simple {r} {w}", (), (r, w, f"{w}~"))),
    two(
        lambda r, w: python(
            f'f = open("{w}", "r+"); f.write(open("{r}").read(2)); f.truncate()', (r,), (w,)
        )
    ),
    two(lambda r, w: shell(f"cp {r} t && mv t {w}; ln -f {w} t", (r, "t"), (w, "t"))),
)
"""Outputs as a whole: holes, groups, other names, what was there before."""

_COMPILE = "gcc -Is/one -Is/two"
_sources = st.sampled_from(("s/main.c", "s/part.c"))


def _built(text: str, *writes: str) -> Line:
    """A program that may look at the whole C project, and change it."""
    return changing(text, ("s",), writes)


_compiling = st.one_of(
    *(
        one(lambda target: _built(f"make -s -C s {target}", "s"), st.sampled_from(targets))
        for targets in (("prog", "part.o"), ("prog", "prog clean"))
    ),
    one(lambda c: _built(f"{_COMPILE} -c {c} -o {c[:-1]}o", f"{c[:-1]}o"), _sources),
    one(lambda c: Line(f"{_COMPILE} -E -P {c}", (f"{_COMPILE} -E -P {c}",), ("s",)), _sources),
    one(lambda c: _built(f"{_COMPILE} -fsyntax-only -Werror {c}"), _sources),
    st.just(_built(f"{_COMPILE} s/main.o s/part.o -o s/prog", "s/prog")),
    st.just(_built("ar rc s/lib.a s/part.o", "s/lib.a")),
    st.just(_built("s/prog")),
    st.just(shell("make -s -C s && s/prog | tr a-z A-Z", ("s",), ("s",))),
)

LINES = st.one_of(
    _printing,
    _printing,
    _from_stdin,
    _copying,
    _naming,
    _attributes,
    _in_place,
    _built_in,
    _listing,
    _composed,
    _composed,
    _interpreted,
    _asking,
    _handed_down,
    _whole,
    _compiling,
    TIMED,
    TIMED,
    FORMS,
    FORMS,
    HANDED,
    HANDED,
)
"""A random line."""
