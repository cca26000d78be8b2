"""DPO to its end arrives at the optimum that is known in closed form."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minipref.algorithm.direct.to_the_end import dpo_to_the_end
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.model.tabular import TabularPolicy


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), beta=st.floats(0.3, 3), shift=st.floats(-2, 2))
def test_it_arrives_at_the_gibbs_policy(seed, beta, shift):
    world, policy = Bandit(3, 4, seed), TabularPolicy(3, 4).double()
    logits = torch.randn(3, 4, generator=stream(seed, "reference"), dtype=torch.float64)
    reference = logits.log_softmax(1)
    preferred = (world.rewards[:, :, None] - world.rewards[:, None]).sigmoid()
    dpo_to_the_end(policy, reference + shift, preferred, beta=beta)  # a constant cancels
    found = policy.probabilities().detach()
    assert torch.allclose(found, world.optimum(beta, reference.exp()), atol=1e-6)


def test_a_pair_that_nobody_compares_teaches_nothing():
    preferred = torch.full((1, 3, 3), torch.nan, dtype=torch.float64)
    preferred[0, 0, 1], preferred[0, 1, 0] = 0.9, 0.1
    policy, reference = TabularPolicy(1, 3).double(), torch.full((1, 3), 1 / 3).double().log()
    dpo_to_the_end(policy, reference, preferred, beta=1.0)
    logits = policy.logits().detach()[0]
    assert torch.isclose(logits[0] - logits[1], torch.tensor(9.0).double().log(), atol=1e-6)
    assert logits[2] == 0
