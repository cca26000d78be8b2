"""Every figure of the notebooks for a slide: PDF and SVG, drawn anew, as large as a lecture needs.

The stored notebooks hold pixels, so their sources are run again. On the way the canvas is made
smaller than it is on a screen, while letters and lines keep their size; then all of it is scaled
up until it fills a slide, and can be read from the last row.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError

from ..model.checkpoint import write_atomically
from .notebooks import Notebook, execute, find, read_source

SLIDE = (12.6, 6.4)  # inches: a 16:9 slide of 13.3 x 7.5 with its title and margins left out
CANVAS = 0.85  # of what a figure measures on a screen
FIRST_CELL = """
from minipref.course.figures import prepare

prepare()
"""


@dataclass(frozen=True)
class Lesson:
    """A notebook up to its last figure, under its number: "05"."""

    number: str
    notebook: Notebook

    @property
    def cells(self) -> int:
        """How many will be run."""
        return sum(cell.cell_type == "code" for cell in self.notebook.cells)


def lessons(names: Sequence[str] = (), source_folder: Path | None = None) -> list[Lesson]:
    """The notebooks that show figures, cut after the last one.

    Raises: ValueError: an unknown name.
    """
    found = []
    for source in find(names, source_folder):
        notebook = read_source(source)
        shown = [i for i, cell in enumerate(notebook.cells) if shows_figure(cell)]
        if shown:
            cells = notebook.cells[: shown[-1] + 1]
            notebook.cells = [nbformat.v4.new_code_cell(FIRST_CELL.strip()), *cells]
            found.append(Lesson(source.stem[:2], notebook))
    return found


def draw(lesson: Lesson, out: Path, progress: Callable[[], None] = lambda: None) -> list[Path]:
    """Run a lesson and write its figures: OUT/05-1.svg, OUT/05-1.pdf, OUT/05-2.svg ...

    Args:
        progress: called after each cell.

    Returns: the paths written; the same bytes whenever the figures are the same.
    Raises: ValueError: a cell failed; OSError: `out` cannot be written to.
    """
    try:
        executed = execute(lesson.notebook, progress)
    except CellExecutionError as error:
        raise ValueError(f"notebook {lesson.number}: {error.ename}: {error.evalue}") from error
    written = []
    for number, (svg, pdf) in enumerate(figures_of(executed), start=1):
        for suffix, content in ((".svg", fitted_svg(svg).encode()), (".pdf", fitted_pdf(pdf))):
            written.append(out / f"{lesson.number}-{number}{suffix}")
            write_atomically(written[-1], content)
    return written


def shows_figure(cell: Notebook) -> bool:
    return "figure" in cell.metadata.get("tags", [])


def figures_of(notebook: Notebook) -> Iterator[tuple[str, bytes]]:
    """(SVG, PDF) of every figure that an executed notebook shows."""
    for cell in filter(shows_figure, notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "application/pdf" in data:
                yield data["image/svg+xml"], base64.b64decode(data["application/pdf"])


def prepare() -> None:
    """In a notebook's kernel, before its first cell: small canvases, figures as vectors."""
    import matplotlib.pyplot as plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    on_a_screen: Callable[..., Any] = plt.figure

    def figure(*args: Any, **options: Any) -> Any:
        if "figsize" in options and options.get("layout") != "none":  # its places are in inches
            width, height = options["figsize"]
            options["figsize"] = CANVAS * width, CANVAS * height
        return on_a_screen(*args, **options)

    plt.figure = figure
    plt.rcParams["svg.hashsalt"] = "minipref"
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # the same bytes each time: matplotlib dates its files
    set_matplotlib_formats("svg", "pdf")


def enlargement(width: float, height: float) -> float:
    """How many times larger a figure of so many points may become on the slide."""
    return min(72 * SLIDE[0] / width, 72 * SLIDE[1] / height)


def fitted_svg(text: str) -> str:
    """An SVG as large as the slide allows: its view box stays, the size it is shown at grows."""
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    if size is None:
        raise ValueError("an SVG without a width and a height in points")
    width, height = float(size[1]), float(size[2])
    times = enlargement(width, height)
    wanted = f'width="{times * width:.3f}pt" height="{times * height:.3f}pt"'
    return text[: size.start()] + wanted + text[size.end() :]


def fitted_pdf(data: bytes) -> bytes:
    """A PDF of one page as large as the slide allows.

    By an update at the end of the file (ISO 32000-1, 7.5.6): a second content stream, which scales
    what the first one draws, and the page again, which names both and has a larger box.
    """
    page = re.search(rb"(\d+) 0 obj\n<< /Type /Page\b.*?\nendobj\n", data, re.DOTALL)
    trailer = re.search(rb"trailer\n<< /Size (\d+) (.*?) >>\nstartxref\n(\d+)\n", data, re.DOTALL)
    box = page and re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", page[0])
    if not page or not trailer or not box:
        raise ValueError("a PDF whose page, box or trailer is not where matplotlib puts them")
    width, height = float(box[1]), float(box[2])
    times = enlargement(width, height)
    number, new = int(page[1]), int(trailer[1])
    scale = b"%.6f 0 0 %.6f 0 0 cm\n" % (times, times)
    stream = b"%d 0 obj\n<< /Length %d >>\nstream\n%sendstream\nendobj\n" % (new, len(scale), scale)
    larger = page[0].replace(
        box[0], b"/MediaBox [ 0 0 %.3f %.3f ]" % (times * width, times * height)
    )
    larger = re.sub(rb"/Contents (\d+ 0 R)", rb"/Contents [ %d 0 R \1 ]" % new, larger)
    at_page = len(data)
    at_stream, at_table = at_page + len(larger), at_page + len(larger) + len(stream)
    table = b"xref\n%d 1\n%010d 00000 n \n%d 1\n%010d 00000 n \n" % (
        number,
        at_page,
        new,
        at_stream,
    )
    end = b"trailer\n<< /Size %d %s /Prev %s >>\n" % (new + 1, trailer[2], trailer[3])
    return data + larger + stream + table + end + b"startxref\n%d\n%%%%EOF\n" % at_table
