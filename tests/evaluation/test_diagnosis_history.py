"""Reading a run's history: from every kind of file, in any order, and what is said of a bad one."""

import contextlib
import json
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.evaluation.diagnosis import Curve, from_entries, read
from minipref.model.checkpoint import save

ENTRIES = [{"step": 0, "loss": 0.7, "kl": 0.0}, {"step": 1, "loss": 0.6}]
TRL = {
    "train_batch_size": 8,
    "log_history": [
        {"epoch": 0.5, "step": 1, "loss": 0.7},
        {"epoch": 1.0, "step": 2, "loss": 0.6},
        {"epoch": 1.0, "step": 2, "eval_loss": 0.65},
    ],
}
finite = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(st.integers(0, 999), finite), min_size=1, unique_by=lambda p: p[0]))
def test_order_does_not_matter(points):
    entries = [{"step": step, "loss": value} for step, value in points]
    curve = from_entries(entries)["loss"]
    assert curve == from_entries(entries[::-1])["loss"]
    assert list(zip(curve.steps, curve.values, strict=True)) == sorted(points)


@given(values=st.lists(finite, min_size=8, max_size=40), shift=finite)
def test_change_knows_no_level(values, shift):
    curve = Curve(tuple(range(len(values))), tuple(values))
    moved = Curve(curve.steps, tuple(value + shift for value in values))
    assert math.isclose(moved.change, curve.change, abs_tol=1e-6)
    assert math.isclose(moved.error, curve.error, rel_tol=1e-6, abs_tol=1e-6)
    turned = Curve(curve.steps, tuple(values[::-1]))
    assert math.isclose(turned.change, -curve.change, abs_tol=1e-6)
    assert not (curve.clearly(+1) and curve.clearly(-1))
    assert curve.clearly(+1) == turned.clearly(-1)


@given(low=finite, step=st.floats(0.1, 100), count=st.integers(8, 40))
def test_a_jump_is_clear_and_a_single_log_never(low, step, count):
    values = (low,) * (count // 2) + (low + step,) * (count - count // 2)
    curve = Curve(tuple(range(count)), values)
    assert curve.clearly(+1, 0.05)
    assert not curve.clearly(+1, step * 1.01)
    assert math.isclose(curve.change, step, abs_tol=1e-6)
    assert not Curve((0,), (low,)).clearly(+1)
    assert not Curve((0, 1), (low, low + step)).clearly(+1)


@given(st.lists(finite | st.sampled_from([math.nan, math.inf]), min_size=1, max_size=20))
def test_the_first_bad_number_is_kept_and_curves_are_finite(values):
    history = from_entries([{"step": 3 * i, "loss": x} for i, x in enumerate(values)])
    bad = [3 * i for i, x in enumerate(values) if not math.isfinite(x)]
    assert [step for step, _ in history.bad.values()] == bad[:1]
    if "loss" in history:
        assert all(map(math.isfinite, history["loss"].values))
    assert bad or history.steps == 3 * (len(values) - 1)


@given(st.integers(1, 5))
def test_the_start_is_counted_from_0_here_and_from_1_in_trl(step):
    entries = [{"step": step, "kl": 0.0}]
    assert not from_entries(entries).sees_the_start("kl")
    assert from_entries(entries, "trl").sees_the_start("kl") == (step == 1)
    assert from_entries([{"step": 0, "kl": 0.0}]).sees_the_start("kl")
    assert not from_entries(entries).sees_the_start("loss")


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_every_kind_of_file_is_read(tmp_path):
    ours = read(written(tmp_path / "a.json", ENTRIES))
    assert (ours.writer, ours.batch_size, ours["loss"].values) == ("minipref", None, (0.7, 0.6))
    assert ours["kl"].steps == (0,)
    assert read(written(tmp_path / "b.json", {"history": ENTRIES})) == ours
    save(tmp_path / "c.safetensors", {"step": 2, "history": ENTRIES})
    assert read(tmp_path / "c.safetensors") == ours
    trl = read(written(tmp_path / "d.json", TRL))
    assert (trl.writer, trl.batch_size, trl["eval_loss"].steps) == ("trl", 8, (2,))


def test_a_folder_gives_its_history_or_the_last_checkpoint(tmp_path):
    for number in (500, 1000, 90):
        state = {"log_history": [{"step": number, "loss": 0.5}]}
        written(tmp_path / "run" / f"checkpoint-{number}" / "trainer_state.json", state)
    assert read(tmp_path / "run").steps == 1000
    written(tmp_path / "run" / "history.json", ENTRIES)
    assert read(tmp_path / "run").writer == "minipref"
    (tmp_path / "ours").mkdir()
    save(tmp_path / "ours" / "checkpoint.safetensors", {"history": ENTRIES})
    assert read(tmp_path / "ours").steps == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "expected metrics, got none"),
        ("3", "expected a list of"),
        ("{}", 'object with "history"'),
        ('{"log_history": 3}', 'object with "history"'),
        ("[3]", "entry 0: expected an object"),
        ('[{"loss": 1.0}]', 'a whole "step"'),
        ('[{"step": "1", "loss": 1.0}]', 'a whole "step"'),
        ('[{"step": true, "loss": 1.0}]', 'a whole "step"'),
        ('[{"step": 1, "loss": "low", "ok": true}]', "expected metrics, got none"),
    ],
)
def test_a_bad_file_is_named_and_told(tmp_path, content, says):
    path = written(tmp_path / "bad.json", content)
    with pytest.raises(ValueError) as error:
        read(path)
    assert str(path) in str(error.value)
    assert says in str(error.value)


def test_weights_bytes_and_nothing_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read(tmp_path / "none")
    with pytest.raises(ValueError, match=r"expected one of history\.json"):
        read(tmp_path)
    save(tmp_path / "w.safetensors", {"weights": [1.0]})
    with pytest.raises(ValueError, match="without a history"):
        read(tmp_path / "w.safetensors")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not JSON"):
        read(tmp_path / "x.json")


@given(st.recursive(st.none() | st.booleans() | finite | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["step", "history", "log_history", "loss"]),
                                      inner, max_size=3)))  # fmt: skip
def test_any_json_is_read_or_refused(tmp_path_factory, found):
    """A ValueError, and no other error, for what is no history."""
    assume(found is not None)
    path = tmp_path_factory.mktemp("any") / "x.json"
    path.write_text(json.dumps(found))
    with contextlib.suppress(ValueError):
        assert read(path).curves
