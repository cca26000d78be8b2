# %% [markdown]
# # 06 · Which loss should I use?
#
# DPO, IPO, SimPO, ORPO, KTO, APO, ... A trainer offers fifteen, papers a hundred, and each table of
# results has its own winner. They all look at the same two numbers: how far the chosen and
# the rejected response have moved. So we can put them on **the same axes** and look.
#
# Below, eight losses train the same policy from the same start in the exact bandit of this atlas:
# ten responses, everybody prefers **chosen** to **rejected**, nobody asks about the **unseen**
# eight. Chosen and rejected are *alike*: they share a feature, as two answers to one question do.

# %%
import matplotlib.pyplot as plt
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import NotYet, check_function, check_number
from minipref.course.pictures import atlas as pictures
from minipref.course.pictures.reductions import reductions
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.evaluation.atlas import margin_field, view
from minipref.losses import bce_pair, dpo, gradient_coefficient, orpo, simpo
from minipref.losses.reductions import REDUCTIONS
from minipref.losses.registry import REGISTRY, get

# %% tags=["predict"]
style.use()
torch.set_num_threads(1)
# ORPO, then APO-zero, which pushes as DPO does at the start. Where does their chosen response end?
guess_orpo, guess_apo = "same", "same"

# %% tags=["figure", "dynamics"]
NAMES = ("dpo", "ipo", "hinge", "simpo", "bce_pair", "apo_zero", "orpo", "apo_down")
views = {name: view(get(name)) for name in NAMES}
pictures.paths(list(views.values()), "alike")

# %%
for name, guess in (("orpo", guess_orpo), ("apo_zero", guess_apo)):
    chosen = views[name].trajectory.chosen[::20, 1].tolist()
    print(f"{name:<9}", compare(guess, chosen, steps=range(0, 401, 20), same=0.005))
for name, page in views.items():
    print(f"{name:<9}", pictures.in_words(page))

# %% [markdown]
# (Probabilities on a log scale. `bce_pair` is KTO or BCO for a pair: the chosen is good, the
# rejected bad.) Every loss starts with an **equally strong push** and gets 400 equal steps. Five
# let the chosen response die. ORPO raises it; so does APO-zero, after a dip. One is *meant* to push
# it down. What in the formulas decides that?
#
# ## Step 1: one pair of numbers a loss
#
# For every method paper 001 asks one question: what is the **gradient coefficient**, the factor on
# $\nabla \log \pi(y)$, of either response?

# %% [markdown] tags=["derivation", "exercise"]
# For DPO, with $\Delta$ the chosen's log-ratio less the rejected's, it is
# $c = \beta\, \sigma(-\beta \Delta)$ and $r = -c$ (notebook 04). SimPO has
#
# $$L = -\log \sigma\Big(\beta\, \tfrac{1}{T} \log \pi(y_w) - \beta\, \tfrac{1}{T} \log \pi(y_l)
# - \gamma\Big)$$
#
# on *means* over $T$ tokens. We count per nat of the **sum**, or the axes would not be common.
# **Your turn:** the chosen's coefficient, where $\Delta$ is the difference of the two *sums*.


# %% tags=["solution"]
def simpo_coefficient(delta, length, beta, gamma):
    """How hard SimPO pushes the chosen up, per nat of its summed log-prob."""
    return beta / length * torch.sigmoid(gamma - beta * delta / length)


# %% tags=["exercise", "check"]
def by_autograd(delta, length, beta, gamma):
    sums = torch.tensor([delta - 9.0, -9.0]).double().requires_grad_()
    loss = simpo(sums[:1] / length, sums[1:] / length, beta=beta, gamma=gamma)
    return -torch.autograd.grad(loss.sum(), sums)[0][0]


cases = [(torch.tensor(d).double(), t, b, 1.0) for d in (-4.0, 3.0) for t in (1, 5) for b in (1, 2)]
print(check_function(simpo_coefficient, by_autograd, cases))

# %% [markdown] tags=["derivation"]
# ## Step 2: ORPO by hand
#
# ORPO has no reference. With the mean log-prob $m$ and its log odds $o(m) = m - \log(1 - e^m)$,
#
# $$L = -m_w - \lambda \log \sigma(o(m_w) - o(m_l)), \qquad o'(m) = \frac{1}{1 - e^m}$$
#
# With $z = o(m_w) - o(m_l)$ the chain rule gives, per nat of a mean,
#
# $$c = 1 + \frac{\lambda\, \sigma(-z)}{1 - e^{m_w}}, \qquad
# r = -\frac{\lambda\, \sigma(-z)}{1 - e^{m_l}}$$
#
# The 1 is plain supervised learning. It never fades, and nothing on the rejected side answers it.

# %% tags=["check", "property"]
means = st.floats(-8, -0.01)


@law
@given(m_w=means, m_l=means, weight=st.floats(0.01, 2))
def orpo_pushes_as_derived(m_w, m_l, weight):
    m = torch.tensor([[m_w], [m_l]], dtype=torch.float64)
    odds = m - torch.log(-torch.expm1(m))
    push = weight * torch.sigmoid(odds[1] - odds[0]) / -torch.expm1(m)
    found = gradient_coefficient(orpo, *m, lambda_=weight)
    assert torch.allclose(found["chosen_mean_logps"], 1 + push[0])
    assert torch.allclose(found["rejected_mean_logps"], -push[1])


print(survives(orpo_pushes_as_derived))

# %% tags=["figure"]
pictures.margins(list(views.values()))

# %% [markdown]
# Along the margin: **solid** pushes the chosen, **dashed** the rejected (below 0: down). Each loss
# is in units of its own push at the start; IPO's is fifty times DPO's, and the learning rate has
# to make up for it. Read off where a push *vanishes*. DPO: nowhere. Hinge: all at once, where
# its margin is won. IPO: at its target, and beyond it pulls back. ORPO's rejected side: nearly so
# everywhere.
#
# A rule that sounds right: **the more wrong a pair, the harder it is pushed**. For all of them?


# %% tags=["property"]
def push(name, *margins):
    """The chosen's coefficient at these margins, half of each gained by either side."""
    return margin_field(get(name), torch.tensor(margins)).chosen


margin = st.integers(-10, 10)


@law
@given(name=st.sampled_from(NAMES), margin=margin, worse=st.integers(1, 10))
def the_more_wrong_the_harder(name, margin, worse):
    better, lower = push(name, margin, margin - worse)
    assert lower >= better - 1e-12


print(refute(the_more_wrong_the_harder))

# %% [markdown] tags=["derivation"]
# APO-zero squashes either reward by a sigmoid: its push is largest at the start and fades on *both*
# sides, so that a hopeless pair (a wrong label?) is left in peace. True is: for a loss
# $L = f(\Delta)$ with **convex** $f$, the push $-f'(\Delta)$ can only fall as the margin grows.


# %% tags=["property", "check"]
@law
@given(name=st.sampled_from(("dpo", "ipo", "hinge", "simpo")), margin=margin, worse=margin)
def convex_ones_push_harder(name, margin, worse):
    better, lower = push(name, margin, margin - abs(worse))
    assert lower >= better - 1e-12


print(survives(convex_ones_push_harder))

# %% [markdown]
# ## Step 3: the plane
#
# A margin is one number; a pair has two. Each panel below has the chosen's log-ratio to the right
# and the rejected's upwards. Grey: lines of equal loss. Arrows: the push.

# %% tags=["figure"]
pictures.planes(list(views.values()))

# %% [markdown] tags=["derivation"]
# DPO, IPO, hinge and SimPO have *straight* levels along the diagonal, $c + r = 0$: **they cannot
# see both falling together.** The others bend, and the corner at the lower left tells them apart,
# where both have fallen and the rejected further: there $c + r > 0$ pulls the chosen back up.
#
# In our bandit this has a drastic consequence. With $f_w, f_l$ the features of the two, descent
# moves the weights along $c f_w + r f_l$, less $(c + r)$ times the mean feature. If $r = -c$, that
# is always the *same direction*, $f_w - f_l$. All these losses walk **one path**, at other speeds.

# %% tags=["check"]
BLIND = ("dpo", "ipo", "hinge", "simpo")
paths = [views[name].trajectory for name in BLIND]
steps = [path.step_at_kl(0.1, "alike") for path in paths]
there = torch.stack([path.policies[step, 1] for path, step in zip(paths, steps, strict=True)])
assert (there - there[0]).abs().max() < 3e-3
print("at 0.1 nats from the start, P(chosen) is", [f"{p:.2f}" for p in there[:, 0]])

# %% [markdown]
# **Four papers, one policy.** What differs is when they stop. So much for a table that compares DPO
# with IPO at one learning rate each.
#
# Now all eight with one budget: everyone stops **0.1 nats of KL** from the start.

# %% tags=["predict"]
# The blind ones end at 0.07, from 0.1. What about APO-zero, whose first push is DPO's exactly?
guess = "up"

# %% tags=["figure", "dynamics"]
points = {}
for name, page in reversed(views.items()):
    reached = [page.trajectory.step_at_kl(0.1, world) for world in ("apart", "alike")]
    chosen = page.trajectory.chosen
    points[name] = tuple(chosen[step, world].item() for world, step in enumerate(reached))
pictures.at_equal_kl(points, 0.1, start=0.1)

# %%
print("apo_zero:", compare(guess, [0.1, points["apo_zero"][1]], same=0.005))
for name in NAMES:
    print(f"{name:<9} apart {points[name][0]:.2f}   alike {points[name][1]:.2f}")

# %% [markdown] tags=["derivation", "exercise"]
# APO-zero and `bce_pair` rescue their chosen *late*: near the reference they are DPO, and how near
# is a matter of their $\beta$. What holds the chosen from the first step on is a likelihood term
# (ORPO) or a rejected side that weighs less. ORPO's price: it imitates, whatever people prefer.
#
# ## Step 4: who becomes whom
#
# Many "new" losses are an old one in some limit. `bce_pair` classifies each side by itself:
# $L = -\log \sigma(\beta x) - \log \sigma(-\beta y)$, for log-ratios $x$ and $y$.
#
# Let the two be opposite, $y = -x$. Then $\Delta = 2x$, and
#
# $$L = -2 \log \sigma(\beta x) = 2 \cdot \big(-\log \sigma(\beta' \Delta)\big)$$
#
# Twice DPO. **By hand:** with which $\beta'$, if $\beta = 0.1$?

# %% tags=["solution"]
dpo_beta = 0.05

# %% tags=["exercise", "check"]
x, zero = torch.linspace(-20, 20, 9).double(), torch.zeros(9).double()
print(check_number(dpo_beta, 0.05, wrong={"the margin is twice x": 0.1, "the other way": 0.2}))
pair = bce_pair(x, -x, zero, zero, beta=0.1)
assert torch.allclose(pair, 2 * dpo(x, -x, zero, zero, beta=dpo_beta))

# %% [markdown]
# One that *fails*. "SimPO without its margin ($\gamma = 0$) is DPO with a reference that is
# indifferent: only $\beta$ is divided by the length."


# %% tags=["property"]
@law
@given(chosen_length=st.integers(1, 5), rejected_length=st.integers(1, 5), nats=st.integers(-9, -1))
def simpo_is_dpo_without_a_reference(chosen_length, rejected_length, nats):
    one, other, none = torch.tensor([[nats], [-4.0], [0.0]], dtype=torch.float64)
    ours = simpo(one / chosen_length, other / rejected_length, gamma=0.0)
    assert torch.allclose(ours, dpo(one, other, none, none, beta=2.0 / chosen_length))


print(refute(simpo_is_dpo_without_a_reference))

# %% [markdown]
# Equal lengths save it; otherwise no $\beta$ does. This is why conventions are content. Reductions
# that hold stand in one table, `minipref.losses.reductions`; each line is a test. Here are the
# neighbours of this notebook; `minipref atlas --reductions` draws all of them, and `minipref atlas`
# the poster with every pair loss.

# %% tags=["figure"]
near = {"dpo", "ipo", "simpo", "orpo", "hinge", "cpo", "bce_pair", "cdpo", "sft", "kto"}
table = [r for r in REDUCTIONS if r.becomes in near and (r.loss in near or r.settings)]
table = [r for r in table if REGISTRY[r.loss].family in ("pairwise", "pointwise")]
families = {name: entry.family for name, entry in REGISTRY.items()}
reductions(table, families, size=(10, 7))
plt.show()

# %% [markdown] tags=["exercise"]
# ## Which one, then?
#
# Your data are thumbs: a prompt, *one* response, liked or not. Half of the dislikes belong to
# prompts without a like. Name a loss of the library that can use all of it (`minipref losses`).

# %% tags=["solution"]
choice = "kto"

# %% tags=["exercise", "check"]
if choice is ...:
    raise NotYet("no loss named yet")
entry = get(choice)
if any(name.startswith(("chosen", "rejected")) for name in entry.inputs):
    raise NotYet(f"{choice} wants both responses of a pair, and you have one")
if "desirable" not in entry.inputs:
    raise NotYet(f"{choice} is not told which responses were liked")
print("it takes", ", ".join(entry.inputs))

# %% [markdown] tags=["exercise"]
# **A planted bug**, once found in real code
# ([rlhf-book #243](https://github.com/natolambert/rlhf-book/issues/243)). It trains, its loss
# falls,
# and long answers suffer. At a sum of -40 nats, what are the odds of a response? Write it right.


# %% tags=["bug"]
def buggy_orpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths):
    """ORPO from summed log-probs and token counts, one loss a row."""
    return orpo(chosen_logps, rejected_logps)


# %% tags=["solution"]
def fixed_orpo(chosen_logps, rejected_logps, chosen_lengths, rejected_lengths):
    """ORPO from summed log-probs and token counts, one loss a row."""
    return orpo(chosen_logps / chosen_lengths, rejected_logps / rejected_lengths)


# %% tags=["exercise", "check"]
per_token, long = torch.tensor([-0.5, -0.5]).double(), torch.tensor([10.0, 80.0]).double()
found = fixed_orpo(per_token * long, (per_token - 1) * long, long, long)
if torch.allclose(found, orpo(per_token * long, (per_token - 1) * long)):
    raise NotYet("a response of 80 tokens still costs eight times one of 10")
if not torch.allclose(found, orpo(per_token, per_token - 1)):
    raise NotYet("it changed, but the lengths do not yet cancel: whose length divides whom?")
print("the same at every length:", [f"{loss:.3f}" for loss in found])

# %%
from minipref.papers.results import told

for key in ("orpo", "asft", "sdpo", "ln-dpo", "relative-po"):
    print(told(key), end="\n\n")

# %% [markdown]
# These rows were trained in the toy language `chat`, five seeds each, and compared at equal KL
# (`RESULTS.md`). They say the same as the atlas. ORPO: likelihood does most of the work, the odds
# ratio less than the paper has it. ASFT is its separable cousin. sDPO resets the reference, which
# is a smaller $\beta$ under another name. LN-DPO answers shorter at its best setting, but mostly
# since it has moved less: at equal KL hardly. RPO contrasts answers of different prompts: with both
# sides of a pair at hand that changes little, with one side lost it still learns.
#
# **A rule of thumb.** One response each: KTO, BCO. Labels surely wrong at times: a target (cDPO,
# IPO). Chosen responses better than the model: hold them (ORPO, DPO + SFT, APO-zero). Model better
# than the chosen: APO-down. Otherwise DPO, and spend the effort on data: the blind ones are one
# path.
#
# ## What this world cannot tell you
#
# One pair a prompt, plain descent, ten responses: with many pairs that contradict each other the
# blind losses do part. Papers' defaults belong to papers' models; at 0.1 nats of KL other defaults
# would order the eight otherwise. And nothing here says which policy *people* like better.
#
# **Five questions.** 1. Which losses here have a minimum? 2. IPO with sums instead of means: where
# is its target? 3. Divide a loss by 50 and multiply the learning rate by 50: what changes under
# SGD, what under Adam? 4. Where on the plane is $c + r$ of APO-down negative, and is that a bug?
# 5. Two losses walk one path. Which plot would hide that?
#
# **What to read next.** Tang et al. 2024 (arXiv 2402.05749): Figure 1 draws links $f(\Delta)$ as we
# do. D'Oosterlinck et al. 2024 (paper 064, arXiv 2408.06266): the figure of what APO does to either
# likelihood.
#
# *Rows: 034, 046, 049, 054, 109.*
