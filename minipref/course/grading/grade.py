"""Grade a folder of submissions: every exercise of every student, the same on every run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from ...model.checkpoint import write_atomically
from .exercises import Exercise, before_check, course
from .points import points_of
from .reports import Row, page, table
from .sandbox import Limits
from .submissions import Submission, submissions
from .trial import Verdict, processes, trial

Key = tuple[str, str]  # notebook, exercise


@dataclass
class Grading:
    """A grading run: what there is to do, and the rows that are done.

    points: what each exercise is worth; only these are graded.
    """

    exercises: dict[Key, Exercise]
    points: Mapping[Key, float]
    submissions: list[Submission]
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    rows: list[Row] = field(default_factory=list)

    @property
    def trials(self) -> int:
        """How many answers will be tried, our own among them."""
        handed_in = sum(
            notebook in student.notebooks
            for student in self.submissions
            for notebook, _ in self.points
        )
        return len(self.points) + handed_in

    def run(self, jobs: int) -> Iterator[None]:
        """Grade with `jobs` exercises at a time; yields after each trial.

        Our own answer to an exercise is tried first. Where it does not pass (no compiler, too
        little memory), nobody's is judged.
        """
        start = processes()

        def tried(key: Key, cells: Sequence[str]) -> Verdict:
            exercise = self.exercises[key]
            return trial(exercise, cells, seed=self.seed, limits=self.limits, start=start)

        pool = ThreadPoolExecutor(jobs)
        try:
            own = {pool.submit(tried, key, self.exercises[key].solved): key for key in self.points}
            broken = {}
            for future in as_completed(own):
                if not future.result().right:
                    broken[own[future]] = f"our own answer fails here: {future.result().reason}"
                yield
            asked = {}
            for student in self.submissions:
                for key in self.points:
                    cells = student.notebooks.get(key[0])
                    if key in broken:
                        self.note(student, key, Verdict(None, broken[key]))
                    elif cells is None:
                        self.note(student, key, Verdict(False, "the notebook was not handed in"))
                    else:
                        sources = before_check(self.exercises[key], cells)
                        asked[pool.submit(tried, key, sources)] = student, key
            for future in as_completed(asked):
                self.note(*asked[future], future.result())
                yield
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupted run waits for nobody in the queue

    def note(self, student: Submission, key: Key, verdict: Verdict) -> None:
        """Keep a verdict as a row."""
        worth = self.points[key]
        words = {True: "right", False: "wrong", None: "not graded"}[verdict.right]
        points = worth if verdict.right else 0.0
        self.rows.append(Row(student.student, *key, worth, points, words, verdict.reason))

    def write(self, out: Path) -> list[Path]:
        """Write the table to `out` and a page a student into the folder named like it."""
        folder = out.with_suffix("")
        files = {out: table(self.rows)}
        for student in self.submissions:
            mine = [row for row in self.rows if row.student == student.student]
            files[folder / f"{student.student}.md"] = page(
                student.student, mine, self.seed, student.notes
            )
        for path, text in files.items():
            write_atomically(path, text.encode())
        return list(files)


def grading(
    folder: Path,
    points: Path | None = None,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    source_folder: Path | None = None,
) -> Grading:
    """What there is to grade in a folder of submissions.

    Args:
        points: a file that says what each exercise is worth (see `points_of`); without one, every
            exercise of every notebook that anybody handed in is worth one point.
        source_folder: where our notebooks' sources stand, if not in `notebooks/src`.

    Raises: ValueError about the folder or the points file.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    exercises = course(source_folder=source_folder)
    worth = points_of(points, exercises) if points is not None else None
    found = submissions(folder, exercises)
    if worth is None:
        seen = {notebook for student in found for notebook in student.notebooks}
        worth = {each.key: 1.0 for each in exercises if each.notebook in seen}
    if not worth:
        raise ValueError(f"{folder}: nobody handed in a notebook of this course")
    by_key = {each.key: each for each in exercises}
    return Grading(by_key, worth, found, seed, limits or Limits())
