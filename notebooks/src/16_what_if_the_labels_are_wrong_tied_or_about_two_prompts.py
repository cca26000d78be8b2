# %% [markdown]
# # 16 · What if the labels are wrong, tied, or about two prompts?
#
# A preference label looks like a fact: this answer beat that one. But the annotator slipped in
# three cases of ten. Or could not tell, and had to tick something. Or was shown answers to two
# *different* questions. What does DPO make of such labels?
#
# We measure with a ruler. Many pairs of answers, each with a **true gap** $d$ in reward, so that
# Bradley and Terry's annotator says "first" with probability $\sigma(d)$. We train one margin for
# each pair and read off the **fitted gap**. A good method's ruler is straight.
# *Rows: 070, 039, 100, 011.*

# %%
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import rulers, style
from minipref.course.checks import NotYet, check_function, check_loss, check_number
from minipref.course.pictures import wrong_labels as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.losses import cdpo, dpo, rdpo

style.use()
torch.set_num_threads(1)
gaps = torch.linspace(-4, 4, 81, dtype=torch.float64)  # true gaps, nats

# %% tags=["predict"]
# Flip 30 % of all labels at random. Among many labels such slips average out, don't they?
# DPO learns from infinitely many. The fitted gap of a pair whose true gap is 2: against no flips,
# does it go "up", "down", or is it the "same"?
guess = "same"


# %% tags=["figure", "dynamics"]
def flipped(clean, rate):
    """P("first is better") after a share of the labels has been flipped."""
    return (1 - 2 * rate) * clean + rate


def plain(*logps):
    return dpo(*logps, beta=1.0)


runs = {rate: rulers.train(plain, flipped(gaps.sigmoid(), rate)) for rate in (0.0, 0.1, 0.3)}
pictures.rulers_over_time(gaps, runs)

# %%
two = int((gaps - 2).abs().argmin())
print(compare(guess, [float(run[-1, two]) for run in runs.values()], same=0.1))

# %% [markdown]
# Slips do not average out. The ruler is *bent*: small gaps shrink, and no gap, however large, is
# ever read as more than 0.85. Nothing about this is noise; more labels would draw the same curve
# more sharply.

# %% [markdown] tags=["derivation"]
# ## Step 1: where a margin comes to rest
#
# Let the label say "first" with probability $p$. DPO's expected loss and its slope are
#
# $$L(m) = -p \log \sigma(m) - (1 - p) \log \sigma(-m), \qquad L'(m) = \sigma(m) - p$$
#
# so the margin rests where $\sigma(m) = p$: at $m = \log \frac{p}{1 - p}$. The loss takes whatever
# the labels say for Bradley and Terry's own words. With flips at rate $\varepsilon$ they say
# $p = (1 - 2 \varepsilon)\, \sigma(d) + \varepsilon$.

# %% tags=["check"]
import sympy

m, p = sympy.symbols("m p", positive=True)
sigma = 1 / (1 + sympy.exp(-m))
slope = sympy.diff(-p * sympy.log(sigma) - (1 - p) * sympy.log(1 - sigma), m)
assert sympy.simplify(slope - (sigma - p)) == 0
assert torch.allclose(runs[0.3][-1], flipped(gaps.sigmoid(), 0.3).logit(), atol=0.02)
print("the slope is sigma(m) - p, and training came to rest where it vanishes")

# %% [markdown] tags=["exercise"]
# **By hand.** A pair's true gap is 2 ($\sigma(2) = 0.881$), and 30 % of labels are flipped. Where
# does DPO's margin rest?

# %% tags=["solution"]
said = 0.4 * 0.8808 + 0.3
rest = torch.tensor(said).logit().item()

# %% tags=["exercise", "check"]
slips = {
    "that is the probability; which margin has it?": 0.6523,
    "a flip turns a right label wrong and a wrong one right: both count": 0.4748,
}
print(check_number(rest, 0.6294, wrong=slips, within=2e-3))

# %% [markdown]
# A plausible claim: flips **scale** the ruler. All gaps shrink by one factor, $1 - 2 \varepsilon$,
# and a smaller $\beta$ would make up for it. Hypothesis disagrees:


# %% tags=["property"]
@law
@given(gap=st.integers(0, 6), rate=st.sampled_from([0.1, 0.2, 0.3]))
def flips_scale_every_gap_alike(gap, rate):
    fitted = flipped(torch.tensor(float(gap)).sigmoid(), rate).logit()
    assert abs(fitted - (1 - 2 * rate) * gap) < 0.05


print(refute(flips_scale_every_gap_alike))

# %% [markdown]
# No temperature straightens a curve. But look at what flips *cannot* do:


# %% tags=["property", "check"]
@law
@given(small=st.floats(-9, 9), more=st.floats(0.01, 9), rate=st.floats(0.01, 0.49))
def flips_never_change_who_is_better(small, more, rate):
    one, other = flipped(torch.tensor([small, small + more]).double().sigmoid(), rate).logit()
    assert one <= other  # the order of gaps stays
    assert one * small >= 0  # so does the sign
    assert abs(one) <= abs(small) + 1e-9  # no gap grows
    assert abs(one) < torch.tensor(1 - rate).logit()  # and no gap gets beyond this


print(survives(flips_never_change_who_is_better))

# %% [markdown] tags=["derivation"]
# ## Step 2: put the slip into the loss
#
# If the rate is known, the bend can be undone. We look for a loss $\hat \ell$ whose mean over flips
# is the clean one, $(1 - \varepsilon)\, \hat\ell(m) + \varepsilon\, \hat\ell(-m) = \ell(m)$. With
# the same equation at $-m$ these are two unknowns in two equations:
#
# $$\hat \ell(m) = \frac{(1 - \varepsilon)\, \ell(m) - \varepsilon\, \ell(-m)}{1 - 2 \varepsilon}$$
#
# This is **rDPO** (paper 070). A relative, cDPO, smooths the label instead:
# $(1 - \varepsilon)\, \ell(m) + \varepsilon\, \ell(-m)$. One sign differs.

# %% tags=["check"]
e, clean, other = sympy.symbols("epsilon l_m l_minus", positive=True)


def hat(one, swapped):
    return ((1 - e) * one - e * swapped) / (1 - 2 * e)


mean = (1 - e) * hat(clean, other) + e * hat(other, clean)
assert sympy.simplify(mean - clean) == 0
print("the mean over flips is the loss on clean labels")

# %% [markdown] tags=["exercise"]
# Write rDPO, for log-probs, with the strength `beta` and the rate `flip_rate`.


# %% tags=["solution"]
def my_rdpo(chosen, rejected, ref_chosen, ref_rejected, *, beta=0.1, flip_rate=0.1):
    """rDPO's loss, one a row: (batch,)."""
    margin = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
    as_labelled = -torch.nn.functional.logsigmoid(margin)
    swapped = -torch.nn.functional.logsigmoid(-margin)
    return ((1 - flip_rate) * as_labelled - flip_rate * swapped) / (1 - 2 * flip_rate)


# %% tags=["exercise", "check"]
print(check_loss(my_rdpo, "rdpo"))

# %% tags=["figure", "dynamics"]
# Guess first: rDPO's ruler is straight. Is cDPO's nearer to straight than DPO's, or further off?
# And what if rDPO is told a wrong rate?
LOSSES = {
    "DPO": plain,
    "cDPO": lambda *logps: cdpo(*logps, beta=1.0, label_smoothing=0.3),
    "rDPO": lambda *logps: rdpo(*logps, beta=1.0, flip_rate=0.3),
    "rDPO, told 0.2": lambda *logps: rdpo(*logps, beta=1.0, flip_rate=0.2),
}
noisy = flipped(gaps.sigmoid(), 0.3)
pictures.rulers(gaps, {name: rulers.train(loss, noisy, 1500)[-1] for name, loss in LOSSES.items()})

# %% [markdown]
# cDPO doubts what is doubtful already, and bends the ruler *twice*. It buys something else: no
# margin runs away, whatever a single label says.
#
# **Does a straight ruler make a better policy?** Row 070 asked. On a bandit rDPO wins clearly. Then
# it sharpens DPO's policy until both lie equally far from the reference, and most of the lead is
# gone: a bent ruler keeps the order, and order is most of what a policy needs.

#
# ## Step 3: ties
#
# An annotator who sees no difference says "equal". Rao and Kupper (1967) have it that one wins only
# if the gap exceeds $\alpha$, up to the usual noise:
#
# $$P(\text{first}) = \sigma(d - \alpha), \qquad P(\text{second}) = \sigma(-d - \alpha), \qquad
# P(\text{tie}) = \text{the rest}$$
#
# Two habits are common: **drop** the ties, or **toss a coin** for each.

# %% tags=["predict"]
# Ties are dropped, the rest goes to DPO. A true gap of 1 with alpha = 1: "up", "down", "same"?
guess = "same"

# %% tags=["figure", "dynamics"]
alpha = 1.0
win, lose = (gaps - alpha).sigmoid(), (-gaps - alpha).sigmoid()
tie = 1 - win - lose

fitted = {
    "ties dropped": rulers.train(plain, win / (win + lose), 1500)[-1],
    "a coin for each": rulers.train(plain, win + tie / 2, 1500)[-1],
    "TODO": rulers.train_ties(win, lose, alpha, 1500)[-1],
}
pictures.rulers(gaps, fitted)

# %%
one = int((gaps - 1).abs().argmin())
print(compare(guess, [1.0, float(fitted["ties dropped"][one])], same=0.1))

# %% [markdown] tags=["derivation"]
# Dropping ties *stretches* the ruler: whoever keeps only clear verdicts hears an annotator who is
# surer than he was. Tossing coins bends it the other way. Each habit answers a question that nobody
# asked.
#
# **TODO** (paper 039) gives the tie a likelihood of its own. With
# $P(\text{tie}) = (e^{2 \alpha} - 1)\, \sigma(d - \alpha)\, \sigma(-d - \alpha)$ its loss on a tie
# pulls the margin to 0, and on a win it is DPO that asks for $\alpha$ more.


# %% tags=["check", "property"]
@law
@given(d=st.floats(-20, 20), a=st.floats(0.01, 5))
def the_three_verdicts_are_all_there_is(d, a):
    d, a = torch.tensor([d, a]).double()
    win, lose = (d - a).sigmoid(), (-d - a).sigmoid()
    assert torch.isclose(win + lose + torch.expm1(2 * a) * win * lose, torch.ones(()).double())


print(survives(the_three_verdicts_are_all_there_is))

# %% [markdown] tags=["exercise"]
# **A planted bug.** This loss of a tie is finite, smooth, and least at 0, as it should be. Yet a
# policy that learns $\alpha$ along sends it to infinity, and calls everything a tie. Write
# `tie_loss` right.


# %% tags=["bug"]
def buggy_tie_loss(margin, alpha):
    """-log P(tie)."""
    win = torch.nn.functional.logsigmoid(margin - alpha)
    lose = torch.nn.functional.logsigmoid(-margin - alpha)
    return -(win + lose) - 3 * alpha


# %% tags=["solution"]
def tie_loss(margin, alpha):
    """-log P(tie)."""
    win = torch.nn.functional.logsigmoid(margin - alpha)
    lose = torch.nn.functional.logsigmoid(-margin - alpha)
    return -(win + lose) - torch.expm1(2 * alpha).log()


# %% tags=["exercise", "check"]
cases = [(torch.tensor(m), torch.tensor(a)) for m in (-2.0, 0.0, 1.0) for a in (0.3, 1.0, 3.0)]
by_counting = [-(1 - (m - a).sigmoid() - (-m - a).sigmoid()).log() for m, a in cases]
print(check_function(tie_loss, lambda *case: by_counting[cases.index(case)], cases, within=1e-4))

# %% [markdown] tags=["derivation"]
# ## Step 4: two prompts
#
# DPO's reward of an answer is $\beta \log \frac{\pi(y|x)}{\pi_0(y|x)}$, and that is the true reward
# *less a number for each prompt*, $\beta \log Z(x)$. In a pair with one prompt the number cancels.
# So does everything that a policy could learn from it: whether a prompt's answers are all good or
# all bad leaves no trace.
#
# **DOVE** (paper 011) asks: which is better, this answer to that question, or that answer to this
# one? A plausible claim: nothing changes in the loss, so adding a constant to one prompt's
# log-ratios still changes nothing.


# %% tags=["property"]
@law
@given(shift=st.integers(-3, 3), same_prompt=st.booleans())
def a_number_for_each_prompt_cancels(shift, same_prompt):
    first, second, nothing = torch.tensor([[-3.0], [-4.0], [0.0]]).double()
    before = plain(first, second, nothing, nothing)
    after = plain(first + shift, second + (shift if same_prompt else 0), nothing, nothing)
    assert torch.allclose(before, after)


print(refute(a_number_for_each_prompt_cancels))

# %% [markdown] tags=["derivation"]
# Across prompts it does not cancel. Good news: such labels *know* something new. Bad news: $Z(x)$
# is in the fitted reward now, and cannot be told from quality. DOVE's code lets the prompt's own
# probability count, too, so that the prompt can hold its level. Row 011 measured it on `chat`: with
# the answers alone nothing is won; with prompts counted a little, at some seeds; and as much with
# DPO and a larger $\beta$.
#
# ## Step 5: two chances to be right
#
# So far we believed the label, or a model of how it errs. Ask a **judge** instead: how often would
# my policy's answers beat the data's? He may be wrong. Or weigh the data by how much likelier my
# policy is to say what was said, $\rho = \pi / \hat\pi_0$. But who wrote the data? **DRPO** (paper
# 100) does both: the judge's word, and the weighted labels for his *errors* only:
#
# $$\hat p = \text{judge} + \rho \cdot (\text{label} - \text{judge on that pair})$$
#
# On a bandit its bias can be summed up exactly, for every pair that could be drawn. We make the
# judge wrong by a share $s$ (he says $(1 - s)$ truth $+\, s$ nonsense), and the reference by $t$.


# %% tags=["figure"]
world = rulers.TwoChances()
wrong = torch.linspace(0, 1, 21).tolist()
pictures.two_chances(wrong, world.biases(wrong))

# %% tags=["exercise"]
# The picture has two straight edges without any bias. Half as wrong a judge, and a reference at
# full error: how much of the full bias is left? (A share.)

# %% tags=["solution"]
left = 0.5

# %% tags=["exercise", "check"]
print(check_number(left, world.bias(0.5, 1.0) / world.bias(1.0, 1.0), within=1e-6))
if max(abs(world.bias(0.0, 1.0)), abs(world.bias(1.0, 0.0))) > 1e-12:
    raise NotYet("either of them right, and still a bias?")
print("either right: no bias")

# %%
from minipref.papers.results import told

for key in ("robust-dpo", "todo", "dove", "drpo"):
    print(told(key), end="\n\n")

# %% [markdown]
# These are the rows' claims, and at how many of five seeds each held.
#
# ## What this world cannot tell you
#
# Our rulers had as many labels as they liked, and a margin for each pair. With few labels a bent
# but quiet ruler can be the better one, and a policy shares what it learns between pairs. Flips
# came at random, at a rate that we knew; real annotators slip where it is hard (paper 057's
# several references and paper 007's malicious raters are other stories). And a straight ruler is
# not yet a better policy: see row 070 once more.
#
# **Five questions.** 1. At a flip rate of one half, what do labels say, and what does rDPO's loss
# do? 2. Which habit would you prefer for ties if you train at a tiny $\beta$? 3. Your annotators
# flip only close calls: which way does the ruler bend? 4. Two prompts, one with easy questions:
# what do joint labels teach that is not quality? 5. Judge and reference are both half right. Is
# DRPO's bias half, a quarter, or something else?
#
# **What to read next.** Paper 070 (arXiv 2403.00409): its Lemma on the unbiased loss is step 2 in
# full. Paper 039 (arXiv 2411.02442): accuracy against the share of ties. Paper 100 (arXiv
# 2506.01183): the table where either of two models is misspecified.
