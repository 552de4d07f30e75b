"""Struct member offsets from the running kernel's BTF, with the standard library only.

Format: Documentation/bpf/btf.rst.  Reading /sys/kernel/btf/vmlinux and indexing its types takes
about 40 ms, less than any tool that could be started for it.
"""

from __future__ import annotations

import struct

from pcache.errors import EnvironmentProblem

VMLINUX = "/sys/kernel/btf/vmlinux"

_MAGIC = 0xEB9F
_STRUCT, _UNION = 4, 5
_MODIFIERS = frozenset({8, 9, 10, 11, 18})  # typedef, volatile, const, restrict, type_tag
# 32-bit words after a type's three-word header, by kind: fixed, and for each of its `vlen` members.
_FIXED = {1: 1, 3: 3, 14: 1, 17: 1}
_PER_MEMBER = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}


class Btf:
    """The types of one BTF file.

    Raises EnvironmentProblem when the file cannot be read or is not BTF.
    """

    def __init__(self, path: str = VMLINUX) -> None:
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot read kernel type information {path}: {error.strerror}",
                "recording needs a kernel built with CONFIG_DEBUG_INFO_BTF (Debian's is)",
            ) from error
        if len(data) < 24 or struct.unpack_from("<H", data)[0] != _MAGIC:
            raise EnvironmentProblem(f"{path} is not BTF")
        header, types_at, types_size, strings_at, strings_size = struct.unpack_from("<5I", data, 4)
        self._strings = data[header + strings_at : header + strings_at + strings_size]
        view = memoryview(data)[header + types_at : header + types_at + types_size]
        self._words: list[int] = view.cast("I").tolist()
        self._starts = self._index()

    def _index(self) -> list[int]:
        """Word position of each type, by type id."""
        words, starts = self._words, [0]
        fixed = [_FIXED.get(kind, 0) + 3 for kind in range(32)]
        per_member = [_PER_MEMBER.get(kind, 0) for kind in range(32)]
        position, end, add = 0, len(words), starts.append
        while position < end:
            add(position)
            info = words[position + 1]
            kind = info >> 24 & 31
            position += fixed[kind] + per_member[kind] * (info & 0xFFFF)
        return starts

    def _name(self, offset: int) -> str:
        return self._strings[offset : self._strings.index(b"\0", offset)].decode()

    def structs(self, names: set[str]) -> dict[str, int]:
        """Handles of the named structs; names that do not exist are left out."""
        wanted = {self._strings.find(b"\0" + name.encode() + b"\0") + 1: name for name in names}
        wanted.pop(0, None)
        words, found = self._words, dict[str, int]()
        for start in self._starts[1:]:
            if words[start] in wanted and (words[start + 1] >> 24 & 31) in (_STRUCT, _UNION):
                found.setdefault(wanted[words[start]], start)
        return found

    def _resolve(self, type_id: int) -> int:
        while True:
            start = self._starts[type_id]
            if (self._words[start + 1] >> 24 & 31) not in _MODIFIERS:
                return start
            type_id = self._words[start + 2]

    def _member(self, start: int, name: str) -> tuple[int, int] | None:
        """(byte offset, type id) of a member, looking into anonymous structs and unions."""
        info = self._words[start + 1]
        for index in range(info & 0xFFFF):
            name_at, type_id, where = self._words[start + 3 + 3 * index : start + 6 + 3 * index]
            offset = (where & 0xFFFFFF if info >> 31 else where) // 8
            if name_at and self._strings[name_at]:
                if self._name(name_at) == name:
                    return offset, type_id
                continue
            inner = self._resolve(type_id)
            if (self._words[inner + 1] >> 24 & 31) in (_STRUCT, _UNION):
                found = self._member(inner, name)
                if found:
                    return offset + found[0], found[1]
        return None

    def offset(self, struct_handle: int, path: str) -> int | None:
        """Byte offset of a dotted member path, or None when the struct has no such member."""
        start, total, type_id = struct_handle, 0, 0
        for part in path.split("."):
            if type_id:
                start = self._resolve(type_id)
            found = self._member(start, part)
            if found is None:
                return None
            total += found[0]
            type_id = found[1]
        return total
