"""The exercise that is handed out, and the key that is not: same bytes, sealed, and checked."""

import hashlib

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.course import exercises
from minipref.course.bug_sheets import key, notebook, sealed, sheets, unseal
from minipref.course.bugs import Bug, plant
from minipref.course.census import KNOWN
from minipref.course.checks import NotYet


@pytest.fixture(scope="module")
def bug():
    return plant(7, loss="dpo", level=2)


def test_same_seed_same_bytes_and_the_key_opens(bug, tmp_path):
    first, again = (sheets(bug, tmp_path / name) for name in ("a", "b"))
    assert [path.suffix for path in first] == [".ipynb", ".key"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    exercise, sealed_key = first
    assert exercise.stem == sealed_key.stem
    answer = unseal(sealed_key)
    assert answer == key(bug)
    assert hashlib.sha256(answer.encode()).hexdigest() in exercise.read_text(encoding="utf-8")


def test_other_seeds_have_other_names(tmp_path):
    names = {sheets(plant(seed, loss="dpo"), tmp_path)[0].stem for seed in range(5)}
    assert len(names) == 5


def test_neither_file_shows_the_answer(bug, tmp_path):
    exercise, sealed_key = (path.read_text(encoding="utf-8") for path in sheets(bug, tmp_path))
    mended = [line[1:].strip() for line in bug.difference.splitlines() if line[:2] == "+ "]
    said = [sentence for sentences in bug.report.values() for sentence in sentences]
    assert mended
    assert said
    for secret in (*mended, *said, bug.operator, f"seed {bug.seed}"):
        assert secret in key(bug)
        assert secret not in exercise
        assert secret not in sealed_key


def test_the_exercise_fails_until_it_is_mended(bug):
    sheet = notebook(bug, "0" * 64)
    nbformat.validate(sheet)
    assert all(set(cell.metadata.get("tags", [])) <= KNOWN for cell in sheet.cells)
    (number,) = exercises.checks(sheet)
    assert isinstance(exercises.run(sheet, number), NotYet)
    faulty = next(cell for cell in sheet.cells if "bug" in cell.metadata.get("tags", []))
    assert faulty.source == bug.text
    faulty.source = bug.right
    assert exercises.run(sheet, number) is None


def test_work_that_is_there_stays(bug, tmp_path):
    exercise, sealed_key = sheets(bug, tmp_path)
    exercise.write_text("my work", encoding="utf-8")
    assert sheets(bug, tmp_path) == [sealed_key]
    assert exercise.read_text(encoding="utf-8") == "my work"


texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=400)


@settings(max_examples=25)
@given(difference=texts, report=st.lists(texts, max_size=3))
def test_any_key_comes_out_as_it_went_in(difference, report, tmp_path_factory):
    found = Bug("dpo", 3, "sign flip", 1, difference, "right", {"agrees": report})
    answer = key(found)
    name = f"bug-{hashlib.sha256(answer.encode()).hexdigest()[:8]}"
    path = tmp_path_factory.mktemp("keys") / f"{name}.key"
    path.write_bytes(sealed(answer, name).encode())
    assert unseal(path) == answer


def test_a_key_that_was_exchanged_or_broken_is_refused(bug, tmp_path):
    _, mine = sheets(bug, tmp_path)
    _, other = sheets(plant(8, loss="dpo"), tmp_path)
    mine.write_bytes(other.read_bytes())
    with pytest.raises(ValueError, match=f"is the key of {other.stem}"):
        unseal(mine)
    for content in (b"", b"no key\nat all", b"\xff\xfe", other.read_bytes()[:-40]):
        mine.write_bytes(content)
        with pytest.raises(ValueError, match="is not a key"):
            unseal(mine)
