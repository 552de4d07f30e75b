"""Lines of random shell scripts, each with what a perfect oracle has to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

FILES = ("a", "b", "c", "d/x", "d/y")
OUTPUTS = ("o", "p", "d/o", "e/o")
LINK = "l"
DIRECTORY_LINK = "k"
UNREAD = "q"
"""What no line reads and no link leads to: for writers at the same time as readers, which would
make the plain runs differ, or never end (`tee -a FILE <FILE`)."""
SOURCES = ("s/main.c", "s/part.c", "s/two/part.h", "s/Makefile")
"""A C project: part.h is looked for in s/one first."""
BUILT = ("s/main.o", "s/part.o", "s/prog")
TOOL = "tool"
VARIABLE = "COLOUR"

_reads = st.sampled_from((*FILES, *FILES, *OUTPUTS, LINK, f"{DIRECTORY_LINK}/x", "none"))
_writes = st.sampled_from((*OUTPUTS, *OUTPUTS, *OUTPUTS, "b", "d/y", LINK))
_directories = st.sampled_from(("d", "e", "f", DIRECTORY_LINK))


@dataclass(frozen=True)
class Line:
    """A line of a script.

    programs: what `pcache` will call the executions the line starts directly and that may be
    replayed; those that read from a pipe of the script may not.  reads: paths whose state decides
    what the line does; None stands for the whole tree.  redirected: the path that the shell itself
    makes empty for the line's output.  writes: paths whose state it may change otherwise.
    """

    text: str
    programs: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = ()
    redirected: str | None = None
    writes: tuple[str, ...] = ()


def _filter(program: str, *, quoted: str | None = None) -> st.SearchStrategy[Line]:
    """A program that reads files and prints; sometimes into a file."""

    def line(read: str, write: str | None) -> Line:
        text, argv = f"{quoted or program} {read}", f"{program} {read}"
        if write is None:
            return Line(text, (argv,), (read,))
        return Line(f"{text} >{write}", (argv,), (read,), write)

    return st.builds(line, _reads, st.none() | _writes)


def _pair(program: str) -> st.SearchStrategy[Line]:
    """A program that reads two files and prints."""

    def line(one: str, two: str, write: str | None) -> Line:
        text = f"{program} {one} {two}"
        if write is None:
            return Line(text, (text,), (one, two))
        return Line(f"{text} >{write}", (text,), (one, two), write)

    return st.builds(line, _reads, _reads, st.none() | _writes)


def _one(make: Callable[[str], Line], names: st.SearchStrategy[str]) -> st.SearchStrategy[Line]:
    return st.builds(make, names)


def _two(
    make: Callable[[str, str], Line],
    one: st.SearchStrategy[str] = _reads,
    two: st.SearchStrategy[str] = _writes,
) -> st.SearchStrategy[Line]:
    return st.builds(make, one, two)


def _filter_line(text: str, read: str) -> Line:
    return Line(text, (text,), (read,))


def _changing(text: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> Line:
    """One program that changes files by itself; what was there before counts too."""
    return Line(text, (text,), (*reads, *writes), writes=writes)


def _shell(inner: str, reads: tuple[str, ...] | None, writes: tuple[str, ...] = ()) -> Line:
    """A shell of its own, which holds both ends of its pipes."""
    known = None if reads is None else (*reads, *writes)
    return Line(f"sh -c '{inner}'", (f"sh -c {inner}",), known, writes=writes)


def _python(body: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> Line:
    """`python3 -Sc`, in single quotes."""
    return Line(
        f"python3 -ISc '{body}'", (f"python3 -ISc {body}",), (*reads, *writes), writes=writes
    )


_printing = st.one_of(
    *(
        _filter(program)
        for program in (
            *("cat", "sort", "wc -l", "head -n 2", "tail -n 1", "md5sum", "nl", "tac", "rev"),
            *("grep -n e", "grep -c a", "cut -c1-2", "od -c", "base64", "uniq", "cksum"),
            *("sed s/e/E/", "sed -n 1p", "stat -Lc %a:%F", "readlink", "readlink -f", "test -x"),
            *("gzip -nc", "busybox sort", "busybox wc", "test -L", "perl -ne print"),
        )
    ),
    _filter("awk {print NR, $1}", quoted="awk '{print NR, $1}'"),
    *(_pair(program) for program in ("cat", "cmp", "diff", "paste", "comm", "join")),
)

_from_stdin = _two(lambda r, w: Line(f"tr a-z A-Z <{r} >{w}", ("tr a-z A-Z",), (r,), w)) | _one(
    lambda r: Line(f"wc -c <{r}", ("wc -c",), (r,)), _reads
)

_copying = st.one_of(
    _two(lambda r, w: _changing(f"cp {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"cp -p {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"cp -f {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"cp -P {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"install -m 640 {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"sort -o {w} {r}", (r,), (w,))),
    _two(lambda r, w: _changing(f"uniq {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"cp -r {r} {w}", (r,), (w,)), _directories, st.just("f")),
    _two(
        lambda r, w: _changing(f"tar -cf {w} --mtime=@0 --sort=name {r}", (r,), (w,)),
        _directories | _reads,
    ),
    _one(
        lambda r: Line(
            f"tar -cf - --mtime=@0 {r} 2>/dev/null | tar -tf - 2>&1 | cat >{UNREAD}",
            (),
            (r,),
            UNREAD,
        ),
        _reads,
    ),
)

_naming = st.one_of(
    _two(lambda r, w: _changing(f"mv {r} {w}", (), (r, w))),
    _two(lambda r, w: _changing(f"mv -f {r} {w}", (), (r, w))),
    _two(lambda r, w: _changing(f"mv -n {r} {w}", (), (r, w))),
    _two(lambda r, w: _changing(f"mv -T {r} {w}", (), (r, w)), _directories, _directories),
    _two(lambda r, w: _changing(f"ln -s {r} {w}", (), (w,))),
    _two(lambda r, w: _changing(f"ln -sf {r} {w}", (), (w,)), two=st.just(LINK)),
    _two(lambda r, w: _changing(f"ln -sfn {r} {w}", (), (w,)), _directories, st.just("k")),
    _two(lambda r, w: _changing(f"ln -f {r} {w}", (r,), (w,))),
    _one(lambda w: _changing(f"rm -f {w}", (), (w,)), _writes | _reads),
    _one(lambda w: _changing(f"rm {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"unlink {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"rm -rf {w}", (), (w,)), _directories | _writes),
    _one(lambda w: _changing(f"mkdir -p {w}", (), (w,)), _directories),
    _one(lambda w: _changing(f"mkdir {w}", (), (w,)), _directories),
    _one(lambda w: _changing(f"rmdir {w}", (), (w,)), _directories),
)

_attributes = st.one_of(
    _one(lambda w: _changing(f"touch {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"touch -d 2020-01-02 {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"chmod 600 {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"chmod u+x {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"chmod 755 {w}", (), (w,)), _directories),
)

_in_place = st.one_of(
    _one(lambda w: _changing(f"sed -i s/a/A/ {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"perl -pi -e s/e/E/ {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"truncate -s 5 {w}", (), (w,)), _writes),
    _two(lambda r, w: Line(f"cat {r} >>{w}", (f"cat {r}",), (r,), writes=(w,))),
    _one(
        lambda r: Line(
            f"tee -a {UNREAD} <{r}", (f"tee -a {UNREAD}",), (r, UNREAD), writes=(UNREAD,)
        ),
        _reads,
    ),
    _one(lambda w: Line(f"echo more >>{w}", (), (w,), writes=(w,)), _writes),
    _one(
        lambda w: Line(
            f"sort {w} >{w}.tmp; mv {w}.tmp {w}",
            (f"sort {w}", f"mv {w}.tmp {w}"),
            (w, f"{w}.tmp"),
            writes=(w, f"{w}.tmp"),
        ),
        _writes,
    ),
    _two(
        lambda r, w: _changing(
            f"dd if={r} of={w} bs=2 count=1 conv=notrunc status=none", (r,), (w,)
        )
    ),
)

_built_in = st.one_of(
    _one(lambda w: Line(f"echo text >{w}", (), (), w), _writes),
    _one(lambda w: Line(f": >{w}", (), (), w), _writes),
    _one(lambda w: Line(f"echo ${VARIABLE} >{w}", (), (), w), _writes),
    _one(lambda r: Line(f"test -f {r} && echo file {r}", (), (r,)), _reads),
    _one(lambda r: Line(f"test -s {r} || echo empty {r}", (), (r,)), _reads),
    _one(lambda r: Line(f"read line <{r}; echo $line", (), (r,)), _reads),
    _one(lambda r: Line(f"while read -r w; do echo $w; done <{r}", (), (r,)), _reads),
    _one(lambda w: Line(f"cat >{w} <<E\nhere $HOME ${VARIABLE}\nE", (), (), w), _writes),
    st.just(Line("for f in d/*; do echo $f; done", (), ("d",))),
    st.just(Line("echo *", (), None)),
    st.just(Line("no-such-program 2>&1", (), None)),
)

_listing = st.one_of(
    _one(lambda r: Line(f"ls {r}", (f"ls {r}",), (r,)), _directories),
    _one(lambda r: Line(f"ls -A {r}/", (f"ls -A {r}/",), (r,)), _directories),
    _one(lambda r: _shell(f"find {r} -name x* | sort", (r,)), _directories),
    st.just(Line("ls", ("ls",), None)),
    st.just(_shell("find . -type f | sort", None)),
    st.just(Line("du -a --apparent-size -b d", ("du -a --apparent-size -b d",), ("d",))),
    st.just(_shell("wc -c d/* 2>&1 | tail -n 1", ("d",))),
    st.just(_shell("ls d | xargs -n 1 echo", ("d",))),
)

_composed = st.one_of(
    _one(lambda r: _shell(f"sort {r} 2>&1 | uniq -c >{UNREAD}", (r,), (UNREAD,)), _reads),
    _one(
        lambda r: _shell(f"cat {r} 2>&1 | tr a-z A-Z 2>&1 | tee {UNREAD}", (r,), (UNREAD,)), _reads
    ),
    _two(lambda r, w: _shell(f"cp {r} {w} && cat {w}", (r,), (w,))),
    _two(lambda r, w: _shell(f"cat {r} >{w} & wait; wc -c {w}", (r,), (w,))),
    _two(lambda r, w: _shell(f"umask 077; cat {r} >{w}", (r,), (w,))),
    _two(lambda r, w: _shell(f"exec cat {r} >{w}", (r,), (w,))),
    _two(lambda r, w: _shell(f"mkdir t && cp {r} t/1 && mv t/1 {w}; rm -rf t", (r, "t"), (w, "t"))),
    _one(lambda r: _shell(f"cd d && cat {r} ../{r}", (f"d/{r}", r, "d")), _reads),
    _one(lambda r: _shell(f"cat {r}; exit 3", (r,)), _reads),
    _one(lambda r: _shell(f"cat {r}; kill -TERM $$", (r,)), _reads),
    _one(lambda r: Line(f"sort {r} | head -n 1", (f"sort {r}",), (r,)), _reads),
    _one(
        lambda r: Line(f"grep -q a {r} && cp {r} o", (f"grep -q a {r}",), (r, "o"), writes=("o",)),
        _reads,
    ),
    _one(
        lambda r: Line(
            f"cp {r} {UNREAD} 2>/dev/null & cp c {UNREAD}2 2>/dev/null & wait",
            (),
            (r, "c", UNREAD, f"{UNREAD}2"),
            writes=(UNREAD, f"{UNREAD}2"),
        ),
        _reads,
    ),
    _one(lambda r: Line(f"{TOOL} {r}", (), (r, f"bin1/{TOOL}", f"bin2/{TOOL}")), _reads),
    _one(lambda r: _shell(f"{TOOL} {r}", (r, f"bin1/{TOOL}", f"bin2/{TOOL}")), _reads),
    _one(lambda r: Line(f"./sub.sh {r}", (), (r, "sub.sh", "o"), writes=("o",)), _reads),
    st.just(Line(f"printenv {VARIABLE}", (f"printenv {VARIABLE}",))),
    st.just(_shell(f"env | grep ^{VARIABLE}", ())),
    st.just(Line("pwd -P; /bin/pwd", ("/bin/pwd",))),
)

_interpreted = st.one_of(
    _two(lambda r, w: _python(f'open("{w}", "w").write(open("{r}").read()[::-1])', (r,), (w,))),
    _two(lambda r, w: _python(f'open("{w}", "a").write(str(len(open("{r}").read())))', (r,), (w,))),
    _two(
        lambda r, w: _python(
            f'import os; print(os.path.getsize("{r}")); os.rename("{r}", "{w}")', (r,), (r, w)
        )
    ),
    _one(lambda r: _python(f'import os; print(sorted(os.listdir("{r}")))', (r,), ()), _directories),
    _one(
        lambda r: _python(
            f'import os; print(os.path.exists("{r}"), os.path.isdir("{r}"))', (r,), ()
        ),
        _reads,
    ),
)

_asking = st.one_of(
    _two(lambda r, w: Line(f"test {r} -ef {w} && echo one", (), (r, w))),
    _two(lambda r, w: Line(f"test {r} -nt {w} && echo newer", (), (r, w)), two=_reads),
    _one(lambda r: _filter_line(f"stat -Lc %h:%u:%g {r}", r), _reads),
    _one(lambda r: _python(f'import os; print(os.stat("{r}").st_nlink)', (r,), ()), _reads),
    _two(lambda r, w: _python(f'import os; print(os.path.samefile("{r}", "{w}"))', (r, w), ())),
    st.just(_shell("find . -type f -links +1 | sort", None)),
    st.just(_shell("find d e -group daemon -o -perm -g+s | sort", ("d", "e"))),
    _one(lambda r: _filter_line(f"du -k {r}", r), _directories),
)
"""What stat(2) tells beside type, mode and size."""

_handed_down = st.one_of(
    *(
        _one(lambda r, p=prefix: _filter_line(f"{p} cat {r}", r), _reads)  # type: ignore[misc]
        for prefix in ("nice -n 5", "timeout 9", "setsid -w", "env -i", "nohup", "stdbuf -o0")
    ),
    _one(lambda r: _shell(f"exec 3<{r}; read x <&3; cat <&3", (r,)), _reads),
    _one(lambda r: Line(f"{{ head -c 2; cat; }} <{r}", (), (r,)), _reads),
    _two(lambda r, w: Line(f"{{ cat {r}; echo +; cat {r}; }} >{w}", (), (r,), w)),
    _two(lambda r, w: _shell(f"exec >{w}; cat {r}; python3 -ISc 'print(1)'", (r,), (w,))),
    _two(lambda r, w: _shell(f"ulimit -f 1; cat {r} {r} {r} >{w}", (r,), (w,))),
    _two(lambda r, w: _shell(f"flock -n {w} cat {r}", (r,), (w,))),
    _one(lambda r: _shell(f"trap '' PIPE; sort {r} | head -n 1", (r,)), _reads),
    _one(lambda r: Line(f"cat {r} <&-", (f"cat {r}",), (r,)), _reads),
    _one(lambda r: Line(f"cat {r} 2>&1 >&-", (f"cat {r}",), (r,)), _reads),
)
"""Descriptors, limits and signals that a program finds itself with."""

_whole = st.one_of(
    _one(lambda w: _changing(f"truncate -s 1M {w}", (), (w,)), _writes),
    _one(lambda w: _changing(f"chmod g+s {w}", (), (w,)), _directories),
    _two(lambda r, w: _changing(f"cp -a {r} {w}", (r,), (w,))),
    _two(lambda r, w: _changing(f"ln -f {r} {w}", (r,), (w,)), _writes),
    _two(lambda r, w: _changing(f"mv --backup=simple {r} {w}", (), (r, w, f"{w}~"))),
    _two(
        lambda r, w: _python(
            f'f = open("{w}", "r+"); f.write(open("{r}").read(2)); f.truncate()', (r,), (w,)
        )
    ),
    _two(lambda r, w: _shell(f"cp {r} t && mv t {w}; ln -f {w} t", (r, "t"), (w, "t"))),
)
"""Outputs as a whole: holes, groups, other names, what was there before."""

_COMPILE = "gcc -Is/one -Is/two"
_sources = st.sampled_from(("s/main.c", "s/part.c"))


def _built(text: str, *writes: str) -> Line:
    """A program that may look at the whole C project, and change it."""
    return _changing(text, ("s",), writes)


_compiling = st.one_of(
    *(
        _one(lambda target: _built(f"make -s -C s {target}", "s"), st.sampled_from(targets))
        for targets in (("prog", "part.o"), ("prog", "prog clean"))
    ),
    _one(lambda c: _built(f"{_COMPILE} -c {c} -o {c[:-1]}o", f"{c[:-1]}o"), _sources),
    _one(lambda c: Line(f"{_COMPILE} -E -P {c}", (f"{_COMPILE} -E -P {c}",), ("s",)), _sources),
    _one(lambda c: _built(f"{_COMPILE} -fsyntax-only -Werror {c}"), _sources),
    st.just(_built(f"{_COMPILE} s/main.o s/part.o -o s/prog", "s/prog")),
    st.just(_built("ar rc s/lib.a s/part.o", "s/lib.a")),
    st.just(_built("s/prog")),
    st.just(_shell("make -s -C s && s/prog | tr a-z A-Z", ("s",), ("s",))),
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
)
"""A random line."""
