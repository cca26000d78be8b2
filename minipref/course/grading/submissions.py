"""Who handed in what: a folder holds a folder for each student, or a notebook for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .exercises import Cell, Exercise, read


@dataclass
class Submission:
    """A student's notebooks by their stem, and remarks on files that could not be taken."""

    student: str
    notebooks: dict[str, list[Cell]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def submissions(folder: Path, exercises: Sequence[Exercise]) -> list[Submission]:
    """Everybody who has handed in, by name; a student who handed in nothing readable as well.

    Raises: ValueError where nobody is.
    """
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            files = [f for f in entry.rglob("*.ipynb") if ".ipynb_checkpoints" not in f.parts]
            found.append(submission(entry.name, sorted(files), exercises))
        elif entry.suffix == ".ipynb":
            found.append(submission(entry.stem, [entry], exercises))
    if not found:
        raise ValueError(
            f"{folder}: expected a folder or a notebook (.ipynb) for each student, found neither"
        )
    names = [each.student for each in found]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{folder}: {double[0]} has both a folder and a notebook: which counts?")
    return found


def submission(student: str, files: Sequence[Path], exercises: Sequence[Exercise]) -> Submission:
    """What one student's files are; of two that are the same notebook the first by name counts."""
    found = Submission(student)
    for path in files:
        if path.is_symlink() or not path.is_file():
            found.notes.append(f"{path.name}: not a file of its own, passed over")
            continue
        try:
            cells = read(path)
            stem = which(path, cells, exercises)
        except (ValueError, OSError) as error:
            found.notes.append(f"{path.name}: {error}")
            continue
        if stem in found.notebooks:
            found.notes.append(f"{path.name}: {stem} was handed in already, passed over")
        else:
            found.notebooks[stem] = cells
    return found


def which(path: Path, cells: Sequence[Cell], exercises: Sequence[Exercise]) -> str:
    """The notebook of ours that a file is an edition of: by its name, else by its cells' ids.

    Raises: ValueError for none.
    """
    stems = {exercise.notebook for exercise in exercises}
    if path.stem in stems:
        return path.stem
    ids = {cell.id for cell in cells}
    shared = {
        exercise.notebook: sum(id_ in ids for id_, _ in exercise.places) for exercise in exercises
    }  # of a notebook's exercises the last one's count stays, which is enough to tell them apart
    best = max(sorted(shared), key=lambda stem: shared[stem], default="")
    if best and shared[best]:
        return best
    number = path.stem[:2]
    found = [stem for stem in sorted(stems) if number.isdigit() and stem.startswith(f"{number}_")]
    if not found:
        raise ValueError("not a notebook of this course")
    return found[0]
