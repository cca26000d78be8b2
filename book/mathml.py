"""Formulas as MathML, which every browser draws by itself: no script, no fonts, no network."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.writers.html5 import HTML5Translator

# Browsers draw a letter's variant only where it is a character of its own.
DOUBLE_STRUCK = {"E": "𝔼", "R": "ℝ", "N": "ℕ", "Z": "ℤ", "P": "ℙ", "1": "𝟙"}
# A function's name, and no bracket after it: TeX leaves a thin space there, MathML does not.
FUNCTION = re.compile(r"<mi>([a-z]{2,})</mi>(?!<mo[^>]*>(?:\(|&#x00028;))")
SPACE = '<mspace width="0.167em" />'
VARIANT = re.compile(r'<(m[in]) mathvariant="double-struck">(\w)</m[in]>')


def mathml(tex: str, display: str) -> str:
    """A formula's MathML; `display` is "block" or "inline".

    Raises: ValueError for a command that is not known, or a letter without a double-struck form.
    """
    markup = VARIANT.sub(lambda m: f"<{m[1]}>{double_struck(m[2], tex)}</{m[1]}>", convert(tex))
    if unknown := re.search(r"\\[A-Za-z]+", markup):
        raise ValueError(f"no MathML for {unknown[0]} in the formula {tex!r}")
    markup = FUNCTION.sub(rf"<mrow>{SPACE}<mi>\1</mi>{SPACE}</mrow>", markup)
    return markup.replace('display="inline"', f'display="{display}"', 1)


def double_struck(letter: str, tex: str) -> str:
    if letter not in DOUBLE_STRUCK:
        raise ValueError(f"no double-struck {letter} for the formula {tex!r}: add it to mathml.py")
    return DOUBLE_STRUCK[letter]


def inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """A formula of its own; it scrolls by itself where a screen is narrower."""
    writer.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode
