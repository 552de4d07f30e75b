"""Exports of a real build, each read by the package or tool that it is made for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from rocrate.rocrate import ROCrate

from pcache.report import schema
from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio
from tests.lib.perfetto import Perfetto

pytestmark = [pytest.mark.root, pytest.mark.system_files]

MAKEFILE = """\
CFLAGS = -O1 -Iinclude -DNAME='"a b"'
all: prog
prog: main.o sub/other.o
\t$(CC) -o $@ $^
sub/other.o: sub/other.c
\tcd sub && $(CC) -c -o other.o other.c
clean:
\trm -f prog *.o sub/*.o
"""


class Build:
    """A project in C, and exports of its sessions."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.place = bench.directory
        for name, text in (
            ("Makefile", MAKEFILE),
            ("main.c", '#include "name.h"\nint main(void) { return other() + !NAME; }\n'),
            ("include/name.h", "int other(void);\n"),
            ("sub/other.c", "int other(void) { return 0; }\n"),
        ):
            (self.place / name).parent.mkdir(exist_ok=True)
            (self.place / name).write_text(text)

    def run(self, *command: str, verb: str = "run") -> Result:
        time.sleep(SETTLE_SECONDS)
        self.clean()
        result = getattr(self.bench.launcher, verb)(
            command or ("make",), self.place, self.bench.env, Stdio(), ()
        )
        assert isinstance(result, Result) and result.status == 0, result
        return result

    def clean(self) -> None:
        for path in (self.place / "prog", *self.place.rglob("*.o")):
            path.unlink(missing_ok=True)

    def export(self, form: str, *words: str, status: int = 0) -> str:
        command = (self.bench.launcher.pcache, "export", "--format", form, *words)
        done = self.bench.launcher.plain(command, self.place, self.bench.env, Stdio())
        assert done.status == status, done
        assert (done.stderr == b"") == (status == 0)
        return (done.stdout or done.stderr).decode()


@pytest.fixture
def build(bench: Bench) -> Iterator[Build]:
    yield Build(bench)


def compilations(text: str) -> set[tuple[str, str, str, tuple[str, ...]]]:
    """Directory, file, output and arguments, as far as two tools must agree on them."""
    found = set()
    for entry in json.loads(text):
        directory, file = entry["directory"], os.path.join(entry["directory"], entry["file"])
        output = os.path.join(directory, entry.get("output", ""))
        found.add((directory, file, output, tuple(sorted(entry["arguments"][1:]))))
    return found


def test_compilations_are_those_of_bear(build: Build) -> None:
    build.run()
    database = build.place / "compile_commands.json"
    build.clean()
    env = {**os.environ, **build.bench.env}
    subprocess.run(["bear", "--", "make"], cwd=build.place, env=env, check=True)
    theirs = compilations(database.read_text())
    assert len(theirs) == 2
    assert compilations(build.export("compile-commands")) == theirs
    # Nothing is compiled any more, but the database is still whole.
    database.unlink()
    assert "brought back as a whole" in build.run().own
    assert compilations(build.export("compile-commands")) == theirs
    (build.place / "main.c").write_text("int other(void); int main(void) { return other(); }\n")
    assert "of 6 programs brought back" in build.run().own
    assert build.export("compile-commands", "-o", str(database), "last") == ""
    assert compilations(database.read_text()) == theirs


def test_files_have_the_digests_that_sha256sum_gives(build: Build) -> None:
    build.run()
    document = schema.Files.model_validate_json(build.export("json"))
    assert document.complete and document.command == ["make"]
    digests = {file.path: file.sha256 for file in document.files}
    for name in ("main.c", "include/name.h", "Makefile", "prog", "main.o", "sub/other.o"):
        path = build.place / name
        assert digests[str(path)] == hashlib.sha256(path.read_bytes()).hexdigest(), name
    assert digests["/usr/include/stdc-predef.h"]
    assert [file.path for file in document.files if file.sha256 is None] == []
    compile_main = next(at for at in document.executions if at.command[-1] == "main.c")
    read = {document.files[number].path for number in compile_main.inputs}
    assert {str(build.place / "main.c"), str(build.place / "include/name.h")} <= read
    made = {document.files[number].path for number in compile_main.outputs}
    assert made == {str(build.place / "main.o")}
    sizes = {file.path: file.size for file in document.files}
    assert sizes[str(build.place / "prog")] == (build.place / "prog").stat().st_size


def test_provenance_is_valid(build: Build) -> None:
    build.run()
    document = json.loads(build.export("in-toto"))
    subjects = [
        ResourceDescriptor(name=at["name"], digest=at["digest"]).pb for at in document["subject"]
    ]
    statement = Statement(subjects, document["predicateType"], document["predicate"])
    statement.validate()
    assert document["_type"] == statement.pb.type
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    predicate = ParseDict(document["predicate"], provenance_pb2.Provenance())
    assert predicate.build_definition.build_type and predicate.run_details.builder.id
    for material in predicate.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(material).validate()
    materials = {
        at["uri"]: at["digest"]["sha256"]
        for at in document["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    source = build.place / "main.c"
    assert materials[f"file://{source}"] == hashlib.sha256(source.read_bytes()).hexdigest()
    # What was made on the way is no material.
    assert f"file://{build.place / 'main.o'}" not in materials
    prog = hashlib.sha256((build.place / "prog").read_bytes()).hexdigest()
    assert {"name": "prog", "digest": {"sha256": prog}} in document["subject"]
    build.run("true")
    assert "left no file" in build.export("in-toto", status=125)


def test_crate_can_be_read(build: Build, tmp_path: Path) -> None:
    build.run()
    directory = build.place / "crate"
    assert build.export("ro-crate", "-o", str(directory)) == ""
    crate = ROCrate(directory)
    assert crate.mainEntity and crate.mainEntity.id == "Makefile"
    assert "ComputationalWorkflow" in crate.mainEntity.type
    assert (directory / "Makefile").read_text() == MAKEFILE
    profiles = {entity.id for entity in crate.root_dataset["conformsTo"]}
    assert any(profile.startswith("https://w3id.org/ro/wfrun/workflow/") for profile in profiles)
    actions = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    by_name = {action["name"]: action for action in actions}
    cc = next(action for name, action in by_name.items() if name.endswith("-o main.o main.c"))
    read = {entity.id for entity in cc["object"]}
    assert f"file://{build.place}/include/name.h" in read
    assert [entity.id for entity in cc["result"]] == [f"file://{build.place}/main.o"]
    assert cc["instrument"].type == "SoftwareApplication"
    run = crate.dereference("#workflow-run")
    assert run["instrument"].id == "Makefile"
    assert f"file://{build.place}/prog" in {entity.id for entity in run["result"]}
    # Every reference leads somewhere, and it can be written again.
    crate.write(tmp_path / "again")
    text = (tmp_path / "again/ro-crate-metadata.json").read_text()
    ids = {entity["@id"] for entity in json.loads(text)["@graph"]}
    assert {reference["@id"] for reference in references(json.loads(text)["@graph"])} <= ids | {
        "https://w3id.org/ro/crate/1.1",
        "http://schema.org/CompletedActionStatus",
    }


def test_crate_of_a_pipeline(build: Build) -> None:
    """Each step is an action; what one leaves and the next reads joins them."""
    script = (
        "sort reads.txt >sorted.txt\nuniq -c sorted.txt counts.txt\nhead -n 1 counts.txt >top.txt\n"
    )
    (build.place / "pipeline.sh").write_text(script)
    (build.place / "reads.txt").write_text("b\na\nb\n")
    build.run("sh", "pipeline.sh")
    directory = build.place / "crate"
    build.export("ro-crate", "-o", str(directory))
    crate = ROCrate(directory)
    assert crate.mainEntity.id == "pipeline.sh"
    assert (directory / "pipeline.sh").read_text() == script
    run = crate.dereference("#workflow-run")
    here = f"file://{build.place}/"
    assert {entity.id for entity in run["result"]} >= {f"{here}counts.txt", f"{here}top.txt"}
    assert f"{here}reads.txt" in {entity.id for entity in run["object"]}
    actions = [entity for entity in crate.get_entities() if entity.type == "CreateAction"]
    (uniq,) = (action for action in actions if action["name"].startswith("uniq"))
    assert f"{here}sorted.txt" in {entity.id for entity in uniq["object"]}
    assert [entity.id for entity in uniq["result"]] == [f"{here}counts.txt"]
    digest = hashlib.sha256((build.place / "counts.txt").read_bytes()).hexdigest()
    assert crate.dereference(f"{here}counts.txt")["sha256"] == digest


def references(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if value.keys() == {"@id"}:
            yield value
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_trace_keeps_the_rules_of_its_format(build: Build) -> None:
    """Complete events that nest in each thread: what viewers draw as a stack of slices."""
    build.run()
    document = json.loads(build.export("chrome-trace"))
    assert document["displayTimeUnit"] == "ms"
    tracks: dict[tuple[int, int], list[tuple[float, float]]] = {}
    named = set()
    for event in document["traceEvents"]:
        assert {"name", "ph", "pid", "tid"} <= event.keys()
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and event["args"]["name"]
            named.add(event["pid"])
        else:
            assert event["ph"] == "X" and event["ts"] >= 0 and event["dur"] > 0
            track = event["pid"], event["tid"]
            tracks.setdefault(track, []).append((event["ts"], event["dur"]))
    assert {process for process, _ in tracks} <= named
    for slices in tracks.values():
        open_ends: list[float] = []
        for begin, length in sorted(slices, key=lambda at: (at[0], -at[1])):
            while open_ends and open_ends[-1] <= begin + 1e-6:
                open_ends.pop()
            assert not open_ends or begin + length <= open_ends[-1] + 1e-6
            open_ends.append(begin + length)
    commands = {event["args"].get("command") for event in document["traceEvents"]}
    assert "make" in commands


def test_perfetto_reads_the_trace(build: Build) -> None:
    """All of it, with nothing to complain about: processes by name, slices with their arguments."""
    build.run()
    (build.place / "main.c").write_text("int other(void); int main(void) { return other(); }\n")
    build.run()
    path = build.place / "trace.json"
    build.export("chrome-trace", "-o", str(path))
    document = json.loads(path.read_text())
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    with Perfetto(trace=str(path)) as trace:
        complaints = "select name, value from stats where severity <> 'info' and value > 0"
        assert trace.rows(complaints) == []
        read = trace.rows("select name, category, ts, dur from slice order by ts, name, dur")
        written = [(at["name"], at["cat"], at["ts"] * 1e3, at["dur"] * 1e3) for at in slices]
        assert len(read) == len(written) > 10
        for one, other in zip(read, sorted(written, key=itemgetter(2, 0, 3)), strict=True):
            assert one[:2] == other[:2]
            assert one[2:] == pytest.approx(other[2:], abs=2)
        assert {"hit", "ran"} <= {category for _, category, *_ in read}
        processes = trace.rows("select name from process where name is not null")
        assert {("make",), ("slots",)} <= set(processes)
        threads = trace.rows("select name from thread where name glob 'slot *'")
        assert threads == [("slot 0",)]
        commands = trace.rows("select distinct string_value from args where key = 'args.command'")
        assert ("make",) in commands


@pytest.mark.parametrize(
    ("words", "message"),
    [((), "in which form?"), (("--format", "xml"), "it is one of"),
     (("--format", "ro-crate"), "a crate is a directory")],
)  # fmt: skip
def test_bad_use(build: Build, words: tuple[str, ...], message: str) -> None:
    command = (build.bench.launcher.pcache, "export", *words)
    done = build.bench.launcher.plain(command, build.place, build.bench.env, Stdio())
    assert done.status == 2 and message in done.stderr.decode()


def test_bear_is_there() -> None:
    assert shutil.which("bear"), "tools/install test installs it"
