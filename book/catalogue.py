"""The catalogue of worked examples as a page: how each paper fills the unified view's boxes."""

from __future__ import annotations

from itertools import groupby

from minipref.course.notebooks import sources
from minipref.papers.catalogue import Entry, catalogue, notebooks
from minipref.papers.pages import anchor
from minipref.papers.results import load, status

HEAD = """# The catalogue

One paper's claim each, worked in miniature. A row says how the paper fills the four boxes of
preference learning (model, data, feedback, algorithm), and leads to what was measured; `minipref
run KEY` runs it, and `--control` takes the idea out.
"""


def catalogue_page() -> str:
    """All rows by chapter, in Markdown."""
    by_chapter = sorted(catalogue().values(), key=lambda entry: entry.chapter)
    parts = [HEAD]
    for chapter, entries in groupby(by_chapter, key=lambda entry: entry.chapter):
        parts.append(f"## {chapter.replace('_', ' ').capitalize()}\n")
        parts += [row(entry) for entry in entries]
    return "\n".join(parts)


def row(entry: Entry) -> str:
    """One worked example: the paper, what became of its claims, the four boxes."""
    paper = entry.paper
    how = status(load(entry), paper.limit)
    measured = f"[{how}](RESULTS.md#{anchor(entry)})" if how != "not run" else how
    lines = [
        f"### {paper.number:03d} {paper.key}",
        "",
        f"{paper.title} ([arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}))",
        "",
        f"{paper.kind}, on `{paper.world}`: **{measured}**{shown_in(paper.number)}",
        "",
        *(
            f"- *{box}*: {getattr(paper, box)}"
            for box in ("model", "data", "feedback", "algorithm")
        ),
        "",
    ]
    return "\n".join(lines)


def shown_in(number: int) -> str:
    """ ", in notebook 05" with its link; "" where no notebook shows the row."""
    short = notebooks().get(number)
    stems = [path.stem for path in sources() if path.name[:2] == short]
    return f", in [notebook {short}](notebooks/{stems[0]}.ipynb)" if stems else ""
