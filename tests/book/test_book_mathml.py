"""Formulas keep their symbols as MathML; what cannot be drawn is an error, not a blank."""

import re
from xml.etree import ElementTree

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.mathml import DOUBLE_STRUCK, mathml
from dev.environment import ROOT

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.S)
GREEK = {r"\beta": "β", r"\pi": "π", r"\sigma": "σ", r"\Delta": "Δ"}


def seen(tex, display="inline"):
    return "".join(ElementTree.fromstring(mathml(tex, display)).itertext())


@given(st.lists(st.sampled_from([*GREEK, "x", "7", "+", "="]), min_size=1, max_size=8))
def test_symbols_stand_in_their_order(symbols):
    assert seen(" ".join(symbols)) == "".join(GREEK.get(symbol, symbol) for symbol in symbols)


@given(st.integers(0, 99), st.integers(0, 99))
def test_a_fraction_has_both_parts(over, under):
    root = ElementTree.fromstring(mathml(rf"\frac{{{over}}}{{{under}}}", "block"))
    [fraction] = root.iter("{http://www.w3.org/1998/Math/MathML}mfrac")
    assert ["".join(part.itertext()) for part in fraction] == [str(over), str(under)]
    assert root.get("display") == "block"


@pytest.mark.parametrize(("tex", "spaces"), [(r"\log Z", 2), (r"\log(1 + x)", 0), (r"\log_2 r", 2)])
def test_a_function_stands_apart_from_a_letter_but_not_from_its_bracket(tex, spaces):
    root = ElementTree.fromstring(mathml(tex, "inline"))
    assert len(list(root.iter("{http://www.w3.org/1998/Math/MathML}mspace"))) == spaces
    assert all(len(pair) == 2 for pair in root.iter("{http://www.w3.org/1998/Math/MathML}msub"))


@pytest.mark.parametrize("letter", DOUBLE_STRUCK)
def test_double_struck_letters_are_characters(letter):
    assert seen(rf"\mathbb {letter}") == DOUBLE_STRUCK[letter]


@pytest.mark.parametrize(
    ("tex", "says"), [(r"\nosuch{x} + 1", r"no MathML for \\nosuch"), (r"\mathbb Q", "struck Q")]
)
def test_what_is_not_known_is_named(tex, says):
    with pytest.raises(ValueError, match=says):
        mathml(tex, "inline")


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem[:2])
def test_every_formula_of_a_notebook_can_be_drawn(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for block, inline in FORMULA.findall(cell.source):
                assert seen(block or inline, "block" if block else "inline").strip()
