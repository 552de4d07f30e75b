"""Changing one setting in a configuration file, and nothing else that stands in it."""

from __future__ import annotations

import json
import os
import tomllib
from difflib import get_close_matches

from pcache.errors import ConfigError, UsageError, why_not
from pcache.linux.files import open_file
from pcache.settings.configfile import compile_files
from pcache.settings.schema import TABLES, File


class Name:
    """`max_size`, `sandbox.deny`, `program.make.strict`.  Raises UsageError for another one."""

    def __init__(self, text: str) -> None:
        first, _, rest = text.partition(".")
        self.table: tuple[str, ...] = ()
        self.setting = text
        known = list(File.model_fields)
        if first == "program" and "." in rest:
            pattern, _, self.setting = rest.rpartition(".")
            self.table, known = ("program", pattern), list(TABLES[first].model_fields)
        elif first != "program" and first in TABLES and rest:
            self.table, self.setting, known = (first,), rest, list(TABLES[first].model_fields)
        if self.setting not in known or self.setting in TABLES:
            near = get_close_matches(self.setting, [at for at in known if at not in TABLES], n=1)
            prefix = "".join(f"{at}." for at in self.table)
            remedy = f"did you mean {prefix}{near[0]}?" if near else "`pcache help config` has them"
            raise UsageError(f"no setting {text!r}", remedy)

    def header(self) -> str:
        """Of its table, as it is written."""
        return "[" + ".".join(at if at.isalnum() else json.dumps(at) for at in self.table) + "]"


def get(text: str, name: Name) -> object:
    """What a file says of a setting; None if nothing.  Raises tomllib.TOMLDecodeError."""
    found: object = tomllib.loads(text)
    for part in (*name.table, name.setting):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def literal(value: str) -> str:
    """A value as TOML has it: what is none is a string."""
    try:
        tomllib.loads(f"x = {value}")
    except tomllib.TOMLDecodeError:
        return json.dumps(value, ensure_ascii=False)
    return value


def changed(text: str, name: Name, value: str | None) -> str:
    """The text of a file with another value of a setting, a TOML literal on one line, or without.

    Raises ConfigError where the present one takes several.
    """
    lines = text.splitlines()
    begin, end = _part(lines, name)
    line = f"{name.setting} = {value}"
    if begin is None and value is None:
        return text
    if begin is None:
        gap = [""] if lines and lines[-1].strip() else []
        return "\n".join([*lines, *gap, name.header(), line]) + "\n"
    for number in range(begin, end):
        if lines[number].partition("=")[0].strip() == name.setting:
            try:
                tomllib.loads(lines[number])
            except tomllib.TOMLDecodeError:
                raise ConfigError(
                    f"{name.setting} takes several lines in the file", "pcache config edit"
                ) from None
            if value is None:
                del lines[number]
                return "".join(f"{line}\n" for line in lines)
            _, hash_, comment = lines[number].partition(" #")
            lines[number] = line + hash_ + comment
            return "\n".join(lines) + "\n"
    if value is None:
        return text
    while end > begin and not lines[end - 1].strip():
        end -= 1
    return "\n".join([*lines[:end], line, *lines[end:]]) + "\n"


def _part(lines: list[str], name: Name) -> tuple[int | None, int]:
    """The lines of the table that the setting belongs to; None if there is none."""
    begin: int | None = None if name.table else 0
    for number, line in enumerate(lines):
        if not line.strip().startswith("["):
            continue
        if begin is not None:
            return begin, number
        try:
            found: object = tomllib.loads(line)
            for part in name.table:
                assert isinstance(found, dict)
                found = found[part]
        except (tomllib.TOMLDecodeError, KeyError, AssertionError):
            continue
        if found == {}:
            begin = number + 1
    return begin, len(lines)


def set_in(path: bytes, name: Name, value: str | None) -> bool:
    """Changes a setting in a file, which is made if need be; None takes it out.  Whether there was
    something to do.

    Raises UsageError, and leaves the file as it is, if the value makes no sense, ConfigError if the
    file does not.
    """
    try:
        with open(open_file(path, follow=True), encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise ConfigError(f"cannot read {why_not(error)}") from error
    except ValueError as error:
        raise ConfigError(f"cannot read {os.fsdecode(path)}: {error}") from error
    told = None if value is None else literal(value)
    try:
        new_text = changed(text, name, told)
        if told is None and get(text, name) is None:
            return False
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{os.fsdecode(path)}: {error}", "pcache config edit") from error
    # Beside it, under a name that ends alike: what a project's file may say is another thing.
    directory, base = os.path.split(path)
    new = os.path.join(directory, b".pcache-%d" % os.getpid(), base)
    try:
        os.makedirs(os.path.dirname(new))
        try:
            with open(new, "w", encoding="utf-8") as file:
                file.write(new_text)
            try:
                compile_files([new])
            except ConfigError as error:
                if os.path.lexists(path):
                    compile_files([path])  # what makes no sense may have stood there
                what = str(error).partition(": ")[2]
                raise UsageError(what, "`pcache help config` has the settings") from None
            os.replace(new, path)
        finally:
            if os.path.lexists(new):
                os.unlink(new)
            os.rmdir(os.path.dirname(new))
    except OSError as error:
        raise ConfigError(f"cannot write {os.fsdecode(path)}: {error.strerror}") from error
    return True
