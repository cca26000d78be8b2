# %% [markdown]
# # 12 · Can you align without training?
#
# The model is frozen: it is too large to train, or you may only read its probabilities, or every
# user wants something else. What is left is what you do *while* it answers:
#
# - **choose**: draw several answers, keep the best;
# - **steer**: change the odds of every next token;
# - **rewrite**: write the end of an answer again, and decide which version stays.
#
# What is each worth, against the best that *any* training could reach? We take a world where the
# question has an exact answer: responses of 4 tokens out of 4. That makes 256 responses, a base
# that writes them token by token, and a reward for each. Every figure is a sum over all of them.

# %%
import inspect
import math
from itertools import accumulate

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.decoding.tree import conditionals, exact_guide, token_wise, whole
from minipref.course import style
from minipref.course.checks import NotYet, check_function, check_number
from minipref.course.pictures import without_training as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.evaluation.best_of_n import distribution, kl_bound

# %%
style.use()
torch.set_num_threads(1)
SHAPE, rng = (4, 4, 4, 4), stream(5, "12/tree")
odds = [torch.randn(SHAPE[:t], generator=rng, dtype=torch.float64) for t in (1, 2, 3, 4)]
base = whole([step.log_softmax(-1) for step in odds])  # P(y), one axis a token
rewards = torch.randn(SHAPE, generator=rng, dtype=torch.float64)
world, flat = Bandit.of(rewards.view(1, -1)), base.view(1, -1)


def best(beta):
    """The optimum of E[r] - beta KL(policy || base)."""
    return world.optimum(beta, flat).view(SHAPE)


def point(policy):
    """(KL from the base, expected reward)."""
    return world.kl(policy.reshape(1, -1), flat), world.expected_reward(policy.reshape(1, -1))


# %% tags=["figure"]
guide = rewards.flatten().softmax(0).view(SHAPE)  # e^r / Z: a language model for this reward
ALPHAS = [0, *(2 ** (k / 2) for k in range(-4, 9))]  # up to 16
curves = {
    "the optimum, β = 1 / α": [point(best(1 / a)) if a else point(base) for a in ALPHAS],
    "steered with α": [point(token_wise(base, guide, a)) for a in ALPHAS],
    "the best of n": [point(distribution(flat, world.rewards, 2**k)) for k in range(10)],
}
pictures.frontier(curves, "steering by the perfect reward is not perfect")

# %% [markdown] tags=["derivation"]
# The upper curve is what a reward can buy at each KL. For the dashed one we added, at every token,
# $\alpha$ times the log-prob of a language model whose log-prob *is* the reward. Nothing was
# learnt, so nothing was learnt badly. Then why two curves, and not one? (The dots come in step 4.)
#
# ## Step 1: the optimum is a product
#
# Notebook 03 found the best policy on a leash:
# $\log \pi^*(y) = \log \pi_{base}(y) + r(y) / \beta - \log Z$. A reward may be moved by a constant,
# so that $e^{r}$ sums to one: then it *is* a language model $\pi_r$, with
# $\log \pi_r(y) = r(y) - c$. GenARM (paper 115) calls it an **autoregressive reward model**. So
#
# $$\pi^*(y) \propto \pi_{base}(y)\; \pi_r(y)^{\alpha}, \qquad \alpha = 1 / \beta$$

# %% tags=["check"]
for alpha in (0.5, 1.0, 4.0):
    product = base * guide**alpha
    assert torch.allclose(product / product.sum(), best(1 / alpha))
print("whole answers multiplied: the optimum, for every alpha")

# %% [markdown] tags=["derivation"]
# ## Step 2: but nobody multiplies whole answers
#
# We write from left to right, and normalise before each draw:
#
# $$q(y_t \mid y_{<t}) = \frac{\pi_{base}(y_t \mid y_{<t})\, \pi_r(y_t \mid y_{<t})^{\alpha}}
# {Z(y_{<t})} \quad\Rightarrow\quad
# \log q(y) = \log \pi_{base}(y) + \alpha \log \pi_r(y) - \sum_t \log Z(y_{<t})$$
#
# The last sum depends on the *path*. Where it differs, an answer is over- or underpaid.

# %% tags=["check"]
steps = zip(conditionals(base), conditionals(guide), strict=True)
paid = torch.zeros((), dtype=torch.float64)  # sum of log Z along the path
for ours, theirs in steps:
    paid = (paid[..., None] if paid.dim() else paid) + (ours + theirs).logsumexp(-1, keepdim=True)
    paid = paid.expand_as(ours)
q = token_wise(base, guide, 1.0)
assert torch.allclose(q.log(), base.log() + guide.log() - paid)
print(f"the same reward costs from {-paid.max():.1f} to {-paid.min():.1f} nats, by the path")

# %% [markdown] tags=["exercise"]
# **By hand first.** The base finds two words equally likely; the guide gives them 0.8 and 0.2. How
# likely is the first word when steered with $\alpha = 1$? And with $\alpha = 2$?

# %% tags=["solution"]
with_alpha_1 = 0.8
with_alpha_2 = 0.64 / (0.64 + 0.04)

# %% tags=["exercise", "check"]
two, tilted = torch.tensor([0.5, 0.5]).double(), torch.tensor([0.8, 0.2]).double()
for answer, power in ((with_alpha_1, 1.0), (with_alpha_2, 2.0)):
    slips = {"does it sum to one?": 0.5 * 0.8**power, "alpha is a power, not a factor": 1.6}
    print(check_number(answer, float(token_wise(two, tilted, power)[0]), wrong=slips))

# %% [markdown] tags=["derivation", "exercise"]
# ## Step 3: what the next token is worth
#
# Sum the optimum over all endings, and its next token appears:
#
# $$\pi^*(y_t \mid y_{<t}) \propto \pi_{base}(y_t \mid y_{<t})\; V(y_{\le t}), \qquad
# V(y_{\le t}) = \mathbb E_{\text{endings} \sim \pi_{base}}\big[e^{r(y) / \beta}\big]$$
#
# A token is worth what *the base* will make of it. The guide $\pi_r$ sums $e^r$ over endings too,
# but as if all of them were equally likely: it praises a token for endings that never come.
#
# **Your turn**: the first token's odds $\pi^*(y_1)$, from the base's distribution over responses
# and the rewards (tables of one shape, one axis a token).


# %% tags=["solution"]
def first_token(base, rewards, beta):
    """P(y_1) under the optimum: (V,)."""
    worth = (base * (rewards / beta).exp()).flatten(1).sum(1)  # pi_base(y_1) V(y_1)
    return worth / worth.sum()


# %% tags=["exercise", "check"]
leashes = [(base, rewards, beta) for beta in (0.3, 1.0, 5.0)]
print(check_function(first_token, lambda b, r, beta: best(beta).sum((1, 2, 3)), leashes))

# %% tags=["figure"]
ways = {"base": base, "guide": guide, "steered": q, "optimum": best(1.0)}
pictures.forks({name: way.sum((1, 2, 3)) for name, way in ways.items()})

# %% [markdown]
# To this base all four tokens promise about the same, and the optimum leaves the fork alone. The
# guide does not know how the base goes on: it pulls away from token 2, which the base likes most.
#
# Here is a claim that everyone who has ever turned a guidance knob would sign: **a stronger guide
# never earns less**. For the optimum it is a theorem. For steering?

# %% tags=["property"]
prices = st.lists(st.integers(-4, 4), min_size=4, max_size=4)  # of two tokens out of two, halved
even = torch.full((2, 2), 0.25, dtype=torch.float64)


def earns(policy, table):
    return float((policy * table).sum())


@law
@given(prices=prices, alpha=st.integers(1, 4), more=st.integers(1, 4))
def a_stronger_guide_never_earns_less(prices, alpha, more):
    table = torch.tensor(prices).double().view(2, 2) / 2
    perfect = table.flatten().softmax(0).view(2, 2)
    weak, strong = (token_wise(even, perfect, a) for a in (alpha, alpha + more))
    assert earns(strong, table) >= earns(weak, table) - 1e-9


print(refute(a_stronger_guide_never_earns_less))

# %% [markdown]
# Read it: two tokens, four prices. The first token is chosen by the *sum* of $e^r$ behind it, and a
# strong guide takes the larger sum for certain, though the best answer stands behind the other
# token. What is true instead: the optimum's reward never falls. And a guide that was **made for**
# the target steers to it exactly (GenARM's theorem). Only, to make it you need $V$.


# %% tags=["property", "check"]
@law
@given(prices=prices, alpha=st.floats(0.1, 4), more=st.floats(0.1, 4))
def the_optimum_earns_more_and_some_guide_leads_there(prices, alpha, more):
    table = torch.tensor(prices).double().view(2, 2) / 2
    small, row = Bandit.of(table.view(1, -1)), even.view(1, -1)
    weak, strong = (small.optimum(1 / a, row).view(2, 2) for a in (alpha, alpha + more))
    assert earns(strong, table) >= earns(weak, table) - 1e-9
    assert torch.allclose(token_wise(even, exact_guide(even, weak, 1 / alpha), alpha), weak)


print(survives(the_optimum_earns_more_and_some_guide_leads_there))
print(inspect.getsource(exact_guide).split('"""')[2])

# %% [markdown] tags=["derivation", "exercise"]
# ## Step 4: choose
#
# Best-of-$n$ sees whole answers, so it is never fooled by a beginning. Give every draw its rank
# $u$, the share of draws that it beats. The best of $n$ has a rank below $u$ with chance $u^n$,
# hence density $n u^{n-1}$ against the base's 1, whatever the reward:
#
# $$\mathrm{KL} = \int_0^1 n u^{n-1} \log\big(n u^{n-1}\big)\, du = \log n - \frac{n - 1}{n}$$
#
# **By hand.** How many nats does the better of **two** cost? And two billion ($n = 2^{31}$)?

# %% tags=["solution"]
two_cost = math.log(2) - 1 / 2
billions_cost = 31 * math.log(2) - 1

# %% tags=["exercise", "check"]
u = (torch.arange(100_000).double() + 0.5) / 100_000  # the integral, as a sum
integral = float((2 * u * (2 * u).log()).mean())
print(check_number(two_cost, integral, wrong={"less (n - 1) / n": math.log(2)}))
print(check_number(billions_cost, kl_bound(2**31), wrong={"31 is log2 n": 30.0}))

# %% tags=["figure"]
NUMBERS = [2**k for k in range(11)]
few = Bandit(prompts=1, responses=6, seed=2)
costs = {
    "256 answers": [point(distribution(flat, world.rewards, n))[0] for n in NUMBERS],
    "6 answers": [few.kl(distribution(few.uniform(), few.rewards, n)) for n in NUMBERS],
}
pictures.law(NUMBERS, costs, [(n, kl_bound(n)) for n in NUMBERS])

# %% [markdown]
# The law assumes that no two draws are the same. Once the best answer is found over and over, the
# KL stops at $-\log \pi_{base}(y_{best})$; the law is an upper bound (for text, a close one). And
# see how it is paid: KL grows with $\log n$, work with $n$. Two billion draws buy 20 nats.
#
# ## Rewrite
#
# Cut an answer at a random place, let the base write a new ending, and decide which version stays.
# "Keep the better one" is what most rewriting loops do (TPO, paper 059, asks for a critique first).


# %%
gain = world.rewards - world.rewards.T  # (256, 256), of the column over the row


def redraw(base):
    """P(y -> y') when a place is cut at random and the base writes on: (256, 256)."""
    moves, number = 0, torch.arange(base.numel())
    for cut in range(base.dim()):
        same = number[:, None] // 4 ** (4 - cut) == number // 4 ** (4 - cut)  # up to the cut
        begun = (same * base.flatten()).sum(1, keepdim=True)  # P(that beginning)
        moves = moves + same * base.flatten() / begun / base.dim()
    return moves


def rewritten(accept, rounds):
    """The distribution after 0, 1, ... rounds; `accept` (256, 256): the chance of a new version."""
    moves = redraw(base) * accept
    moves += torch.diag(1 - moves.sum(1))  # else it stays
    return list(accumulate([flat] + rounds * [moves], torch.matmul))


# %% tags=["predict"]
# Keep the better version, 300 rounds. The optimum at beta = 1 is 0.4 nats from the base. How does
# the KL from that optimum end, against where it starts? "up", "down" or "same"?
guess = "down"

# %%
keep_better = rewritten((gain >= 0).double(), 300)
kls = [world.kl(policy, best(1.0).view(1, -1)) for policy in keep_better]
print(compare(guess, kls, same=0.05))

# %% [markdown] tags=["derivation"]
# It passes the optimum on the way, and does not stop: in the end only the very best answer is left,
# whatever it costs in KL. There is no $\beta$ in "keep the better one". Put it in: keep a new
# version always if it is better, else with chance $e^{(r' - r) / \beta}$. Since the base redraws,
# $\pi_{base}(y) P(y \to y') = \pi_{base}(y') P(y' \to y)$, and so, with $a(y \to y')$ the chance to
# accept,
#
# $$\pi^*(y)\, P(y \to y')\, a(y \to y') = \pi^*(y')\, P(y' \to y)\, a(y' \to y)$$
#
# What flows from $y$ to $y'$ flows back: at $\pi^*$ rewriting changes nothing, and it leads there
# from anywhere. This is Metropolis's rule of 1953.

# %% tags=["check"]
flow = flat.T * redraw(base)
assert torch.allclose(flow, flow.T)
flow = best(1.0).reshape(-1, 1) * redraw(base) * gain.exp().clamp(max=1)
assert torch.allclose(flow, flow.T)
print("as much flows back, without the reward and with it")

# %% tags=["figure", "dynamics"]
metropolis = rewritten(gain.exp().clamp(max=1), 300)
paths = {"keep the better": keep_better, "Metropolis": metropolis}
steered = world.kl(q.view(1, -1), best(1.0).view(1, -1))
pictures.rounds(
    {name: [world.kl(p, best(1.0).view(1, -1)) for p in path] for name, path in paths.items()},
    steered,
)

# %% [markdown] tags=["exercise"]
# So yes: **without a step of training you can reach the optimum itself**, by rewriting with
# patience. The other two land near it, each for its own reason: steering does not know the endings,
# and choosing knows ranks, but not by how much an answer is better.
#
# ## A planted bug: the knob that does nothing
#
# A well-known library for mixing models divides the summed log-probs by the sum of their weights.
# Whoever uses it for GenARM has to undo that by the temperature, as the authors do. Here somebody
# forgot. Find it, and write `fixed`.


# %% tags=["bug"]
def buggy(base_logps, guide_logps, alpha):
    """The next token's probabilities, steered: (V,)."""
    logits = (base_logps + alpha * guide_logps) / (1 + alpha)
    return logits.softmax(-1)


one = torch.tensor([0.7, 0.2, 0.1]).double().log()
other = torch.tensor([0.5, 0.3, 0.2]).double().log()
for alpha in (0.0, 1.0, 100.0):
    print(f"alpha {alpha:>5}:", ", ".join(f"{p:.2f}" for p in buggy(one, other, alpha)))


# %% tags=["solution"]
def fixed(base_logps, guide_logps, alpha):
    """The next token's probabilities, steered: (V,)."""
    return (base_logps + alpha * guide_logps).softmax(-1)


# %% tags=["exercise", "check"]
uniform = torch.full((3,), 1 / 3).double().log()
if not torch.allclose(fixed(one, uniform, 3.0), one.exp()):
    raise NotYet("a guide without an opinion should leave the base as it is, for every alpha")
cases = [(one, other, alpha) for alpha in (0.5, 1.0, 3.0)]
print(check_function(fixed, lambda b, g, a: token_wise(b.exp(), g.exp(), a), cases))

# %% [markdown]
# ## And on text?
#
# Now 107,000 frozen parameters (`chat-small`), and no table of rewards. A guide has to be learnt:
# we take `chat-nano`, a third of the size, and 600 pairs of answers labelled by a Bradley-Terry
# annotator. Its loss is DPO's without a reference, $-\log \sigma(\beta(\log \pi_r(y_w) - \log
# \pi_r(y_l)))$, which is `cpo` without its likelihood term.

# %% tags=["predict"]
from dataclasses import replace

from minipref.algorithm.decoding.product import Product
from minipref.course.measured import measured, sampled
from minipref.model.bases import load_base
from minipref.papers import chat_pairs as chat

# First multiply the base by chat-nano as it is, before it has seen a single preference, with
# alpha = 0, 0.5, 1, 2. What does the true reward do? "up", "down" or "same"?
guess = "same"

# %%
made = chat.chat_pairs(12, 0.2, name="12", prompts=3000, steps=300)  # 600 pairs, 60 steps
large = replace(made, base=load_base("chat-small"))
taught = chat.tuned(made, "cpo", 3e-3, beta=0.1, alpha=0.0)
KNOB = {"untaught": (made.base, (0.5, 1.0, 2.0)), "taught": (taught, (0.1, 0.25, 0.5, 1.0, 2.0))}
frontiers = {
    name: chat.frontier(large, [Product(large.base, [model], [a]) for a in knob])
    for name, (model, knob) in KNOB.items()
}
found = {name: [reward.value for _, reward in points] for name, points in frontiers.items()}
print(compare(guess, found["untaught"], steps=(0, 1, 2, 3), same=0.1))
measured(
    ("reward of the base", found["taught"][0], (5.4, 6.2)),
    ("untaught guide, alpha = 1", found["untaught"][2], (6.0, 6.6)),
    ("taught guide, alpha = 1", found["taught"][4], (6.6, 7.3)),
)

# %% tags=["figure"]
shown = {f"{name} guide": [(kl, r.value) for kl, r in line] for name, line in frontiers.items()}
pictures.frontier(shown, "two frozen models, multiplied: α from 0 to 2")

# %% tags=["figure"]
kinds = {"base": large.base, "steered": Product(large.base, [taught], [1.0])}
asked = replace(large, prompts=large.prompts[:5])
texts = {name: chat.answers(asked, policy).responses for name, policy in kinds.items()}
lines = [
    f"{prompt.text[:34]:<35}{name:<9}{texts[name][row]}"
    for row, prompt in enumerate(asked.prompts)
    for name in kinds
]
sampled("the same random numbers, without and with the guide", lines)

# %% [markdown]
# **A guide that was taught nothing helps too.** Where two models that read the same corpus agree,
# their product is surer: it says the ordinary thing, and slips are not ordinary. Whoever reports
# "our guided model beats the base" has to show this line as well. What the labels add is the gap
# between the lines (row 115 measures it, with ARGS and DPO beside it). And 600 pairs taught it only
# so much: pulled too hard, it leads astray.
#
# ## What this world cannot tell you
#
# On the tree the reward was known for all 256 answers. With a *learnt* reward all three ways find
# its mistakes, the stronger the harder you pull (notebook 09), and reaching "the optimum" faster is
# no virtue: the guide above has learnt manners rather than sums. Nor do 256 answers show the cost
# that decides in practice: best-of-$n$ pays $n$ answers, steering one more model a token, rewriting
# a whole conversation of rounds.
#
# **Five questions.** 1. For which rewards is steering with $e^r$ exact? (Look for one that is a sum
# over tokens.) 2. Why does a guide that is uniform leave the base alone, for every $\alpha$? 3. Two
# users want two rewards: which of the three ways serves both at once? 4. What would best-of-$n$ do
# with a reward that is a coin? 5. Metropolis needs $r' - r$, steering $V$: which is easier to ask a
# judge?
#
# **What to read next.** GenARM (arXiv 2410.08193): the theorem on guides, then the plot of two
# rewards mixed at test time. Controlled decoding (Mudgal et al. 2023, arXiv 2310.17022): learns
# $V$, and its plot of win rate against KL is our first picture, on real text.
#
# *Rows: 115.*
