"""A policy's log-probs through the fused path are those of the plain one, and so is training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.objective import Frozen
from minipref.data.rows import Rows
from minipref.data.work import counting
from minipref.model import logprobs
from minipref.model.tabular import TabularPolicy
from minipref.model.transformer import Config, Transformer
from minipref.model.untied import Untied

WORDS = 7
token_lists = st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=4)
rows_of = st.lists(st.tuples(token_lists, token_lists), min_size=1, max_size=4)
KINDS = ["tied", "untied", "frozen", "bfloat16", "table"]


def policy(kind, seed):
    if kind == "table":
        return TabularPolicy(WORDS, WORDS)
    tied = Transformer(Config(WORDS, 8, 1, 2), torch.Generator().manual_seed(seed))
    if kind == "bfloat16":
        return tied.bfloat16()
    return {"tied": tied, "untied": Untied(tied), "frozen": Frozen(tied)}[kind]


@pytest.mark.parametrize("of_tokens", [logprobs.token_logps, logprobs.token_entropies])
@settings(max_examples=15)
@given(rows=rows_of, seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_fused_and_plain_agree_in_values_gradients_and_work(of_tokens, rows, seed, kind):
    model, block = policy(kind, seed), Rows.of(*zip(*rows, strict=True))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    found = []
    for many in (WORDS + 1, 1):
        with pytest.MonkeyPatch.context() as patch, counting() as work:
            patch.setattr(logprobs, "MANY_WORDS", many)
            logps = of_tokens(model, block)
        gradients = torch.autograd.grad(logps.sum(), trained) if trained else ()
        found.append((logps, *gradients))
        assert logps.dtype == torch.float32
        assert (work.trained > 0) == bool(trained)
    tolerance = 0.1 if kind == "bfloat16" else 1e-5
    for plain, fused in zip(*found, strict=True):
        assert torch.allclose(plain.float(), fused.float(), atol=tolerance)


@settings(max_examples=10)
@given(seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_unembedding_is_the_matrix_of_unembed(seed, kind):
    model = policy(kind, seed)
    matrix = model.unembedding()
    assert (matrix is None) == (kind == "table")
    if matrix is not None:
        hidden = torch.randn(3, 8, generator=torch.Generator().manual_seed(seed)).to(matrix.dtype)
        assert torch.equal(model.unembed(hidden), torch.nn.functional.linear(hidden, matrix))
