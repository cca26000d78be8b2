# %% [markdown]
# # 17 · Where does the gradient go?
#
# DPO asks for very little: a larger difference between two log-probs. In notebook 05 its push on
# both was equal and opposite, and yet the chosen answer fell. The push was innocent. What happened
# on the way from log-probs to *weights*?
#
# Three questions, on a small language model: **which words** move, **which way** an answer goes,
# and **how fast** anything is learnt. *Rows: 019, 084, 004.*

# %%
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import moved, style
from minipref.course.checks import NotYet, check_function, check_number
from minipref.course.measured import measured
from minipref.course.pictures import where_it_goes as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.data.corpora import CHAT
from minipref.data.streams import stream
from minipref.evaluation import displacement

# %% tags=["predict"]
style.use()
torch.set_num_threads(1)
base, pairs = moved.start()  # a small model, and 1024 labelled pairs of its own answers
# Three epochs of DPO. A chosen answer of twelve words loses some nats. The last token says
# "I am done". Against an average token, does the log-prob of *stopping* fall "up", "down", "same"?
# ("up": it falls less than the average; "down": it falls more.)
guess = "same"

# %% tags=["figure", "dynamics"]
policy = moved.tuned(base, pairs, steps=96)
chosen, rejected = moved.changes(base, policy, pairs)
good = pairs.pairs[:, 0]
said = pairs.rows.completion_mask[good]  # (pairs, length)
ids = pairs.rows.ids[good][said]
nats = torch.zeros(CHAT.vocabulary_size).index_add(0, ids, chosen[said]) / len(good)
pictures.words(CHAT, nats)

# %%
last = chosen.gather(1, pairs.rows.attention_mask[good].sum(1, keepdim=True) - 1)[:, 0]
average = (chosen.sum(1) / said.sum(1)).mean()
print(compare(guess, [float(average), float(last.mean())], same=0.1))
measured(
    ("change of the chosen, nats", chosen.sum(1).mean().item(), (-6, -1)),
    ("change of the rejected, nats", rejected.sum(1).mean().item(), (-15, -4)),
    ("of which stopping, chosen", last.mean().item(), (-1.5, -0.3)),
)

# %% [markdown]
# Each bar is nats that an average chosen answer lost or won through one word. The biggest loser is
# no word at all: it is **the end**. Next come commas. What wins is *because*, *I*, *sure*: words of
# explained and polite answers, which this annotator likes.
#
# So "the chosen answer falls" is mostly not about what it says. The policy learns to begin other
# answers, and to go on for longer. Any answer that it did not write itself looks too short to it.
# Now the machine: why does a push on *these* tokens move *those*?

# %% [markdown] tags=["derivation"]
# ## Step 1: tokens push tokens
#
# Look at the output layer alone: logits $z = W h$, with $h$ the hidden state before a token. The
# gradient of a token's log-prob is an outer product,
#
# $$\nabla_W \log \pi(y_t) = (e_{y_t} - \pi_t) \, h_t^\top$$
#
# with $e$ the one-hot of the word and $\pi_t$ all probabilities. A step along the gradient of token
# $s$ changes the log-prob of token $t$ by the product of both, and a product of outer products
# comes apart:
#
# $$\langle \nabla \log \pi(y_t), \nabla \log \pi(y_s) \rangle =
# \underbrace{\langle h_t, h_s \rangle}_{\text{alike contexts}} \;
# \underbrace{\langle e_{y_t} - \pi_t,\; e_{y_s} - \pi_s \rangle}_{\text{alike surprises}}$$


# %% tags=["check"]
def token_gradient(weight, hidden, word):
    """d log pi(word) / d weight by autograd."""
    weight = weight.clone().requires_grad_()
    return torch.autograd.grad((weight @ hidden).log_softmax(0)[word], weight)[0]


def surprise(weight, hidden, word):
    """e - pi of a word: (words,)."""
    missed = -(weight @ hidden).softmax(0)
    missed[word] += 1
    return missed


rng = torch.Generator().manual_seed(17)
weight, (h_t, h_s) = torch.randn(9, 4, generator=rng), torch.randn(2, 4, generator=rng)
product = (token_gradient(weight, h_t, 2) * token_gradient(weight, h_s, 5)).sum()
apart = (h_t @ h_s) * (surprise(weight, h_t, 2) @ surprise(weight, h_s, 5))
assert torch.allclose(product, apart, atol=1e-5)
print("the product of gradients comes apart into contexts and surprises")

# %% [markdown] tags=["exercise"]
# **By hand.** Four words, all equally likely. The chosen token is word 0, the rejected one word 1,
# and both stand in the same context, $\langle h, h \rangle = 1$. What is
# $\langle \nabla \log \pi^+, \nabla \log \pi^- \rangle$?

# %% tags=["solution"]
kernel = 2 * (0.75 * -0.25) + 2 * (-0.25 * -0.25)

# %% tags=["exercise", "check"]
slips = {
    "words 2 and 3 are surprised too: they were expected, and did not come": -0.375,
    "that is a token with itself": 0.75,
}
print(check_number(kernel, -0.25, wrong=slips))

# %% [markdown]
# In one context, different words push each other apart: raising one lowers the other. A plausible
# claim: **two different words never help each other**, whatever stands before them. If it were
# true, pushing the rejected words down could only lift the chosen ones.


# %% tags=["property"]
direction = st.tuples(st.integers(-1, 1), st.integers(-1, 1))


@law
@given(before_chosen=direction, before_rejected=direction)
def different_words_never_help_each_other(before_chosen, before_rejected):
    hidden = torch.tensor([before_chosen, before_rejected]).float()
    even = torch.zeros(4, 2)
    gradients = [token_gradient(even, h, word) for h, word in zip(hidden, (0, 1), strict=True)]
    assert (gradients[0] * gradients[1]).sum() <= 1e-6


print(refute(different_words_never_help_each_other))

# %% [markdown]
# Opposite contexts turn the sign around. And in a trained model a third thing helps: if both tokens
# were expected to be the same *favourite* word, both surprises have it negative, and they agree.
# (In row 004's toy this is what makes near-copies fall together.)

# %% [markdown] tags=["derivation"]
# ## Step 2: which way? CHES
#
# A step of DPO on one pair moves the chosen answer by
# $\langle g_+, g_+ - g_- \rangle$, where $g_\pm$ sum over tokens. If all surprises were equally
# alike, only contexts would be left, and with $H_\pm = \sum_t h_t$ the chosen answer falls where
#
# $$\text{CHES} = \langle H_+, H_- \rangle - \lVert H_+ \rVert^2 > 0$$
#
# (Razin et al. 2025). It needs one look at the base model, and no training.

# %% [markdown] tags=["exercise"]
# Write it, for sums of hidden states `(..., width)`.


# %% tags=["solution"]
def my_ches(chosen, rejected):
    """<H+, H-> - |H+|^2: (...)."""
    return (chosen * rejected).sum(-1) - chosen.square().sum(-1)


# %% tags=["exercise", "check"]
cases = [tuple(torch.randn(2, *shape, generator=rng)) for shape in ((3,), (5, 3))]
print(check_function(my_ches, displacement.ches_score, cases, within=1e-5))

# %% [markdown]
# Now *predict* with it. We sort all pairs by a number known before training, and train on the 300
# lowest and on the 300 highest, apart. The numbers: CHES; CHES of *mean* hidden states; and a dull
# one, how much longer the rejected answer is.

# %% tags=["predict"]
# From the pairs with the lowest CHES to those with the highest: how far the chosen answer moves
# (a fall is a negative number)?
guess = "down"

# %% tags=["figure", "dynamics"]
lengths = pairs.rows.completion_mask.sum(1)[pairs.pairs]  # (pairs, 2)
scores = {
    "CHES": displacement.ches(base, pairs),
    "CHES of means": displacement.ches(base, pairs, normalised=True),
    "rejected longer by": lengths[:, 1] - lengths[:, 0],
}
went = {}
for name, score in scores.items():
    order = score.argsort(stable=True)
    for end, index in {"lowest": order[:300], "highest": order[-300:]}.items():
        part = pairs.take_pairs(index)
        both = moved.changes(base, moved.tuned(base, part, 40, 30), part)
        went[name, end] = [float(side.sum(1).mean()) for side in both]
pictures.predicted(went)

# %%
print(compare(guess, [went["CHES", end][0] for end in ("lowest", "highest")], same=0.5))
measured(
    ("chosen, lowest CHES, nats", went["CHES", "lowest"][0], (-3, 2)),
    ("chosen, highest CHES, nats", went["CHES", "highest"][0], (-15, -4)),
    ("chosen, highest CHES of means, nats", went["CHES of means", "highest"][0], (-5, 1)),
)

# %% [markdown]
# CHES is right, by a wide margin. But so is the dull number, and with *means*, where length drops
# out, the prediction is gone. On `chat`, where answers differ in length and little else in their
# hidden states, **CHES is mostly a length**: $\langle H_+, H_- \rangle$ beats $\lVert H_+ \rVert^2$
# when the rejected answer has more tokens to add up. Raise the margin against a long answer, and
# the cheapest way is to make *everything* long less likely, or everything at all.
#
# That is a warning about scores, not about Razin's theorem: ask what else your score knows. What
# paper 004 makes of such pairs (it does not differentiate on them, it asks and steps):

# %%
from minipref.papers.results import told

print(told("compo"))

# %% [markdown] tags=["derivation"]
# ## Step 3: how fast? Distinguishability
#
# Train one behaviour: to statements of one kind answer *sure*, to the other kind *silly*. With the
# features $g$ frozen and $s = \pm 1$ for the kind, DPO on the output layer is logistic regression
# on the difference $h$ of two rows (paper 019):
#
# $$h_{t+1} = h_t + 2 \eta \beta \, \frac1n \sum_i \sigma(-\beta s_i h_t^\top g_i)\, s_i g_i$$
#
# At $h = 0$ every $\sigma$ is a half, so the first step is $\eta \beta\, \frac1n \sum_i s_i g_i$:
# half the **difference of the two kinds' mean features**. Its length $\Delta$ sets the pace.

# %% tags=["check", "property"]
from minipref.evaluation import distinguishability as pace


def statements(apart, seed, n=200, d=16):
    """Features (n, d) of two kinds whose means lie that far apart, and their signs."""
    rng = stream(seed, "17/statements")
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(n // 2)
    noise = torch.randn(n, d, generator=rng, dtype=torch.float64)
    return pace.at_distance(noise, signs, apart), signs


@law
@given(apart=st.floats(0.1, 6), rate=st.floats(0.001, 0.05), seed=st.integers(0, 99))
def no_weight_moves_faster_than_the_first_step_says(apart, rate, seed):
    known, how = statements(apart, seed, n=40, d=4), {"beta": 1.0, "learning_rate": rate}
    heads = pace.last_layer_dpo(*known, **how, steps=30)
    assert torch.isclose(heads[1].norm(), torch.tensor(rate * apart / 2).double())
    assert bool((heads.norm(dim=1) <= pace.rate_bound(*known, **how, steps=30) + 1e-12).all())


print(survives(no_weight_moves_faster_than_the_first_step_says))

# %% tags=["figure", "dynamics"]
# Guess first: four behaviours, alike but for how far apart their kinds lie. At step 20, which
# losses have moved at all?
how = {"beta": 1.0, "learning_rate": 0.05, "steps": 100}
curves = {}
for apart in (0.5, 1.0, 2.0, 4.0):
    known = statements(apart, seed=0)
    margins = pace.margins(pace.last_layer_dpo(*known, **how), *known, beta=1.0)
    curves[apart] = -torch.nn.functional.logsigmoid(margins).mean(1)
pictures.paces(curves)

# %% [markdown]
# A behaviour that the model already tells apart is learnt at once, one that it does not, hardly.
# Train both together and the first has the second's training time. It cuts both ways: a model that
# was *aligned* has drawn its two kinds apart, so flipping the labels moves its weights faster than
# those of the base. Does it also *unlearn* faster? Row 019, on `chat`:

# %%
print(told("learning-dynamics"))

# %% [markdown] tags=["derivation"]
# ## Step 4: when does it stop?
#
# DPO's push is $\beta \sigma(-m)$: it fades where the margin is won. Supervised learning pushes
# with 1, always. Paper 084 puts both on one line. Write the implicit reward of a demonstration,
# $s = \beta \log \frac{\pi}{\pi_0}$. Imitation under a KL leash pushes with a weight $w(s)$ that
# depends on how one measures the distance to the demonstrations:
#
# $$w = (1 + s)^{p - 1}, \qquad p = 1 \text{ (SFT)}, \quad \tfrac12 \; (\chi^2), \quad
# 0 \text{ (KL)}, \quad -1 \text{ (Hellinger)}$$
#
# Only SFT's is constant: it never looks at the reference, so no leash holds it.

# %% tags=["figure", "check"]
from minipref.losses import dpo, f_sft, gradient_coefficient

rewards = torch.linspace(-0.8, 6, 200, dtype=torch.float64)
nothing = torch.zeros_like(rewards)
pushes = {
    name: gradient_coefficient(f_sft, rewards, nothing, beta=1.0, divergence=kind)["logps"]
    for name, kind in {"SFT": "linear", "$\\chi^2$": "chi_square", "Hellinger": "hellinger"}.items()
}
pushes["DPO"] = gradient_coefficient(dpo, rewards, *[nothing] * 3, beta=1.0)["chosen_logps"]
assert torch.allclose(pushes["$\\chi^2$"], (1 + rewards) ** -0.5)
pictures.weights(rewards, pushes)

# %% [markdown] tags=["exercise"]
# **A planted bug.** Somebody wrote the $\chi^2$ loss by hand, as $-w \log \pi$ with the weight
# above. Its value looks right, its curve falls; but on easy tokens it pushes *harder* the further
# they rise, and some even down. What was forgotten? Write it right.


# %% tags=["bug"]
def buggy_chi_square(logps, ref_logps, beta=0.1):
    """f-SFT's push for chi-square: (batch,)."""
    s = beta * (logps - ref_logps)
    return -((1 + s) ** -0.5) * logps


# %% tags=["solution"]
def my_chi_square(logps, ref_logps, beta=0.1):
    """f-SFT's push for chi-square: (batch,)."""
    s = beta * (logps - ref_logps)
    return -((1 + s) ** -0.5).detach() * logps


# %% tags=["exercise", "check"]
logps = torch.tensor([-1.0, -5.0, -9.0], dtype=torch.float64, requires_grad=True)
refs = torch.tensor([-6.0, -5.0, -4.0], dtype=torch.float64)
(mine,) = torch.autograd.grad(my_chi_square(logps, refs).sum(), logps)
if not torch.allclose(mine, -((1 + 0.1 * (logps - refs)) ** -0.5)):
    raise NotYet("the push is not the weight: does a gradient flow through the weight too?")
print("the push is the weight, and the weight is no variable")

# %%
print(told("implicit-reward-bridge"))

# %% [markdown]
# ## What this world cannot tell you
#
# Step 1 looked at one layer; in a deep model contexts move as well. Our answers are short and
# differ in length by a third; whether CHES is a length in *your* data takes one scatter plot.
# Features were frozen in step 3, and a real model makes its own distinctions while it trains.
#
# **Five questions.** 1. A policy trained by DPO writes longer answers. Name two explanations, and
# what would tell them apart. 2. When do two tokens in different contexts push each other up?
# 3. CHES predicts displacement, and so does length. Which experiment would separate them? 4. Two
# behaviours share one direction of features and want opposite words: what does the first step do?
# 5. Where is DPO's push larger than SFT's, and why is that rare?
#
# **What to read next.** Razin et al. 2025 (arXiv 2410.08847), the figure of CHES against
# displacement: look at the answers' lengths. Paper 019 (arXiv 2403.18742): its theorem is step 3
# with constants. Paper 084 (arXiv 2507.00018): the learning rate of the stage before DPO.
