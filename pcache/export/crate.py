"""A Workflow Run RO-Crate: https://www.researchobject.org/workflow-run-crate/

Each execution is an action with its program, inputs and results; the command's script or Makefile,
where one is found, is the workflow.  Files stay where they are, but for the workflow's.
"""

from __future__ import annotations

import json
import os
import shutil

from pcache.errors import EnvironmentProblem
from pcache.export.files import File, Files, name, uri
from pcache.export.provenance import stamp
from pcache.history.entries import HIT
from pcache.history.log import UNKNOWN
from pcache.report import words
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Entity = dict[str, object]

_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
_PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_WORKFLOW = "https://w3id.org/ro/wfrun/workflow/0.5"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_DESCRIPTIONS = (b"Makefile", b"makefile", b"GNUmakefile", b"Snakefile", b"build.ninja")
"""What the commands go by that do not name it."""


def write(files: Files, directory: str) -> None:
    """Writes the crate to a directory, which is made.  Raises EnvironmentProblem."""
    try:
        os.makedirs(directory, exist_ok=True)
        workflow = _workflow(files)
        if workflow:
            shutil.copyfile(
                workflow, os.path.join(os.fsencode(directory), os.path.basename(workflow))
            )
        with open(os.path.join(directory, "ro-crate-metadata.json"), "w", encoding="utf-8") as file:
            json.dump(_metadata(files, workflow), file, indent=1)
            file.write("\n")
    except OSError as error:
        raise EnvironmentProblem(f"cannot write {directory}: {error.strerror}") from error


def _workflow(files: Files) -> bytes:
    """The file that says what the command does; empty if there is none."""
    summary = files.session.summary
    inputs = {path for path, _ in files.outer()[0]}
    for word in (*summary.argv[1:], *_DESCRIPTIONS):
        path = os.path.join(summary.cwd, word)
        if path in inputs and os.path.isfile(path):
            return path
    return b""


def _metadata(files: Files, workflow: bytes) -> Entity:
    summary = files.session.summary
    graph: dict[str, Entity] = {}
    profiles = [_PROCESS, *([_WORKFLOW, _WORKFLOW_CRATE] if workflow else [])]
    for profile in profiles:
        graph[profile] = {"@id": profile, "@type": "CreativeWork", "name": profile.split("/")[-2],
                          "version": profile.split("/")[-1]}  # fmt: skip
    inputs, outputs = files.outer()
    actions = [_action(files, number, graph) for number in range(len(files.executions))]
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"pcache {summary.verb} {words.command(summary.argv)}",
        "description": "What a command and the programs it started read and made, as observed.",
        "datePublished": stamp(summary.began_ns),
        "license": "unknown: that of the files",
        "conformsTo": _ids(profiles),
        "mentions": _ids(actions),
        "hasPart": _ids(_entity(files, file, graph) for file in outputs),
    }
    if workflow:
        id = os.fsdecode(os.path.basename(workflow))
        language = words.command([os.path.basename(summary.argv[0])])
        graph["#language"] = {"@id": "#language", "@type": "ComputerLanguage", "name": language}
        graph[id] = {
            "@id": id,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": id,
            "programmingLanguage": {"@id": "#language"},
            "input": [],
            "output": [],
        }
        root["mainEntity"] = {"@id": id}
        root["hasPart"] = _ids([id, *(uri(path) for path, _ in outputs)])
        graph["#workflow-run"] = {
            **graph[actions[0]],
            "@id": "#workflow-run",
            "name": f"run of {id}",
            "instrument": {"@id": id},
            "object": _ids(_entity(files, file, graph) for file in inputs),
            "result": _ids(_entity(files, file, graph) for file in outputs),
        }
        root["mentions"] = _ids(["#workflow-run", *actions])
    forms = ["https://w3id.org/ro/crate/1.1", *([_WORKFLOW_CRATE] if workflow else [])]
    descriptor: Entity = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": _ids(forms),
        "sdPublisher": f"pcache {files.version}",
    }
    return {"@context": _CONTEXT, "@graph": [descriptor, root, *graph.values()]}


def _action(files: Files, number: int, graph: dict[str, Entity]) -> str:
    """The action of an execution, entered into the graph with its program; its id."""
    of, entry = files.executions[number]
    program = "#program-" + uri(entry.executable or entry.argv[0]).removeprefix("file://")
    graph.setdefault(
        program,
        {"@id": program, "@type": "SoftwareApplication", "name": words.program(entry)},
    )
    read, made, _ = files.of[number] or ([], [], [])
    failed = entry.status not in (0, UNKNOWN)
    id = f"#execution-{number}"
    graph[id] = {
        "@id": id,
        "@type": "CreateAction",
        "name": words.command(entry.argv),
        "description": f"{entry.verdict}, in {text(entry.cwd)}",
        "instrument": {"@id": program},
        "object": _ids(_entity(files, file, graph) for file in read),
        "result": _ids(_entity(files, file, graph) for file in made),
        "actionStatus": f"http://schema.org/{'Failed' if failed else 'Completed'}ActionStatus",
    }
    if failed:
        graph[id]["error"] = words.status(entry.status)
    if entry.start_ns != UNKNOWN:
        graph[id]["startTime"] = stamp(of.summary.began_ns + entry.start_ns)
    if entry.end_ns != UNKNOWN:
        graph[id]["endTime"] = stamp(of.summary.began_ns + entry.end_ns)
    if entry.verdict == HIT:
        graph[id]["disambiguatingDescription"] = "brought back from an earlier run"
    return id


def _entity(files: Files, file: File, graph: dict[str, Entity]) -> str:
    """A file, entered into the graph; its id.  The last content of a path is described."""
    path, digest = file
    id = uri(path)
    made: Entity = {
        "@id": id,
        "@type": "File",
        "name": name(path, files.session.summary.cwd).encode(errors="replace").decode(),
    }
    found = files.contents.find(digest, path)
    if found is not None:
        made["sha256"], made["contentSize"] = found[0], str(found[1])
    graph[id] = made
    return id


def _ids(ids: Iterable[str]) -> list[Entity]:
    return [{"@id": id} for id in dict.fromkeys(ids)]
