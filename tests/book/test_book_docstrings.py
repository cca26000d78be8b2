"""Docstrings keep their words and formulas, and nothing in them is markup by chance."""

import ast
import re
from textwrap import indent

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from hypothesis import given
from hypothesis import strategies as st

from book.docstrings import to_rst
from dev.environment import ROOT

# What reStructuredText would take for markup, beside words and what stands between them.
TRAPS = [
    *("loss", "lambda_", "*args", "a*b", "|KL|", "`beta`", "`dpo`'s", "-log", "x_i", "`a_*`s"),
    *(
        "(batch,)",
        "back\\slash",
        "**",
        "_",
        "1.",
        "(`mask`)",
        "``two``",
        "it's",
        "=",
        "`x`=",
        "pre`x`",
    ),
]
WORDS = st.lists(st.sampled_from(TRAPS), min_size=1, max_size=12).map(
    lambda words: " ".join(["The", *words])
)
FORMULAS = st.lists(
    st.sampled_from(["L = -log(sigmoid(m))", "  * beta", "w_i = |x|_1", "`a` ** b"]),
    min_size=1,
    max_size=3,
).map("\n".join)


def read(docstring):
    """As docutils reads it; any complaint of its own is an error."""
    return publish_doctree(to_rst(docstring), settings_overrides={"halt_level": 2})


def words(text):
    """What a reader sees, but for backticks and line ends."""
    return text.replace("`", "").split()


@given(st.lists(WORDS, min_size=1, max_size=3))
def test_prose_keeps_its_words(blocks):
    page = read("\n\n".join(blocks))
    assert words(page.astext()) == words(" ".join(blocks))
    assert not [*page.findall(nodes.emphasis), *page.findall(nodes.strong)]
    spans = re.findall(r"``.+?``|`.+?`", " ".join(blocks))
    assert [code.astext() for code in page.findall(nodes.literal)] == [s.strip("`") for s in spans]


@given(WORDS, FORMULAS, WORDS)
def test_an_indented_block_stays_to_the_letter(before, formula, after):
    block = indent("L = 1\n" + formula, "    ")
    page = read(f"{before}\n\n{block}\n\n{after}")
    [literal] = page.findall(nodes.literal_block)
    assert literal.astext() == "L = 1\n" + formula
    assert len(page.children) == 3


@given(
    st.lists(st.tuples(st.sampled_from(["beta", "x, y", "lambda_", "*masks"]), WORDS), min_size=1)
)
def test_arguments_are_named_one_by_one(arguments):
    lines = [f"    {name}: {says}" for name, says in arguments]
    page = read("\n".join(["What it is.", "", "Args:", *lines, "", "Returns: (batch,) nats."]))
    [inner] = [item for item in page.findall(nodes.definition_list) if item.parent is not page][:1]
    terms = [term.astext() for term in inner.findall(nodes.term)]
    assert terms == [name for name, _ in arguments]
    says = [words(item.astext()) for item in inner.findall(nodes.definition)]
    assert says == [words(text) for _, text in arguments]


def test_columns_stay_columns_and_prose_after_a_section_is_prose():
    page = read(
        "A row.\n\nkey    a name\n       that goes on\nvalue  a number\n\n"
        "Raises: ValueError,\n    or none.\n\nAnd so on.\n\nSource: a paper, Eq. 1."
    )
    kinds = [type(child).__name__ for child in page.children]
    expected = ["paragraph", "literal_block", "definition_list", "paragraph", "definition_list"]
    assert kinds == expected
    assert page.children[2].astext().split() == ["Raises", "ValueError,", "or", "none."]


def test_a_section_may_hold_formulas_and_errors_by_name():
    page = read(
        "Args:\n    a: as in\n        this:\n\n            a = b\n\n    c: two\n\n"
        "Raises:\n    ValueError: no."
    )
    assert [block.astext() for block in page.findall(nodes.literal_block)] == ["a = b"]
    assert [t.astext() for t in page.findall(nodes.term)] == [
        "Args",
        "a",
        "c",
        "Raises",
        "ValueError",
    ]


def test_colours_of_the_command_line_are_left_out():
    assert to_rst("[bold]minipref losses[/bold] lists.") == "minipref losses lists."


def docstrings():
    """Those of the book's pages, which leave the command line out."""
    for path in sorted((ROOT / "minipref").rglob("*.py")):
        if path.parent.name == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            can = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if can and (text := ast.get_docstring(node)):
                yield f"{path.name}: {getattr(node, 'name', '')}", text


@pytest.mark.slow
def test_every_docstring_of_the_library_keeps_its_words():
    found = list(docstrings())
    assert len(found) > 1500
    section = re.compile(r"(?m)^(Args|Attributes|Returns|Yields|Raises|Conventions|Source):")
    for name, text in found:
        plain = section.sub(r"\1", re.sub(r"\[/?bold\]", "", text))
        assert unmarked(words(read(text).astext())) == unmarked(words(plain)), name


def unmarked(seen):
    """Without the marks of lists, and the colon after a name."""
    return [word.rstrip(":") for word in seen if not re.fullmatch(r"[-+*:]|\d\.", word)]
