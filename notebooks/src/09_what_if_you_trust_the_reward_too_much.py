# %% [markdown]
# # 09 · What if you trust the reward too much?
#
# In notebook 03 the reward was known. In life it is a model, taught by some thousand comparisons.
# It agrees with people most of the time. Is that good enough to climb?
#
# We make a hundred thousand answers to one prompt, with a true reward each, and a **proxy** that
# sees the truth through an error. Then we choose by the proxy, harder and harder.
# *Rows: 202.*

# %%
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import proxies, style
from minipref.course.checks import check_function, check_number
from minipref.course.pictures import proxies as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives

style.use()
torch.set_num_threads(1)
truth = proxies.gold()
light = truth + proxies.errors("light")[0]
ns = [2**k for k in range(0, 17, 2)]

# %% tags=["predict"]
# A second proxy errs less: its typical error is half as large, and it orders 79 % of pairs as the
# truth does, not 75 %. But its errors have heavy tails. Best of 65536 by it, against best of 64: is
# the true reward "up", "down", or the "same"?
heavy = truth + proxies.errors("heavy")[0]
guess = "up"

# %% tags=["figure", "dynamics"]
runs = {
    "light errors": proxies.climb(truth, light, ns),
    "heavy errors": proxies.climb(truth, heavy, ns),
}
pictures.climbs(runs)

# %%
print(compare(guess, runs["heavy errors"]["true reward"][3:], same=0.1))

# %% [markdown] tags=["derivation"]
# ## Step 1: what praise is worth
#
# Let the proxy be $u = r + e$, with $r$ and $e$ normal, of variance 1 and $s^2$. Of all answers
# that get the praise $u$, which part of it is true?
#
# $$\mathbb E[r \mid u] = \frac{\mathrm{Cov}(r, u)}{\mathrm{Var}(u)}\, u = \frac{u}{1 + s^2}$$
#
# Always the same share. Choosing by such a proxy is slow, and never wrong. (Statisticians call it
# regression to the mean, economists the winner's curse.)

# %% tags=["check"]
for value in (-1.0, 1.0, 2.0):
    (mean,) = proxies.believed(truth, light, [value], width=0.1)
    assert abs(mean - value / 2) < 0.05
print("half of the praise is true, wherever we look")

# %% [markdown] tags=["exercise"]
# **By hand.** A proxy's errors are twice as spread as the truth ($s = 2$). Its best-of-64 is
# praised with 5.4. What is it worth?

# %% tags=["solution"]
worth = 5.4 / (1 + 2**2)

# %% tags=["exercise", "check"]
slips = {"s is a deviation; variances add": 5.4 / 3, "that is the error's part": 5.4 * 4 / 5}
print(check_number(worth, 1.08, wrong=slips))

# %% [markdown]
# With heavy tails the share is not the same. Where the praise is extreme, it is likelier that the
# error was extreme than that the answer was:

# %% tags=["figure"]
at = [x / 2 for x in range(0, 17)]
found = {
    "light": proxies.believed(truth, light, at[:8]),
    "heavy": proxies.believed(truth, heavy, at),
}
found["light"] += [float("nan")] * (len(at) - 8)
pictures.believed(at, found)

# %% [markdown]
# A plausible claim, and most of practice rests on it: if a proxy is right about more than three
# pairs of four, then asking it to choose among more answers never hurts.


# %% tags=["property"]
def pairs_right(proxy):
    """How often the proxy orders two answers as the truth does."""
    return float(((truth[::2] > truth[1::2]) == (proxy[::2] > proxy[1::2])).double().mean())


CLIMBED = {
    kind: proxies.climb(truth, truth + proxies.errors(kind)[0], ns) for kind in ("light", "heavy")
}


@law
@given(kind=st.sampled_from(["light", "heavy"]), more=st.integers(0, 7))
def more_to_choose_from_never_hurts(kind, more):
    earned = CLIMBED[kind]["true reward"]
    assert earned[more + 1] > earned[more]


print(f"pairs right: light {pairs_right(light):.2f}, heavy {pairs_right(heavy):.2f}")
print(refute(more_to_choose_from_never_hurts))

# %% [markdown]
# The accuracy of a reward model on held-out pairs does not see tails: they are rare there. A
# policy that climbs goes and finds them. What does hold:


# %% tags=["property", "check"]
@law
@given(spread=st.floats(0.2, 3), n=st.sampled_from([4, 64, 1024]))
def light_errors_never_turn(spread, n):
    proxy = truth + spread * proxies.errors("light")[0]
    assert proxies.best_of(truth, proxy, 4 * n) > proxies.best_of(truth, proxy, n)


print(survives(light_errors_never_turn))

# %% [markdown] tags=["derivation"]
# ## Step 2: two laws, and where to stop
#
# Gao, Schulman and Hilton climbed reward models of all sizes. With $d = \sqrt{KL}$ the gain in true
# reward was $d\,(\alpha - \beta d)$ for best-of-n, and $d\,(\alpha - \beta \log d)$ for
# reinforcement learning. $\alpha$ is what the first steps earn, $\beta$ how fast trust is lost. The
# second law is highest where
#
# $$\alpha - \beta \log d - \beta = 0$$

# %% tags=["check"]
import sympy

d, a, b = sympy.symbols("d alpha beta", positive=True)
gain = d * (a - b * sympy.log(d))
assert sympy.simplify(sympy.diff(gain, d) - (a - b * sympy.log(d) - b)) == 0
assert sympy.simplify(sympy.diff(gain, d).subs(d, sympy.exp(a / b - 1))) == 0
print("highest at d = exp(alpha / beta - 1)")

# %% [markdown] tags=["exercise"]
# **By hand.** Best-of-n with $\alpha = 1$ and $\beta = 0.25$: at which *KL* should one stop?

# %% tags=["solution"]
stop = (1 / (2 * 0.25)) ** 2

# %% tags=["exercise", "check"]
print(check_number(stop, 4.0, wrong={"that is d; the KL is its square": 2.0, "no gain left": 16.0}))

# %% [markdown] tags=["exercise"]
# Write `fit_best_of_n(d, gains)`: alpha and beta by least squares. The law is linear in both.


# %% tags=["solution"]
def fit_best_of_n(d, gains):
    """(alpha, beta) of gains = d (alpha - beta d): (2,)."""
    columns = torch.stack([d, -d.square()], 1)
    return torch.linalg.lstsq(columns, gains[:, None]).solution[:, 0]


# %% tags=["exercise", "check"]
from minipref.evaluation.overoptimisation import fit

where = torch.linspace(0.2, 3, 12, dtype=torch.float64)
noisy = where * (1 - 0.3 * where) + 0.05 * torch.sin(9 * where)
right = fit(where, noisy, "best of n")
print(check_function(fit_best_of_n, lambda *_: [right.alpha, right.beta], [(where, noisy)]))

# %% [markdown]
# ## Step 3: ask several
#
# Train four models. Where they agree they have seen something; where one of them sees a miracle,
# it is alone. So believe the **mean** of the four, or the **worst**.

# %% tags=["predict"]
# Four proxies with heavy errors of their own. Best of 65536 by the worst opinion, against by one
# proxy: is the true reward "up", "down", or the "same"? And if all four make the *same* errors?
four = proxies.errors("heavy", seed=1, models=4)
guess = "same"

# %% tags=["figure", "dynamics"]
asked = {
    "one": truth + four[0],
    "mean of four": truth + four.mean(0),
    "worst of four": truth + four.amin(0),
    "worst of four alike": truth + (four[:1] + 0.1 * four).amin(0),
}
careful = {name: proxies.climb(truth, proxy, ns) for name, proxy in asked.items()}
pictures.truths(careful, "several help where their errors are their own")

# %%
ends = [careful[name]["true reward"][-1] for name in ("one", "worst of four")]
print(compare(guess, ends, same=0.1))

# %% [markdown] tags=["exercise"]
# The mean is not careful enough: a quarter of a miracle is still a miracle. The worst is. But four
# models that were taught by the same pairs are wrong about the same things, and agree on them.
#
# **A planted bug.** Reward models are known up to a constant: one may say 10 of everything, another
# -3. Then "the worst opinion" is always that of the same model. Write `worst_of` right: `rewards`
# are (answers, models), `known` what the models say of some ordinary answers.


# %% tags=["bug"]
def buggy_worst_of(rewards, known):
    """The least opinion on every answer: (answers,)."""
    return rewards.amin(1)


# %% tags=["solution"]
def worst_of(rewards, known):
    """The least opinion on every answer, each model measured from its own mean: (answers,)."""
    return (rewards - known.mean(0)).amin(1)


# %% tags=["exercise", "check"]
four_say = (truth + four)[:, :50].T + torch.tensor([10.0, 0.0, -3.0, 1.0])  # (answers, models)
usual = four_say[:25]
expected = torch.stack([four_say[:, i] - usual[:, i].mean() for i in range(4)]).amin(0)
print(check_function(worst_of, lambda *_: expected, [(four_say, usual)]))

# %% [markdown]
# ## Step 4: a language model
#
# Row 202 does all this to chat-nano. A reward model learns from 3000 pairs of its answers, and RLOO
# climbs it, with no price on KL. Each line is a seed.

# %% tags=["figure"]
from minipref.papers.catalogue import find
from minipref.papers.results import load, reported, told

stored = load(find("over-optimisation"))
pictures.on_chat([run["measured"] for run in reported(stored)])

# %%
print(told("over-optimisation"))

# %% [markdown]
# What does it say at the end? "The answer is six because that hurts because that hurts". Reasons
# are praised in this world. The reward model has noticed, and has never seen an answer that gives
# the same reason twice.
#
# ## What this world cannot tell you
#
# Our errors were drawn for each answer alone. A reward model's errors have causes: length,
# flattery, a phrase. Several models share them, and nobody knows the tail beforehand. Best-of-n
# looked harmless up to 32 on chat, where our bandit needed thousands: who can afford to look? And
# we climbed without a price on KL; with one, the same laws say where to stop, not whether to trust.
#
# **Five questions.** 1. Why does best-of-n turn later than RLOO at the same KL? 2. What would
# more pairs do to a light error, and what to a heavy one? 3. Your proxy's accuracy on held-out
# pairs rises while your policy trains. Good news? 4. Is early stopping by a second reward model
# safe? 5. DPO has no reward model. What does it over-optimise?
#
# **What to read next.** Gao et al. (arXiv 2210.10760), figure 1, with your own $\alpha$ and $\beta$
# beside it. Coste et al. (arXiv 2310.02743) on ensembles: which of their figures is our last one?
