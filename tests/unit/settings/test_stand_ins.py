"""Which parts of names look made up, and what stands for them."""

from __future__ import annotations

import pytest

from pcache.model import Call, Fact, Kind, Outcome, Output, Record
from pcache.settings.stand_ins import is_blind, stand_ins, stem
from pcache.values import one_path, resolves_value

NOTHING: frozenset[bytes] = frozenset()


@pytest.mark.parametrize(
    ("leaf", "beside_others", "expected"),
    [
        (b"ccAb3dEf.s", True, b"ccAb3dEf"),
        (b"ccabcdef.s", True, b"ccabcdef"),
        (b"tmp.6HNk5R3eTy", True, b"tmp.6HNk5R3eTy"),
        (b"tmp.6HNk5R3eTy.gz", True, b"tmp.6HNk5R3eTy"),
        (b"tmpabcd_fgh", False, b"tmpabcd_fgh"),
        (b"tmpabcd_fgh.py", True, b"tmpabcd_fgh"),
        (b"go-build1234567", True, b"go-build1234567"),
        (b"0123456789abcdef0123456789abcdef-pulp.mps", True, b"0123456789abcdef0123456789abcdef"),
        (b"ccAb3dEf.s", False, b""),
        (b"pytest-of-root", True, b""),
        (b"build", True, b""),
        (b"work", True, b""),
        (b"project", True, b""),
        (b"tmpABCDEFGH", False, b""),
    ],
)
def test_stem(leaf: bytes, beside_others: bool, expected: bytes) -> None:
    assert stem(leaf, beside_others=beside_others) == expected


def test_calls_under_two_names_are_one() -> None:
    calls = []
    for name in (b"ccAb3dEf", b"cc0000zZ"):
        argv = (b"prog", b"-o/tmp/" + name + b".o", b"/tmp/" + name + b".s")
        env = (b"PWD=/tmp/" + name,)
        names = stand_ins(argv, b"/tmp/" + name, NOTHING)
        assert names is not None
        call = Call(b"/bin/prog", argv, env, b"/tmp/" + name, 0, 0, 0, ())
        calls.append(names.hide_call(call))
    assert calls[0] == calls[1]
    assert b"ccAb3dEf" not in b" ".join((*calls[0].argv, *calls[0].env, calls[0].cwd))


def test_the_order_of_names_is_part_of_the_call_but_for_those_who_do_not_care() -> None:
    def hidden(program: bytes, *names: bytes) -> tuple[bytes, ...]:
        argv = (program, *[b"/tmp/" + name for name in names])
        found = stand_ins(argv, b"/", NOTHING)
        assert found is not None
        return found.hide_texts(argv)

    assert hidden(b"prog", b"ccAAAAA1", b"ccBBBBB1") == hidden(b"prog", b"ccCCCCC1", b"ccDDDDD1")
    assert hidden(b"prog", b"ccAAAAA1", b"ccBBBBB1") != hidden(b"prog", b"ccBBBBB1", b"ccAAAAA1")
    assert hidden(b"as", b"ccAAAAA1", b"ccBBBBB1") == hidden(b"as", b"ccBBBBB1", b"ccAAAAA1")


@pytest.mark.parametrize(
    ("argv", "given"),
    [
        ((b"prog", b"a"), NOTHING),
        ((b"prog", b"/tmp/fixed/a"), NOTHING),
        ((b"prog", b"/tmp/ccAb3dEf"), frozenset((b"ccAb3dEf",))),
        ((b"prog", b"/tmp/ccAb3dEf", b"/tmp/x-ccAb3dEf"), NOTHING),
        ((b"prog", b"/tmp/ccAb3dEf", "\N{MATHEMATICAL LEFT ANGLE BRACKET}0".encode()), NOTHING),
        ((), NOTHING),
    ],
)
def test_calls_without_stand_ins(argv: tuple[bytes, ...], given: frozenset[bytes]) -> None:
    """Nothing made up, a name that stays, one name within another, the mark itself."""
    assert stand_ins(argv, b"/work", given) is None


def test_a_record_under_stand_ins_is_shown_under_other_names() -> None:
    old = stand_ins((b"prog", b"/tmp/tmp.AAAAAAAAA1/in"), b"/", NOTHING)
    new = stand_ins((b"prog", b"/tmp/tmp.BBBBBBBBB2/in"), b"/", NOTHING)
    assert old is not None
    assert new is not None
    call = Call(b"/bin/prog", (b"prog", b"/tmp/tmp.AAAAAAAAA1/in"), (), b"/", 0, 0, 0, ())
    place = b"/tmp/tmp.AAAAAAAAA1"
    facts = (
        Fact(Kind.CONTENT, place + b"/in", b"f"),
        Fact(Kind.REPLACEABLE, b"644:" + place + b"/out", b"ok"),
        Fact(Kind.RESOLVES, place + b"/.", resolves_value(b"d", place)),
        Fact(Kind.ONE, one_path((place + b"/in", b"/in")), b"="),
    )
    outputs = (
        Output(b"f", place + b"/out", 0o644, b"digest"),
        Output(b"h", b"/o", 0, place + b"/out"),
    )
    outcome = Outcome(0, outputs, (), b"", (), 0, 0)
    hidden = old.hide_record(Record(call, b"weak", facts, outcome), b"other")
    other = b"/tmp/tmp.BBBBBBBBB2"
    assert hidden.weak == b"other"
    assert hidden.call == new.hide_call(
        Call(b"/bin/prog", (b"prog", other + b"/in"), (), b"/", 0, 0, 0, ())
    )
    shown = [new.show_key((fact.kind, fact.path)) for fact in hidden.facts]
    assert shown == [
        (Kind.CONTENT, other + b"/in"),
        (Kind.REPLACEABLE, b"644:" + other + b"/out"),
        (Kind.RESOLVES, other + b"/."),
        (Kind.ONE, one_path((other + b"/in", b"/in"))),
    ]
    assert new.hide_value(Kind.RESOLVES, resolves_value(b"d", other)) == hidden.facts[2].value
    assert [output.path for output in new.show_outcome(hidden.outcome).outputs] == [
        other + b"/out",
        b"/o",
    ]
    assert new.show_outcome(hidden.outcome).outputs[1].content == other + b"/out"


def test_marked_stand_ins_are_others() -> None:
    names = stand_ins((b"prog", b"/tmp/ccAb3dEf"), b"/", NOTHING)
    assert names is not None
    assert names.hide(b"ccAb3dEf") != names.marked(b"?").hide(b"ccAb3dEf")
    assert names.marked(b"?").show(names.marked(b"?").hide(b"/tmp/ccAb3dEf")) == b"/tmp/ccAb3dEf"


@pytest.mark.parametrize(
    ("program", "blind"),
    [
        (b"/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus", True),
        (b"/usr/bin/x86_64-linux-gnu-as", True),
        (b"as", True),
        (b"/usr/bin/sort", False),
        (b"/usr/bin/alas", False),
    ],
)
def test_programs_that_make_nothing_of_names(program: bytes, blind: bool) -> None:
    assert is_blind(program) is blind
