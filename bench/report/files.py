"""Reports in files beside the results."""

from __future__ import annotations

from pathlib import Path

from bench.report import html, markdown
from bench.report.plots import plots
from bench.results import Results

_IN_MARKDOWN = ("goals", "heat")
"""Plots whose names begin so are files of their own, for the Markdown report to show."""


def write(results: Results, path: Path) -> Path:
    """Write Markdown, its plots and the page beside the results in `path`; returns the page."""
    drawn = list(plots(results))
    images = []
    for plot in drawn:
        if plot.name.startswith(_IN_MARKDOWN):
            image = path.with_name(f"{path.stem}-{plot.name}.svg")
            image.write_text(plot.svg + "\n")
            images.append((plot.title, image.name))
    path.with_suffix(".md").write_text(markdown.render(results, images))
    page = path.with_suffix(".html")
    page.write_text(html.render(results, drawn))
    return page
