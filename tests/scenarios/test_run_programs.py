"""`pcache run` over real programs: builds, pipelines and programs of other languages, with edits.

The workloads of bench/ compare files, streams and status with a plain run themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio
from tests.lib.tree import Snapshot

pytestmark = [
    pytest.mark.root,
    pytest.mark.system_files,
    pytest.mark.slow,
    pytest.mark.timeout(3000),
]

WORKLOADS = [
    "lua",
    "zlib",
    "redis",
    "bash",
    "hmmer",
    "align",
    "bwa",
    "git",
    "imports",
]
NOT_AS_A_WHOLE = {"git": "each git rewrites the index that it reads"}
"""What is not replayed as a whole when nothing has changed, and why."""


@pytest.mark.parametrize("workload", WORKLOADS)
def test_workload(workload: str, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    words = ["run", "--install", "--tool=pcache-run", f"--workload={workload}", "--reps=1"]
    subprocess.run(
        [sys.executable, "-m", "bench", *words, f"--json={results}", f"--work={tmp_path}/work"],
        cwd=CHECKOUT,
        check=True,
    )
    samples = [
        sample
        for sample in json.loads(results.read_text())["samples"]
        if sample["tool"] == "pcache-run"
    ]
    assert {"cold", "warm", "edit"} <= {sample["phase"] for sample in samples}
    assert not any(sample["wrong"] for sample in samples)
    if workload not in NOT_AS_A_WHOLE:
        warm = [sample["counters"] for sample in samples if sample["phase"] == "warm"]
        assert {(counters["hits"], counters.get("misses", 0)) for counters in warm} == {(1, 0)}


JAVA = """\
import java.nio.file.*;
class Upper {
    public static void main(String[] names) throws Exception {
        for (String name : names) {
            String text = Files.readString(Path.of(name)).toUpperCase();
            Files.writeString(Path.of(name + ".java.out"), text);
        }
        System.out.println("java: " + names.length);
    }
}
"""
GO = """\
package main

import (
\t"bytes"
\t"fmt"
\t"os"
\t"sync"
)

func main() {
\tvar all sync.WaitGroup
\tfor _, name := range os.Args[1:] {
\t\tall.Add(1)
\t\tgo func(name string) {
\t\t\tdefer all.Done()
\t\t\tdata, _ := os.ReadFile(name)
\t\t\tos.WriteFile(name+".go.out", bytes.ToUpper(data), 0644)
\t\t}(name)
\t}
\tall.Wait()
\tfmt.Println("go:", len(os.Args)-1)
}
"""
RUST = """\
use std::{env, fs, thread};
fn main() {
    let names: Vec<String> = env::args().skip(1).collect();
    let all: Vec<_> = names.iter().cloned().map(|name| thread::spawn(move || {
        let text = fs::read_to_string(&name).unwrap();
        fs::write(name + ".rust.out", text.to_uppercase()).unwrap();
    })).collect();
    for one in all { one.join().unwrap(); }
    println!("rust: {}", names.len());
}
"""
PROGRAMS = {
    "java": ("Upper.java", JAVA, "javac Upper.java", "java -cp . Upper a b"),
    "go": (
        "upper.go",
        GO,
        "GOCACHE=$PWD/cache go build -o upper upper.go; rm -r cache",
        "./upper a b",
    ),
    "rust": ("upper.rs", RUST, "rustc -O -o upper upper.rs", "./upper a b"),
    "rustc": ("upper.rs", RUST, "rm -f upper", "rustc -O -o upper upper.rs"),
}
"""File, content, what makes the program (or the way free for it), and the command."""


MOUNTS = ("java",)
"""What is mounted is an input of the virtual machine."""


@pytest.mark.parametrize(
    "program",
    [pytest.param(name, marks=[pytest.mark.mounts] if name in MOUNTS else []) for name in PROGRAMS],
)
def test_program(bench: Bench, program: str) -> None:
    """Twice unchanged, an input edited, twice, and back: as plainly, and hits where it can."""
    name, text, make, command = PROGRAMS[program]
    here = bench.directory
    (here / name).write_text(text)
    (here / "run.sh").write_text(f"{command}\ncat a b\n")
    for content, known in (("a", False), ("a", True), ("bc", False), ("bc", True), ("a", True)):
        subprocess.run(["sh", "-c", make], cwd=here, check=True, env=bench.env)
        (here / "a").write_text(content)
        (here / "b").write_text("b")
        result = compared(bench)
        hits = [d.command for d in result.decisions if d.hit]
        assert ("sh run.sh" in hits) == known, result.own


def compared(bench: Bench) -> Result:
    """`pcache run` of the script, after which everything must be as after a plain run."""
    saved = bench.states.save()
    ran = []
    for start, options in (
        (bench.launcher.plain, ()),
        (bench.launcher.run, (("-q", "--explain"),)),
    ):
        bench.states.restore(saved)
        time.sleep(SETTLE_SECONDS)
        began = time.time_ns() - 10**7
        result = start(("sh", "run.sh"), bench.directory, bench.env, Stdio(), *options)
        ran.append((result, Snapshot.take(bench.directory, began, began)))
    (plain, plainly), (result, tree) = ran
    assert result.ended == plain.ended
    assert not plainly.difference(tree)
    return result
