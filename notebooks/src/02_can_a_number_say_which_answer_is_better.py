# %% [markdown]
# # 02 · Can a number say which answer is better?
#
# Ask people for a mark from 1 to 10, and one gives 8 where the next gives 5. Ask them which of two
# answers is better, and they agree far more often. But a policy wants a number for each answer. So
# we look for numbers behind comparisons. Are there any?

# %%
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import comparisons, style
from minipref.course.checks import check_function, check_loss, check_number
from minipref.course.pictures import comparisons as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives

style.use()
torch.set_num_threads(1)
true = torch.tensor([-1.5, -0.7, 0.0, 0.4, 1.8], dtype=torch.float64)  # five answers' worth

# %% tags=["figure"]
NUMBERS = (30, 300, 3000)
found = {f"{n} comparisons": comparisons.fitted(comparisons.verdicts(true, n))[-1] for n in NUMBERS}
pictures.fits(true, found)

# %% [markdown] tags=["derivation"]
# ## Step 1: noise makes probabilities
#
# Suppose each answer has a worth $r$, and whoever compares two sees $r_1 + \varepsilon_1$ against
# $r_2 + \varepsilon_2$. If the $\varepsilon$ follow Gumbel's law, their difference is logistic, and
#
# $$P(1 \succ 2) = \sigma(r_1 - r_2) = \frac{e^{r_1}}{e^{r_1} + e^{r_2}}$$
#
# This is **Bradley and Terry's** model (1952). With normal noise it would be Thurstone's: the
# curves are hard to tell apart.

# %% tags=["check"]
uniform = torch.rand(2, 200_000, generator=torch.Generator().manual_seed(0))
gumbel = -(-uniform.log()).log()
share = float((1.0 + gumbel[0] > gumbel[1]).double().mean())
assert abs(share - torch.tensor(1.0).sigmoid().item()) < 0.005
print("with Gumbel's noise the better of two, by 1, wins", f"{share:.2f}", "of the time")

# %% [markdown] tags=["exercise"]
# **By hand.** One answer beats another in three comparisons of four. By how many nats is it better?

# %% tags=["solution"]
gap = torch.tensor(3.0).log().item()  # the odds are 3 to 1

# %% tags=["exercise", "check"]
slips = {"that is log P; the odds are wanted": -0.2877, "odds, not P": 0.75, "now the log": 3.0}
print(check_number(gap, 1.0986, wrong=slips))

# %% [markdown] tags=["derivation"]
# ## Step 2: the scores that make the labels likeliest
#
# $$L = -\frac{1}{N} \sum \log \sigma(r_{\text{chosen}} - r_{\text{rejected}}), \qquad
# \frac{\partial L}{\partial r_{\text{chosen}}} = -\frac{1}{N} \sum \sigma(r_{\text{rejected}} -
# r_{\text{chosen}})$$
#
# At rest, an answer has won exactly as often as its scores say it should: every item's expected
# wins are its wins. $L$ is convex, so there is one such place, up to what a number added to all
# scores can do.

# %% tags=["check"]
wins = comparisons.verdicts(true, 3000)
scores = comparisons.fitted(wins)[-1]
met = wins + wins.T
expected = (met * (scores[:, None] - scores).sigmoid()).sum(1)
assert torch.allclose(expected, wins.sum(1), atol=1.0)
print("expected wins are the wins:", wins.sum(1).int().tolist())

# %% [markdown] tags=["exercise"]
# Write the loss, one a pair, for two tensors of scores.


# %% tags=["solution"]
def my_bradley_terry(chosen, rejected):
    """-log sigmoid(chosen - rejected): (batch,)."""
    return -torch.nn.functional.logsigmoid(chosen - rejected)


# %% tags=["exercise", "check"]
print(check_loss(my_bradley_terry, "bradley_terry"))

# %% tags=["predict"]
# From 300 comparisons to 1200. The error of the scores: is it halved ("same" as half), smaller than
# half ("down"), or larger ("up")?
guess = "down"

# %% tags=["figure", "dynamics"]
numbers = [300, 1200, 4800]
errors = comparisons.errors(true, numbers)
pictures.slower(numbers, errors)

# %%
print(compare(guess, [0.5, errors[1] / errors[0]], same=0.08))

# %% [markdown]
# What do such scores mean? A plausible claim: the gap of two scores says how much better the one
# answer is. Let somebody compare more carefully, with half the noise:


# %% tags=["property"]
@law
@given(care=st.sampled_from([1.0, 2.0, 4.0]), gap=st.floats(0.3, 2))
def the_gap_says_how_much_better(care, gap):
    noisy = torch.tensor(care * gap).sigmoid()  # what is seen of a true gap
    assert abs(float(noisy.logit()) - gap) < 0.05


print(refute(the_gap_says_how_much_better))

# %% [markdown]
# A score is a gap *in units of the noise*. Two things are never known from comparisons: what is
# added to all scores, and in which unit they come. Only this is safe:


# %% tags=["property", "check"]
@law
@given(shift=st.floats(-50, 50), values=st.lists(st.floats(-5, 5), min_size=5, max_size=5))
def nobody_sees_what_is_added_to_all(shift, values):
    scores = torch.tensor(values, dtype=torch.float64)
    before, after = (comparisons.misfit(s, wins) for s in (scores, scores + shift))
    assert torch.allclose(before, after)


print(survives(nobody_sees_what_is_added_to_all))

# %% tags=["predict"]
# The best answer has won all of its forty comparisons. While the fit goes on, does its score come
# to rest ("same" at the end as in the middle), or does it go on ("up")?
guess = "same"

# %% tags=["figure", "dynamics"]
record = comparisons.verdicts(true, 200)
never_lost = record.clone()
never_lost[:, 4] = 0
paths = {"lost some": record, "never lost": never_lost}
paths = {name: comparisons.fitted(w, 2000)[:, 4] for name, w in paths.items()}
pictures.runaway(paths)

# %%
end = paths["never lost"]
print(compare(guess, [float(end[1000]), float(end[-1])], same=0.1))

# %% [markdown] tags=["derivation"]
# Its likeliest score is infinite. Scores exist if and only if everybody can be reached from
# everybody by a chain of wins (Ford, 1957). Language models are compared *once* a pair, and each
# answer wins or loses all of its comparisons: without sharing, every gap is infinite. A reward
# model shares, and stops early.
#
# ## Step 3: more than two
#
# Rank several answers: choose the best of all, then of the rest (Plackett and Luce). What two of
# them say of each other does not depend on who else is there:


# %% tags=["check", "property"]
@law
@given(values=st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def a_third_answer_changes_no_odds(values):
    r = torch.tensor(values, dtype=torch.float64)
    alone, among = r[:2].softmax(0), r.softmax(0)
    assert torch.isclose(alone[0] / alone[1], among[0] / among[1])


print(survives(a_third_answer_changes_no_odds))

# %% [markdown] tags=["exercise"]
# **A planted bug.** This should be P(ranking), best first. It is right for two answers. With three
# it forgets that who has been chosen is gone. Write `my_ranking` right.


# %% tags=["bug"]
def buggy_ranking(scores):
    """log P of the order in which the scores (n,) stand, best first."""
    return (scores[:-1] - scores.logsumexp(0)).sum()


# %% tags=["solution"]
def my_ranking(scores):
    """log P of the order in which the scores (n,) stand, best first."""
    left = [scores[k:].logsumexp(0) for k in range(len(scores) - 1)]
    return (scores[:-1] - torch.stack(left)).sum()


# %% tags=["exercise", "check"]
from minipref.losses import plackett_luce

cases = [(true[:n].flip(0),) for n in (2, 3, 5)]
print(check_function(my_ranking, lambda r: -plackett_luce(r[None])[0], cases))

# %% [markdown]
# ## Step 4: when there is no number
#
# Rock beats scissors, scissors beat paper, paper beats rock. People do this too: of three answers,
# one is kinder, one shorter, one more correct, and each wins where the other is weak. We mix an
# order with a circle.

# %% tags=["figure", "dynamics"]
# Guess first: at a share of one half, do scores explain half of what can be explained?
shares = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1]
pictures.circles(shares, [comparisons.explained(comparisons.circle(s)) for s in shares])

# %% [markdown]
# In a full circle all scores are equal, and the fit says "a coin" of pairs that are nearly certain.
# No loss and no model size helps: a number cannot say it. (Notebook 11 asks whose preferences go
# round; Nash learning, paper 001, needs no number.)
#
# ## Step 5: a language model that reads, and scores
#
# Nobody can fit a score to each answer: most are seen once. A **reward model** reads the answer,
# and what it learns of one it says of others.

# %% tags=["figure"]
pairs_seen = [100, 400, 1600]
accuracies = comparisons.reward_models(pairs_seen)
pictures.models(pairs_seen, accuracies)

# %% [markdown]
# ## What this world cannot tell you
#
# Our comparers *are* Bradley and Terry. People are not: they tire, they like what stands first, and
# they disagree because they want different things (notebook 11), which looks like noise to one
# number. A reward model's accuracy says little of what happens when a policy climbs it (notebook
# 09).
#
# **Five questions.** 1. Which pairs tell most about two scores: close ones or clear ones? 2. What
# does one wrong label do to somebody who had never lost? 3. Two labellers of different care: what
# is the fitted unit? 4. When do Thurstone's and Bradley and Terry's scores differ? 5. Could two
# numbers for each answer explain a circle?
#
# **What to read next.** Hunter 2004, "MM algorithms for generalized Bradley-Terry models": the
# condition for scores to exist, and a fit without learning rate. Zermelo had both in 1929.
