"""The student's edition: the same notebooks, with every solution cut down to a stub.

A stub keeps what an exercise is asked to fill in (a function's head and docstring, a variable's
name) and says how long the solution is; the check below it stays as it is.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from pathlib import Path

from .notebooks import Notebook, built_path, dressed, find, read_source, write


def student(
    out: Path, names: Sequence[str] = (), *, force: bool = False, source_folder: Path | None = None
) -> list[Path]:
    """Write the student's edition into `out` and return the notebooks written.

    A notebook that is already there may hold a student's work and is left alone, unless `force`.

    Raises:
        ValueError: an unknown name.
        OSError: `out` cannot be made or written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for source in find(names, source_folder):
        path = built_path(source, out)
        if force or not path.exists():
            write(unsolved(read_source(source)), path)
            written.append(path)
    return written


def unsolved(notebook: Notebook) -> Notebook:
    """A notebook with a stub in the place of every `solution`, and no outputs."""
    result = copy.deepcopy(notebook)
    for cell in result.cells:
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            cell.source = stub(cell.source)
            cell.metadata["tags"] = ["stub" if tag == "solution" else tag for tag in tags]
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return dressed(result)


def stub(solution: str) -> str:
    """What is left of a solution for a student to fill in, and a hint of its length."""
    tree = ast.parse(solution)
    kept = list[str]()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            kept.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef):
            kept.append(head(solution, node))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            kept.append(f"{ast.unparse(targets(node))} = ...")
    text = "\n\n".join(kept)
    gone = [line for line in solution.splitlines() if is_code(line) and line not in text]
    return f"# Your turn: {len(gone)} line{'s' * (len(gone) != 1)} in our solution.\n{text}"


def head(solution: str, function: ast.FunctionDef) -> str:
    """A function's decorators, signature and docstring, with nothing done in its body."""
    first = min([function.lineno, *(node.lineno for node in function.decorator_list)])
    body = function.body
    documented = ast.get_docstring(function) is not None
    last = (body[0].end_lineno or body[0].lineno) if documented else body[0].lineno - 1
    if body[0].lineno == function.lineno:  # def f(x): return x
        raise ValueError(f"solution {function.name}: its body stands on the line of its head")
    lines = solution.splitlines()[first - 1 : last]
    while lines and not is_code(lines[-1]):  # comments above the first statement give it away
        lines.pop()
    return "\n".join([*lines, '    raise NotImplementedError("your turn")'])


def targets(node: ast.Assign | ast.AnnAssign) -> ast.expr:
    """What an assignment assigns to."""
    return node.targets[0] if isinstance(node, ast.Assign) else node.target


def is_code(line: str) -> bool:
    """Is there anything but a comment on this line?"""
    return bool(line.strip()) and not line.strip().startswith("#")
