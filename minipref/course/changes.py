"""What changed between two sentences, word by word, marked for a terminal."""

from __future__ import annotations

from difflib import SequenceMatcher

from rich.text import Text

GONE, NEW = "red strike", "bold green"


def marked(before: str, after: str) -> tuple[Text, Text]:
    """Both sentences: words that only the first has are struck out, new ones stand out."""
    old, new = before.split(), after.split()
    left, right = Text(), Text()
    for kind, i, j, k, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        same = kind == "equal"
        append(left, old[i:j], "" if same else GONE)
        append(right, new[k:m], "" if same else NEW)
    return left, right


def append(text: Text, words: list[str], style: str) -> None:
    if words:
        text.append((" " if text else "") + " ".join(words), style)
