# %% [markdown]
# # 05 · Why does the chosen answer become less likely?
#
# You train with DPO. The loss falls, accuracy is 100 %, margins grow. Then you look at the log-prob
# of the answers people *chose*, and it is going **down**. It is the most common question about DPO
# ([eric-mitchell #32](https://github.com/eric-mitchell/direct-preference-optimization/issues/32),
# [OpenRLHF #1054](https://github.com/OpenRLHF/OpenRLHF/issues/1054)). Is it a bug?
#
# No. Paper 106 gave the smallest world in which it happens: 4 prompts, 10 one-symbol responses, a
# small MLP. Prompt $i$ prefers response $i$ (**+**) to response $4 + i$ (**−**). That is all the
# data there is. And the policy below *starts out* with 99 % on every right answer.

# %%
import copy
import math

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from IPython.display import display

from minipref.course import style
from minipref.course.checks import NotYet, check_loss, check_number
from minipref.course.measured import measured, sampled
from minipref.course.pictures import displacement as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.losses import dpo, flex_dpo, gradient_coefficient
from minipref.papers.dynamics import three_d_toy as toy
from minipref.papers.results import told

# %% tags=["predict"]
style.use()
torch.set_num_threads(1)
# 500 epochs of DPO on "right beats wrong". Where does the probability of the right answer go?
guess = "same"

# %% tags=["figure", "dynamics"]
reference = toy.pretrain(scenario=3, seed=2)
run = toy.train(reference, dpo, steps=500)
policies = run.logps.exp()  # (501, prompts, responses)
shown = {f"epoch {epoch}": policies[epoch] for epoch in (0, 100, 500)}
pictures.tables(shown, toy.CHOSEN, toy.REJECTED)

# %%
print(compare(guess, run.chosen[::50].tolist(), steps=range(0, 501, 50), same=0.05))
margins = run.chosen_logps - run.rejected_logps  # (501, prompts)
accuracy = (margins[-1] > margins[0]).float().mean()
print(f"accuracy of the implicit reward: {accuracy:.0%}, and every margin has grown")

# %% [markdown] tags=["derivation"]
# At epoch 100 the policy is perfect. By epoch 500 it gives **one prompt's answer to the others
# too**: an answer that was never shown for them, chosen or rejected. And every metric that a
# trainer logs is still perfect. (Other seeds lose other prompts, one seed in five loses none.)
# Paper 106 calls it the three D's: the *drastic drop* of the rejected response, *degradation* of
# learning into suppression, *dispersion* to the unseen.
#
# We take the machine apart: what the loss asks for, what sharing weights adds, what Adam adds.
#
# ## Step 1: what does the loss ask for?
#
# With $m = \beta \log\frac{\pi^+}{\pi_0^+} - \beta \log\frac{\pi^-}{\pi_0^-}$ and
# $\ell = -\log \sigma(m)$, the derivatives with respect to **log-probs** are equal and opposite:
#
# $$\frac{\partial \ell}{\partial \log \pi^+} = -\beta \sigma(-m), \qquad
# \frac{\partial \ell}{\partial \log \pi^-} = +\beta \sigma(-m)$$
#
# Only the *difference* counts. Both may rise, both may fall: the loss does not care.

# %% tags=["check", "property"]
nats = st.floats(-30, -0.1)


@law
@given(logps=st.lists(nats, min_size=4, max_size=4), shift=st.floats(-5, 5))
def the_loss_does_not_see_both_moving_together(logps, shift):
    chosen, rejected, *refs = torch.tensor(logps, dtype=torch.float64)[:, None]
    before, after = (dpo(chosen + s, rejected + s, *refs) for s in (0.0, shift))
    pushes = gradient_coefficient(dpo, chosen, rejected, *refs)
    assert torch.allclose(before, after)
    assert torch.allclose(pushes["chosen_logps"], -pushes["rejected_logps"])


print(survives(the_loss_does_not_see_both_moving_together))

# %% [markdown] tags=["derivation", "exercise"]
# ## Step 2: the same, per unit of probability
#
# Paper 106 treats $\pi^+$ and $\pi^-$ themselves as the variables. Since
# $\partial \log \pi / \partial \pi = 1 / \pi$, each side is divided by its own probability:
#
# $$\frac{\partial \ell}{\partial \pi^+} = -\frac{\beta \sigma(-m)}{\pi^+}, \qquad
# \frac{\partial \ell}{\partial \pi^-} = +\frac{\beta \sigma(-m)}{\pi^-}, \qquad
# \text{ratio of sizes } \frac{\pi^+}{\pi^-}$$
#
# As the rejected response dies, its side grows without bound, and the chosen side's fades.
#
# **By hand first.** At the start ($m = 0$), $\beta = 0.1$, $\pi^+ = 0.5$ and $\pi^- = 0.01$. How
# large are the two gradients per unit of probability? (Sizes, without signs.)

# %% tags=["solution"]
chosen_gradient = 0.1 * 0.5 / 0.5
rejected_gradient = 0.1 * 0.5 / 0.01

# %% tags=["exercise", "check"]
pi = torch.tensor([0.5, 0.01], requires_grad=True)  # and autograd agrees with the formulas
dpo(*pi.log()[:, None], *pi.detach().log()[:, None], beta=0.1).sum().backward()
for answer, gradient in zip((chosen_gradient, rejected_gradient), pi.grad.abs(), strict=True):
    slips = {
        "that is per unit of log-prob": 0.05,
        "at the start, what is sigma(-m)?": 2 * gradient.item(),
    }
    print(check_number(answer, gradient.item(), wrong=slips))

# %% tags=["figure"]
# pi- becomes 1e-38, so we work in logarithms: log |d loss / d pi| = log(beta sigmoid(-m)) - log pi
log_push = math.log(0.1) + torch.nn.functional.logsigmoid(-0.1 * (margins - margins[0]))
sides = {"chosen": run.chosen_logps, "rejected": run.rejected_logps}  # (501, prompts) each
powers = {role: ((log_push - logps) / math.log(10)).mean(1) for role, logps in sides.items()}
push = log_push.exp().mean(1)
pictures.two_spaces({"chosen": push, "rejected": push}, powers)

# %% [markdown]
# Left, the two pushes are the *same* curve. Right, they end some 35 orders of
# magnitude apart. Both are right! But no optimiser steps in probabilities: the right panel is a
# *diagnosis*, the left one is what the weights feel. **Say which space you plot.** If the weights
# feel a balanced push, why does the chosen response fall?
#
# ## Step 3: nothing shared, nothing lost
#
# Give every prompt and response a weight of its own: a table of logits $z$. Then
# $\nabla_z \log \pi^+ - \nabla_z \log \pi^- = e_+ - e_-$. The softmax terms cancel: one logit goes
# up, one goes down, and no other moves.


# %% tags=["property", "check"]
def step(logits, rate, features=None):
    """log-probs before and after a step of DPO; response 0 is chosen, 1 rejected."""
    features = torch.eye(len(logits), dtype=torch.float64) if features is None else features
    weights = torch.zeros(features.shape[1], dtype=torch.float64, requires_grad=True)
    before = (logits + features @ weights).log_softmax(0)
    dpo(before[:1], before[1:2], *before[:2].detach()[:, None]).sum().backward()
    after = (logits - rate * features @ weights.grad).log_softmax(0)
    return before.detach(), after


@law
@given(logits=st.lists(st.floats(-5, 5), min_size=2, max_size=6), rate=st.floats(0.01, 50))
def dpo_never_lowers_the_chosen_in_a_table(logits, rate):
    before, after = step(torch.tensor(logits, dtype=torch.float64), rate)
    assert after[0] >= before[0] - 1e-12


print(survives(dpo_never_lowers_the_chosen_in_a_table))

# %% [markdown]
# ## Step 4: share weights
#
# So "DPO never lowers the chosen response" is *true* for tables. A plausible guess: it holds for a
# small enough step of any model. Let responses be described by two **features** with shared
# weights, $z = F w$. Hypothesis looks for responses that break it:

# %% tags=["property"]
feature = st.tuples(st.integers(-2, 2), st.integers(-2, 2))


@law
@given(chosen=feature, rejected=feature, unseen=feature)
def dpo_never_lowers_the_chosen(chosen, rejected, unseen):
    features = torch.tensor([chosen, rejected, unseen], dtype=torch.float64)
    before, after = step(torch.zeros(3, dtype=torch.float64), 1e-3, features)
    assert after[0] >= before[0] - 1e-7


print(refute(dpo_never_lowers_the_chosen))

# %% [markdown] tags=["derivation"]
# Read it: seen from the average of the three, the rejected response lies in the *same direction* as
# the chosen one, only further. Push that direction down and the chosen goes along; the unseen wins.
# Razin et al. 2025 made it exact. With $g_\pm = \nabla \log \pi^\pm$, a small step changes
#
# $$\log \pi^+ \;\text{ by }\; \eta\, \beta \sigma(-m)\, \langle g_+,\; g_+ - g_- \rangle$$
#
# The chosen falls exactly if $\langle g_+, g_- \rangle > \|g_+\|^2$: if the two are too much alike.


# %% tags=["property", "check"]
@law
@given(features=st.lists(feature, min_size=3, max_size=5))
def the_chosen_falls_if_the_two_are_too_much_alike(features):
    features = torch.tensor(features, dtype=torch.float64)
    before, after = step(torch.zeros(len(features), dtype=torch.float64), 1e-4, features)
    g = features - features.mean(0)  # gradients of log pi at uniform probabilities
    change = g[0] @ (g[0] - g[1])
    assume(abs(change) > 1e-9)
    assert (after[0] > before[0]) == (change > 0)


print(survives(the_chosen_falls_if_the_two_are_too_much_alike))

# %% [markdown]
# ## Step 5: Adam
#
# Back to the MLP. Its four pairs are easy to separate, and yet the right answers die late, long
# after the loss is near zero. Is it the learning rate? We take plain gradient descent, a thousand
# and ten thousand times "faster" than Adam's 1e-3. **Guess first**: which of the two loses the
# chosen response as well? So that nobody wins by doing less, we count progress not in epochs but
# by how far the rejected response has been pushed down.


# %% tags=["figure", "dynamics"]
def sgd(rate):
    return lambda weights: torch.optim.SGD(weights, rate)


optimised = {"Adam, 0.001": run} | {
    f"SGD, {rate}": toy.train(reference, dpo, optimizer=sgd(rate)) for rate in (1, 10)
}
pushed = {name: (r.rejected_logps.mean(1), r.chosen) for name, r in optimised.items()}
pictures.optimisers(pushed, run.gradients, run.moves)

# %% [markdown]
# Neither. SGD kills the rejected response just as thoroughly and keeps the chosen at 100 %. Adam
# divides each weight's gradient by its own recent size: while the gradients fade 200-fold, its
# steps fade 6-fold, and a weight that hardly matters to any pair moves as far as the ones that do.
# Added up, Adam's steps are about twice as long as SGD's for the same margin. The detour runs
# through weights that the other prompts need.
#
# ## Four scenarios
#
# Paper 106 asks where chosen and rejected came from. **On-policy**: the reference itself would say
# it. **Off-policy**: it says so once in a thousand.

# %% tags=["predict"]
# Chosen off-policy, rejected on-policy: a better writer's answers against the model's own.
# Where does *unseen* go, that is everything which nobody mentioned?
guess = "down"

# %% tags=["figure", "dynamics"]
WORD = {True: "on", False: "off"}
runs = {
    f"{n}: chosen {WORD[plus]}, rejected {WORD[minus]}-policy": [
        toy.train(toy.pretrain(n, seed), dpo) for seed in range(3)
    ]
    for n, (plus, minus) in toy.ON_POLICY.items()
}
roles = {
    title: [{"chosen": r.chosen, "rejected": r.rejected, "unseen": r.unseen} for r in seeds]
    for title, seeds in runs.items()
}
pictures.scenarios(roles)

# %%
second = list(runs.values())[1]
print(compare(guess, second[0].unseen[::50].tolist(), steps=range(0, 501, 50), same=0.05))
measured(
    ("scenario 2, peak of chosen", second[0].chosen.max().item(), (0.25, 0.5)),
    ("scenario 2, chosen at the end", second[0].chosen[-1].item(), (0.1, 0.3)),
    ("scenario 2, unseen at the end", second[0].unseen[-1].item(), (0.6, 0.9)),
)

# %% [markdown] tags=["exercise"]
# (Thin lines are seeds.) In scenario 2 the loss takes 99 % away from the rejected response and does
# not say who gets it: three quarters go to responses that nobody mentioned. Where the chosen starts
# on-policy (1 and 3), it is lost late, if at all. Hence the paper's advice: let the model itself
# write the chosen responses.
#
# ## Two cures
#
# **Flex-DPO** gives each side its own strength,
# $m = \beta^+ \log\frac{\pi^+}{\pi_0^+} - \beta^- \log\frac{\pi^-}{\pi_0^-}$, with
# $\beta^- < \beta^+$: now the loss *does* care whether both fall together. Write it.


# %% tags=["solution"]
def my_flex_dpo(chosen, rejected, ref_chosen, ref_rejected, *, beta_plus=0.1, beta_minus=0.08):
    """Flex-DPO's loss, one a row: (batch,)."""
    margin = beta_plus * (chosen - ref_chosen) - beta_minus * (rejected - ref_rejected)
    return -torch.nn.functional.logsigmoid(margin)


# %% tags=["exercise", "check"]
print(check_loss(my_flex_dpo, "flex_dpo"))

# %% [markdown] tags=["exercise"]
# The other cure adds a little supervised learning on the chosen response:
# $\ell - \lambda \log \pi(y^+)$. **A planted bug:** this version runs, its loss looks plausible,
# and it cures *nothing*: the curves are those of plain DPO, bit for bit. Why? Write it right.


# %% tags=["bug"]
def buggy_anchored_dpo(chosen, rejected, ref_chosen, ref_rejected, weight=0.02):
    """DPO, and the chosen response held in place."""
    return dpo(chosen, rejected, ref_chosen, ref_rejected) - weight * ref_chosen


# %% tags=["solution"]
def anchored_dpo(chosen, rejected, ref_chosen, ref_rejected, weight=0.02):
    """DPO, and the chosen response held in place."""
    return dpo(chosen, rejected, ref_chosen, ref_rejected) - weight * chosen


# %% tags=["exercise", "check"]
logps = [torch.tensor([x]).requires_grad_() for x in (-2.0, -3.0, -2.5, -2.5)]
mine, plain = (torch.autograd.grad(f(*logps).sum(), logps[:2]) for f in (anchored_dpo, dpo))
if mine[1] != plain[1]:
    raise NotYet("the rejected response feels the new term, which should leave it alone")
if mine[0] == plain[0]:
    raise NotYet("both sides are still pushed equally hard: nothing holds the chosen response")
if mine[0] > plain[0]:
    raise NotYet("the term pushes the chosen response down")
print("the chosen response is pushed up harder than the rejected is pushed down")

# %% tags=["figure", "dynamics"]
# Scenario 2 again. Guess first: which cure leaves less to the unseen?
METHODS = {
    "DPO": dpo,
    "Flex-DPO": lambda *logps: flex_dpo(*logps, beta_minus=0.02),
    "DPO + SFT": lambda *logps: dpo(*logps) - 0.02 * logps[0],
}
start = toy.pretrain(scenario=2)
cured = {name: toy.train(start, loss) for name, loss in METHODS.items()}
panels = {"chosen": {name: r.chosen for name, r in cured.items()}}
pictures.cures(panels | {"unseen": {name: r.unseen for name, r in cured.items()}})

# %% [markdown]
# Both hold the chosen response. Neither is free: Flex-DPO drives the *rejected* still lower (look
# at `cured["Flex-DPO"].rejected_logps`), and the SFT term imitates, whatever people prefer.
#
# ## And in a language model?
#
# `chat` is a world of short questions. A tiny transformer answers each of 1024 questions twice; an
# annotator who knows the true reward (with some doubt) picks one. We train on these pairs for five
# epochs, with and without the SFT term, and look at the **true** reward on new questions.

# %%
from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.sources import Stored, sample, with_reference
from minipref.data.chat import Chat
from minipref.data.streams import dice, stream
from minipref.feedback.annotators.bradley_terry import bt
from minipref.model.bases import load_base
from minipref.model.fit import Probe
from minipref.model.logprobs import sequence_logps

world, base = Chat(), load_base("chat-nano")
asked, fresh = (world.prompts(n, dice(n, "05/prompts")) for n in (1024, 200))
answers = sample(base, world, asked, torch.arange(1024), 2, stream(0, "05/answers"))
labelled = bt(world.reward).label(answers, stream(0, "05/labels"))
pairs = with_reference(labelled, base)


# %%
def objective(weight):
    """DPO plus `weight` times SFT on the chosen response."""

    def loss(policy, batch):
        logps, refs = sequence_logps(policy, batch.rows), batch.columns["ref_logps"]
        good, bad = batch.pairs.T
        losses = dpo(logps[good], logps[bad], refs[good], refs[bad]) - weight * logps[good]
        return losses.mean(), {}

    return loss


def write(policy):
    """Answers to the fresh questions, and their mean true reward."""
    texts = sample(policy, world, fresh, torch.arange(200), 1, stream(0, "05/write")).responses
    return texts, sum(map(world.reward, fresh, texts)) / 200


# %%
def tune(weight):
    policy = copy.deepcopy(base)
    step, (good, bad) = GradientStep(policy, 1e-3), pairs.pairs.T

    @torch.no_grad()
    def look():
        change = sequence_logps(policy, pairs.rows) - pairs.columns["ref_logps"]
        seen = {"chosen": change[good].mean().item(), "rejected": change[bad].mean().item()}
        return seen | {"reward": write(policy)[1]}

    run = align(
        policy, Stored(pairs, 32), AsStored(), objective(weight), 160, step=step,
        probes=(Probe(look, every=20),),
    )  # fmt: skip
    return policy, [seen for seen in run.history if "reward" in seen]


# %% tags=["predict"]
# The annotator picks by the true reward. What does five epochs of plain DPO do to that reward, on
# questions it has not seen? "up", "down" or "same"?
guess = "up"

# %% tags=["figure", "dynamics"]
tuned = {"DPO": tune(0.0), "DPO + SFT": tune(0.1)}
histories = {name: history for name, (_, history) in tuned.items()}
rewards = [seen["reward"] for seen in histories["DPO"]]
pictures.chat(histories)

# %%
print(compare(guess, [rewards[0], rewards[-1]], same=0.3))
writers = {"before": base} | {name: policy for name, (policy, _) in tuned.items()}
written = {name: write(policy)[0] for name, policy in writers.items()}
lines = []
for number in (0, 1, 3):
    lines += ["", world.read(fresh[number])]
    lines += [f"   {name:<10} {texts[number]}" for name, texts in written.items()]
display(sampled("answers to fresh questions", lines))
print(told("apo-clair"))
formed = [world.scores(*pair)["well_formed"] for pair in zip(fresh, written["DPO"], strict=True)]
measured(
    ("DPO: change of chosen, nats", histories["DPO"][-1]["chosen"], (-20, -1)),
    ("DPO + SFT: change of chosen, nats", histories["DPO + SFT"][-1]["chosen"], (-0.5, 3)),
    ("DPO: share of answers that obey the grammar", sum(formed) / 200, (0.1, 0.8)),
)

# %% [markdown]
# A point of the right panel is a mean of 200 answers, with a standard error near 0.12. Read the two
# panels together. In the first epoch (32 steps) the chosen answers already lose log-prob, and the
# reward does not: **falling is not yet harm**. Later the mass leaves for what nobody wrote and
# nobody judged: nearly all of the base's answers obey the grammar, of the tuned policy's fewer than
# half. This is dispersion in a language. The SFT term stops it, and most of the learning too.
#
# A third cure is to say where *each* side should go. Paper 064 has a loss for data better than the
# model (APO-zero: chosen up, rejected down, each seen from the reference) and one for data worse
# than it (APO-down: both down). What its row found on `chat`, at five seeds, stands above.
#
# ## What this world cannot tell you
#
# The toy has four pairs and no test set; its late collapse needs hundreds of epochs, Adam and small
# numbers. On `chat` we trained too long and too fast, on purpose, and at one learning rate. That
# log-probs and reward fall together in it does not show that one caused the other. In your run,
# look at samples and at a reward you trust, not at the log-prob alone.
#
# **Five questions.** 1. Both log-probs fall by a nat; what does the loss do? 2. Why can a table
# never lose its chosen response? 3. Which pairs displace more: near-copies, or two very different
# answers? 4. A weight's gradient is a million times smaller than the others': how far does SGD move
# it, and Adam? 5. A trainer logs loss, accuracy and margin. Which number would you add?
#
# **What to read next.** Paper 106 (arXiv 2406.07327): Figure 2 sets our curves beside the gradients
# in probability space, Figure 3 is our four scenarios. Razin et al. 2025 (arXiv 2410.08847): their
# figure of CHES score against displacement is step 4.
#
# *Rows: 106, 064.*
