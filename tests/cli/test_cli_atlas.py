"""``minipref atlas`` writes one page, with every pair loss on it."""

import re
import sys

import matplotlib
import pytest

from minipref import cli
from minipref.course.pictures import printing
from minipref.losses.reductions import REDUCTIONS
from minipref.losses.registry import REGISTRY
from minipref.resources import ROOT


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIPREF_DEBUG", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["minipref", "atlas", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, *capsys.readouterr()

    return call


def pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.slow
def test_the_poster_is_one_page_and_names_every_pair_loss(run, monkeypatch, tmp_path):
    words, save = [], printing.save

    def spy(figure, path, **options):
        words.extend(text.get_text() for text in figure.findobj(matplotlib.text.Text))
        save(figure, path, **options)

    monkeypatch.setattr(printing, "save", spy)
    assert run()[:2] == (0, "atlas.pdf\n")
    pdf = (tmp_path / "atlas.pdf").read_bytes()
    assert pages(pdf) == 1
    assert len(pdf) < 1_000_000
    assert b"CreationDate" not in pdf
    missing = "\n".join(word for word in words if "Not drawn" in word)
    for name, entry in REGISTRY.items():
        if entry.family == "pairwise":
            assert any(re.fullmatch(rf"\W {name}", w) for w in words) or name in missing, name


@pytest.mark.slow
def test_a_page_about_one_loss_and_the_graph(run, tmp_path):
    assert run("one.svg", "--loss", "dpo") == (0, "one.svg\n", "")
    assert "dpo  (beta" in (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert run("graph.pdf", "--reductions") == (0, "graph.pdf\n", "")
    assert pages((tmp_path / "graph.pdf").read_bytes()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.pdf", "--loss", "dpoo"], "did you mean"),
        (["a.pdf", "--loss", "kto"], "pointwise"),
        (["a.pdf", "--loss", "aot"], "rows"),
        (["a.gif"], "expected a name that ends in .pdf"),
        (["a.pdf", "--loss", "dpo", "--reductions"], "got both"),
        (["nowhere/a.pdf", "--loss", "dpo"], "nowhere"),
    ],
)
def test_mistakes(run, tmp_path, arguments, says):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert not list(tmp_path.iterdir())


def test_the_shipped_poster_is_one_page():
    pdf = (ROOT / "docs" / "atlas.pdf").read_bytes()
    assert pages(pdf) == 1
    assert len(pdf) < 1_000_000


def test_the_shipped_graph_names_every_loss_of_the_table():
    svg = (ROOT / "docs" / "reductions.svg").read_text(encoding="utf-8")
    missing = {
        n for row in REDUCTIONS for n in (row.loss, row.becomes) if f"<!-- {n} -->" not in svg
    }
    assert not missing, "run `minipref atlas docs/reductions.svg --reductions`"
    assert len(svg) < 1_000_000
