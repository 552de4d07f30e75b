"""The page of a session, looked at in Chromium: what it draws, light and dark, without network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from pcache.history.sessions import Session, sessions
from pcache.report.page import markdown, page
from pcache.store.index import Store
from tests.unit.report.sessions import large, open_store

CHROMIUM = "chromium"
SECTIONS = ("time-line", "flames", "critical", "refusals", "slowest", "inputs", "over-time")
LIGHT = {"hit": (0, 135, 95), "ran": (194, 124, 0), "bad": (194, 65, 12)}
DARK = {"hit": (47, 191, 143), "ran": (240, 180, 41), "bad": (255, 122, 69)}


class Page(HTMLParser):
    """Which sections there are, and every address that is mentioned."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self.sections.append(str(given["id"]))
        self.addresses += [str(given[name]) for name in ("src", "href") if name in given]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the pages of 300 and of 10,000 executions."""
    directory = tmp_path_factory.mktemp("pages")
    with open_store(directory) as store:
        for count in (300, 10_000):
            session = large(store, count)
            (directory / f"{count}.html").write_text(page(session, sessions(store)))
    yield directory


def browse(*options: str | Path) -> str:
    """Chromium, without a network that it could use; what it prints."""
    command = [
        "unshare", "--net", "--map-root-user", CHROMIUM, "--headless", "--no-sandbox",
        "--disable-gpu", "--hide-scrollbars", "--window-size=1200,1600",
        "--virtual-time-budget=20000", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sections_and_no_address(written: Path) -> None:
    found = Page((written / "300.html").read_text())
    assert tuple(found.sections) == SECTIONS
    assert found.addresses == []
    text = (written / "300.html").read_text()
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", text)
    assert "default-src 'none'" in text


def test_names_are_data(written: Path) -> None:
    """Command lines may hold what HTML would take for its own."""
    text = (written / "300.html").read_text()
    assert "<b>&amp;</script>" not in text
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    executions = json.loads(data)["executions"]
    assert len(executions) == 300
    assert executions[1][6] == "cc -c file1.c <b>&amp;</script>"


@pytest.mark.parametrize("count", [300, 10_000])
def test_all_is_drawn(written: Path, count: int) -> None:
    assert shutil.which(CHROMIUM), "tools/install test installs it"
    document = browse("--dump-dom", f"file://{written}/{count}.html")
    drawn = re.search(r'data-drawn="(\d+) (\d+)"', document)
    assert drawn, document[:2000]
    line, flame = map(int, drawn.groups())
    assert line >= count and flame >= count * 0.95


@pytest.mark.parametrize(("scheme", "colours"), [("1", LIGHT), ("0", DARK)], ids=["light", "dark"])
def test_it_looks_as_it_should(
    written: Path, tmp_path: Path, scheme: str, colours: dict[str, tuple[int, int, int]]
) -> None:
    shot = tmp_path / "shot.png"
    options = f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}"
    browse(*options, f"file://{written}/300.html")
    with Image.open(shot) as image:
        pixels = image.convert("RGB")
        counts = {colour: count for count, colour in pixels.getcolors(1 << 24) or ()}
    dark = scheme == "0"
    paper = (22, 22, 22) if dark else (255, 255, 255)
    assert max(counts, key=lambda colour: counts[colour]) == paper
    for name, colour in colours.items():
        assert counts.get(colour, 0) > 1000, name
    others = LIGHT if dark else DARK
    assert all(counts.get(colour, 0) < 100 for colour in others.values())


def test_markdown(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        text = markdown(large(store, 300))
    lines = text.splitlines()
    assert lines[0] == "### pcache run `make -j8`"
    assert "of 300 programs brought back, saved" in lines[2]
    assert any(line.startswith("| network | 1 |") for line in lines)
    rows = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_a_session_without_anything(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        assert isinstance(store, Store)
        session = whole(store)
        assert Page(page(session, [session])).sections == list(SECTIONS)
        assert "1 of 1" in markdown(session)


def whole(store: Store) -> Session:
    from pcache.history import log

    summary = log.Summary("replay", (b"make",), b"/src", b"")
    summary.programs = summary.hits = 1
    summary.elapsed_ns, summary.saved_ns = 10**7, 10**9
    log.append(store.directory, summary)
    return sessions(store)[-1]
