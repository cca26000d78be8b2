"""This library's docstrings as reStructuredText, which is what autodoc reads.

They are written for a terminal: paragraphs, indented formulas, columns of names, code in single
backticks, and sections such as `Args:` or `Source: a paper`. Formulas and columns stay as they
stand, to the letter; a section becomes a definition list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent, indent

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Conventions|Source):(?: +(.*))?$")
ENTRY = re.compile(r"([\w*]+(?:, [\w*]+)*):\s+(.*)$")  # "chosen_logps, rejected_logps: (batch,)"
CODE = re.compile(r"``[^`]+``|`[^`]+`")
COLUMNS = re.compile(r"\S {2,}\S")  # two names, or a name and what it is, with a gap between
RICH = re.compile(r"\[/?(?:bold|dim|italic)\]")  # what the command line colours


def to_rst(docstring: str) -> str:
    """The whole of a docstring whose common indent is taken off already."""
    lines = RICH.sub("", docstring).splitlines()
    blocks: list[str] = []
    at = 0
    while at < len(lines):
        is_section = SECTION.match(lines[at]) is not None
        stop = at + 1
        while stop < len(lines) and goes_on(lines[stop], is_section):
            stop += 1
        blocks += [section(lines[at:stop])] if is_section else paragraphs(lines[at:stop])
        at = stop
    return "\n\n".join(blocks)


def goes_on(line: str, in_section: bool) -> bool:
    """A section holds what is indented below it; prose goes on up to the next section."""
    return line[:1] in {"", " "} if in_section else SECTION.match(line) is None


def paragraphs(lines: list[str]) -> Iterator[str]:
    """Text, lists, and blocks that are kept as they stand."""
    for block in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        if not block.strip():
            continue
        if block.startswith(" ") or COLUMNS.search(block):
            yield "::\n\n" + indent(dedent(block), "    ")
        else:
            yield text(block)


def text(block: str) -> str:
    """Prose: code in double backticks, and nothing else that reStructuredText would read as markup.

    A literal has to end before a space or punctuation; the empty escape stands in for one.
    """
    pieces, at = [], 0
    for code in CODE.finditer(block):
        pieces.append(escape(block[at : code.start()]))
        before = block[code.start() - 1 : code.start()]
        after = block[code.end() : code.end() + 1]
        literal = "``" + " ".join(code[0].strip("`").split()) + "``"
        pieces.append("\\ " * (before.isalnum() or before == "=") + literal)
        pieces.append("\\ " * (after.isalnum() or after in set("=+*(")) if after else "")
        at = code.end()
    return "".join([*pieces, escape(block[at:])])


def escape(prose: str) -> str:
    """`*`, `_`, `|` and backslashes as themselves; a list's own star or dash stays a list."""
    return re.sub(r"(?m)(?<!^)([*_|\\])|^([*|\\_])(?! )", r"\\\1\2", prose)


def section(lines: list[str]) -> str:
    """`Args:` and its like, as a definition list of one entry."""
    head = SECTION.match(lines[0])
    assert head is not None
    body = dedent("\n".join(lines[1:])).strip("\n")
    if head[2]:  # "Source: Rafailov et al.", and what goes on below it
        content = "\n\n".join(paragraphs([head[2], *body.splitlines()]))
    else:
        content = "\n".join(entries(body))
    return f"{head[1]}\n{indent(content, '    ')}"


def entries(body: str) -> Iterator[str]:
    """Names and what they are; a line that names nothing is a paragraph."""
    for chunk in re.split(r"\n(?=\S)", body):
        entry = ENTRY.match(chunk.splitlines()[0])
        rest = dedent("\n".join(chunk.splitlines()[1:]))
        if entry is None:
            yield "\n\n".join(paragraphs(dedent(chunk).splitlines())) + "\n"
        else:
            says = "\n\n".join(paragraphs([entry[2], *rest.splitlines()]))
            yield f"``{entry[1]}``\n{indent(says, '    ')}\n"
