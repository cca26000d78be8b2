# %% [markdown]
# # 03 · If you knew the reward, which policy would you want?
#
# Suppose the hard part is done: somebody hands you the reward, exact, for every answer there is.
# Then the best policy always gives the best answer. Doesn't it?
#
# It would say the same to everyone, forget how to say anything else, and be only as good as your
# reward is right. So we pay for distance: each nat of KL from where we started costs $\beta$.

# %%
import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import frontiers, style
from minipref.course.checks import check_function, check_number
from minipref.course.pictures import frontiers as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.data.bandit import Bandit

style.use()
torch.set_num_threads(1)
bandit = Bandit(prompts=6, responses=12, seed=1)
uniform = bandit.uniform()

# %% tags=["figure"]
betas = (3.0, 1.0, 0.3)
pictures.tilting(betas, [bandit.optimum(beta)[0] for beta in betas], bandit.rewards[0])

# %% [markdown] tags=["derivation"]
# ## Step 1: the best policy under a leash
#
# We want the $\pi$ that maximises, for one prompt,
#
# $$J(\pi) = \sum_y \pi(y)\, r(y) - \beta \sum_y \pi(y) \log \frac{\pi(y)}{\pi_0(y)},
# \qquad \sum_y \pi(y) = 1$$
#
# Give the constraint a multiplier $\lambda$. The slope by $\pi(y)$ is
# $r(y) - \beta \log \frac{\pi(y)}{\pi_0(y)} - \beta - \lambda$, and vanishes at
#
# $$\pi^*(y) = \frac{1}{Z}\, \pi_0(y)\, e^{r(y) / \beta}, \qquad
# Z = \sum_y \pi_0(y)\, e^{r(y) / \beta}$$
#
# Gibbs' distribution. Nobody is ruled out, everybody is reweighed.

# %% tags=["check"]
import sympy

p, q, r, beta, multiplier = sympy.symbols("p q r beta lambda", positive=True)
slope = sympy.diff(p * r - beta * p * sympy.log(p / q) - multiplier * p, p)
gibbs = q * sympy.exp((r - beta - multiplier) / beta)
assert sympy.simplify(slope.subs(p, gibbs)) == 0
others = torch.softmax(torch.randn(200, 6, 12, dtype=torch.float64), -1)
highest = bandit.objective(bandit.optimum(1.0), 1.0)
assert all(bandit.objective(pi, 1.0) < highest for pi in others)
print("the slope vanishes there, and 200 other policies are worse")

# %% [markdown] tags=["exercise"]
# **By hand.** Two answers, equally likely at the start. Rewards 0 and 1, $\beta = 0.5$. How likely
# should the better one become?

# %% tags=["solution"]
better = math.exp(2) / (1 + math.exp(2))

# %% tags=["exercise", "check"]
slips = {
    "beta divides the reward": 1 / (1 + math.exp(-0.5)),
    "normalise: the two sum to 1": math.exp(2) / 2,
}
print(check_number(better, 0.8808, wrong=slips))

# %% [markdown] tags=["exercise"]
# Write the optimum for a table of rewards and a reference, both (prompts, responses). Rewards may
# be in the hundreds: no overflow, please.


# %% tags=["solution"]
def my_optimum(reference, rewards, beta):
    """pi*(y) = ref(y) exp(r(y) / beta) / Z: (prompts, responses)."""
    return torch.softmax(reference.log() + rewards / beta, dim=1)


# %% tags=["exercise", "check"]
cases = [(others[i], scale * bandit.rewards, b) for i, scale, b in ((0, 1, 1.0), (1, 900, 0.5))]
print(check_function(my_optimum, lambda ref, r, b: Bandit.of(r).optimum(b, ref), cases))

# %% [markdown]
# A plausible claim: the optimum gives the better of two answers more probability than the worse.


# %% tags=["property"]
@law
@given(gap=st.floats(0.1, 5), start=st.sampled_from([0.5, 0.1, 0.01]))
def the_better_answer_is_the_likelier_one(gap, start):
    reference = torch.tensor([[start, 1 - start]], dtype=torch.float64)
    likely = Bandit.of(torch.tensor([[gap, 0.0]])).optimum(1.0, reference)
    assert likely[0, 0] > likely[0, 1]


print(refute(the_better_answer_is_the_likelier_one))

# %% [markdown]
# A rare answer stays rare, until its reward has paid for it. What the reward decides is not the
# probability, but how it *changes*:


# %% tags=["property", "check"]
@law
@given(rewards=st.lists(st.floats(-5, 5), min_size=3, max_size=3), beta=st.floats(0.2, 5))
def log_ratios_differ_as_rewards_do(rewards, beta):
    reference = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64)
    r = torch.tensor([rewards], dtype=torch.float64)
    moved = beta * (Bandit.of(r).optimum(beta, reference) / reference).log()
    assert torch.allclose(moved - moved[:, :1], r - r[:, :1], atol=1e-7)


print(survives(log_ratios_differ_as_rewards_do))

# %% [markdown] tags=["derivation"]
# Read this law backwards: whoever shows us $\pi^*$ has told us the reward, up to a number for each
# prompt. Notebook 04 makes a method of it, DPO.
#
# Put $\pi^*$ into $J$, and the best value is $J^* = \beta \log Z$: a soft maximum. For small
# $\beta$ it is the best reward, for large $\beta$ the mean one.

# %% tags=["check"]
for b in (0.01, 1.0, 1000.0):
    partition = (uniform * (bandit.rewards / b).exp()).sum(1)
    value = (
        float((b * partition.log()).mean()) if b > 0.01 else float(bandit.rewards.amax(1).mean())
    )
    assert math.isclose(bandit.objective(bandit.optimum(b), b), value, abs_tol=0.05)
print("J* = beta log Z, between the mean and the best")

# %% tags=["predict"]
# No training at all: draw n answers, keep the best. With n = 16, against the Gibbs policy of the
# same KL: does best-of-n earn much less ("down"), or about the "same"?
guess = "down"

# %% tags=["figure", "dynamics"]
ns = [2**k for k in range(8)]
lines = {
    "Gibbs": frontiers.optima(bandit, [100, 3, 2, 1.5, 1, 0.7, 0.5, 0.35, 0.25], uniform),
    "best-of-n": frontiers.best_of(bandit, ns, uniform),
    "the best, sometimes": frontiers.climbed(bandit, [0, 0.1, 0.25, 0.5, 0.75, 0.9], uniform),
}
pictures.frontier(lines, "nobody is above Gibbs, and best-of-n nearly there")

# %%
from minipref.evaluation.matched import temperature_at_kl

kl, earned = lines["best-of-n"][4]
gibbs_there = bandit.expected_reward(bandit.optimum(temperature_at_kl(bandit.rewards, kl)))
print(compare(guess, [gibbs_there, earned], same=0.05))

# %% [markdown] tags=["derivation"]
# ## Step 2: what best-of-n costs
#
# Rank answers by reward, with $F(y)$ the chance that a draw is no better than $y$. The best of $n$
# draws is $y$ if all are at most $y$, but not all below:
#
# $$\pi_n(y) = F(y)^n - F(\text{below } y)^n$$
#
# Where no two rewards are equal and answers are many, $u = F(y)$ is uniform, the best of $n$ has
# the density $n u^{n-1}$, and
#
# $$KL = \int_0^1 n u^{n-1} \log (n u^{n-1})\, du = \log n - \frac{n - 1}{n}$$

# %% tags=["check"]
u, n = sympy.symbols("u n", positive=True)
for number in (2, 3, 10):
    density = number * u ** (number - 1)
    cost = sympy.integrate(sympy.expand_log(density * sympy.log(density), force=True), (u, 0, 1))
    assert sympy.simplify(cost - sympy.log(number) + sympy.Rational(number - 1, number)) == 0
print("KL of best-of-n: log n - (n - 1) / n")

# %% tags=["predict"]
# Our bandit has 12 answers to a prompt, not infinitely many. Against the law, does best-of-128 cost
# "up" (more), "down" (less), or the "same"?
guess = "same"

# %% tags=["figure", "dynamics"]
from minipref.evaluation.best_of_n import distribution, kl_bound, win_rate

measured = {}
for answers in (12, 2000):
    world = Bandit(3, answers, seed=2)
    measured[f"{answers} answers"] = [kl for kl, _ in frontiers.best_of(world, ns, world.uniform())]
pictures.price(ns, [kl_bound(n) for n in ns], measured)

# %%
print(compare(guess, [kl_bound(128), measured["12 answers"][-1]], same=0.05))

# %% [markdown] tags=["exercise"]
# **A planted bug.** With twelve answers there is a best one, and nothing costs more than always
# giving it: $\log 12$. This function should give best-of-n as a policy. It is right for $n = 1$ and
# a uniform policy, and its rows do not sum to 1 otherwise. Write `my_best_of` right.


# %% tags=["bug"]
def buggy_best_of(policy, rewards, n):
    """P(y is the best of n draws): (prompts, responses); no two rewards are equal."""
    at_most = (rewards[:, None] <= rewards[:, :, None]).double() @ policy[:, :, None]
    return at_most[..., 0] ** n * policy


# %% tags=["solution"]
def my_best_of(policy, rewards, n):
    """P(y is the best of n draws): (prompts, responses); no two rewards are equal."""
    at_most = ((rewards[:, None] <= rewards[:, :, None]).double() @ policy[:, :, None])[..., 0]
    return at_most**n - (at_most - policy) ** n


# %% tags=["exercise", "check"]
draws = [(others[i], bandit.rewards, n) for i, n in ((0, 1), (1, 2), (2, 16))]
print(check_function(my_best_of, distribution, draws))

# %% [markdown] tags=["exercise"]
# **By hand.** How often does the best of 4 beat one fresh answer? (Of five draws, each is the best
# equally often.)

# %% tags=["solution"]
wins = 4 / 5

# %% tags=["exercise", "check"]
print(check_number(wins, win_rate(4), wrong={"the fifth one is drawn as well": 0.75}))

# %% [markdown]
# ## Step 3: the same frontier for a language model
#
# Nobody can list all answers of chat-nano. But 32 samples a prompt will do: best-of-n picks among
# them, and Gibbs reweighs them by $e^{r / \beta}$.

# %% tags=["figure"]
sampled = frontiers.of_chat()
lines = {
    "reweighed": [frontiers.tilted(sampled, beta) for beta in (100, 4, 2, 1.3, 1, 0.7, 0.5)],
    "best-of-n": frontiers.chosen(sampled, [1, 2, 4, 8, 16], kl_bound),
}
pictures.frontier(lines, "chat-nano, if it knew its rewards")

# %% [markdown]
# Every method of this course, from DPO to PPO, is a point in this picture. That one is better than
# another means: at the same KL it stands higher. A learning rate only moves it along.
#
# ## Step 4: many losses, one policy
#
# If $\pi^*$ is what we want, we may as well fit it: let the log-ratios of two answers differ as
# their rewards do. How far off we are may be measured in several ways (paper 072).

# %% tags=["predict"]
# Squared error, KL of the verdicts, or KL the other way round: they weigh errors very differently.
# Where do the three come to rest, against the Gibbs policy? "same", or off it ("up")?
guess = "up"

# %% tags=["figure", "dynamics"]
small = Bandit.of(2 * Bandit(prompts=3, responses=5, seed=0).rewards)
names = {"squared": "square", "KL": "backward_kl", "KL, the other way": "forward_kl"}
paths = {name: frontiers.matched(small, distance, 1.0) for name, distance in names.items()}
pictures.roads(paths)

# %%
print(compare(guess, [0.0, max(float(path[-1]) for path in paths.values())], same=0.02))

# %% [markdown]
# One rest, three roads. With every pair at hand the choice of loss is a choice of *speed* (here of
# plain gradient descent; Adam would hide it). With few pairs, or noisy ones, it is more than that
# (notebooks 04 and 16).
#
# ## What this world cannot tell you
#
# We knew the reward. All of notebook 09 is about what happens if we only think so. KL was measured
# from the start, and is a price, not a danger: some policies are far away and fine. And a bandit's
# policy may put its mass wherever it likes; a language model cannot change one answer alone.
#
# **Five questions.** 1. What happens to $\pi^*$ if every reward is doubled and $\beta$ too? 2. You
# may choose $n$ or $\beta$: which is easier to keep at a given KL? 3. Two answers share the highest
# reward: what does best-of-n do with them, and what Gibbs? 4. Why is the line "the best, sometimes"
# so low? 5. Could a policy beat Gibbs at one prompt and still have the same mean KL?
#
# **What to read next.** Beirami et al. (arXiv 2401.01879) on when the law of best-of-n is only a
# bound. Paper 072 (arXiv 2502.00203), whose figure 1 is step 4 as a family tree.
