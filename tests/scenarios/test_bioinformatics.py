"""A pipeline of Debian's bioinformatics tools on the data that hmmer's package ships."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lib.edits import Edit, append, touch, write
from tests.lib.scenario import Scenario, only, step
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]

TUTORIAL = Path("/usr/share/doc/hmmer/examples/tutorial")
PIPELINE = """\
set -e
hmmbuild -o build.log --cpu 0 globins4.hmm globins4.sto
hmmsearch --cpu 0 --noali --tblout hits.tbl -o search.log globins4.hmm globins45.fa
grep -v '^#' hits.tbl | awk '{print $1}' | sort | head -n 12 >names
clustalo --threads=1 --infile family.fa --outfile family.aln --outfmt=clu --force
grep -c '^>' family.fa
cut -c 1-40 family.aln | head -n 5
"""
# The date and the time it took: so a second record would contradict the first, and is not made.
TIMES = {
    "build.log": "# CPU time",
    "globins4.hmm": "DATE ",
    "hits.tbl": "# Date:",
    "search.log": "# (CPU time|Mc/sec)",
}
ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def tutorial(name: str) -> Edit:
    """A file of hmmer's tutorial."""
    plain = TUTORIAL / name
    data = (
        plain.read_bytes() if plain.exists() else gzip.decompress(Path(f"{plain}.gz").read_bytes())
    )
    return write(name, data)


def family(seed: int) -> str:
    """Eight related sequences of 60 amino acids."""
    source = random.Random(seed)
    parent = source.choices(ACIDS, k=60)
    lines = []
    for number in range(8):
        child = [source.choice(ACIDS) if source.random() < 0.2 else acid for acid in parent]
        lines += [f">s{number}", "".join(child)]
    return "\n".join(lines) + "\n"


def test_pipeline(check: Callable[[Scenario], None]) -> None:
    from_pipes = ("awk", "sort", "head -n 12", "head -n 5")
    check(
        script(
            "hmmer and clustalo",
            PIPELINE,
            tutorial("globins4.sto"),
            tutorial("globins45.fa"),
            write("family.fa", family(1)),
            may=from_pipes,
            retrace=False,
            masks=TIMES,
            steps=(
                step("touched", touch("globins4.sto"), touch("family.fa"), record=False),
                step(
                    "a sequence more in the family",
                    append("family.fa", family(2)[:64]),
                    expect=only(
                        "dash run.sh",
                        "clustalo",
                        "family",
                        hit=("hmmbuild", "hmmsearch"),
                        may=from_pipes,
                    ),
                    record=False,
                ),
                step(
                    "a sequence more to search",
                    append(
                        "globins45.fa", ">new\nVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHF\n"
                    ),
                    expect=only(
                        "dash run.sh",
                        "hmmsearch",
                        "hits.tbl",
                        hit=("hmmbuild", "clustalo"),
                        may=from_pipes,
                    ),
                    record=False,
                ),
            ),
        )
    )
