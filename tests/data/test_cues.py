"""Cues before responses: who gets which, what is trained on, and whether a policy listens."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Stored, sample
from minipref.data.batch import Batch
from minipref.data.corpora import CHAT
from minipref.data.cues import Cued, CuedWorld, by_quantile, hindsight
from minipref.data.streams import dice, stream
from minipref.evaluation.estimate import Estimate
from minipref.evaluation.responses import respond
from minipref.feedback.annotators import bt
from minipref.feedback.rewards import Rewards
from minipref.model.bases import load_base

CUES = ("bad", "so", "good")


def demonstrations(seed, count, each=1):
    pen = dice(seed, "cues")
    asked = [prompt for prompt in CHAT.prompts(count, pen) for _ in range(each)]
    said = [CHAT.demonstration(prompt, pen) for prompt in asked]
    groups = torch.arange(count).repeat_interleave(each)
    return Batch.of(CHAT, asked, said, groups)


@given(st.integers(0, 999), st.integers(3, 20))
def test_better_rows_stand_behind_better_cues(seed, count):
    batch = Rewards(CHAT.reward).label(demonstrations(seed, count), stream(seed, "x"))
    cued = by_quantile(batch, CHAT, CUES)
    rewards, quantile = batch.columns["rewards"], cued.columns["quantile"]
    assert [prompt.cue for prompt in cued.prompts] == [CUES[q] for q in quantile.tolist()]
    assert cued.responses == batch.responses
    sizes = quantile.bincount(minlength=3)
    assert int(sizes.max() - sizes.min()) <= 1
    for low in range(2):
        assert rewards[quantile == low].max() <= rewards[quantile == low + 1].min()


@given(st.integers(0, 999))
def test_the_cue_stands_between_prompt_and_response(seed):
    batch = Rewards(CHAT.reward).label(demonstrations(seed, 4), stream(seed, "x"))
    cued = by_quantile(batch, CHAT, ("good",))
    for before, after in zip(batch.rows.split()[0], cued.rows.split()[0], strict=True):
        assert after == [*before, *CHAT.vocabulary.encode("good")]
    assert cued.rows.split()[1] == batch.rows.split()[1]
    world = CuedWorld(CHAT, "good")
    for asked, prompt, said in zip(cued.prompts, batch.prompts, batch.responses, strict=True):
        assert world.reward(asked, said) == CHAT.reward(prompt, said)
        assert world.scores(asked, said) == CHAT.scores(prompt, said)


@given(st.integers(0, 999), st.integers(1, 5))
def test_hindsight_trains_on_the_responses_alone(seed, count):
    pairs = bt(CHAT.reward).label(demonstrations(seed, count, 2), stream(seed, "x"))
    if pairs.pairs is None or not len(pairs.pairs):
        return
    chains = hindsight(pairs, CHAT, "good", "bad")
    encode = CHAT.vocabulary.encode
    for row, (chosen, rejected) in enumerate(pairs.pairs.tolist()):
        both = [CHAT.encode_response(pairs.responses[side]) for side in (chosen, rejected)]
        ids = chains.rows.ids[row]
        assert ids[chains.rows.completion_mask[row]].tolist() == both[0] + both[1]
        start = CHAT.encode_prompt(pairs.prompts[chosen])
        whole = [*start, *encode("good"), *both[0], *encode("bad"), *both[1]]
        assert ids[chains.rows.attention_mask[row]].tolist() == whole


@pytest.mark.slow
def test_a_policy_learns_to_listen_to_the_cue():
    def polite(prompt, response):
        return CHAT.scores(prompt, response)["polite"]

    base = load_base("chat-nano")
    asked = CHAT.prompts(800, dice(0, "cues/prompts"))
    said = sample(base, CHAT, asked, torch.arange(800), 1, stream(0, "cues/responses"))
    cued = by_quantile(Rewards(polite).label(said, stream(0, "x")), CHAT, CUES)
    policy = copy.deepcopy(base)
    step = GradientStep(policy, 3e-3, 120)
    align(policy, Stored(cued, 64), AsStored(), Objective.of("sft"), 120, step=step)
    fresh = CHAT.prompts(400, dice(0, "cues/fresh"))
    manners = {}
    for cue in ("bad", "good"):
        answers = respond(policy, CuedWorld(CHAT, cue), [Cued(prompt, cue) for prompt in fresh])
        scores = [polite(x, y) for x, y in zip(fresh, answers.responses, strict=True)]
        manners[cue] = Estimate.mean(torch.tensor(scores))
    lead = manners["good"].minus(manners["bad"])
    assert lead.value > 3 * lead.se


def test_what_is_missing_is_named():
    batch = demonstrations(0, 4)
    with pytest.raises(ValueError, match="Rewards"):
        by_quantile(batch, CHAT, CUES)
    with pytest.raises(ValueError, match="annotator"):
        hindsight(batch, CHAT, "good", "bad")
    with pytest.raises(ValueError, match="vocabulary"):
        CuedWorld(CHAT, "blorp")
    with pytest.raises(ValueError, match="cues: expected 1 to 4"):
        by_quantile(batch.with_columns(rewards=torch.zeros(4)), CHAT, ["good"] * 5)
