"""What may stand in configuration files; `pcache.settings.plain` takes the same."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pcache.settings.checks import (
    LONGEST_TIMEOUT_S,
    checked_age,
    checked_key,
    checked_size,
    checked_url,
)
from pcache.settings.remote import TIMEOUT_MS

_Supervised = Literal["io_uring", "network", "ptrace"]
"""Features that are denied when they are asked for, which is when it is known by whom."""


class Sandbox(BaseModel):
    """The table `[sandbox]`: for `--allow` and `--deny`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    allow: list[_Supervised | Literal["32-bit"]] = Field(default=[])
    deny: list[_Supervised | Literal["32-bit"]] = Field(default=[])


class Shared(BaseModel):
    """The table `[remote]`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Annotated[str, AfterValidator(checked_url)]
    endpoint: str = ""
    region: str = ""
    push: Literal["never", "ci", "always"] = "never"
    key: str = ""
    trust: list[Annotated[str, AfterValidator(checked_key)]] = Field(default=[])
    timeout: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] = TIMEOUT_MS / 1000
    map: list[Literal["home", "user", "host"]] = Field(default=[])
    portable: list[str] = Field(default=[])
    restore: list[str] = Field(default=[])


class Program(BaseModel):
    """One table `[program.PATTERN]`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ignore_env: list[str] = Field(default=[])
    ignore_paths: list[str] = Field(default=[])
    extra_inputs: list[str] = Field(default=[])
    never_cache: Literal["no", "itself", "callers"] | bool | None = None
    strict: bool | None = None
    mtime_order: bool | None = None
    cache_failures: bool | None = None
    allow: list[_Supervised] = Field(default=[])


TABLES: dict[str, type[BaseModel]] = {"sandbox": Sandbox, "remote": Shared, "program": Program}
"""What stands in tables of its own; of `program`, one for each pattern."""


class File(BaseModel):
    """One configuration file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    max_size: Annotated[str, AfterValidator(checked_size)] | None = None
    compress: bool | None = None
    history: Annotated[str, AfterValidator(checked_age)] | None = None
    base_dir: str | None = None
    secret_env: list[str] | None = None
    sandbox: Sandbox = Field(default=Sandbox())
    remote: Shared | None = None
    program: dict[str, Program] = Field(default={})
