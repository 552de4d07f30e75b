"""What can be done about a reason: docs/semantics.md has it in full (a test compares them)."""

from __future__ import annotations

from pcache.model import Reason

PAGE = "docs/semantics.md"

CURES: dict[str, str] = {
    Reason.EVENTS_LOST: "`--ring-size`, room on the disk.",
    Reason.NETWORK: (
        "`--no-network`, if the program does without; else run that step outside of what is "
        "recorded."
    ),
    Reason.INPUT_CHANGED: (
        "usually none is needed, the next run is recorded. If it comes again, some program "
        "changes what another one reads: let one finish before the other begins."
    ),
    Reason.OUTPUT_OVERWRITTEN: (
        "usually none is needed: short-lived outputs inside of a larger command do no harm to the"
        " record of that command."
    ),
    Reason.UNOBSERVABLE_WRITE: "let the program open its output by name, or write to a pipe.",
    Reason.FOREIGN_INPUT: (
        "`< file` instead of a pipe; record the command that makes the pipe; `< /dev/null` if "
        "nothing is to be read."
    ),
    Reason.DESCRIPTOR_PASSING: "none but to record what contains both ends.",
    Reason.SHARED_MEMORY: "none.",
    Reason.PTRACE: "`--deny ptrace`, or for sanitizers `ASAN_OPTIONS=detect_leaks=0`.",
    Reason.NAMESPACE: "run pcache inside of the container instead of around it.",
    Reason.SIGNAL_OUTSIDE: "none.",
    Reason.LEFT_RUNNING: (
        "start servers before, outside of what is recorded; end them in the command."
    ),
    Reason.FOREIGN_ABI: "the 64-bit program; `--deny 32-bit` shows who uses it.",
    Reason.KILLED_OUTSIDE: "let it finish.",
    Reason.CONFLICT: "an order between them.",
    Reason.NON_DETERMINISTIC: (
        "`SOURCE_DATE_EPOCH`, `--deterministic`, sorted lists; or leave it so."
    ),
    Reason.CONFIGURED: (
        "a setting for that program; `pcache config show` tells where it comes from."
    ),
    Reason.PRIVATE_TEMPORARY: "none is needed: the caller is recorded.",
    Reason.SHORTAGE: "more of it.",
    Reason.TRANSIENT: "run it again when the cause is gone.",
    Reason.UNSUPPORTED: "the evidence names the call or file.",
    Reason.PRIVILEGED: (
        "leave that step out of what is recorded, or record as root (`--as-root`)."
    ),
    Reason.UNREADABLE: "let its user read the file: `chmod +r`.",
}
