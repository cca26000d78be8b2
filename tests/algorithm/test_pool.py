"""The pool is drawn once, read back the same, and drawn anew when anything about it changes."""

import pytest
import torch

from minipref.algorithm import pool as pools
from minipref.algorithm.pool import pool
from minipref.data.corpora import CHAT
from minipref.model.bases import load_base
from minipref.model.logprobs import sequence_logps


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path))
    return tmp_path / "pools"


def small(**options):
    return pool(**({"prompts": 6, "per_prompt": 3} | options))


def test_it_is_read_back_as_it_was_drawn(cache, monkeypatch):
    drawn = small()
    (file,) = cache.iterdir()
    monkeypatch.setattr(pools, "sample", None)  # nothing more is drawn
    again = small()
    assert (again.prompts, again.responses) == (drawn.prompts, drawn.responses)
    assert torch.equal(again.rows.ids, drawn.rows.ids)
    assert torch.equal(again.groups, drawn.groups)
    assert again.columns.keys() == drawn.columns.keys()
    assert all(torch.equal(again.columns[name], drawn.columns[name]) for name in drawn.columns)
    assert file.stat().st_size > 0


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_damaged_file_is_drawn_again(cache, keep):
    drawn = small()
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:keep])
    assert small().responses == drawn.responses
    assert file.read_bytes() == whole


def test_its_columns_are_what_they_say():
    batch = small()
    assert batch.by_group().shape == (6, 3)
    exact = [CHAT.reward(p, r) for p, r in zip(batch.prompts, batch.responses, strict=True)]
    assert torch.allclose(batch.columns["rewards"], torch.tensor(exact))
    with torch.no_grad():
        logps = sequence_logps(load_base("chat-nano"), batch.rows)
    assert torch.allclose(batch.columns["ref_logps"], logps, atol=1e-4)


def test_whatever_changes_gives_another_pool(cache):
    small()
    for change in ({"seed": 1}, {"prompts": 5}, {"per_prompt": 2}, {"base": "chat-small"}):
        before = len(list(cache.iterdir()))
        small(**change)
        assert len(list(cache.iterdir())) == before + 1, change


def test_bad_input():
    with pytest.raises(ValueError, match="0 prompts"):
        pool(prompts=0)
    with pytest.raises(ValueError, match="chat-nano"):
        pool("chat-nanu")
