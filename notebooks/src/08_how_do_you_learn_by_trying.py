# %% [markdown]
# # 08 · How do you learn by trying?
#
# So far somebody showed us pairs. Now nobody shows anything. The policy answers, and a number comes
# back: 7.5. Was that good? Which of the words earned it? What would another answer have got?
#
# We take one prompt with three possible answers. There everything can be summed up exactly, and an
# estimate can be held against the truth. *Rows: 201, 204.*

# %%
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import check_function, check_number
from minipref.course.pictures import trying as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.course.trying import Tries, lengths, of_groups, several_passes
from minipref.losses.advantages import gae

style.use()
torch.set_num_threads(1)
policy = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
world = Tries(policy, torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64))

# %% tags=["predict"]
# The examiner is generous: 10 points more for every answer. No answer is better than before.
# The gradient does not change, we shall see. And the spread of its estimates: "up", "down", "same"?
guess = "same"

# %% tags=["figure", "dynamics"]
tries = world.drawn(400, 4, seed=0)
generous = Tries(policy, world.rewards + 10)
seen = {
    "rewards": world.estimates(tries, lambda r: r),
    "10 more for all": generous.estimates(tries, lambda r: r),
    "less the mean reward": world.estimates(tries, lambda r: r - policy @ world.rewards),
}
pictures.clouds(seen, world.gradient)

# %%
spreads = [float(found.std(0).norm()) for found in list(seen.values())[:2]]
print(compare(guess, spreads, same=0.05))

# %% [markdown]
# The gradient is where it was, and one can no longer see it. Every answer is praised, whichever
# comes; which one is praised *more* drowns. What helps is to subtract what was to be expected.

# %% [markdown] tags=["derivation"]
# ## Step 1: a gradient without a derivative of the reward
#
# We want $\nabla \mathbb E_{y \sim \pi}\, r(y)$, and $r$ has no derivative. But $\pi$ has:
#
# $$\nabla \sum_y \pi(y)\, r(y) = \sum_y r(y)\, \pi(y)\, \nabla \log \pi(y)
# = \mathbb E_{y \sim \pi}\big[ r(y)\, \nabla \log \pi(y) \big]$$
#
# So: try an answer, and push its log-prob up as hard as it was rewarded. This is REINFORCE. By the
# logits of a softmax it comes to $\pi(y)\,(r(y) - \mathbb E\, r)$ for each answer.

# %% tags=["check"]
logits = policy.log().requires_grad_()
reward = (logits.softmax(0) * world.rewards).sum()
(slope,) = torch.autograd.grad(reward, logits)
assert torch.allclose(slope, world.gradient)
assert torch.allclose(world.expected(1, lambda r: r), world.gradient)
print("the mean over all tries is the gradient that autograd finds")

# %% [markdown] tags=["derivation"]
# ## Step 2: a baseline is free
#
# A number $b$ that does not know the answer changes nothing in the mean:
#
# $$\mathbb E\big[ b\, \nabla \log \pi(y) \big] = b\, \nabla \sum_y \pi(y) = b\, \nabla 1 = 0$$

# %% tags=["check"]
p, b = sympy.symbols("p b")
score = [1 - p, -p]  # of a logit, for two answers of probability p and 1 - p
assert sympy.simplify(p * b * score[0] + (1 - p) * b * score[1]) == 0
print("a baseline adds nothing to the mean")

# %% [markdown] tags=["exercise"]
# **By hand.** Four answers to one prompt are paid 1, 2, 3 and 6. RLOO compares each with the mean
# of the other three. What is the advantage of the best one?

# %% tags=["solution"]
advantage = 6 - (1 + 2 + 3) / 3

# %% tags=["exercise", "check"]
slips = {
    "its own reward is in that mean: leave it out": 3.0,
    "a baseline is subtracted": 8.0,
}
print(check_number(advantage, 4.0, wrong=slips))

# %% [markdown]
# Where does an expectation come from, if not from a table? **RLOO** asks the same prompt several
# times: the other tries are the baseline of each. **ReMax** takes the greedy answer. **PPO** trains
# a critic. **GRPO** takes the mean of the group, and divides by its deviation.
#
# A plausible claim: the mean of *all* tries is as good as that of the others, and steadier.


# %% tags=["property"]
@law
@given(k=st.integers(2, 5), best=st.integers(1, 9))
def the_mean_of_all_tries_is_a_baseline(k, best):
    rewards = torch.tensor([0.0, 1.0, float(best)], dtype=torch.float64)
    tried = Tries(policy, rewards)
    found = tried.expected(k, lambda r: r - r.mean(1, keepdim=True))
    assert torch.allclose(found, tried.gradient)


print(refute(the_mean_of_all_tries_is_a_baseline))


# %% tags=["property", "check"]
def others(rewards):
    """RLOO's advantages: each reward less the mean of the others, (groups, k)."""
    k = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * k / (k - 1)


@law
@given(k=st.integers(2, 5), rewards=st.lists(st.floats(-9, 9), min_size=3, max_size=3))
def the_mean_of_the_others_leaves_the_gradient_alone(k, rewards):
    tried = Tries(policy, torch.tensor(rewards, dtype=torch.float64))
    assert torch.allclose(tried.expected(k, others), tried.gradient, atol=1e-9)


print(survives(the_mean_of_the_others_leaves_the_gradient_alone))

# %% [markdown] tags=["exercise"]
# A try that stands in its own baseline is compared with itself: of $k$ tries, $1 / k$ of the push
# is gone. (GRPO's mean does this; all prompts shrink alike, so it does no harm.)
#
# Write RLOO's loss for a batch in which `groups` says which prompt a row answers.


# %% tags=["solution"]
def my_rloo(logps, rewards, groups):
    """RLOO's loss, one a row: (batch,)."""
    same = (groups[:, None] == groups).double()  # (batch, batch)
    size = same.sum(1)
    mean_of_others = (same @ rewards - rewards) / (size - 1)
    return -(rewards - mean_of_others).detach() * logps


# %% tags=["exercise", "check"]
rows = [torch.randn(8, dtype=torch.float64) for _ in range(2)] + [torch.arange(8) // 4]
expected = -(others(rows[1].view(2, 4)).flatten() * rows[0])
print(check_function(my_rloo, lambda *_: expected, [tuple(rows)], within=1e-9))

# %% [markdown] tags=["derivation"]
# ## Step 3: dividing by the deviation
#
# GRPO's advantage is $A_i = (r_i - \bar r) / s$ with $s$ the deviation within the group. Then the
# unit of the reward no longer matters:


# %% tags=["property", "check"]
@law
@given(unit=st.floats(0.5, 20), shift=st.floats(-9, 9))
def grpo_does_not_know_the_unit(unit, shift):
    rewards = torch.tensor([[0.0, 1.0, 1.0, 3.0]], dtype=torch.float64)
    moved = of_groups(True)(unit * rewards + shift)
    assert torch.allclose(moved, of_groups(True)(rewards), atol=1e-3)


print(survives(grpo_does_not_know_the_unit))

# %% tags=["predict"]
# Two prompts. At one the answers are worth 0, 1 and 3; at the other 0, 0.01 and 0.03. Under RLOO
# the second prompt's push is a hundredth of the first's. Under GRPO, against that: "up", "same"?
guess = "same"

# %% tags=["figure", "dynamics"]
small = Tries(policy, world.rewards / 100)
pictures.clouds(
    {
        "RLOO": world.estimates(tries, others),
        "RLOO, a hundredth": small.estimates(tries, others),
        "GRPO": world.estimates(tries, of_groups(True)),
        "GRPO, a hundredth": small.estimates(tries, of_groups(True)),
    },
    world.gradient,
)

# %%
rloo = float(small.expected(4, others).norm() / world.gradient.norm())
grpo = float(small.expected(4, of_groups(True)).norm() / world.gradient.norm())
print(compare(guess, [rloo, grpo], same=0.01))

# %% [markdown]
# A prompt where nearly nothing is at stake pushes as hard as one that decides. Some call it a cure
# for rewards of unequal scale, some (Dr. GRPO) a bias towards prompts that are almost always right
# or almost always wrong. It is both. Note also what the x shows: the division moves the *mean*.
#
# ## Step 4: use a try twice
#
# Trying is expensive. Once the policy has moved, old tries come from somebody else; the ratio
# $\rho = \pi(y) / \pi_{old}(y)$ corrects that, and PPO stops where it has moved far enough:
#
# $$\max\; \min\big(\rho A,\; \mathrm{clip}(\rho, 1 - \epsilon, 1 + \epsilon)\, A\big)$$

# %% tags=["figure"]
ratio = torch.linspace(0.4, 1.8, 200)
near = ratio.clamp(0.8, 1.2)
kept = {
    f"a {name} try": torch.minimum(ratio * a, near * a) for name, a in (("good", 1), ("bad", -1))
}
pictures.surrogates(ratio, kept)

# %% [markdown]
# A good try is made likelier until it has gained 20 %, a bad one less likely until it has lost
# 20 %. On the other side there is no flat piece: what went the wrong way may always come back.

# %% tags=["figure", "dynamics"]
# Sixteen tries, used forty times. Guess first: what becomes of the second best answer?
paths = {"clip at 0.2": several_passes(40, 0.2), "without a clip": several_passes(40, 0.999)}
pictures.passes(paths)

# %% [markdown]
# With a clip all is over after ten passes: every ratio has left its band. Without one the batch
# goes on deciding, and the worse answers are driven out, although sixteen tries say no more than
# they said the first time.
#
# ## Step 5: who earned it?
#
# An answer has many words. PPO's critic says before each token what is still to come, $V_t$, and
# a token is praised by what changed: $\delta_t = r_t + V_{t+1} - V_t$. **GAE** adds up what
# followed, discounted by $\lambda$: 1 believes what came, 0 believes the critic.

# %% tags=["check"]
mask = torch.ones(1, 4, dtype=torch.bool)
paid = torch.tensor([[0.0, 0.0, 0.0, 8.0]])  # one reward, at the end
late, _ = gae(paid, torch.zeros(1, 4), mask, lambda_=0.95)
knows, _ = gae(paid, torch.full((1, 4), 8.0), mask, lambda_=0.95)
print("a critic of zeros:       ", [round(a, 2) for a in late[0].tolist()])
print("one that expected the 8: ", [round(abs(a), 2) for a in knows[0].tolist()])

# %% [markdown] tags=["exercise"]
# **A planted bug.** A critic is read *after* a token, but $V_t$ has to be known *before* it: the
# value that knows the word must not be its own baseline. This function hands over values as they
# are read. Write `before` right: what was read after token $t - 1$ stands at $t$, and 0 stands
# at the start.


# %% tags=["bug"]
def buggy_before(read):
    """What a critic expects before each token, from what it says after each: (rows, length)."""
    return read


# %% tags=["solution"]
def before(read):
    """What a critic expects before each token, from what it says after each: (rows, length)."""
    return torch.cat([torch.zeros_like(read[:, :1]), read[:, :-1]], 1)


# %% tags=["exercise", "check"]
read = torch.tensor([[5.0, 6.0, 7.0], [1.0, 2.0, 3.0]])
shifted = torch.tensor([[0.0, 5.0, 6.0], [0.0, 1.0, 2.0]])
print(check_function(before, lambda _: shifted, [(read,)]))

# %% tags=["predict"]
# Now the language model. PPO trains chat-nano on the true reward, which pays for reasons and
# politeness: answers should grow. Our critic begins at zero everywhere, and learns along. The
# length of the answers: "up", "down", "same"?
guess = "up"

# %% tags=["figure", "dynamics"]
runs = {"critic warmed up": lengths(warm=60), "critic from zero": lengths(warm=0)}
pictures.lengths(runs)

# %%
print(compare(guess, runs["critic from zero"][1], same=1.0))

# %% [markdown]
# Look at the two lists above. With a critic of zeros every token of a good answer is praised, the
# last ones most, since $\lambda^{T - t}$ fades; whitened, the first tokens are *blamed*. What the
# policy hears is: begin less, end more. It has learnt to be brief before its critic has learnt what
# an answer is worth. Sixty steps for the critic alone, and nothing of it remains.

# %%
from minipref.papers.results import told

for key in ("policy-gradients", "ppo"):
    print(told(key), end="\n\n")

# %% [markdown]
# ## What this world cannot tell you
#
# Three answers have no credit to share, and our chat model says ten words. Where answers have a
# thousand tokens, a critic earns its keep, or does not: this world cannot say. Our rewards are the
# truth; notebook 09 climbs one that is not. And we measured one size of group and one clip.
#
# **Five questions.** 1. Which constant baseline has the least spread, and why is it not quite the
# mean reward? 2. RLOO with $k = 2$: what is its relative with a pair loss? 3. All tries of a group
# are right. What does GRPO learn, and what does a critic? 4. Which of this notebook's pictures
# changes if the policy is nearly deterministic? 5. When does the clip never act?
#
# **What to read next.** Ahmadian et al. (arXiv 2402.14740): figure 3, and why they doubt PPO's
# clip. Schulman et al. on GAE (arXiv 1506.02438): figure 2 is step 5 in one line.
