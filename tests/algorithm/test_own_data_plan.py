"""A run's plan is written first, and nothing but the same plan goes on with it."""

import json
import string
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.own_data.plan import OUTPUTS, PLAN, SHORTEST, Plan, begin, digest

names = st.text(string.ascii_letters, min_size=1, max_size=5)
rates = st.floats(1e-8, 1.0)
plans = st.builds(
    Plan,
    data=names,
    data_sha256=names,
    loss=names,
    hyperparameters=st.dictionaries(names, rates | names, max_size=2),
    model=names,
    seed=st.integers(0, 9),
    supervised_steps=st.integers(0, 9),
    steps=st.integers(0, 9),
    batch_size=st.integers(1, 9),
    supervised_learning_rate=rates,
    learning_rate=rates,
    max_length=st.integers(SHORTEST, 99),
    held_out=st.floats(0.01, 0.99),
    skip_bad=st.booleans(),
    processes=st.integers(1, 4),
)


@given(plan=plans, other=plans, name=st.sampled_from([field.name for field in fields(Plan)]))
def test_resume_takes_the_same_plan_and_no_other(plan, other, name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    begin(plan, folder, resume=True)  # killed before its plan was written: nothing is lost
    begin(plan, folder, resume=True)
    assert json.loads((folder / PLAN).read_text()) == asdict(plan)
    changed = replace(plan, **{name: getattr(other, name)})
    if name == "data" or changed == plan:  # a file may be moved
        begin(changed, folder, resume=True)
    else:
        with pytest.raises(ValueError, match=f"another plan: {name} was"):
            begin(changed, folder, resume=True)


@given(plan=plans)
def test_prompt_and_response_fit_the_length_with_what_frames_them(plan):
    assert plan.max_prompt_tokens + 2 + plan.max_new_tokens == plan.max_length
    assert min(plan.max_prompt_tokens, plan.max_new_tokens) >= 1


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_that_is_no_run_is_not_written_over(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"holds {name} and no plan"):
        begin(Plan("a", "b", "dpo"), tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_run_is_not_begun_twice(tmp_path):
    begin(Plan("a", "b", "dpo"), tmp_path)
    with pytest.raises(ValueError, match="--resume goes on with it"):
        begin(Plan("a", "b", "dpo"), tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_plan_is_told(text, tmp_path):
    (tmp_path / PLAN).write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        begin(Plan("a", "b", "dpo"), tmp_path, resume=True)


def test_what_a_killed_process_was_writing_is_swept_away(tmp_path):
    begin(Plan("a", "b", "dpo"), tmp_path)
    for name in (".preference.safetensors.x1", ".report.md.x", ".plan.json.x", "notes.txt"):
        (tmp_path / name).write_text("")
    begin(Plan("a", "b", "dpo"), tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", PLAN]


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0}, {"steps": -1}, {"supervised_steps": -1}, {"max_length": SHORTEST - 1},
        {"held_out": 0.0}, {"held_out": 1.0}, {"learning_rate": 0.0}, {"seed": -1},
        {"supervised_learning_rate": float("inf")}, {"learning_rate": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
        Plan("a", "b", "dpo", **wrong)


@given(parts=st.lists(st.binary(max_size=8), min_size=2, max_size=2))
def test_a_digest_tells_contents_apart(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digest")
    for name, part in zip("ab", parts, strict=True):
        (folder / name).write_bytes(part)
        (folder / f"{name}-model").mkdir()
        (folder / f"{name}-model" / "config.json").write_bytes(part)
    for a, b in ((folder / "a", folder / "b"), (folder / "a-model", folder / "b-model")):
        assert (digest(a) == digest(b)) == (parts[0] == parts[1])
