"""Lines about what files are beside their bytes: attributes, access lists, sizes, names, depth."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.line import (
    DIRECTORIES,
    READS,
    UNREAD,
    WRITES,
    Line,
    asking,
    changing,
    one,
    opaque,
    python,
    shell,
    two,
)

_attributes = st.one_of(
    one(lambda w: opaque(f"setfattr -n user.k -v 1 {w}"), WRITES | DIRECTORIES),
    one(lambda w: opaque(f"setfattr -x user.k {w} 2>&1"), WRITES),
    one(lambda r: asking(f"getfattr --absolute-names -d {r}", r), READS | DIRECTORIES),
    one(lambda r: python(f'import os; print(sorted(os.listxattr("{r}")))', (r,), ()), READS),
    two(lambda r, w: changing(f"cp --preserve=xattr {r} {w}", (r,), (w,))),
    two(lambda r, w: opaque(f"cp {r} {w} && setfattr -n user.n -v 3 {w}")),
)

_lists = st.one_of(
    *(
        one(lambda w, o=options: opaque(f"setfacl {o} {w}"), WRITES | DIRECTORIES)  # type: ignore[misc]
        for options in ("-m u:daemon:r", "-m g:daemon:rw", "-b", "-m m::r")
    ),
    *(
        one(lambda w, o=options: opaque(f"setfacl {o} {w}"), DIRECTORIES)  # type: ignore[misc]
        for options in ("-d -m u:daemon:rw", "-k")
    ),
    one(lambda r: asking(f"getfacl -c {r}", r), READS | DIRECTORIES),
    two(lambda r, w: changing(f"cp --preserve=mode {r} {w}", (r,), (w,))),
    two(lambda r, w: shell(f"umask 007; cat {r} >{w}; ls -d {w}", (r,), (w,))),
)

_sizes = st.one_of(
    *(
        one(lambda r, t=text: asking(t.format(r), r), READS)  # type: ignore[misc]
        for text in ("stat -Lc %s {}", "wc -c {}", "du -b {}", "find -L {} -size -2c", "test -s {}")
    ),
    one(lambda r: Line(f"[ -s {r} ] && echo some {r}", (), (r,)), READS),
    one(lambda r: Line(f"[ -r {r} ] && [ ! -d {r} ]; echo $?", (), (r,)), READS),
    one(lambda r: python(f'import os; print(os.stat("{r}").st_blocks)', (r,), ()), READS),
    one(lambda w: shell(f"truncate -s 64K {w}; du -k {w}", (), (w,)), WRITES),
    two(lambda r, w: changing(f"cp --sparse=always {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"dd if={r} of={w} bs=1 count=3 seek=5000 status=none", (r,), (w,))),
)

_numbers = st.one_of(
    two(lambda r, w: shell(f"stat -Lc %d:%i {r} {w} 2>/dev/null | sort -u | wc -l", (r, w))),
    two(lambda r, w: opaque(f"stat -Lc %i {r} {w} 2>/dev/null | uniq | wc -l")),
    two(lambda r, w: opaque(f"ls -i {r} {w} 2>/dev/null | wc -l")),
)

_names = st.one_of(
    two(
        lambda r, w: shell(
            f"t=$(mktemp d/XXXXXX) && cat {r} >$t; mv -T $t {w} 2>/dev/null || rm -f $t",
            (r, "d"),
            (w, "d"),
        )
    ),
    two(
        lambda r, w: shell(f"t=$(mktemp -p .) && sort {r} >$t && cat $t >{w}; rm -f $t", (r,), (w,))
    ),
    two(
        lambda r, w: python(
            f'import tempfile; t = tempfile.NamedTemporaryFile(dir="."); t.write(open("{r}", "rb")'
            f'.read()); t.flush(); open("{w}", "wb").write(open(t.name, "rb").read())',
            (r,),
            (w,),
        )
    ),
    two(
        lambda r, w: python(
            f'import os; s = open("{r}").read(); open("e/.new", "w").write(s); '
            f'os.remove("e/.new") if os.path.isdir("{w}") else os.replace("e/.new", "{w}")',
            (r, "e"),
            (w, "e"),
        )
    ),
    two(
        lambda r, w: shell(
            f"mkdir -p e/1/2/3/4; cp {r} e/1/2/3/4/x; cat e/1/*/3/4/x", (r, "e"), ("e",)
        )
    ),
    one(
        lambda r: shell(
            f"mkdir -p e/1/2; mv e/1/2 e/3; find e | sort; cp {r} e/3", (r, "e"), ("e",)
        ),
        READS,
    ),
    one(
        lambda r: Line(f"ln -sf {r} m1; ln -sf m1 m2; cat m2", (), None, writes=("m1", "m2")), READS
    ),
    one(lambda r: shell(f"cd k/. && cat ../{r}; cd -; pwd -P", None), READS),
    two(
        lambda r, w: shell(f"mv d d2 && cp {r} d2/n; mv d2 d; cat d/n", (r, "d", "d2"), ("d", "d2"))
    ),
    one(
        lambda r: changing(f"split -n 2 {r} {UNREAD}.", (r,), (f"{UNREAD}.aa", f"{UNREAD}.ab")),
        READS,
    ),
    two(lambda r, w: changing(f"cp -l {r} {w}", (r,), (w,))),
    two(lambda r, w: changing(f"cp -s {r} {w}", (r,), (w,))),
    two(
        lambda r, w: changing(
            f"cp --backup=numbered {r} {w}", (r,), (w, f"{w}.~1~", f"{w}.~2~", f"{w}.~3~")
        )
    ),
)

FORMS = st.one_of(_attributes, _lists, _sizes, _numbers, _names, _names)
