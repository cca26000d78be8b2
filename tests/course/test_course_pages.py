"""docs/losses.md says what the data say."""

import re

import pytest

from minipref.course import pages
from minipref.evaluation.peers import PEERS
from minipref.losses.conventions import FLAGS, READ
from minipref.losses.elsewhere import ALIASES, ELSEWHERE
from minipref.losses.registry import REGISTRY
from minipref.resources import ROOT


@pytest.fixture(scope="module")
def page():
    return pages.losses_page()


def test_the_page_is_what_the_data_say(page):
    """Where this fails: `python -m minipref.course.pages` writes it."""
    assert (ROOT / pages.PAGE).read_text(encoding="utf-8") == page


def test_every_loss_stands_there_once_with_its_source_and_defaults(page):
    for name, entry in REGISTRY.items():
        rows = re.findall(rf"^\| `{name}` \| [^`|]* .*$", page, flags=re.MULTILINE)
        described = [row for row in rows if pages.settings(entry.hyperparameters) in row]
        assert described, name
        assert pages.read(entry.source)[1], f"{name} names no source"


def test_other_names_and_flags_stand_there(page):
    for name in (*ALIASES, *ELSEWHERE):
        assert f"| {name} |" in page
    for name, flags in FLAGS.items():
        assert all(f"| `{name}` | {flag.library} |" in page for flag in flags)


def test_what_is_executed_is_stated_once():
    """TRL's flags stand with the code that calls TRL; no library is stated in both places."""
    executed = {peer.name for peer in PEERS.values()}
    assert not executed & {flag.library for flags in FLAGS.values() for flag in flags}
    assert not executed & READ.keys()


def test_tables_have_as_many_cells_as_titles(page):
    width = 0
    for line in page.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        if not line.startswith("|"):
            width = 0
        else:
            width = width or cells
            assert cells == width, line


def test_links_within_the_page_lead_somewhere(page):
    headings = [pages.anchor(line.lstrip("# ")) for line in page.splitlines() if line[:3] == "## "]
    links = re.findall(r"\]\(#([^)]+)\)", page)
    assert links == headings
    assert len(set(headings)) == len(headings)


def test_cells_are_written_as_a_reader_expects():
    assert pages.settings({"beta": 0.1, "loss_type": ["sigmoid", "sft"]}) == (
        "`beta` 0.1, `loss_type` sigmoid + sft"
    )
    assert pages.linked("arXiv 2305.18290, Eq. 7") == (
        "[arXiv 2305.18290](https://arxiv.org/abs/2305.18290), Eq. 7"
    )
    assert pages.table(("a",), [("x | y",)])[-1] == "| x \\| y |"
    assert pages.table(("a",), []) == ["None that we know of."]
