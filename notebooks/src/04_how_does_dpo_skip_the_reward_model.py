# %% [markdown]
# # 04 · How does DPO skip the reward model?
#
# RLHF fits a reward model to preferences, then searches for a policy that this reward likes. DPO
# does one supervised step instead, and no reward is in sight. Where did it go?
#
# It is still there. We train a policy with DPO on nothing but "this one is better than that one",
# and read the reward of *every* response off its probabilities (the picture below). Then we find
# the place where the same algebra quietly lets go of the leash.
#
# All of it happens on a bandit: 4 prompts, 6 responses of one symbol, every expectation an exact
# sum. An annotator compares responses as Bradley and Terry have it:
# $P(a \succ b) = \sigma(r_a - r_b)$.

# %%
import inspect

import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import NotYet, check_function, check_loss, check_number
from minipref.course.pictures import skipping_the_reward as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.data.bandit import Bandit
from minipref.data.streams import stream
from minipref.feedback.annotators.bradley_terry import bt
from minipref.losses import dpo, gradient_coefficient, hinge, ipo

# %%
style.use()
torch.set_num_threads(1)
bandit, beta = Bandit(prompts=4, responses=6, seed=3), 0.5
reference = torch.randn(4, 6, generator=stream(0, "04/reference"), dtype=torch.float64).softmax(1)
preference = bandit.preference(bt(bandit.reward).probability)  # P(a beats b), (4, 6, 6)
FIRST, SECOND = torch.triu_indices(6, 6, 1)  # all 15 pairs of responses


def all_pairs(logps, loss, preference, **hyper):
    """The loss on all pairs, each label weighted by its probability; logps (4, 6)."""
    a, b = logps[:, FIRST].flatten(), logps[:, SECOND].flatten()
    ref_a, ref_b = (reference.log()[:, side].flatten() for side in (FIRST, SECOND))
    p = preference[:, FIRST, SECOND].flatten()
    right, wrong = loss(a, b, ref_a, ref_b, **hyper), loss(b, a, ref_b, ref_a, **hyper)
    return (p * right + (1 - p) * wrong).mean()


# %% tags=["figure"]
def train(loss, preference, steps, rate, **hyper):
    """Policies (4, 6) after 0, 1, ... steps of Adam from the reference."""
    logits, path = reference.log().clone().requires_grad_(), [reference]
    optimizer = torch.optim.Adam([logits], rate)
    for _ in range(steps):
        optimizer.zero_grad()
        all_pairs(logits.log_softmax(1), loss, preference, **hyper).backward()
        optimizer.step()
        path.append(logits.detach().softmax(1))
    return path


policy = train(dpo, preference, 400, 0.1, beta=beta)[-1]
implicit = beta * (policy / reference).log()  # (4, 6), and no reward was ever shown
pictures.reward_lines(bandit.rewards, implicit)

# %% [markdown] tags=["derivation"]
# Four straight lines of slope one: for each prompt the log-ratio *is* the reward, up to one
# constant. Now we derive it, with a check after each step.
#
# ## Step 1: the best policy on a leash
#
# We want reward, and we want to stay near the reference. $\beta$ is the price of a nat of KL:
#
# $$J(\pi) = \mathbb E_{y \sim \pi}[r(x, y)] - \beta\, \mathrm{KL}(\pi \,\|\, \pi_{ref})$$
#
# Put $\pi^*(y \mid x) = \pi_{ref}(y \mid x)\, e^{r(x, y) / \beta} / Z(x)$, with $Z$ whatever makes
# it sum to one. Collecting terms gives an *identity*:
#
# $$J(\pi) = \beta\, \mathbb E_x \log Z(x) - \beta\, \mathrm{KL}(\pi \,\|\, \pi^*)$$
#
# Only the last term depends on $\pi$, and it is zero only at $\pi = \pi^*$.


# %% tags=["check", "property"]
@law
@given(logits=st.lists(st.floats(-5, 5), min_size=24, max_size=24), beta=st.floats(0.1, 3))
def what_a_policy_lacks_is_its_kl_from_the_best(logits, beta):
    best = bandit.optimum(beta, reference)
    other = torch.tensor(logits, dtype=torch.float64).view(4, 6).softmax(1)
    lacks = bandit.objective(best, beta, reference) - bandit.objective(other, beta, reference)
    assert abs(lacks - beta * bandit.kl(other, best)) < 1e-9


print(survives(what_a_policy_lacks_is_its_kl_from_the_best))

# %% [markdown] tags=["derivation"]
# ## Step 2: read it backwards
#
# Solve $\pi^*$ for the reward. Every policy is the best one for *some* reward:
#
# $$r(x, y) = \beta \log \frac{\pi^*(y \mid x)}{\pi_{ref}(y \mid x)} + \beta \log Z(x)$$
#
# In the picture, $-\beta \log Z(x)$ is how high a prompt's line stands.

# %% tags=["check"]
best = bandit.optimum(beta, reference)
log_z = (reference.log() + bandit.rewards / beta).logsumexp(1)  # (4,)
assert torch.allclose(beta * (best / reference).log() + beta * log_z[:, None], bandit.rewards)
lines = (implicit - bandit.rewards).mean(1)  # where the lines of the picture stand
assert torch.allclose(lines, -beta * log_z, atol=1e-4)
print("the lines stand at", ", ".join(f"{height:.2f}" for height in lines))

# %% [markdown] tags=["derivation"]
# ## Step 3: compare two, and $Z$ is gone
#
# $Z(x)$ sums over every response there is; for sentences nobody can compute it. But annotators
# compare two responses to the *same* prompt, and in the difference $Z(x)$ cancels:
#
# $$r_w - r_l = \beta \Delta, \qquad \Delta = \log \frac{\pi^*(y_w \mid x)}{\pi_{ref}(y_w \mid x)}
# - \log \frac{\pi^*(y_l \mid x)}{\pi_{ref}(y_l \mid x)}$$
#
# This is the whole trick. Put it into Bradley and Terry's likelihood, and a reward model's loss
# becomes a loss on policies: $L = -\log \sigma(\beta \Delta)$.

# %% [markdown] tags=["exercise"]
# **By hand first.** The chosen response has log-prob -2 under the policy, the rejected one -3; both
# have -2.5 under the reference, and $\beta = 0.1$. What is $\Delta$? And the loss? (You may use
# $\log(1 + e^{0.1}) = 0.744$ and $\log(1 + e^{-0.1}) = 0.644$.)

# %% tags=["solution"]
delta = (-2 + 2.5) - (-3 + 2.5)
loss = 0.6444

# %% tags=["exercise", "check"]
numbers = [torch.tensor([x]) for x in (-2.0, -3.0, -2.5, -2.5)]
print(check_number(delta, 1.0, wrong={"half of it: the rejected side counts too": 0.5}))
slips = {"the margin has the other sign": 0.744, "and beta?": 0.3133}
print(check_number(loss, dpo(*numbers, beta=0.1).item(), wrong=slips))

# %% [markdown] tags=["exercise"]
# Now as code, for a whole batch. Take the logarithm of the sigmoid in *one* stable step.


# %% tags=["solution"]
def my_dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=0.1):
    """DPO's loss, one a row: (batch,)."""
    delta = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
    return -torch.nn.functional.logsigmoid(beta * delta)


# %% tags=["exercise", "check"]
print(check_loss(my_dpo, "dpo"))

# %% tags=["check"]
# The library's own lines. And where they lead: to the best policy of step 1, and to no other.
print(inspect.getsource(dpo).split('"""')[2])
assert torch.allclose(policy, best, atol=1e-4)
print(f"furthest from the best policy: {(policy - best).abs().max():.3f}")

# %% [markdown] tags=["derivation"]
# ## Step 4: which way, and how hard?
#
# $$-\frac{\partial L}{\partial \log \pi(y_w)} = \beta\, \sigma(-\beta \Delta), \qquad
# -\frac{\partial L}{\partial \log \pi(y_l)} = -\beta\, \sigma(-\beta \Delta)$$
#
# Paper 001 writes *every* preference method as such a **gradient coefficient** on
# $\nabla \log \pi(y)$. Here $\sigma(-\beta \Delta)$ is how likely the implicit reward thinks the
# *wrong* answer wins: DPO learns from its mistakes, and rests when it is sure.

# %% tags=["check"]
chosen, rejected, gap, b = sympy.symbols("chosen rejected ref_gap beta", real=True)
margin = b * (chosen - rejected - gap)  # gap: the reference's own difference
symbolic = sympy.log(1 + sympy.exp(-margin))  # -log sigmoid(margin)
push = b / (1 + sympy.exp(margin))  # beta sigmoid(-margin)
assert sympy.simplify(-sympy.diff(symbolic, chosen) - push) == 0
assert sympy.simplify(-sympy.diff(symbolic, rejected) + push) == 0
print("sympy agrees with both")


# %%
def coefficient(loss, delta, **hyper):
    """The chosen response's coefficient at a log-ratio difference delta, by autograd."""
    deltas = torch.as_tensor(delta, dtype=torch.float64).reshape(-1)
    zeros = torch.zeros_like(deltas)
    return next(iter(gradient_coefficient(loss, deltas, zeros, zeros, zeros, **hyper).values()))


# %% [markdown] tags=["exercise"]
# Your turn: the chosen response's coefficient for **IPO**, whose loss is
# $(\Delta - \frac{1}{2\tau})^2$. For which $\Delta$ does IPO push the chosen response *down*?


# %% tags=["solution"]
def ipo_coefficient(delta, tau):
    """How hard IPO pushes the chosen response up."""
    return -2 * (delta - 1 / (2 * tau))


# %% tags=["exercise", "check"]
cases = [(0.0, 0.1), (2.0, 0.1), (8.0, 0.1), (1.5, 1.0)]
print(check_function(ipo_coefficient, lambda d, tau: coefficient(ipo, d, tau=tau)[0], cases))

# %% tags=["figure"]
deltas = torch.linspace(-10, 30, 201)
curves = {f"DPO, β = {beta}": coefficient(dpo, deltas, beta=beta) for beta in (0.1, 0.5)}
curves["hinge, β = 0.1"] = coefficient(hinge, deltas, beta=0.1)
curves["IPO, τ = 0.1 (/ 100)"] = coefficient(ipo, deltas, tau=0.1) / 100
pictures.pushes(deltas, curves, names_at=(13, -10, 4, 16))

# %% [markdown]
# One claim about this picture is folklore: **a larger $\beta$ pushes harder**. Do you believe it?
# Hypothesis tries to break it, and hands us the simplest case that does.


# %% tags=["property"]
@law
@given(beta=st.integers(1, 5), more=st.integers(1, 5), delta=st.integers(-5, 5))
def a_larger_beta_pushes_harder(beta, more, delta):
    assert coefficient(dpo, delta, beta=beta + more) > coefficient(dpo, delta, beta=beta)


@law
@given(beta=st.floats(0.1, 5), delta=st.floats(-20, 20), gain=st.floats(0.1, 5))
def the_push_is_below_beta_and_falls_with_the_margin(beta, delta, gain):
    before, after = coefficient(dpo, [delta, delta + gain], beta=beta)
    assert beta >= before >= after


print(refute(a_larger_beta_pushes_harder))
print(survives(the_push_is_below_beta_and_falls_with_the_margin))

# %% [markdown]
# $\beta$ is two things at once: how hard a wrong pair is pushed, and how soon a right one is left.
#
# ## What if nobody ever disagrees?
#
# Most data sets have one label a pair. Let the better response win *always*. A reward model would
# need an infinite gap to say so; and a DPO policy is a reward model.

# %% tags=["predict"]
# beta = 1 is a short leash. While annotators have their doubts, the KL settles early. If they are
# unanimous: what does the KL do after step 100? "up", "down" or "same"?
guess = "same"

# %%
unanimous = (preference > 0.5).double()
STEPS = sorted({round(10 ** (k / 12)) for k in range(37)})  # 1 .. 1000, even in the logarithm
RUNS = {
    "DPO, unanimous": train(dpo, unanimous, 1000, 0.02, beta=1.0),
    "DPO, doubts": train(dpo, preference, 1000, 0.02, beta=1.0),
    "IPO, unanimous": train(ipo, unanimous, 1000, 0.02, tau=0.5),
}
kls = {name: [bandit.kl(path[s], reference) for s in STEPS] for name, path in RUNS.items()}
late = STEPS.index(100)
print(compare(guess, kls["DPO, unanimous"][late:], steps=STEPS[late:], same=0.05))

# %% tags=["figure", "dynamics"]
top, bottom = bandit.rewards[0].argmax(), bandit.rewards[0].argmin()
ratios = {name: [(path[s][0] / reference[0]).log() for s in STEPS] for name, path in RUNS.items()}
margins = {name: [r[top] - r[bottom] for r in seen] for name, seen in ratios.items()}
best_kl = bandit.kl(bandit.optimum(1.0, reference), reference)
pictures.leash(STEPS, margins, kls, best_kl)

# %% [markdown]
# **The leash is gone.** With unanimous labels DPO's loss has no minimum: for any $\beta$ a wider
# margin is always a little better, and the policy runs to certainty. $\beta$ only sets the pace.
#
# **IPO's answer**: do not run to infinity, stop at a target, $\Delta = \frac{1}{2\tau}$. Beyond it
# IPO pulls back (its line crosses zero). Fifteen pairs cannot all be one nat apart, so best and
# worst end a little further. Later papers move the target: iREPO (022) to the logit of the votes,
# reward-aware PO (072) to a reward model's difference.


# %% tags=["check", "property"]
@law
@given(tau=st.floats(0.05, 2), beta=st.floats(0.05, 2), delta=st.floats(-50, 15))
def ipo_comes_to_rest_and_dpo_never_does(tau, beta, delta):
    assert abs(coefficient(ipo, 1 / (2 * tau), tau=tau)) < 1e-9
    assert coefficient(dpo, delta / beta, beta=beta) > 0


print(survives(ipo_comes_to_rest_and_dpo_never_does))

# %% [markdown] tags=["derivation"]
# ## What if we count the votes?
#
# IPO has one target for every pair, whoever wins by however much. **iREPO** (paper 022) asks
# several people about a pair, and makes the log-odds of the share $\hat P$ that voted for the
# chosen its target:
#
# $$\Bigl(\beta\Delta - \log \frac{\hat P}{1 - \hat P}\Bigr)^2$$
#
# A pair in doubt is told to stay, a clear one has an end. Where $\hat P$ is exact, this minimum is
# DPO's; the way there is another, since a square never saturates. Paper 072 makes a family of it:
# any reward difference as the target, any distance to it. Paper 092 leaves the target and moves the
# *margin*, by how alike prompt and answer are. *Rows: 022, 072, 092.*

# %% tags=["check", "property"]
from minipref.losses import irepo
from minipref.papers.results import told


@law
@given(share=st.floats(0.05, 0.95), beta=st.floats(0.1, 2))
def counted_votes_and_labels_rest_at_one_margin(share, beta):
    share, none = torch.tensor([share]).double(), torch.zeros(1).double()
    rest = share.logit() / beta  # a difference of log-ratios
    assert torch.allclose(irepo(rest, none, none, none, share, beta=beta), none, atol=1e-9)
    as_labelled, swapped = (
        gradient_coefficient(dpo, gap, none, none, none, beta=beta)["chosen_logps"]
        for gap in (rest, -rest)
    )
    assert torch.allclose(share * as_labelled, (1 - share) * swapped)


print(survives(counted_votes_and_labels_rest_at_one_margin))

# %%
for key in ("irepo", "reward-aware-po", "dpo-kernels"):
    print(told(key), end="\n\n")

# %% [markdown] tags=["exercise"]
# ## A planted bug: "loss stuck at 0.6931"
#
# Every library has had this report ([TRL #1962](https://github.com/huggingface/trl/issues/1962),
# [NeMo-Aligner #227](https://github.com/NVIDIA/NeMo-Aligner/issues/227)). The loss never leaves
# $\log 2$; yet the policy goes somewhere, and far. Find the line and write `fixed_loss`.


# %% tags=["bug"]
def buggy_loss(policy_logits):
    """DPO's loss on all pairs, for logits (4, 6)."""
    logps = policy_logits.log_softmax(1)
    ref_logps = logps.detach()  # the reference needs no gradient
    sides = [t[:, side].flatten() for t in (logps, ref_logps) for side in (FIRST, SECOND)]
    a, b, ref_a, ref_b = sides
    p = preference[:, FIRST, SECOND].flatten()
    right = dpo(a, b, ref_a, ref_b, beta=beta)
    wrong = dpo(b, a, ref_b, ref_a, beta=beta)
    return (p * right + (1 - p) * wrong).mean()


# %%
def run(loss, steps=400):
    logits, seen = reference.log().clone().requires_grad_(), []
    optimizer = torch.optim.Adam([logits], 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        seen.append(loss(logits))
        seen[-1].backward()
        optimizer.step()
    return logits.detach().softmax(1), torch.stack(seen).detach()


policy, losses = run(buggy_loss)
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}, KL {bandit.kl(policy, reference):.1f} nats")


# %% tags=["solution"]
def fixed_loss(policy_logits):
    """DPO's loss on all pairs, for logits (4, 6)."""
    return all_pairs(policy_logits.log_softmax(1), dpo, preference, beta=beta)


# %% tags=["exercise", "check"]
policy, losses = run(fixed_loss)
if losses[-1] > losses[0] - 1e-3:
    raise NotYet("the loss still stands at log 2: what is the policy compared with?")
if (policy - bandit.optimum(beta, reference)).abs().max() > 0.01:
    raise NotYet("the loss falls, but not towards the best policy")
print("the loss leaves log 2, and the policy arrives at the best one")

# %% [markdown]
# ## What this world cannot tell you
#
# Here the policy is a table, and every pair was asked about. A network shares its weights, and most
# responses are never compared; then DPO may do strange things even to the *chosen* response:
# notebook 05. Nor do we learn whether people are Bradley-Terry annotators (notebooks 02 and 11).
#
# **Five questions.** 1. Why must both responses answer the same prompt? 2. What does the policy
# know of a reward that depends on the prompt alone? 3. At $\pi = \pi_{ref}$ every loss is $\log 2$.
# Is the gradient zero? 4. Two labels a pair, one each way: where does $\Delta$ go? 5. Set all
# `ref_logps` to 0: which reference is that?
#
# **What to read next.** Rafailov et al. 2023 (arXiv 2305.18290): Figure 2, left, is our leash,
# measured on GPT-2. Azar et al. 2023 (arXiv 2310.12036): section 4.2 is our unanimous annotator,
# and the learning curves of its bandit examples are ours above.
