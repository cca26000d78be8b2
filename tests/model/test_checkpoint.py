import json
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from minipref.model import checkpoint

numbers = st.floats(allow_nan=False, width=32)
tensors = st.lists(numbers, max_size=5).map(lambda values: torch.tensor(values))
leaves = st.one_of(
    tensors, st.none(), st.booleans(), st.integers(-(2**60), 2**60), st.floats(), st.text()
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


@given(tree=trees)
def test_what_is_saved_comes_back(tree, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "tree.safetensors"
    checkpoint.save(path, tree)
    assert same(checkpoint.load(path), tree)


def test_tensors_that_share_memory_are_saved_apart(tmp_path):
    base = torch.arange(6.0)
    checkpoint.save(tmp_path / "c", {"whole": base, "view": base.view(2, 3).T})
    loaded = checkpoint.load(tmp_path / "c")
    assert torch.equal(loaded["view"], base.view(2, 3).T)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c", {"value": 1})

    def full_disk(_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path / "c", {"value": 2})
    assert os.listdir(tmp_path) == ["c"]
    assert checkpoint.load(tmp_path / "c") == {"value": 1}


def test_objects_are_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot save a set"):
        checkpoint.save(tmp_path / "c", {"a": {1, 2}})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"junk", b"\x00" * 64, json.dumps({}).encode()])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.safetensors"):
        checkpoint.load(path)


def test_somebody_elses_safetensors_is_named(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "theirs.safetensors")
    with pytest.raises(ValueError, match="not a minipref checkpoint"):
        checkpoint.load(tmp_path / "theirs.safetensors")
