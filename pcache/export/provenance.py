"""An in-toto statement with SLSA provenance: what was made, of what, and by which command.

https://github.com/in-toto/attestation (statement v1), https://slsa.dev/provenance/v1
"""

from __future__ import annotations

import json
import time

from pcache.errors import StoreError
from pcache.export.files import File, Files, name, uri
from pcache.report import words

_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:pcache:session:1"
"""What `externalParameters` has: command and directory."""


def statement(files: Files) -> str:
    """Raises StoreError if nothing is known of what the session left, or of its content."""
    summary = files.session.summary
    inputs, outputs = files.outer()
    subjects = [found for file in outputs if (found := _resource(files, file, "name"))]
    if not subjects:
        raise StoreError(
            f"session {files.session.number} left no file whose content is known",
            "record the command as a whole: sudo pcache run ...",
        )
    materials = [found for file in inputs if (found := _resource(files, file, "uri"))]
    return (
        json.dumps(
            {
                "_type": _TYPE,
                "subject": subjects,
                "predicateType": _PREDICATE,
                "predicate": {
                    "buildDefinition": {
                        "buildType": _BUILD,
                        "externalParameters": {
                            "command": [words.command([word]) for word in summary.argv],
                            "directory": uri(summary.cwd),
                        },
                        "internalParameters": {
                            "complete": files.complete,
                            "unknownContents": len(inputs) - len(materials),
                        },
                        "resolvedDependencies": materials,
                    },
                    "runDetails": {
                        "builder": {
                            "id": "urn:pcache:recorder",
                            "version": {"pcache": files.version},
                        },
                        "metadata": {
                            "invocationId": f"urn:pcache:session:{summary.began_ns}",
                            "startedOn": stamp(summary.began_ns),
                            "finishedOn": stamp(summary.began_ns + summary.elapsed_ns),
                        },
                    },
                },
            },
            indent=1,
        )
        + "\n"
    )


def _resource(files: Files, file: File, key: str) -> dict[str, object] | None:
    path, digest = file
    found = files.contents.find(digest, path)
    if found is None:
        return None
    named = name(path, files.session.summary.cwd) if key == "name" else uri(path)
    return {key: named, "digest": {"sha256": found[0]}}


def stamp(ns: int) -> str:
    """A time.time_ns as RFC 3339 has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // 10**9))
