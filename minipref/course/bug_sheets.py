"""A find-the-bug exercise on paper: a notebook to hand out and, apart from it, its sealed key.

The seal is an envelope, not a lock: it keeps the answer out of sight of who opens the folder, and
the digest in the exercise shows later that the key was not exchanged. Who has the seed can make
both again, so the files are named after the digest and the exercise does not say the seed.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
import zlib
from pathlib import Path

import nbformat

from ..model.checkpoint import write_atomically
from .bugs import LEVELS, Bug
from .notebooks import Notebook, dressed, write

ENVELOPE = (
    "# The key to {name}. `minipref course unseal {name}.key` opens it: look yourself first.\n"
)
TASK = """# Find the bug: `{loss}`

One thing is wrong in the code below, and **one thing only**. The docstring is right: it says what
is to be computed, and which gradient comes out. Find the fault, mend it where it stands, and run
the check. Level {level} of {levels}: {what}.

The check says which property does not hold, not why. Compare formula and code line by line; try
inputs whose loss you know; ask autograd for the gradient."""
CHECK = """from minipref.course.bugs import mended

print(mended({loss}, "{loss}"))"""
WORDS = """**In your words.** Which line was it, and what would a training run have shown: loss,
margins, log-probs of chosen and rejected? Would anybody have noticed?

*The key is sealed. Its SHA-256 is* `{digest}`."""


def sheets(bug: Bug, out: Path) -> list[Path]:
    """Write the exercise and its key into `out`; the same bytes for the same bug.

    An exercise that is already there may hold somebody's work and is left alone.

    Returns: the paths written.
    Raises: OSError: `out` cannot be made or written to.
    """
    answer = key(bug)
    name = f"bug-{digest_of(answer)[:8]}"
    exercise, sealed_key = out / f"{name}.ipynb", out / f"{name}.key"
    written = []
    out.mkdir(parents=True, exist_ok=True)
    if not exercise.exists():
        write(notebook(bug, digest_of(answer)), exercise)
        written.append(exercise)
    write_atomically(sealed_key, sealed(answer, name).encode())
    return [*written, sealed_key]


def notebook(bug: Bug, digest: str) -> Notebook:
    """The exercise: a task, the faulty loss, its check, and a question to answer in words."""
    task = TASK.format(loss=bug.loss, level=bug.level, levels=len(LEVELS), what=LEVELS[bug.level])
    code = nbformat.v4.new_code_cell
    return dressed(
        nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell(task),
                code(bug.text, metadata={"tags": ["bug"]}),
                code(CHECK.format(loss=bug.loss), metadata={"tags": ["exercise", "check"]}),
                nbformat.v4.new_markdown_cell(WORDS.format(digest=digest)),
            ]
        )
    )


def key(bug: Bug) -> str:
    """What was planted, as text: the operator, the difference, and what can be seen of it."""
    seen = [f"- {sentence}" for sentences in bug.report.values() for sentence in sentences]
    lines = [
        f"Loss {bug.loss}, seed {bug.seed}, level {bug.level}: {LEVELS[bug.level]}.",
        f"Planted: {bug.operator}.",
        "",
        bug.difference,
        "",
        "What minipref check says about it:",
        *seen,
    ]
    return "\n".join(lines) + "\n"


def digest_of(answer: str) -> str:
    return hashlib.sha256(answer.encode()).hexdigest()


def sealed(answer: str, name: str) -> str:
    """A key that cannot be read at a glance."""
    letters = base64.b64encode(zlib.compress(answer.encode(), 9)).decode()
    return ENVELOPE.format(name=name) + "\n".join(textwrap.wrap(letters, 76)) + "\n"


def unseal(path: Path) -> str:
    """The text of a sealed key.

    Raises: ValueError: it is no key of ours, or not the key of the exercise it is named after.
    """
    try:
        letters = path.read_text(encoding="ascii").partition("\n")[2]
        answer = zlib.decompress(base64.b64decode(letters)).decode()
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{path} is not a key that `minipref course bug` has written") from error
    wanted = f"bug-{digest_of(answer)[:8]}"
    if path.stem != wanted:
        raise ValueError(f"{path} is the key of {wanted}.ipynb: was it renamed or exchanged?")
    return answer
