"""Data made up from a fixed seed, most of it biological: the same bytes on every machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
_BASES = "ACGT"


def families(
    tree: Path,
    *,
    count: int,
    members: int = 8,
    length: int = 100,
    seed: int = 1,
    aligned: int = 1,
    letters: str = _ACIDS,
) -> None:
    """Families of related sequences as FASTA, families/NNN.fa, and all of them in all.fa.

    Aligned ones have equal lengths; of the others each lacks some letters.
    """
    chance = random.Random(seed)
    folder = tree / "families"
    folder.mkdir()
    everything = []
    for number in range(count):
        ancestor = chance.choices(letters, k=length)
        text = ""
        for member in range(members):
            sequence = [
                chance.choice(letters) if chance.random() < 0.3 else letter for letter in ancestor
            ]
            if not aligned:
                sequence = [letter for letter in sequence if chance.random() > 0.05]
            text += f">family{number}_{member}\n{''.join(sequence)}\n"
        (folder / f"{number:03}.fa").write_text(text)
        everything.append(text)
    (tree / "all.fa").write_text("".join(everything))


def reads(
    tree: Path,
    *,
    samples: int,
    reads: int = 2000,
    length: int = 100,
    genome: int = 100_000,
    seed: int = 1,
) -> None:
    """A reference, reference.fa, and the reads of several samples, samples/NN.fq."""
    chance = random.Random(seed)
    reference = "".join(chance.choices(_BASES, k=genome))
    lines = [reference[start : start + 70] for start in range(0, genome, 70)]
    (tree / "reference.fa").write_text(">chromosome\n" + "\n".join(lines) + "\n")
    folder = tree / "samples"
    folder.mkdir()
    for sample in range(samples):
        with (folder / f"{sample:02}.fq").open("w") as file:
            for number in range(reads):
                start = chance.randrange(genome - length)
                sequence = list(reference[start : start + length])
                for _ in range(chance.randrange(4)):
                    sequence[chance.randrange(length)] = chance.choice(_BASES)
                file.write(f"@s{sample}_{number}\n{''.join(sequence)}\n+\n{'I' * length}\n")


def texts(
    tree: Path, *, count: int, folders: int, words: int = 20, deep: int = 0, seed: int = 1
) -> None:
    """Small texts, texts/NNN/NNN.txt; with `deep`, a directory of two digits lies between."""
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(500)]
    for folder in range(folders):
        above = tree / "texts" / f"{folder % 100:02}" if deep else tree / "texts"
        place = above / f"{folder:03}"
        place.mkdir(parents=True)
        for number in range(count // folders):
            text = " ".join(chance.choices(vocabulary, k=words))
            (place / f"{number:03}.txt").write_text(f"{text} needle {chance.randrange(10000)}\n")


GENERATORS: dict[str, Callable[..., None]] = {
    "families": families,
    "reads": reads,
    "texts": texts,
}
"""By the name that `[input] generator` gives."""
