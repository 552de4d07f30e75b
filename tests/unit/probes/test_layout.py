"""bpf/layout.h and what Python knows of it; the programs and the verifier of kernel 6.1."""

from __future__ import annotations

import os
import re
import struct

import pytest

from pcache.observe import events
from pcache.probes import calls, program
from pcache.recorder.image import bpf_dir

with open(f"{bpf_dir()}/layout.h", encoding="ascii") as file:
    HEADER = file.read()
SOURCE = program.source_text()

_SIZES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s64": "q"}


def enum(name: str) -> dict[str, int]:
    match = re.search(rf"enum {name} {{(.*?)}};", HEADER, re.DOTALL)
    assert match, name
    return {key: int(value) for key, value in re.findall(r"(\w+) = (\d+)", match[1])}


def layout(name: str) -> tuple[list[str], str]:
    """Field names and struct format of a C structure, its nested ones flattened."""
    match = re.search(rf"struct {name} {{(.*?)\n}};", HEADER, re.DOTALL)
    assert match, name
    text = re.sub(r"/\*.*?\*/", "", match[1], flags=re.DOTALL)
    fields, form = [], ""
    for kind, names in re.findall(r"(struct \w+|[us]\d+) ([\w, \n]+);", text):
        for field in names.replace("\n", " ").split(","):
            if kind.startswith("struct "):
                inner, inner_form = layout(kind.split()[1])
                fields += inner
                form += inner_form
            else:
                fields.append(field.strip())
                form += _SIZES[kind]
    return fields, form


def test_event_types() -> None:
    names = {f"EVENT_{name}": value for name, value in vars(events).items() if name.isupper()}
    assert {key: names[key] for key in enum("event_type")} == enum("event_type")


def test_sections() -> None:
    found = {f"SECTION{name}": value for name, value in vars(events).items()}
    assert {key: found[key] for key in enum("section_kind")} == enum("section_kind")


def test_flags() -> None:
    found = {f"FLAG_{name}": value for name, value in vars(events).items()}
    assert {key: found[key] for key in enum("event_flags")} == enum("event_flags")


def test_walk_ends() -> None:
    ends = enum("walk_end")
    assert (ends["WALK_ROOT"], ends["WALK_DELETED"]) == (events.WALK_ROOT, events.WALK_DELETED)


def test_stamp_states() -> None:
    states = enum("stamp_state")
    assert (states["STAMP_QUERIED"], states["STAMP_WRITERS"]) == (events._QUERIED, events._WRITERS)


def test_header() -> None:
    fields, form = layout("event")
    assert fields == [
        *("ts", "image", "aux", "ret", "tgid", "tid", "err", "type", "nr", "flags"),
    ]
    assert struct.Struct("<" + form).format == events.HEADER.format
    assert fields.index("err") == 6 and struct.calcsize("<" + form[:6]) == events.BODY


def test_stamp() -> None:
    assert "<" + layout("stamp")[1] == events._STAMP.format


def test_descriptor() -> None:
    assert struct.calcsize("<" + layout("descriptor")[1]) == events.DESCRIPTOR_SIZE


def test_handle() -> None:
    assert "<" + layout("handle")[1] == events._HANDLE_FORMAT.format


def test_endpoint() -> None:
    _, form = layout("endpoint")
    assert struct.calcsize("<" + form) == events._ENDPOINT_FORMAT.size
    assert "<16s16s" + form[4:] == events._ENDPOINT_FORMAT.format


def test_call() -> None:
    fields, form = layout("call")
    assert struct.calcsize("=" + form) == calls._FORMAT.size
    assert fields[:9] == ["handler", "path", "dir", "path2", "dir2", "fd", "fd2", "out", "form"]


@pytest.mark.parametrize(
    "prefix, kind, names",
    [
        (
            "CALL_",
            "call_flags",
            ("READONLY", "STAT", "INHERITED", "SUCCESS", "LOCK", "FAILURE", "IN_VAIN"),
        ),
        (
            "HANDLER_",
            "handler",
            (
                *("ARGS", "PATH", "OPEN", "FD", "WRITE", "WRITEV", "READ", "COPY", "MMAP", "LIST"),
                *("MESSAGE", "SEEK", "USE", "SOCKET"),
            ),
        ),
    ],
)
def test_call_numbers(prefix: str, kind: str, names: tuple[str, ...]) -> None:
    numbers = {key: value for key, value in enum(kind).items() if value and key.startswith(prefix)}
    assert numbers == {prefix + name: getattr(calls, name) for name in names}


def test_forms() -> None:
    ours = (
        calls.LINK, calls.STRUCT_STAT, calls.STRUCT_STATX, calls.TIMES, calls.ADDRESS, calls.HOW,
        calls.LIMIT, calls.TIMER,
    )  # fmt: skip
    assert list(enum("call_form").values()) == [0, *ours]


def test_slots() -> None:
    slots = {value: key.lower() for key, value in enum("handler").items() if value}
    expected = {
        number: name if name.startswith("tail_") else name.replace("handler_", "handle_")
        for number, name in slots.items()
    }
    assert expected == program.SLOTS


def test_limits() -> None:
    from pcache.observe import tree

    defined = dict(re.findall(r"#define (\w+) (\d+)", SOURCE))
    assert (
        int(defined["INHERITED"]),
        int(defined["SCAN_FDS"]),
    ) == (tree._INHERITED, tree._SCANNED)


def test_every_source_is_part_of_the_program() -> None:
    files = {name for name in os.listdir(bpf_dir()) if name.endswith((".c", ".h"))}
    assert set(re.findall(r'^#line 1 "([^"]+)"$', SOURCE, re.MULTILINE)) == files
    assert "#include" not in SOURCE


def test_counters() -> None:
    match = re.search(r"struct counters {\s*u64 ([^;]*);", SOURCE)
    assert match and len(match[1].split(",")) == 7


_JUMP_CLASSES = (5, 6)  # BPF_JMP, BPF_JMP32
_LOAD_IMM64 = 0x18


def fall_through_back_edges(code: bytes) -> list[tuple[int, int]]:
    """Back edges that are no jumps: check_cfg of kernel 6.1 calls them loops, wherever bounded.

    Depth-first as in kernel/bpf/verifier.c: an edge to an instruction that is still on the stack
    goes back, and push_insn allows it only with `loop_ok`, which the fall-through does not have.
    """
    size = len(code) // 8
    following = [_successors(code, at) for at in range(size)]
    state = [0] * size
    state[0] = 1
    stack = [(0, iter(following[0]))]
    found = []
    while stack:
        at, edges = stack[-1]
        for target, jump in edges:
            if state[target] == 0:
                state[target] = 1
                stack.append((target, iter(following[target])))
                break
            if state[target] == 1 and not jump:
                found.append((at, target))
        else:
            state[at] = 2
            stack.pop()
    return found


def _successors(code: bytes, at: int) -> list[tuple[int, bool]]:
    """(index, whether by a jump)"""
    opcode = code[at * 8]
    kind, operation = opcode & 7, opcode & 0xF0
    if kind not in _JUMP_CLASSES or (kind == 5 and operation == 0x80):  # a helper call
        return [(at + (2 if opcode == _LOAD_IMM64 else 1), False)]
    if kind == 5 and operation == 0x90:  # exit
        return []
    offset = int.from_bytes(code[at * 8 + 2 : at * 8 + 4], "little", signed=True)
    if kind == 5 and operation == 0x00:
        return [(at + offset + 1, True)]
    return [(at + 1, False), (at + offset + 1, True)]


@pytest.mark.root
def test_loops_suit_kernel_6_1() -> None:
    image = program.image()
    assert {
        name: edges
        for name, (code, _) in image.programs.items()
        if (edges := fall_through_back_edges(code))
    } == {}


def test_finds_a_loop_that_falls_through() -> None:
    """r0 = 0; L: r0 += 1 ; goto M;  ... a block whose last instruction falls into L again."""
    go_to_end, add, fall, leave = (
        struct.pack("<BBhi", 0x05, 0, 1, 0),
        struct.pack("<BBhi", 0x07, 0, 0, 1),
        struct.pack("<BBhi", 0x55, 0, -2, 9),  # if r0 != 9 goto add: a jump back is allowed
        struct.pack("<BBhi", 0x95, 0, 0, 0),
    )
    assert fall_through_back_edges(go_to_end + add + add + fall + leave) == []
    # 0: goto 2   1: r0 += 1 (falls into 2)   2: if r0 != 9 goto 1   3: exit
    looping = go_to_end + add + struct.pack("<BBhi", 0x55, 0, -2, 9) + leave
    assert fall_through_back_edges(looping) == [(1, 2)]
