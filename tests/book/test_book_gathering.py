"""The book's pages are gathered as they lie, and the catalogue says what the rows declare."""

import re

from book.build import GATHERED, gather
from book.catalogue import catalogue_page, shown_in
from dev.environment import ROOT
from minipref.papers.catalogue import catalogue


def test_pages_keep_their_places_and_old_ones_go(tmp_path):
    stale = tmp_path / "notebooks" / "99_gone.ipynb"
    stale.parent.mkdir()
    stale.write_text("{}")
    gather(tmp_path)
    assert not stale.exists()
    names = ["README.md", "docs/losses.md", "docs/atlas.pdf", "kernels/README.md", "index.md"]
    assert all((tmp_path / name).is_file() for name in names)
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
    assert (tmp_path / "README.md").stat().st_mtime == (ROOT / "README.md").stat().st_mtime


def test_what_is_gathered_is_there():
    assert all(any(ROOT.glob(pattern)) for pattern in GATHERED)


def test_the_catalogue_has_every_row_once_with_its_four_boxes():
    text = catalogue_page()
    headings = re.findall(r"^### (\d{3}) (\S+)$", text, flags=re.M)
    declared = [(f"{e.paper.number:03d}", e.paper.key) for e in catalogue().values()]
    assert sorted(headings) == sorted(declared)
    for entry in catalogue().values():
        for box in ("model", "data", "feedback", "algorithm"):
            assert f"- *{box}*: {getattr(entry.paper, box)}\n" in text
    chapters = re.findall(r"^## (.+)$", text, flags=re.M)
    assert len(chapters) == len(set(chapters)) == len({e.chapter for e in catalogue().values()})


def test_the_catalogue_links_to_results_and_notebooks_that_are_there():
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    for anchor in re.findall(r"RESULTS\.md#(\S+?)\)", catalogue_page()):
        number, _, key = anchor.partition("-")
        assert f"\n## {number} {key}\n" in results
    for path in re.findall(r"\((notebooks/\S+?)\)", catalogue_page()):
        assert (ROOT / path).is_file()
    assert shown_in(106).startswith(", in [notebook 05](notebooks/05_")
    assert shown_in(0) == ""
