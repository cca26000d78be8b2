"""Row 084 on chat: the demonstrations are what they are called, and the weights are the pushes."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.imitation import weight
from minipref.data.corpora import CHAT
from minipref.losses import f_sft, gradient_coefficient
from minipref.model.bases import load_base
from minipref.model.logprobs import sequence_logps
from minipref.papers.chat_pairs import ChatPairs
from minipref.papers.dynamics.implicit_reward_on_chat import pushes
from minipref.papers.dynamics.implicit_reward_sft import BETA, CLEAN, WAYS, demonstrations


@pytest.fixture(scope="module")
def made():
    return ChatPairs(load_base("chat-nano"), None, None, [], seed=7, steps=2)


@pytest.mark.parametrize("noise", ["wrong", "stray"])
def test_clean_demonstrations_are_right_and_noise_is_not(made, noise):
    shown = demonstrations(made, 300, noise)
    scores = [CHAT.scores(p, r) for p, r in zip(shown.prompts, shown.responses, strict=True)]
    right = torch.tensor([score["correct"] for score in scores])
    clean = shown.columns["clean"]
    assert abs(float(clean.float().mean()) - CLEAN) < 0.1
    assert float(right[clean].mean()) > 0.95
    assert float(right[~clean].mean()) < 0.35


def test_the_base_finds_wrong_answers_likely_and_stray_ones_unlikely(made):
    logps = {}
    for noise in ("wrong", "stray"):
        shown = demonstrations(made, 200, noise)
        logps[noise] = float(shown.columns["ref_logps"][~shown.columns["clean"]].mean())
    assert logps["stray"] < logps["wrong"] - 10


@given(
    s=st.floats(-0.85, 20), divergence=st.sampled_from(["linear", "chi_square", "kl", "hellinger"])
)
def test_the_weight_is_the_push_of_the_loss(s, divergence):
    logps = torch.tensor([s / BETA], dtype=torch.float64)
    push = gradient_coefficient(f_sft, logps, 0 * logps, beta=BETA, divergence=divergence)["logps"]
    expected = BETA * weight(torch.tensor([s], dtype=torch.float64), divergence)
    torch.testing.assert_close(push, expected, rtol=1e-6, atol=1e-9)


def test_an_untrained_policy_is_pushed_alike_everywhere(made):
    shown = demonstrations(made, 64, "stray")
    for mean in pushes(made.base, shown, "hellinger").values():
        assert mean.value == pytest.approx(1, abs=1e-4)


def test_what_has_risen_is_pushed_less(made):
    shown = demonstrations(made, 64, "wrong")
    policy = copy.deepcopy(made.base)
    step = torch.optim.SGD(policy.parameters(), 0.05)
    (-sequence_logps(policy, shown.rows)[shown.columns["clean"]].mean()).backward()
    step.step()
    for divergence in ("chi_square", "hellinger"):
        found = pushes(policy, shown, divergence)
        assert found["clean"].value < 1
        assert found["clean"].value < found["noise"].value


def test_the_ways_differ_from_sft_in_one_thing():
    standard = WAYS["SFT"]
    for way in WAYS.values():
        fields = ("divergence", "rate", "steps")
        assert sum(getattr(way, f) != getattr(standard, f) for f in fields) <= 1
