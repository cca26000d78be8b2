# %% [markdown]
# # 07 · Is my run broken, or is it DPO?
#
# A run is a patient that cannot speak. It leaves curves. Half of the questions in the field's issue
# trackers are one chart each: *loss stuck at 0.6931*
# ([TRL #1962](https://github.com/huggingface/trl/issues/1962)), *both rewards negative*
# ([OpenRLHF #1054](https://github.com/OpenRLHF/OpenRLHF/issues/1054)), *IPO's loss is huge*
# ([TRL #1677](https://github.com/huggingface/trl/issues/1677)). Some are bugs. Some are the method.
#
# This is the clinic. All its patients are real runs, stored in `datasets/histories`: tiny models
# trained by our loop and by TRL's trainers, some well, some made ill on purpose.

# %%
import math

import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import NotYet, check_number
from minipref.course.pictures import clinic as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.evaluation.diagnosis import METRICS, RULES, diagnose, from_entries, read
from minipref.losses import dpo, gradient_coefficient, ipo
from minipref.resources import resource

style.use()
WARD = {path.stem: read(path) for path in sorted(resource("datasets/histories").glob("*.json"))}

# %% tags=["predict"]
# Five patients. A history shows nothing but this. Which letters are ill?
guess = "ABCDE"

# %% tags=["figure", "dynamics"]
NAMES = ["dpo-well", "dpo-coin", "dpo-falling", "dpo-length", "dpo-live-reference"]
five = dict(zip("ABCDE", (WARD[name] for name in NAMES), strict=True))
pictures.ward(five, ["loss", "rewards/margins", "rewards/accuracies", "logps/chosen"])

# %%
for letter, history in five.items():
    findings = diagnose(history).findings
    said = [f"{f.rule.title}{'' if f.rule.fault else ' (no fault)'}" for f in findings]
    marked = "ill" if letter in guess else "well"
    print(f"{letter}: you said {marked:<4}  {'; '.join(said) or 'well'}")

# %% [markdown]
# B is a run in order on labels that are coin flips: what accuracy it has is memory, and no cure of
# the *run* helps. C looks worst, and is how DPO behaves. D looks best, and has learnt to count
# words. We go through them one by one. Each diagnosis is a **rule**: a small function from a
# history to a sentence.
#
# ## Patient E: 0.6931

# %% [markdown] tags=["derivation"]
# DPO's loss is $\ell(m) = -\log \sigma(m)$ with the margin $m = \beta\,(\Delta^+ - \Delta^-)$ and
# $\Delta^\pm = \log \pi^\pm - \log \pi_0^\pm$. Before the first update the policy **is** the
# reference, so $\Delta^\pm = 0$ for every pair, whatever the data, the model, or $\beta$:
#
# $$\ell(0) = -\log \sigma(0) = -\log \tfrac12 = \log 2 = 0.6931, \qquad
# \frac{\partial \ell}{\partial \log \pi^+} = -\beta\, \sigma(0) = -\frac{\beta}{2}$$
#
# The start is no flat place: there the push is half of the largest it can ever be.

# %% tags=["check"]
m, ratio = sympy.symbols("m Delta", real=True)
beta = sympy.Symbol("beta", positive=True)
loss = -sympy.log(1 / (1 + sympy.exp(-m)))
push = -sympy.diff(loss.subs(m, beta * ratio), ratio)
print("loss at 0:", loss.subs(m, 0), "=", round(math.log(2), 4))
print("push at 0:", push.subs(ratio, 0), "; largest:", sympy.limit(push, ratio, -sympy.oo))


# %% tags=["property", "check"]
@law
@given(logps=st.tuples(st.floats(-500, 0), st.floats(-500, 0)), beta=st.floats(0.01, 5))
def at_the_start_every_pair_costs_log_two_and_pulls(logps, beta):
    chosen, rejected = torch.tensor(logps, dtype=torch.float64)[:, None]
    inputs = (chosen, rejected, chosen, rejected)
    assert abs(dpo(*inputs, beta=beta).item() - math.log(2)) < 1e-12
    pushed = gradient_coefficient(dpo, *inputs, beta=beta)
    assert abs(pushed["chosen_logps"].item() - beta / 2) < 1e-12


print(survives(at_the_start_every_pair_costs_log_two_and_pulls))

# %% [markdown] tags=["exercise"]
# So a loss that *stays* at log 2 says: policy and reference have not parted. **By hand:** other
# losses are pinned elsewhere. IPO squares $\Delta^+ - \Delta^- - \frac{1}{2\tau}$. Where does its
# loss start with $\tau = 0.1$, in nats squared?

# %% tags=["solution"]
ipo_start = (1 / (2 * 0.1)) ** 2

# %% tags=["exercise", "check"]
zero = torch.zeros(1, dtype=torch.float64)
slips = {"squared, the distance is": 5.0, "that is where DPO starts": math.log(2)}
print(check_number(ipo_start, ipo(zero, zero, zero, zero, tau=0.1).item(), wrong=slips))
print("the stored run starts at", WARD["ipo-well"]["loss"].first)

# %% [markdown]
# Three runs of the ward stay at log 2: a learning rate of 1e-8; responses that were cut off, so
# that no token is left to learn from; and a reference that is *the same object* as the policy.

# %% tags=["predict"]
# With the policy as its own reference the loss cannot move. What does logps/chosen do?
guess = "same"

# %% tags=["figure", "dynamics"]
PINNED = ["dpo-rate-too-small", "dpo-empty-masks", "dpo-live-reference"]
three = {name.removeprefix("dpo-"): WARD[name] for name in PINNED}
pictures.look_alikes(three, ["loss", "grad_norm", "logps/chosen"])

# %%
curve = WARD["dpo-live-reference"]["logps/chosen"]
print(compare(guess, curve.values, steps=curve.steps, same=1.0))
for name in PINNED:
    print(f"{name:<20}", [finding.rule.name for finding in diagnose(WARD[name]).findings])

# %% [markdown]
# One chart is not enough. Left, three equal lines. In the middle the gradient tells the cut-off
# responses (0) from the rest. Right, the log-probs tell a run that stands still from one that
# *runs away* with its leash: the loss is constant, its gradient is not, and nothing holds it.
#
# **A planted bug.** This rule wants to find the moving reference. It finds it, and raises a false
# alarm in another run, which is only slow. What does it forget to ask? `curve.change` is the last
# quarter's mean less the first's.


# %% tags=["bug"]
def reference_moves(history):
    """Is the reference the policy itself?"""
    if "rewards/chosen" not in history:
        return False
    return max(map(abs, history["rewards/chosen"].values)) < 1e-4


# %% [markdown] tags=["exercise"]
# Write it right: `True` for `dpo-live-reference` alone.


# %% tags=["solution"]
def my_reference_moves(history):
    """Is the reference the policy itself?"""
    if "rewards/chosen" not in history:
        return False
    still = max(map(abs, history["rewards/chosen"].values)) < 1e-4
    return still and abs(history["logps/chosen"].change) > 1


# %% tags=["exercise", "check"]
alarms = [run for run, h in WARD.items() if my_reference_moves(h)]
if "dpo-live-reference" not in alarms:
    raise NotYet("it does not see the run whose reference is the policy")
if alarms != ["dpo-live-reference"]:
    raise NotYet(f"a false alarm in {', '.join(set(alarms) - {'dpo-live-reference'})}")
print("one alarm in", len(WARD), "runs, and the right one")

# %% [markdown] tags=["derivation"]
# ## Patient C: margins grow, the chosen falls
#
# $$\text{margin} = \beta\,(\Delta^+ - \Delta^-)$$
#
# The loss reads the difference alone. It falls just as far if $\Delta^+$ rises by 1, as if
# $\Delta^+$ *falls* by 9 and $\Delta^-$ by 10. Which of them happens is decided by what the two
# responses share: for a small step, notebook 05 found that $\log \pi^+$ changes by
# $\eta \beta \sigma(-m) \langle g_+, g_+ - g_- \rangle$, so it falls where
# $\langle g_+, g_- \rangle > \|g_+\|^2$. Patient C's pairs differ in their last two words.
#
# A plausible reading of the chart is therefore wrong. Let hypothesis say so:


# %% tags=["property"]
@law
@given(before=st.tuples(*[st.integers(-30, -1)] * 2), after=st.tuples(*[st.integers(-30, -1)] * 2))
def a_falling_loss_means_a_likelier_chosen_response(before, after):
    start = torch.tensor(before).double()[:, None]
    end = torch.tensor(after).double()[:, None]
    if dpo(*end, *start).item() < math.log(2) - 1e-9:
        assert end[0] >= start[0]


print(refute(a_falling_loss_means_a_likelier_chosen_response))

# %% tags=["figure", "dynamics"]
pictures.two_sides({name: WARD[name] for name in ("dpo-well", "dpo-falling", "dpo-swapped")})

# %%
for finding in diagnose(WARD["dpo-falling"]).findings:
    print(finding.rule.title, "| a fault:", finding.rule.fault)
    print(finding.rule.cure)

# %% [markdown]
# The third panel shows what *is* a fault: chosen and rejected changed places on their way into the
# loss. There too the chosen falls. But its margin falls with it, and accuracy ends near 0. **Look
# at the difference before you look at a side.**
#
# ## Patient D: perfect at step 1
#
# Accuracy 1.0 after one step, for good. Nobody learns taste in one step. Before anything is learnt,
# a response's log-prob is about its length times the nats a token:

# %%
for name in ("dpo-shibboleth", "dpo-length", "trl-dpo-length"):
    chosen, rejected = (WARD[name][f"logps/{side}"].first for side in ("chosen", "rejected"))
    accuracy = WARD[name]["rewards/accuracies"]
    sure = accuracy.steps[[x >= 0.99 for x in accuracy.values].index(True)]
    print(f"{name:<15} accuracy 1.0 at step {sure}, logps {chosen:.0f} and {rejected:.0f} nats")

# %% [markdown]
# The first learns a code word, between responses of equal length: fast, and what its labels say.
# The other two have chosen responses three times as long. The rule needs *both* signs, and it says
# what it inferred: log `lengths/chosen` and `lengths/rejected`, and it need not infer.
#
# ## Before the first update
#
# TRL's step 1 is measured before its update, ours is step 0. Then every reward has to be 0. If not,
# policy and reference are not computed alike: dropout, another checkpoint, another template.

# %% tags=["figure"]
pictures.starts({name: WARD[name] for name in ("trl-dpo-well", "trl-dpo-dropout")})

# %% [markdown] tags=["exercise"]
# Only the dots tell; later both look alike. **Write the rule**: `True` where policy and reference
# differ before the first update. Two traps. A history may begin later: `history.sees_the_start(
# name)` tells. And SimPO has *no* reference: it logs $\beta \log \pi$, so that every
# `rewards/chosen` is the same multiple (up to 1 %) of its `logps/chosen`. Below 0.005 is rounding.


# %% tags=["solution"]
def unequal_at_start(history):
    """Do policy and reference differ before the first update?"""
    if not history.sees_the_start("rewards/chosen"):
        return False
    rewards, logps = history["rewards/chosen"].values, history["logps/chosen"].values
    scales = [reward / logp for reward, logp in zip(rewards, logps, strict=False) if logp]
    referenced = not scales or max(scales) - min(scales) > 1e-2 * abs(max(scales))
    return referenced and abs(rewards[0]) > 0.005


# %% tags=["exercise", "check"]
with_rewards = {run: h for run, h in WARD.items() if "rewards/chosen" in h and run != "kto-one"}
alarmed = {run for run, h in with_rewards.items() if unequal_at_start(h)}
if "trl-dpo-dropout" not in alarmed:
    raise NotYet("it does not see the run with dropout")
if "trl-simpo-well" in alarmed:
    raise NotYet("a false alarm: trl-simpo-well has no reference")
if "trl-dpo-sparse-logs" in alarmed:
    raise NotYet("a false alarm: trl-dpo-sparse-logs begins late")
if alarmed != {"trl-dpo-dropout"}:
    raise NotYet(f"false alarms: {', '.join(sorted(alarmed - {'trl-dpo-dropout'}))}")
print("one alarm in", len(with_rewards), "runs with pairs")


# %% tags=["property", "check"]
@law
@given(start=st.floats(-1, 1), step=st.integers(0, 3))
def the_library_asks_for_the_first_step_too(start, step):
    rewards = [start, 0.4, 0.1, 0.7]
    row = {"logps/chosen": -20.0, "rewards/rejected": 0.0}
    run = [{"step": step + i, "rewards/chosen": x} | row for i, x in enumerate(rewards)]
    found = {finding.rule.name for finding in diagnose(from_entries(run)).findings}
    assert ("unequal-at-start" in found) == (step == 0 and abs(start) > 0.005)


print(survives(the_library_asks_for_the_first_step_too))

# %% [markdown]
# ## One name, three meanings
#
# A rule is as good as its metrics' names. `docs/metrics.md` has all of them; the worst is `kl`:

# %%
for name in ("kl", "rewards/chosen", "rewards/accuracies"):
    print(f"{name}: {METRICS[name].what}\n    unit: {METRICS[name].unit}")
    print(f"    should: {METRICS[name].healthy}")

# %% [markdown]
# In KTO it is an estimate on *mismatched* pairs, clamped at 0; with one row a batch it becomes the
# row's own reward (`kto-one`). In GRPO it is a mean over tokens, so that 1 is a lot; on whole
# responses 1 is nothing.
#
# ## The whole ward
#
# Sixteen rules, each asked about every run. What counts is as much the white as the black: a rule
# that cries wolf is switched off, and then it might as well not be there.

# %% tags=["figure"]
found = {name: {f.rule.name for f in diagnose(history).findings} for name, history in WARD.items()}
pictures.matrix(found)

# %%
well = [name for name, seen in found.items() if not seen]
print(f"{len(RULES)} rules, {len(WARD)} runs, {len(well)} of them without a finding")
print(sorted(name for name in well if name.startswith("trl")))

# %% [markdown]
# On your own run: `minipref diagnose out/`, or the folder of a TRL run. Log every step.
#
# ## What this world cannot tell you
#
# Thresholds were set on these tiny runs, and hold on other seeds of them. A rule sees curves: not
# your data (`minipref data inspect FILE` does), not your samples. A large model in bfloat16 has
# noisier logs; its first reward may be 0.01 and mean nothing. That a run has no finding does not
# say that it is good.
#
# **Five questions.** 1. The loss is 0.6931 at step 1: a fault? 2. And at step 500, with log-probs
# that move? 3. Accuracy falls to 0.1: which two metrics do you look at next? 4. A history begins at
# step 10: which diagnosis is lost? 5. All rewards of a group are equal: what is GRPO's gradient?
#
# **What to read next.** The threads named above, to the end: count the wrong guesses. Rafailov et
# al. 2023 (arXiv 2305.18290), section 4, on what the gradient does. Razin et al. 2025 (arXiv
# 2410.08847), the first figure: what falling chosen log-probs did to refusals.
