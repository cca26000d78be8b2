# %% [markdown]
# # 01 · What is the probability of a sentence?
#
# Three training runs. One reports a loss of **0.00**, one **0.24**, one **0.37** nats a token. The
# first cannot write a sentence, the second cannot stop writing one, and the third is right.
#
# Every preference method starts from one number, $\log \pi(y \mid x)$: the log-probability of a
# response. It takes four lines to compute, and most bugs in preference learning live in these four
# lines. Here we know the right answer *exactly*, so we can watch each bug do its work.
#
# How to use a notebook of this course: **guess, run, explain**. Solutions are folded away. A cell
# that checks an exercise says what is wrong, never what is right.

# %%
import inspect
import math
from itertools import pairwise

import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import check_function, check_number
from minipref.course.logps_checks import check_logps
from minipref.course.measured import measured, sampled
from minipref.course.pictures import sentences as pictures
from minipref.course.predict import compare
from minipref.course.properties import law, refute, survives
from minipref.data.streams import stream

# %% [markdown]
# ## A language whose probabilities we know
#
# The prompt is an animal. The response says what the animal did and, half of the time, where. There
# are nine sentences an animal, and nothing else is ever said.

# %%
style.use()
torch.set_num_threads(1)
DID = {
    "cat": {"sat": 0.7, "ran": 0.2, "sang": 0.1},
    "dog": {"sat": 0.3, "ran": 0.6, "sang": 0.1},
    "owl": {"sat": 0.3, "ran": 0.1, "sang": 0.6},
}
WHERE = {"": 0.5, " on the mat": 0.3, " on the roof": 0.2}
LANGUAGE = {
    (animal, f"the {animal} {did}{where}"): p * q
    for animal, verbs in DID.items()
    for did, p in verbs.items()
    for where, q in WHERE.items()
}
print("\n".join(f"{p:.2f}  {x} -> {y}" for (x, y), p in list(LANGUAGE.items())[:3]))

# %% [markdown] tags=["derivation"]
# ## Step 1: word by word
#
# A language model never sees a sentence. It gives the probability of the *next word*, so the
# probability of a sentence is a product, and its logarithm a sum (the chain rule):
#
# $$\log p(y \mid x) = \sum_{t=1}^{T} \log p(y_t \mid x, y_{<t})$$
#
# The height of a bar below is $-\log p(y_t \mid x, y_{<t})$: how surprising a word is, in **nats**.
# Words that could not have been others cost nothing. The last "word" is `<eos>`: after "sat" the
# speaker may stop or go on, and stopping is a decision like any other.


# %% tags=["figure"]
def mass(animal, start):
    """Probability that what is said about `animal` starts with these words."""
    said = {y + " <eos>": p for (x, y), p in LANGUAGE.items() if x == animal}
    return sum(p for y, p in said.items() if y.split()[: len(start)] == start)


def surprises(animal, sentence):
    words = [*sentence.split(), "<eos>"]
    masses = [mass(animal, words[:t]) for t in range(len(words) + 1)]
    return words, [-math.log(after / before) for before, after in pairwise(masses)]


pictures.surprises(surprises("cat", "the cat sat"), surprises("cat", "the cat sat on the mat"))

# %% tags=["check"]
# The surprises of a sentence add up to its log-probability, for all 27 sentences.
for (animal, sentence), p in LANGUAGE.items():
    assert math.isclose(sum(surprises(animal, sentence)[1]), -math.log(p))
print(f"and all sentences about the cat together have probability {mass('cat', []):.3f}")

# %% [markdown] tags=["exercise"]
# ## Step 2: sum or mean?
#
# **Numbers by hand first.** With `<eos>` the first response has four tokens, the second seven. Work
# out the mean log-prob *a token* of each. Which sentence is the more probable? Which has the better
# mean? The sums, up to their sign, are the titles of the figure.

# %% tags=["solution"]
short_mean = math.log(0.7 * 0.5) / 4
long_mean = math.log(0.7 * 0.3) / 7

# %% tags=["exercise", "check"]
for answer, sentence in ((short_mean, "the cat sat"), (long_mean, "the cat sat on the mat")):
    total, words = math.log(LANGUAGE["cat", sentence]), len(sentence.split())
    slips = {"this is the sum": total, "and <eos>? It is a token too": total / words}
    print(check_number(answer, total / (words + 1), wrong=slips))
print("better sum: short;  better mean:", "short" if short_mean > long_mean else "long")

# %% [markdown]
# The order **flips**. A sum lets every further word cost something, so it favours short answers; a
# mean forgives length. Neither is wrong, but they are different questions. DPO asks for the sum;
# SimPO and ORPO ask for the mean; of IPO both versions are in use
# ([TRL #1265](https://github.com/huggingface/trl/issues/1265) is the argument). In minipref an
# argument's name says it: `chosen_logps` is a sum, `chosen_mean_logps` a mean.
#
# ## Step 3: shift and mask
#
# Now a model. Prompt and response become one row of ids, padded on the right. Two masks say what is
# real and what is the response. Decode masks back into words whenever you doubt them:

# %%
from minipref.data.rows import Rows
from minipref.data.vocabulary import WordVocabulary, prompt_ids, response_ids

VOCABULARY = WordVocabulary(["the", *DID, "sat", "ran", "sang", "on", "mat", "roof"])


def rows_of(pairs):
    prompts = [prompt_ids(VOCABULARY, animal) for animal, _ in pairs]
    return Rows.of(prompts, [response_ids(VOCABULARY, sentence) for _, sentence in pairs])


EVERY = rows_of(LANGUAGE)
for t, (token, counts) in enumerate(zip(EVERY.ids[0], EVERY.completion_mask[0], strict=True)):
    print(f"{t}  {VOCABULARY.words[token]:<6} {'response' if counts else ''}")

# %% [markdown] tags=["derivation"]
# At position $t$ the model has read the words up to and including $t$, and its logits there speak
# about word $t + 1$. So the log-prob of the word *at* $t$ stands in the logits at $t - 1$:
#
# $$\log p(y_t \mid x, y_{<t}) = \mathrm{logsoftmax}(\mathrm{logits}_{t-1})[y_t]$$
#
# **Shift** by one; **mask** what is not response, and count `<eos>` in: stopping is a decision too.

# %% [markdown] tags=["exercise"]
# **Your turn**: log-probs of the response's tokens, from logits `(batch, length, vocabulary)`, ids
# and mask `(batch, length)`. The result is aligned with the ids, and 0 where the mask is False. The
# slips that this check knows are real ones; libraries have shipped them.


# %% tags=["solution"]
def my_logps(logits, ids, completion_mask):
    """(batch, length) log p(ids[t] | ids[<t]), nats."""
    logps = torch.zeros(ids.shape, dtype=logits.dtype)
    predicted = logits[:, :-1].log_softmax(-1)
    logps[:, 1:] = predicted.gather(-1, ids[:, 1:, None])[..., 0]
    return logps * completion_mask


# %% tags=["exercise", "check"]
print(check_logps(my_logps))

# %% tags=["check"]
# The library's lines; and the log-prob of a word, looked up by hand in one place.
from minipref.model.logprobs import logps_from_logits

source = inspect.getsource(logps_from_logits)
print(source[source.index("    logps = ") :])  # after the checks of its arguments
logits = torch.randn(27, EVERY.ids.shape[1], len(VOCABULARY), generator=stream(0, "01/check"))
found = logps_from_logits(logits, EVERY.ids, EVERY.completion_mask)
assert torch.isclose(found[0, 5], logits[0, 4].log_softmax(0)[EVERY.ids[0, 5]])  # "sat"

# %% [markdown]
# ## Step 4: break it on purpose
#
# The same tiny transformer learns our language three times, by raising its log-probs. One run uses
# the right log-probs. In one the **mask stands one place too early**. One **forgets the shift**.


# %%
def mask_too_early(logits, ids, mask):
    return logps_from_logits(logits, ids, mask.roll(-1, 1))


def no_shift(logits, ids, mask):
    return logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0].where(mask, 0.0)


RUNS = {"right": logps_from_logits, "mask too early": mask_too_early, "no shift": no_shift}

# %% [markdown]
# While a run reports its own loss, we measure what the run cannot: how far the policy really is
# from the language. The **KL divergence** says how many nats a sentence is cheaper for those who
# know the truth. With 27 sentences it is a plain sum, without any sampling error.
#
# $$\mathrm{KL}(p \,\|\, \pi) = \sum_y p(y \mid x) \log \frac{p(y \mid x)}{\pi(y \mid x)}$$

# %%
from minipref.model.logprobs import sequence_logps
from minipref.model.transformer import Config, Transformer

TRUTH = torch.tensor(list(LANGUAGE.values()))  # (27,)


@torch.no_grad()
def distance(policy):
    """Exact KL(language || policy), nats a sentence."""
    return float((TRUTH * (TRUTH.log() - sequence_logps(policy, EVERY))).sum() / len(DID))


# %%
def train(logps_of, steps=150):
    config = Config(len(VOCABULARY), width=16, layers=1, context=16)
    policy, draws = Transformer(config, stream(0, "01/weights")), stream(0, "01/sentences")
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    reported, true = [], []
    for _ in range(steps):
        rows = EVERY[torch.multinomial(TRUTH, 32, replacement=True, generator=draws)]
        logps = logps_of(policy(rows.ids, rows.attention_mask), rows.ids, rows.completion_mask)
        loss = -logps.sum() / rows.completion_mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reported.append(loss.item())
        true.append(distance(policy))
    return policy, reported, true


# %% tags=["predict"]
# The run without the shift. Where does its *true* distance go: "up", "down", or "same"?
guess = "down"

# %%
results = {name: train(logps_of) for name, logps_of in RUNS.items()}
print(compare(guess, results["no shift"][2], same=1.0))

# %% tags=["figure", "dynamics"]
LENGTHS = EVERY.completion_mask.sum(1)  # (27,) tokens, <eos> counted
ENTROPY = float(-(TRUTH * TRUTH.log()).sum() / (TRUTH * LENGTHS).sum())  # nats a token
pictures.reported_and_true({name: curves for name, (_, *curves) in results.items()}, ENTROPY)

# %%
from minipref.model.generate import generate

prompts, lines = [prompt_ids(VOCABULARY, animal) for animal in DID], []
for name, (policy, _, _) in results.items():
    drawn = generate(policy, prompts, max_new_tokens=12, generator=stream(0, "01/sample"))
    lines += [f"{name:<15} {' '.join(VOCABULARY.words[t] for t in ids)}" for ids in drawn]
sampled("what each run writes", lines)

# %%
measured(
    *[(f"{name}: reported", r[-1], (0, 0.6)) for name, (_, r, _) in results.items()],
    ("right: true KL", results["right"][2][-1], (0, 0.2)),
    ("mask too early: true KL", results["mask too early"][2][-1], (4, 20)),
    ("no shift: true KL", results["no shift"][2][-1], (20, 100)),
)

# %% [markdown]
# **The lower the reported loss, the worse the run.** Explain it before you read on.
#
# - *No shift* lets the model see the word it is asked for. It learns to copy its input, perfectly.
# - *Mask too early* trains on `<sep>`, which is always there, and never on `<eos>`. Easy words
#   came in, hard ones went out, so the mean fell, and nothing ever taught the model to stop.
# - Only the *right* run is held up by the truth: its loss comes to rest at the **entropy** of the
#   language (the grey line), below which nobody can stay who predicts words without seeing them. A
#   loss that is better than the best possible one is a bug report.

# %% [markdown] tags=["exercise"]
# ## A planted bug
#
# The mean again, with a bug that readers of real trainers report
# ([TRL #7024](https://github.com/huggingface/trl/issues/7024), second part). The two calls below
# are about the *same* response; only the neighbours in the batch differ. Find the bug, fix it.


# %% tags=["bug"]
def buggy_mean_logps(logps, mask):
    """Mean log-prob of each response: (batch,), nats a token."""
    return (logps * mask).mean(1)


logps, mask = torch.tensor([[0.0, -1.0, -3.0]]), torch.tensor([[False, True, True]])
print(buggy_mean_logps(logps, mask))
wider = [torch.nn.functional.pad(x, (0, 3)) for x in (logps, mask)]  # a longer neighbour
print(buggy_mean_logps(*wider))


# %% tags=["solution"]
def mean_logps(logps, mask):
    """Mean log-prob of each response: (batch,), nats a token."""
    return (logps * mask).sum(1) / mask.sum(1)


# %% tags=["exercise", "check"]
def row_by_row(logps, mask):
    return torch.stack([row[real].mean() for row, real in zip(logps, mask, strict=True)])


two = torch.tensor([[-9.0, -1.0, -3.0], [-9.0, -2.0, -9.0]])  # -9 stands where nothing counts
cases = [(logps, mask), tuple(wider), (two, torch.tensor([[0, 1, 1], [0, 1, 0]]).bool())]
print(check_function(mean_logps, row_by_row, cases))

# %% [markdown] tags=["derivation"]
# ## Step 5: how far from the reference?
#
# Preference learning keeps a policy $\pi$ near a reference $p$, and watches
# $\mathrm{KL}(\pi \,\|\, p)$. Real languages have too many sentences for a sum; we *sample*
# $y \sim \pi$ and average an estimate of the log-ratio $\ell = \log \pi(y) - \log p(y)$:
#
# $$k_1 = \ell, \qquad k_2 = \tfrac12 \ell^2, \qquad k_3 = e^{-\ell} - 1 + \ell$$
#
# - $\mathbb E\, k_1 = \mathrm{KL}$: that is its definition.
# - $\mathbb E\, k_3 = \mathrm{KL}$ too, as
#   $\mathbb E\, e^{-\ell} = \sum_y \pi(y) \frac{p(y)}{\pi(y)} = 1$.
# - $k_3 \ge 0$ for every sample, since $e^{-\ell} \ge 1 - \ell$; $k_2$ is its Taylor series, cut.

# %% tags=["check"]
from minipref.model.kl import k1, k2, k3

ell = sympy.symbols("ell", real=True)
third = sympy.exp(-ell) - 1 + ell
assert sympy.solve(sympy.diff(third, ell), ell) == [0]  # its only minimum, where it is 0
assert sympy.series(third, ell, 0, 3).removeO() == ell**2 / 2  # k2
ratios = torch.linspace(-3, 3, 61, dtype=torch.float64)
by_sympy = [float(third.subs(ell, ratio)) for ratio in ratios.tolist()]
assert torch.allclose(k3(ratios), torch.tensor(by_sympy, dtype=torch.float64))
print("k3 is never negative, and k2 is its Taylor series to second order")

# %% tags=["figure"]
estimates = {"k1": k1(ratios), "k2": k2(ratios), "k3": k3(ratios)}
pictures.estimators(estimates, ratios)

# %% [markdown]
# Which would you take? The table is Schulman's, without sampling: means and spreads are sums over
# what the cat does ($\pi$), against a reference that is *near*, or *far*. Bias and spread of one
# sample are given as multiples of the true KL.


# %% tags=["check"]
def mean_and_spread(estimate, policy, reference):
    policy, reference = (torch.tensor(p, dtype=torch.float64) for p in (policy, reference))
    values = estimate(policy.log() - reference.log())
    mean = (policy * values).sum()
    return mean, (policy * (values - mean) ** 2).sum().sqrt()


for place, reference in {"near": [0.65, 0.23, 0.12], "far": [0.1, 0.2, 0.7]}.items():
    kl, _ = mean_and_spread(k1, [0.7, 0.2, 0.1], reference)
    for estimate in (k1, k2, k3):
        mean, spread = mean_and_spread(estimate, [0.7, 0.2, 0.1], reference)
        bias = round(float((mean - kl) / kl), 2) + 0.0  # never "-0.00"
        print(f"{place:<5} {estimate.__name__}   bias {bias:+5.2f}   spread {spread / kl:5.2f}")

# %% [markdown]
# Near the reference $k_1$ drowns in noise; far from it $k_2$ is a third off. $k_3$ has no bias and
# less noise than $k_1$ in both. From such tables comes the folklore that **$k_3$ is never noisier
# than $k_1$**. Is it true?

# %% tags=["property"]
share = st.integers(1, 9).map(lambda tenths: [tenths / 10, 1 - tenths / 10])


@law
@given(policy=share, reference=share)
def k3_is_never_noisier_than_k1(policy, reference):
    calm, noisy = (mean_and_spread(k, policy, reference)[1] for k in (k3, k1))
    assert calm <= noisy + 1e-9


@law
@given(policy=share, reference=share)
def k3_has_no_bias_and_is_never_negative(policy, reference):
    means = [mean_and_spread(k, policy, reference)[0] for k in (k1, k3)]
    assert torch.isclose(*means, atol=1e-12)
    samples = torch.tensor(policy) / torch.tensor(reference)
    assert (k3(samples.log()) >= 0).all()


print(refute(k3_is_never_noisier_than_k1))
print(survives(k3_has_no_bias_and_is_never_negative))

# %% [markdown]
# Where the reference likes what the policy hardly ever says, $e^{-\ell}$ explodes, and $k_3$ too.
# It is calm near the reference and wild far from it, which is where you look at it with worry.
#
# ## What this world cannot tell you
#
# Ten words and exact truth. Real text has no known entropy, so a loss that is too good is harder
# to spot; real vocabularies add tokenisers, templates and a second `<bos>`. And a good estimate of
# the KL is not yet a good *gradient* of it (notebook 08).
#
# **Five questions.** 1. Why is there no log-prob for the very first token? 2. What does a model
# learn if the mask covers the prompt too? 3. Two responses have equal means and unequal sums; which
# one does DPO prefer? 4. Can $k_1$ be negative? Can the KL? 5. The sum of the probabilities of our
# 27 sentences under the trained policy: what does it tell you?
#
# **What to read next.** Schulman's note *Approximating KL Divergence* (2020): its two tables are
# the one above. Meng et al. 2024 (SimPO, arXiv 2405.14734): the figure that sets average log-prob
# beside length is our "sum or mean".
