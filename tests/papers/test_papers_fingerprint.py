"""A stored result is called old when what it computes has changed, and only then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.papers import fingerprint as prints
from minipref.papers.catalogue import catalogue

ROW = '''"""001 toy: a row."""
from ..shared import half
from ...kit import double

PAPER = Paper(limit="none")
FIGURE = Dots("a title")


def measure():
    """What is measured."""
    return double(half(21))  # twice


CLAIMS = [Claim("it holds", paper="Fig. 1", holds=lambda m: m > 3)]
'''
SHARED = "def half(x):\n    return x / 2\n"
KIT = "def double(x):\n    return 2 * x\n\n\ndef other():\n    pass\n"


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A package of three files; returns a function that gives the row's fingerprint."""

    def write(row=ROW, shared=SHARED, kit=KIT):
        prints.tree.cache_clear()
        prints.fingerprint.cache_clear()
        papers = tmp_path / "package" / "papers"
        (papers / "chapter").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(prints, "HERE", papers)
        (papers / "chapter" / "toy.py").write_text(row)
        (papers / "shared.py").write_text(shared)
        (tmp_path / "package" / "kit").mkdir(exist_ok=True)
        (tmp_path / "package" / "kit" / "__init__.py").write_text("from .doubling import double\n")
        (tmp_path / "package" / "kit" / "doubling.py").write_text(kit)
        return prints.fingerprint(papers / "chapter" / "toy.py")

    yield write
    prints.tree.cache_clear()
    prints.fingerprint.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""001 toy: a row."""', '"""001 toy: a row, told better."""'),
        ('limit="none"', 'limit="too small"'),
        ('"a title"', '"a better title"'),
        ("# twice", "# two times"),
        ('paper="Fig. 1"', 'paper="Fig. 2"'),
        ('    """What is measured."""\n', ""),
    ],
)
def test_words_do_not_matter(build, old, new):
    assert old in ROW
    assert build(ROW.replace(old, new)) == build()


@pytest.mark.parametrize(
    "changed",
    [
        {"row": ROW.replace("21", "22")},
        {"row": ROW.replace("m > 3", "m > 4")},
        {"shared": SHARED.replace("/ 2", "/ 3")},
        {"kit": KIT.replace("2 * x", "3 * x")},
    ],
    ids=["row", "claim", "shared", "imported definition"],
)
def test_meaning_matters(build, changed):
    assert build(**changed) != build()


def test_a_loss_that_is_named_by_a_text_counts(build, monkeypatch, tmp_path):
    losses = tmp_path / "losses.py"
    monkeypatch.setattr(prints, "LOSSES", losses)
    row = ROW.replace("half(21)", 'half("dpo")')
    found = set()
    for code in ("return 1", "return 2", "return 2  # said"):
        losses.write_text(f"def dpo():\n    {code}\n")
        found.add(build(row=row))
    assert len(found) == 2


def test_a_neighbour_of_an_imported_definition_does_not_matter(build):
    assert build(kit=KIT.replace("    pass", "    return 1")) == build()


@given(number=st.integers(0, 10**6))
def test_every_number_of_a_row_counts(number):
    body = prints.ast.parse(f"x = {number}").body
    assert prints.plain(body) != prints.plain(prints.ast.parse(f"x = {number + 1}").body)


@pytest.mark.slow
def test_every_row_has_its_own():
    found = [prints.fingerprint(entry.path) for entry in catalogue().values()]
    assert len(set(found)) == len(found)
