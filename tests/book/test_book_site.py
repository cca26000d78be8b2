"""The built book: warnings are errors, links lead somewhere, and a browser has nothing to say."""

import json
import re
import subprocess
import sys

import pytest
from browser import Browser, chromium
from filelock import FileLock
from links import broken

from dev.environment import ROOT
from minipref.losses.registry import REGISTRY
from minipref.papers.catalogue import catalogue
from minipref.papers.results import load

pytestmark = pytest.mark.slow
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
in_browser = pytest.mark.skipif(
    chromium() is None, reason="no Chromium or Chrome on this machine: apt install chromium"
)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The book, built once however many processes run the tests."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "popen" in folder.name else folder  # of all xdist workers
    out = shared / "book"
    with FileLock(shared / "book.lock"):
        if not (out / "index.html").exists():
            subprocess.run([sys.executable, "-m", "book", out], cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    tab = Browser(chromium(), tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


def pages(site):
    return sorted(site.rglob("*.html"))


def article(page):
    """What stands between a page's menus."""
    return re.search(r"<article.*</article>", page.read_text(encoding="utf-8"), re.S)[0]


def test_every_link_leads_somewhere_and_nothing_is_fetched(site):
    assert broken(site) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here"></a><a href="a.html#there"></a><a href="b.html"></a>'
        '<a href="https://arxiv.org"></a><img src="https://x.org/x.png"><a href="../a.html"></a>'
    )
    assert [line.removeprefix("a.html: ") for line in broken(tmp_path)] == [
        "a.html#there has no such place",
        "b.html leads nowhere",
        "../a.html leads nowhere",
        "https://x.org/x.png is not in the book",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_every_figure_and_printed_word_of_a_notebook_is_there(site, path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    figures = sum("image/png" in output.get("data", {}) for output in outputs)
    printed = sum(output["output_type"] == "stream" for output in outputs)
    page = article(site / "notebooks" / f"{path.stem}.html")
    assert page.count("<img ") == figures
    assert page.count('class="output stream') == printed
    assert page.count('class="cell_input') == sum(c["cell_type"] == "code" for c in cells)


def test_every_loss_has_its_place_with_its_formula(site):
    text = (site / "api" / "minipref.losses.html").read_text(encoding="utf-8")
    for name, entry in REGISTRY.items():
        assert f'id="{entry.source.__module__}.{name}"' in text
    assert "<dt>Source</dt>" in text
    assert "<dt>Conventions</dt>" in text


def test_every_worked_example_has_its_row_and_its_results(site):
    rows, results = (
        (site / f"{name}.html").read_text("utf-8") for name in ("catalogue", "RESULTS")
    )
    for entry in catalogue().values():
        heading = f">{entry.paper.number:03d} {entry.paper.key}<"
        assert heading in rows
        assert heading in results
    measured = [entry for entry in catalogue().values() if load(entry) is not None]
    assert rows.count('href="RESULTS.html#') == len(measured)


def test_no_page_tells_where_it_was_built(site):
    for page in [*pages(site), site / "searchindex.js"]:
        text = page.read_text(encoding="utf-8")
        assert str(ROOT) not in text
        assert str(site.parent) not in text


@in_browser
def test_every_page_opens_without_a_complaint_and_fits_a_phone(site, tab):
    tab.resize(390, 844)
    for page in pages(site):
        tab.open(page.as_uri())
        assert tab.complaints == [], page.name
        assert all(asked.startswith(("file:", "data:")) for asked in tab.requests), page.name
        assert tab.value("document.documentElement.scrollWidth") <= 390, page.name
        assert tab.value("[...document.images].every(i => i.complete && i.naturalWidth)"), page.name


@in_browser
def test_a_page_that_does_wrong_is_seen(tab, tmp_path):
    page = tmp_path / "wrong.html"
    page.write_text(
        '<script>console.error("oh")</script><script>gone()</script><img src="no.png">'
        '<div style="width: 500px">wide</div>'
    )
    tab.resize(390, 844)
    tab.open(page.as_uri())
    assert any("oh" in complaint for complaint in tab.complaints)
    assert any("Uncaught" in complaint for complaint in tab.complaints)
    assert any("ERR_FILE_NOT_FOUND" in complaint for complaint in tab.complaints)
    assert tab.value("document.documentElement.scrollWidth") > 390
    assert not tab.value("[...document.images].every(i => i.complete && i.naturalWidth)")


@in_browser
@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("rdpo", "api/minipref.losses.html"),
        ("hypervolume", "RESULTS.html"),
        ("online softmax", "notebooks/13_how_fast_can_a_log_prob_be.html"),
    ],
)
def test_search_finds_a_word_without_a_network(site, tab, word, page):
    tab.resize(1280, 900)
    tab.open(f"{(site / 'search.html').as_uri()}?q={word.replace(' ', '+')}")
    found = "[...document.querySelectorAll('#search-results li a')].map(a => a.pathname)"
    tab.wait_for(f"{found}.some(path => path.endsWith('{page}'))")  # they come one by one
    assert tab.complaints == []
    assert all(asked.startswith(("file:", "data:")) for asked in tab.requests)


@in_browser
def test_formulas_are_drawn(site, tab):
    tab.resize(1280, 900)
    tab.open((site / "notebooks" / "04_how_does_dpo_skip_the_reward_model.html").as_uri())
    heights = tab.value(
        "[...document.querySelectorAll('math')].map(m => m.clientHeight || "
        "m.getBoundingClientRect().height)"
    )
    assert len(heights) > 20
    assert min(heights) > 5
