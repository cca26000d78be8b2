# %% [markdown]
# # 15 · One thumb, or a whole ranking?
#
# People can tell you what they like in several ways. A **thumb**: this answer is good, or bad. A
# **pair**: this one is better than that one. A **ranking**: best to worst, of all five. An
# annotator's time goes into *reading*: one answer for a thumb, two for a pair, five for a ranking.
# What do you learn for each answer read?
#
# A small world to find out: 100 prompts with five answers each, rewards drawn from a normal
# distribution, and annotators who follow Bradley and Terry, and Plackett and Luce, to the letter.
# *Rows: 103, 114, 020, 016.*

# %%
import itertools
import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course import thumbs_pairs_rankings as toy
from minipref.course.checks import check_function, check_loss, check_number
from minipref.course.pictures import thumbs_and_rankings as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.losses import bco, dpo, irpo_ranking, plackett_luce, pro

style.use()
torch.set_num_threads(1)

# %% tags=["predict"]
# Twenty answers read for each prompt: as ten pairs, or as four rankings of five.
# Going from pairs to rankings, does the error of the fitted rewards go "up", "down", "same"?
guess = "same"


# %% tags=["figure", "dynamics"]
READS = (10, 20, 40, 80, 160)
rewards, rng = toy.world(prompts=100)
errors = {way: [] for way in toy.WAYS}
for way, curve in errors.items():
    for reads in READS:
        found = toy.fit(toy.labelled(way, rewards, reads, rng), rewards)
        curve.append(toy.error(found, rewards))
pictures.reading(READS, errors)

# %%
print(compare(guess, [errors[way][READS.index(20)] for way in ("pair", "ranking")], same=0.02))

# %% [markdown]
# A ranking is the best bargain, and it is not close: whoever has read five answers knows how they
# compare, and a pair throws that away. The thumb does surprisingly well, because we were kind to
# it: "good" meant the same for every prompt. We come to that.
#
# First: how does one train a *policy* on thumbs? DPO needs pairs, so that $\log Z(x)$ cancels.

# %% [markdown] tags=["derivation"]
# ## Step 1: a classifier is a bound
#
# Take DPO's reward of an answer, $r = \beta \log \frac{\pi(y|x)}{\pi_0(y|x)}$, as the logit of a
# classifier "good or bad". On a pair with rewards $r^+$ and $r^-$, and a shift $\delta$ for where
# good begins, its two losses are
#
# $$-\log \sigma(r^+ - \delta) - \log \sigma(\delta - r^-) =
# \log\bigl(1 + e^{\delta - r^+} + e^{r^- - \delta} + e^{r^- - r^+}\bigr)
# \;\ge\; \log\bigl(1 + e^{r^- - r^+}\bigr)$$
#
# and the right side is DPO. **Pushing a classifier's loss down pushes DPO's down**, without ever
# seeing a pair. This is BCO (paper 020), and ULMA's point-wise half (016) with a fixed shift.

# %% tags=["check"]
import sympy

good, bad, delta = sympy.symbols("good bad delta", real=True)


def softplus(x):
    return sympy.log(1 + sympy.exp(x))


both = sympy.exp(softplus(delta - good) + softplus(bad - delta))
four = 1 + sympy.exp(delta - good) + sympy.exp(bad - delta) + sympy.exp(bad - good)
assert sympy.simplify(sympy.expand(both) - four) == 0
print("sympy agrees")

# %% [markdown] tags=["exercise"]
# **By hand.** $r^+ = 1$, $r^- = -1$, $\delta = 0$. How much larger is the classifier's loss than
# DPO's? (Nats. $e^{-1} = 0.368$, $e^{-2} = 0.135$.)

# %% tags=["solution"]
gap = 2 * math.log(1 + math.exp(-1)) - math.log(1 + math.exp(-2))

# %% tags=["exercise", "check"]
slips = {
    "that is the classifier's loss; take DPO's off": 0.6265,
    "a pair is two points: both count": 0.1863,
}
print(check_number(gap, 0.4996, wrong=slips, within=2e-3))

# %% [markdown]
# How loose the bound is depends on the shift. Where is it tightest? A plausible claim: **the best
# shift is 0**, where the reference sits. Hypothesis:


# %% tags=["property"]
def classifier(good, bad, shift):
    """BCO on both answers of a pair, at beta = 1."""
    rewards, none = torch.tensor([good, bad]).double(), torch.zeros(2).double()
    kinds = torch.tensor([True, False])
    return float(bco(rewards, none, kinds, torch.tensor(shift).double(), beta=1.0).sum())


@law
@given(good=st.integers(-5, 5), bad=st.integers(-5, 5), shift=st.sampled_from([-1.0, 1.0]))
def no_shift_is_better_than_none(good, bad, shift):
    assert classifier(good, bad, shift) >= classifier(good, bad, 0.0) - 1e-9


print(refute(no_shift_is_better_than_none))

# %% [markdown] tags=["derivation"]
# Only the two middle terms of the bound hold $\delta$, and their *product* does not:
# $e^{\delta - r^+} \cdot e^{r^- - \delta} = e^{r^- - r^+}$. A sum with a fixed product is least
# where both are equal: $\delta^* = \frac12 (r^+ + r^-)$. BCO takes the mean over a running batch,
# half from good answers, half from bad ones.


# %% tags=["property", "check"]
@law
@given(good=st.floats(-9, 9), bad=st.floats(-9, 9), shift=st.floats(-20, 20))
def the_middle_is_tightest_and_always_a_bound(good, bad, shift):
    middle = classifier(good, bad, (good + bad) / 2)
    none = torch.zeros(1).double()
    pair = dpo(*torch.tensor([[good], [bad]]).double(), none, none, beta=1.0)
    assert classifier(good, bad, shift) >= middle - 1e-9
    assert middle >= float(pair) - 1e-9


print(survives(the_middle_is_tightest_and_always_a_bound))

# %% tags=["figure", "dynamics"]
# Guess first: a policy has drifted, and all its rewards have moved up together, by 3.
# What happens to a bound whose shift stayed at 0?
shifts = torch.linspace(-6, 8, 141).tolist()
pairs = {"at the start": (0.0, 0.0), "trained": (2.0, -2.0), "trained, and drifted": (5.0, 1.0)}
bounds = {name: [classifier(*pair, s) for s in shifts] for name, pair in pairs.items()}
pictures.tightness(shifts, pairs, bounds)

# %% [markdown] tags=["exercise"]
# Dots are DPO's loss, which does not know of a shift. With no shift at all this is a loss of pairs
# that TRL calls `bco_pair`. Write it.


# %% tags=["solution"]
def my_bce_pair(chosen, rejected, ref_chosen, ref_rejected, *, beta=0.01):
    """Each answer of a pair, classified by itself: (batch,)."""
    good, bad = beta * (chosen - ref_chosen), beta * (rejected - ref_rejected)
    return -torch.nn.functional.logsigmoid(good) - torch.nn.functional.logsigmoid(-bad)


# %% tags=["exercise", "check"]
print(check_loss(my_bce_pair, "bce_pair"))

# %% [markdown]
# ## Step 2: good for what?
#
# Now the unkind part. Prompts differ: on easy ones everything gets a thumb up. We add a **level**
# to every answer of a prompt, drawn with a larger and larger spread. Pairs and rankings do not
# notice: their answers are to the same prompt. What do thumbs still say about *which answer* is
# better?

# %% tags=["predict"]
# Level of a prompt from spread 0 to spread 4: the error of rewards fitted to thumbs?
guess = "up"

# %% tags=["figure", "dynamics"]
SPREADS, levels = (0, 1, 2, 3, 4), torch.randn(100, 1, generator=rng, dtype=torch.float64)
uneven = {way: [] for way in toy.WAYS}
for spread in SPREADS:
    for way, curve in uneven.items():
        loss = toy.labelled(way, rewards + spread * levels, 40, rng)
        found = toy.fit(lambda r, loss=loss, level=spread * levels: loss(r + level), rewards)
        curve.append(toy.error(found, rewards))
pictures.uneven(SPREADS, uneven)

# %%
print(compare(guess, uneven["thumb"], same=0.03))

# %% [markdown]
# And this was still kind: the fit was *told* every level. Up, up, up: where all answers are good, a
# thumb says nothing about which is best. A policy has it worse. Its implicit rewards are tied
# together, $\sum_y \pi_0 e^{r / \beta} = 1$, so they have no room for a level: one shift $\delta$
# for all prompts is all that BCO has. If thumbs up come from easy prompts and thumbs down from hard
# ones, it weighs the bad ones by $\frac{p(\text{good}|x)}{p(\text{bad}|x)}$, from a classifier of
# prompts. Row 020 shows when that matters: if manners go with the topic, whatever is common in the
# bad topic looks bad. Where both topics have the same manners, the weights hardly do anything.

# %% [markdown] tags=["derivation"]
# ## Step 3: a ranking is a sequence of choices
#
# Plackett and Luce: choose the best of all, then the best of the rest, and so on, each time with
# softmax probabilities,
#
# $$P(1 \succ 2 \succ \dots \succ n) = \prod_{k=1}^{n-1} \frac{e^{r_k}}{\sum_{i \ge k} e^{r_i}}$$
#
# For $n = 2$ this is Bradley-Terry. It is a probability: over all $n!$ orders it sums to 1.


# %% tags=["check", "property"]
@law
@given(rewards=st.lists(st.floats(-9, 9), min_size=2, max_size=5))
def all_orders_sum_to_one(rewards):
    orders = torch.tensor(list(itertools.permutations(rewards))).double()
    assert math.isclose(float((-plackett_luce(orders)).exp().sum()), 1, rel_tol=1e-9)


print(survives(all_orders_sum_to_one))

# %% [markdown] tags=["exercise"]
# **A planted bug.** This version runs, falls in training, and is right for $n = 2$. Then its
# probabilities sum to less than 1. Why? Write `ranking_loss` right.


# %% tags=["bug"]
def buggy_ranking_loss(rewards):
    """Plackett-Luce of rankings (batch, n), best first: (batch,)."""
    return (rewards.logsumexp(1, keepdim=True) - rewards)[:, :-1].sum(1)


# %% tags=["solution"]
def ranking_loss(rewards):
    """Plackett-Luce of rankings (batch, n), best first: (batch,)."""
    remaining = rewards.flip(1).logcumsumexp(1).flip(1)
    return (remaining - rewards)[:, :-1].sum(1)


# %% tags=["exercise", "check"]
rankings = [(torch.randn(3, n, generator=torch.Generator().manual_seed(n)),) for n in (2, 3, 5)]
print(check_function(ranking_loss, plackett_luce, rankings, within=1e-5))

# %% [markdown] tags=["derivation"]
# ## Step 4: how much better?
#
# **PRO** (paper 103) has scores as well as an order, and wants an answer to repel a *much* worse
# one harder: $r_i$ is multiplied by $r^k - r^i$ of the scores, and the winner by the largest such
# gap. Its $r$ are mean log-probs, without a reference. A tempting claim: like Plackett-Luce, it
# does not care if all log-probs move together.


# %% tags=["property"]
@law
@given(scores=st.lists(st.integers(0, 3), min_size=3, max_size=3), shift=st.integers(-2, 0))
def pro_does_not_see_all_moving_together(scores, shift):
    scores = torch.tensor([sorted(scores, reverse=True)]).double()
    means = torch.tensor([[-1.0, -1.5, -2.0]]).double()
    before, after = (pro(m, m, scores, sft_weight=0.0) for m in (means, means + shift))
    assert torch.allclose(before, after)


print(refute(pro_does_not_see_all_moving_together))

# %% [markdown]
# Read it: every answer is multiplied by a number of its own, and one that ties with the winner by
# zero. It stays put while the others move, so a common shift does not cancel. PRO's pushes do not
# sum to zero: it can raise or lower a whole list. (Plain likelihood of the best answer comes on
# top, to hold it up.)
#
# And **IRPO** (paper 114) cares *where* in the list something stands, as search engines do: the
# gain of an item of relevance $s$ at rank $i$ is $\frac{2^{s} - 1}{\log_2(1 + i)}$.

# %% tags=["figure"]
# Guess first: five items, the policy still equals the reference. Who is pushed up, who down?
relevance = {"one relevant": [1, 0, 0, 0, 0], "graded": [2, 1, 1, 0, 0], "all relevant": [1] * 5}
pushes = {}
for name, scores in relevance.items():
    logps = torch.full((1, 5), -2.0, dtype=torch.float64, requires_grad=True)
    irpo_ranking(logps, logps.detach(), torch.tensor([scores]).double()).sum().backward()
    pushes[name] = -logps.grad[0]
pictures.pushes(pushes)

# %% tags=["check"]
for name, push in pushes.items():
    assert abs(float(push.sum())) < 1e-12, name
print("within a list, pushes sum to zero: items trade places, and the list as a whole stays")

# %%
from minipref.papers.results import told

for key in ("bco", "ulma", "pro", "irpo-ranking"):
    print(told(key), end="\n\n")

# %% [markdown]
# On language models, five seeds each, the rows took the losses apart. ULMA imitates the good thumbs
# and pushes the bad ones: whether that pays depends on how good the good ones are. Longer lists do
# earn more, because they hold a better *best* answer to imitate: take PRO's ranking away and the
# reward stays. The ranking is heard in how well the policy *orders* answers. And IRPO's discount,
# the very thing that makes it a search engine's loss, ranked worse than the same loss without it.
#
# ## What this world cannot tell you
#
# Our annotators *were* Plackett and Luce: five answers ranked as carefully as two compared. People
# tire, and rank the middle by chance; then the bargain shrinks. A thumb is often free (a click, a
# copied answer), and a million free thumbs beat a thousand rankings. And a reward for each answer
# is not a policy, which has to share what it learns between prompts.
#
# **Five questions.** 1. Which of the three ways would you ask for if reading costs nothing, and
# thinking does? 2. All thumbs are up. What does BCO learn, what does supervised learning? 3. A
# ranking of five contains ten pairs. Why is training on them as if they were ten labels too sure?
# 4. Two answers tie in their scores: what does PRO do to them? 5. Which of the four losses could a
# single answer's log-prob fool, if all answers became likelier?
#
# **What to read next.** Paper 020 (arXiv 2404.04656): the theorem and the shift are section 3.
# Paper 103 (arXiv 2306.17492): the figure of reward against the length of rankings. Paper 114
# (arXiv 2504.15477), for NDCG as a loss; paper 016 (arXiv 2312.02554), for thumbs and
# demonstrations in one step.
