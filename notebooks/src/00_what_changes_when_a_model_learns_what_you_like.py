# %% [markdown]
# # 00 · What changes when a model learns what you like?
#
# A model has read many short questions and answers. It can talk; it does not know which of its
# answers anybody likes. Somebody compares five thousand pairs of them. Fifteen seconds of training
# later the model's answers are liked better, and something else has changed that nobody asked for.
#
# The picture comes first, then how it was made. Everything is small enough to look at: 34,000
# parameters, 274 words, and a reward that is known *exactly*.

# %%
import copy

import matplotlib.pyplot as plt
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import NotYet, check_function
from minipref.course.measured import measured, sampled
from minipref.course.pictures.tour import tour as picture
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.course.tour import Watch

style.use()
torch.set_num_threads(1)

# %%
from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Stored, sample
from minipref.data.corpora import CHAT
from minipref.data.streams import dice, stream
from minipref.evaluation.best_of_n import frontier
from minipref.evaluation.responses import respond, rewards, score_means, true_reward
from minipref.evaluation.win_rate import win_rate
from minipref.feedback.annotators import bt, flip
from minipref.model.bases import load_base

base, annotator = load_base("chat-nano"), bt(CHAT.reward, temperature=0.5)
prompts = CHAT.prompts(5000, dice(0, "00/prompts"))
responses = sample(base, CHAT, prompts, torch.arange(5000), 2, stream(0, "00/responses"))
asked = CHAT.prompts(1024, dice(0, "00/evaluation"))  # never trained on
best = rewards(CHAT, respond(base, CHAT, asked[:256], per_prompt=16, seed=1)).view(256, 16)


# %% tags=["figure", "dynamics"]
def run(annotator, steps=150):
    """DPO on pairs that `annotator` has labelled: the policy, and what was seen on the way."""
    pairs = annotator.label(responses, stream(0, "00/labels"))
    policy, watch = copy.deepcopy(base), Watch(base, pairs, asked, seed=0)
    step = GradientStep(policy, learning_rate=4e-4, steps=steps)
    source, objective = Stored(pairs, 64), Objective.of("dpo", reference=base, beta=0.5)
    probes = watch.probes(policy, step)
    align(policy, source, AsStored(), objective, steps, step=step, probes=probes)
    return policy, watch


policy, watch = run(annotator)
picture({"DPO": watch.path}, frontier(best), {"DPO": watch.history})
plt.show()

# %% [markdown]
# **Left**: reward goes up, and the price is on the x axis: the KL divergence, how far the model has
# moved from where it was. The grey line is what you get without any training: draw $n$ answers and
# keep the best one. It is the yardstick of this course.
#
# **Right**: the annotator's favourites became *less* likely. Yes, the chosen ones. Notebook 05 is
# about that line.
#
# ## The map: four boxes
#
# Every method of this course fills the same four boxes (paper 001), and each box is a folder:
#
# | box | here | folder |
# |---|---|---|
# | **model**: what is aligned | a transformer with 2 layers | `minipref/model` |
# | **data**: what it learns from | two of its own answers a prompt | `minipref/data` |
# | **feedback**: who says what is better | an annotator, mostly right | `minipref/feedback` |
# | **algorithm**: how it learns | DPO, in a loop that serves all methods | `minipref/algorithm` |
#
# The call of `align` above names all four. We walk through them.
#
# ## Model
#
# Before training. Read a few: polite or rude, right or wrong, and always grammatical, nearly.

# %%
before = respond(base, CHAT, asked)
lines = [f"{p.text:44s} {r}" for p, r in zip(asked[:8], before.responses, strict=False)]
sampled("prompts and answers of the base", lines)

# %% [markdown]
# ## Data
#
# The world scores each answer: is it correct, polite, brief, harmless ... The **true reward** is a
# weighted sum of these scores. Only toys have one, and it is why we use a toy: we can see what a
# method does to the thing itself, not to an estimate.

# %%
good, bad = "of course , two plus two is four", "whatever , nine"
prompt = next(p for p in CHAT.prompts(500, dice(1, "00")) if p.text == "what is two plus two ?")
for answer in (good, bad):
    scores = {name: score for name, score in CHAT.scores(prompt, answer).items() if score}
    print(f"{answer}: reward {CHAT.reward(prompt, answer):.2f}\n   {scores}")

# %% [markdown] tags=["derivation"]
# ## Feedback
#
# The annotator never tells the reward, only which of two answers is better, and not always rightly.
# Suppose each look at an answer gives its reward plus noise, and the larger one wins. With Gumbel
# noise of scale $T$ (logistic differences) this is Bradley and Terry's rule:
#
# $$P(a \succ b) = \sigma\!\left(\frac{r_a - r_b}{T}\right), \qquad \sigma(x) = \frac1{1 + e^{-x}}$$
#
# Two consequences, each checked below. **Step 1**: somebody wins,
# $P(a \succ b) + P(b \succ a) = 1$. **Step 2**: the *odds* $P / (1 - P) = e^{(r_a - r_b) / T}$, so
# odds multiply along a chain where rewards add.

# %% tags=["check"]
a, b, c, T = sympy.symbols("r_a r_b r_c T", positive=True)


def wins(x, y):
    return 1 / (1 + sympy.exp(-(x - y) / T))


def odds(x, y):
    return wins(x, y) / (1 - wins(x, y))


assert sympy.simplify(wins(a, b) + wins(b, a) - 1) == 0
assert sympy.simplify(odds(a, b) * odds(b, c) - odds(a, c)) == 0
print(f"P(good over bad) = {annotator.probability(prompt, good, bad):.4f}")

# %% [markdown] tags=["exercise"]
# Write it: the probability that an annotator with temperature $T$ prefers the first of two answers.
# Rewards may be thousands apart: no overflow, please.


# %% tags=["solution"]
def preference(reward_a, reward_b, temperature):
    """P(a preferred to b)."""
    return float(torch.sigmoid(torch.tensor((reward_a - reward_b) / temperature)))


# %% tags=["exercise", "check"]
cases = [(1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (3.0, 2.0, 0.5), (2000.0, 0.0, 1.0), (0.0, 2000.0, 1.0)]


def truth(a, b, temperature):
    return torch.sigmoid(torch.tensor((a - b) / temperature)).item()


print(check_function(preference, truth, cases))

# %% [markdown]
# Is this plausible? *If A beats B three times in four, and B beats C three times in four, then A
# beats C three times in four.* Let hypothesis look for a case where it is not so.


# %% tags=["property"]
def beats(gap):
    return torch.tensor(gap, dtype=torch.float64).sigmoid().item()


@law
@given(share=st.integers(51, 99))
def a_chain_of_wins_keeps_its_share(share):
    gap = torch.tensor(share / 100).logit().item()  # A over B, and B over C
    assert abs(beats(2 * gap) - share / 100) < 0.005


@law
@given(ab=st.floats(0, 5), bc=st.floats(0, 5))
def a_chain_wins_at_least_as_often_as_its_better_half(ab, bc):
    assert beats(ab + bc) >= max(beats(ab), beats(bc))


print(refute(a_chain_of_wins_keeps_its_share))
print(survives(a_chain_wins_at_least_as_often_as_its_better_half))

# %% [markdown]
# ## Algorithm
#
# DPO, in one breath: raise the log-prob of the chosen answer and lower that of the rejected one,
# until their difference *since the base* says what the annotator said. What happens to each of the
# two is nobody's business. Now that you have seen the picture, guess about a run with an annotator
# who throws a coin.

# %% tags=["predict"]
# Labels by coin flip, everything else as before. The true reward: "up", "down" or "same"?
guess = "same"

# %%
_, coin_watch = run(annotator | flip(0.5))
seen = [reward.value for _, reward in coin_watch.path]
print(compare(guess, seen, steps=[0, 50, 100, 150], same=0.25))

# %% [markdown]
# This is a **control**: the idea is taken out, and the gain has to go. Every worked example in
# minipref has one. Without it, "the reward went up" might be the learning rate, the sampling, or
# the weather.
#
# ## What changed?
#
# The same prompts and the same random numbers, before and after.

# %%
after = respond(policy, CHAT, asked)
changed = [
    f"{CHAT.reward(p, text):4.1f}  {text}"
    for p, *texts in zip(asked, before.responses, after.responses, strict=True)
    for text in (texts if texts[0] != texts[1] else [])
]
sampled("reward and answer, before and after by turns", changed[:16])

# %%
old, new = score_means(CHAT, before), score_means(CHAT, after)
measured(
    ("true reward, before", true_reward(CHAT, before).value, (5.5, 5.95)),
    ("true reward, after", true_reward(CHAT, after).value, (5.95, 6.5)),
    ("win rate of after over before", win_rate(CHAT, after, before).value, (0.6, 0.75)),
    ("KL, nats a response", watch.path[-1][0].value, (0.25, 0.7)),
    ("explained, before", old["explained"].value, (0.1, 0.3)),
    ("explained, after", new["explained"].value, (0.3, 0.7)),
    ("grammatical, before", old["well_formed"].value, (0.94, 1.0)),
    ("grammatical, after", new["well_formed"].value, (0.91, 0.99)),
)

# %% [markdown] tags=["exercise"]
# ## A planted bug: "everybody is above average"
#
# Two answers of *one* policy to each of 256 prompts. Measured this way each of the two beats the
# other more than half of the time. Find the line, and write `fixed_win_rate`.


# %% tags=["bug"]
def buggy_win_rate(ours, theirs):
    """How often ours is better: rewards (prompts,) against rewards (prompts,)."""
    return (ours >= theirs).double().mean().item()


# %%
mine, theirs = best[:, 0], best[:, 1]
print("mine win more than half:", buggy_win_rate(mine, theirs) > 0.5)
print("theirs win more than half:", buggy_win_rate(theirs, mine) > 0.5)


# %% tags=["solution"]
def fixed_win_rate(ours, theirs):
    """How often ours is better, a tie counted half."""
    return ((ours > theirs).double() + 0.5 * (ours == theirs)).mean().item()


# %% tags=["exercise", "check"]
if fixed_win_rate(mine, mine) != 0.5:
    raise NotYet("a policy against its own words should come out even")
if abs(fixed_win_rate(mine, theirs) + fixed_win_rate(theirs, mine) - 1) > 1e-9:
    raise NotYet("ours over theirs and theirs over ours should add up to one")
if fixed_win_rate(theirs + 1, theirs) != 1:
    raise NotYet("one who is better everywhere should win everywhere")
print("even against itself, and fair to both sides")

# %% [markdown]
# ## What this world cannot tell you
#
# The annotator has one taste, knows it exactly, and is the same for everybody. People differ
# (notebook 11), tire and are fooled by length (16). The reward is known here; anywhere else you
# would judge by another model, which may be wrong in the same way as the one you trained on (09).
# And a method that wins at 34,000 parameters has been understood, not proved to win on yours.
#
# **Five questions.** 1. Why do we count ties half? 2. What would the left picture look like if KL
# were free? 3. Best-of-16 gains most here; why does anybody train? 4. The coin-flip run moved too:
# how far, and why at all? 5. Which of the four boxes would you change to learn a *second* person's
# taste?
#
# **Read next.** Notebook 01, *What is the probability of a sentence?* And outside: Gao et al., *A
# Survey on LLM Preference Learning* (paper 001, arXiv 2409.02795), the figure with the four boxes;
# Stiennon et al. 2020 (arXiv 2009.01325), the figure of reward against KL.
