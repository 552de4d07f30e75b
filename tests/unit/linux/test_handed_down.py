"""Nothing that the kernel shows of what a program was handed down is without a row in the table."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from pcache.linux import handed_down, limits
from pcache.linux.handed_down import (
    AUXV,
    COMPARED,
    LIMITS,
    MEMORY_FIELDS,
    NAMESPACES,
    OTHERS,
    STATUS,
    session_fields,
    status_value,
)

_AT_NULL = 0
TREATMENTS = {
    value
    for name, value in vars(handed_down).items()
    if name in handed_down.__doc__ and name.isupper()
}


def test_status() -> None:
    known = {name for name, _, _ in STATUS}
    shown = [line.split(":")[0] for line in Path("/proc/self/status").read_text().splitlines()]
    assert [
        name for name in shown if name not in known and not name.startswith(MEMORY_FIELDS)
    ] == []


def test_limits() -> None:
    lines = Path("/proc/self/limits").read_text().splitlines()[1:]
    assert [line[:26].strip().removeprefix("Max ") for line in lines] == [row[0] for row in LIMITS]


def test_auxiliary_vector() -> None:
    vector = Path("/proc/self/auxv").read_bytes()
    numbers = {number for number, _ in struct.iter_unpack("=QQ", vector)} - {_AT_NULL}
    assert numbers - {number for number, _, _, _ in AUXV} == set()


def test_namespaces() -> None:
    assert set(os.listdir("/proc/self/ns")) - {name for name, _, _ in NAMESPACES} == set()


@pytest.mark.parametrize("table", [STATUS, LIMITS, NAMESPACES, OTHERS, AUXV], ids=str)
def test_each_row_has_a_treatment_and_stands_once(table: tuple[tuple[str, ...], ...]) -> None:
    assert len(TREATMENTS) == 5
    assert {row[-2] for row in table} <= TREATMENTS
    assert len({row[0] for row in table}) == len(table)


def test_fields_of_status() -> None:
    status = Path("/proc/self/status").read_bytes()
    assert int(status_value(status, b"NoNewPrivs")) in (0, 1)
    assert status_value(status, b"NoSuchField") == b""
    assert dict(zip(COMPARED, session_fields(status), strict=True))[b"CapEff"] == status_value(
        status, b"CapEff"
    )


def test_both_values_of_a_limit() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limits.parse(Path("/proc/self/limits").read_bytes())[limits.NOFILE] == (soft, hard)
