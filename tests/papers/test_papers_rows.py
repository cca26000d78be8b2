"""Every worked example keeps the contract: finite, counted, the same each time, a true control."""

import importlib
import subprocess
import sys

import pytest
import torch

from minipref.papers.catalogue import catalogue, find
from minipref.papers.paper import CONTROLS
from minipref.papers.runner import measurements, run

SCALE = 0.1
KEYS = list(catalogue())


def same(a, b):
    """Bit-equal results of an arm: tensors, policies, or dataclasses of them."""
    if isinstance(a, torch.nn.Module):
        return same(dict(a.state_dict()), dict(b.state_dict()))
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__"):
        return same(vars(a), vars(b))
    return a == b


@pytest.mark.parametrize("key", KEYS)
def test_a_row_declares_what_it_should(key):
    row = importlib.import_module(find(key).module)
    assert find(key).paper == row.PAPER  # what is read without importing is what is imported
    assert row.__doc__.startswith(f"{row.PAPER.number:03d} {key}: ")
    assert sum(claim.headline for claim in row.CLAIMS) == 1
    assert len({claim.says for claim in row.CLAIMS}) == len(row.CLAIMS)
    assert set(row.CONTROL.arms) <= set(row.ARMS)
    assert row.CONTROL.kind in CONTROLS
    assert len(find(key).path.read_text().splitlines()) <= 200


@pytest.mark.parametrize("key", KEYS)
def test_a_row_is_finite_counted_and_the_same_again(key):
    first, again = run(key, 3, scale=SCALE), run(key, 3, scale=SCALE)
    assert (first.measured, first.verdicts, first.work) == (
        again.measured,
        again.verdicts,
        again.work,
    )
    assert first.measured != run(key, 4, scale=SCALE).measured
    assert first.measured


@pytest.mark.parametrize("key", KEYS)
def test_the_control_changes_its_own_arms_and_no_other(key):
    row = importlib.import_module(find(key).module)
    made = row.setup(3, SCALE)
    ours = {name: arm(made) for name, arm in row.ARMS.items()}
    made = row.setup(3, SCALE)
    theirs = {name: arm(made) for name, arm in (row.ARMS | dict(row.CONTROL.arms)).items()}
    for name in row.ARMS:
        assert same(ours[name], theirs[name]) == (name not in row.CONTROL.arms), name
    measured, _ = measurements(row, 3, True, SCALE)
    assert measured.keys() == measurements(row, 3, False, SCALE)[0].keys()


def test_the_catalogue_is_read_without_torch():
    code = (
        "import sys, minipref.papers.catalogue as c; c.catalogue(); print('torch' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_rows_are_found_by_key_or_number():
    assert find("robust-dpo") is find("70") is find("070")
    with pytest.raises(ValueError, match="did you mean robust-dpo"):
        find("robust-dop")


@pytest.mark.parametrize(("seed", "scale"), [(-1, 1.0), (0, 0.0), (0, float("nan"))])
def test_bad_input(seed, scale):
    with pytest.raises(ValueError, match="expected scale > 0 and seed >= 0"):
        run(KEYS[0], seed, scale=scale)
