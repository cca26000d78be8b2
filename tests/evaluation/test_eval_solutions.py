"""The exact probability of a right solution against counting samples, and what is listed."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.corpora import REASON
from minipref.data.streams import dice
from minipref.evaluation.responses import respond
from minipref.evaluation.solutions import solved
from minipref.model.bases import load_base


@given(st.integers(0, 999))
def test_listed_solutions_are_all_that_score_full_marks(seed):
    draw = dice(seed, "test/solutions")
    prompt = REASON.prompts(1, draw)[0]
    texts = REASON.solutions(prompt)
    assert len(set(texts)) == 4
    assert REASON.solution(prompt) in texts
    for text in texts:
        scores = REASON.scores(prompt, text)
        assert scores["correct"] == scores["steps_correct"] == scores["well_formed"] == 1
    made = REASON.demonstration(prompt, draw, corruption=0.3)
    scores = REASON.scores(prompt, made)
    assert (made in texts) == (scores["correct"] == scores["steps_correct"] == 1)


def test_probability_is_the_share_of_samples():
    policy, prompts = load_base("reason", 0), REASON.prompts(300, dice(0, "test/solved"))
    exact = solved(policy, REASON, prompts)
    assert exact.shape == (300,)
    assert ((exact >= 0) & (exact <= 1 + 1e-6)).all()
    drawn = respond(policy, REASON, prompts, per_prompt=2)
    hits = [r in REASON.solutions(p) for p, r in zip(drawn.prompts, drawn.responses, strict=True)]
    share = torch.tensor(hits).double().view(300, 2).mean(1)
    gap = share - exact
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 300**0.5
    torch.testing.assert_close(solved(policy, REASON, prompts[:7]), exact[:7])
