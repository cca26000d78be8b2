# %% [markdown]
# # 13 · How fast can a log-prob be?
#
# Preference learning asks one thing all day: the log-prob of this token. Eight pairs of 1024
# tokens, a vocabulary of 128 256 words: the logits take 4.2 GB in bf16. An H200's memory moves 4.8
# TB/s (as published), so merely **looking at each logit once** takes 0.88 ms. Nothing can be
# faster. The three lines of torch that everybody writes move them nineteen times.
#
# We climb from what a C programmer would write to what ought to touch that floor, and count what
# each rung moves. **You need no GPU.** The rungs are CUDA, but an *emulator* runs their text on
# your CPU, a fibre a thread. It counts, and it catches races. It cannot tell time: where a
# measurement would stand, this notebook says "not measured".
#
# It does need a C++ compiler. Where there is none, the next cell stops and says how to get one.

# %%
import numpy as np
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.course import style
from minipref.course.checks import NotYet, check_function, check_number
from minipref.course.ladder import function, rungs
from minipref.course.pictures import log_prob_speed as pictures
from minipref.course.probe import Moved, probe
from minipref.course.properties import law, refute, survives
from minipref.fused.emulate import compiler, load_text
from minipref.fused.sources import source

torch.set_num_threads(1)
compiler()  # raises, with advice, where there is none

# %% tags=["figure"]
style.use()
RUNGS = rungs()
logits, targets = torch.zeros(32, 2048).bfloat16(), torch.zeros(32).long()
loads = {}
for name, width in {"k1": 2, "k2": 2, "k4": 16}.items():
    loads[f"rung {name[1]}"] = probe(RUNGS[name], logits, targets, width).reads[:32], width
pictures.first_loads(loads, row_bytes=logits[0].nbytes)

# %% [markdown]
# A GPU runs 32 threads in step, as a **warp**. Memory comes in **sectors** of 32 bytes. Above, as
# recorded: what the lanes of one warp ask for in their first load (dark: lane 0, yellow: lane 31),
# and, pale, the sectors that come with it.
#
# - **Rung 1** gives every row a thread. 32 lanes read 32 rows, and use 2 bytes of each sector.
# - **Rung 2** gives a row to a block: neighbours read neighbours. The load is *coalesced*.
# - **Rung 4** lets each lane take 16 bytes. We come to that.
#
# This is rung 1, as a C programmer would have it:

# %%
print(function(RUNGS["k1"].file, "  float top").partition("  logps[row]")[0])

# %% [markdown] tags=["exercise"]
# **By hand.** 32 rows, 500 words, bf16. How many sectors do the three loops of rung 1 touch, if
# nothing stays in a cache from one load to the next?

# %% tags=["solution"]
sectors = 3 * 32 * 500  # every load of every lane is a sector of its own

# %% tags=["exercise", "check"]
_, counted = RUNGS["k1"].run(torch.zeros(32, 500).bfloat16(), torch.zeros(32).long())
slips = {"one loop's": 32 * 500, "if they were coalesced": 3 * 32 * 500 * 2 / 32}
print(check_number(sectors, 48_000, wrong=slips))
print("counted:", counted.sectors_read, "with the targets and their logits")

# %% [markdown]
# ## Step 1: count
#
# And torch? Each operation reads its operands from memory and writes its result back, and the next
# one starts over. `Moved` watches every operation and adds up the bytes.

# %% tags=["predict"]
# One pass is "all logits, once". How many passes do log-prob and entropy take in torch, from bf16?
guess = 4


# %%
def in_torch(logits, targets):
    """Log-probs of the targets and entropies, nats, as everybody writes them."""
    logps = logits.float().log_softmax(-1)
    entropies = -(logps.exp() * logps).sum(-1)
    return logps.gather(-1, targets[:, None])[:, 0], entropies


draws = torch.Generator().manual_seed(0)
logits = torch.randn(4, 128_256, generator=draws).bfloat16()
targets, PASS = torch.tensor([7, 0, 128_255, 4096]), logits.nbytes
with Moved() as eager:
    in_torch(logits, targets)
print(f"you said {guess} passes; it is {eager.bytes / PASS:.0f}")

# %% tags=["figure"]
passes = {"torch": (eager.bytes / PASS, eager.bytes / PASS)}
for name in ("k1", "k2", "k3", "k4", "k5"):
    _, traffic = RUNGS[name].run(logits, targets)
    passes[f"rung {name[1]}"] = traffic.global_read / PASS, 32 * traffic.sectors_read / PASS
pictures.moved(passes, "log-prob and entropy")

# %% [markdown] tags=["derivation", "exercise"]
# Torch widens to float32 first (3 passes: one read, two written), takes a log-softmax (4), exp
# (4), a product (6), a sum (2). Rung 1 asks for three and moves 48, as far as no cache helps it.
# Rung 2 moves the three it asks for: largest, sum, entropy. Its 256 threads find one largest logit
# as a knock-out tournament does, in shared memory, with a barrier before each round.
#
# From rung 3 on, logits are read **once**. But the sum needs the largest logit, and that is known
# only at the end. How?
#
# ## Step 2: one loop
#
# For any set $A$ of logits keep a *state*: its largest $m$, and $s = \sum_{A} e^{z - m}$. What the
# state stands for is $s\, e^m = \sum_A e^z$, whichever $m$ we chose. So a state may move to another
# reference, $(m, s) \to (M, s\, e^{m - M})$. Two states *merge* by moving to the larger one,
# $M = \max(m, m')$, and adding. As this only adds the $s\, e^m$, any split and any order give the
# same, up to rounding. A single logit is the state $(z, 1)$. That is **online softmax**.
#
# **Your turn**: merge two states. Nothing may overflow, however large the logits are.


# %% tags=["solution"]
def merge(a, b):
    """The state (2,) of the union of what states a and b stand for; a state is (m, s)."""
    top = torch.maximum(a[0], b[0])
    return torch.stack([top, a[1] * torch.exp(a[0] - top) + b[1] * torch.exp(b[0] - top)])


# %% tags=["exercise", "check"]
def state(z):
    """The state of the logits z, at once."""
    return torch.stack([z.max(), torch.exp(z - z.max()).sum()])


@law
@given(row=st.lists(st.floats(-900, 900), min_size=2, max_size=9), data=st.data())
def any_split_and_any_order_give_the_same(row, data):
    parts = [state(torch.tensor([z], dtype=torch.float64)) for z in row]
    while len(parts) > 1:
        a, b = (parts.pop(data.draw(st.integers(0, len(parts) - 1))) for _ in "ab")
        parts.append(merge(a, b))
    assert torch.allclose(parts[0], state(torch.tensor(row, dtype=torch.float64)))


z = torch.tensor([3.0, 800.0, -5.0, 1.0, 900.0]).double()
cases = [(state(z[:k]), state(z[k:])) for k in range(1, 5)]
print(check_function(merge, lambda *_: state(z), cases))
print(survives(any_split_and_any_order_give_the_same))

# %% [markdown]
# Rung 3's merge is yours, with one more sum for the entropy. Each thread walks over its columns;
# then the lanes of a warp merge in five *shuffles* (register to register, no memory), then the
# warps.
#
# A claim that a library has shipped
# ([verl #7439](https://github.com/volcengine/verl/issues/7439)): **the largest may start at 0**,
# since it only guards against overflow. We start rung 3 there and let hypothesis try.

# %% tags=["property"]
RUNG_3 = RUNGS["k3"].file
print(function(RUNG_3, "MP_DEVICE Online merge("))
text = source(RUNG_3).replace("Online state = {-3e38f,", "Online state = {0.0f,")
from_zero = load_text(text, ("online<float>",), "from_zero.cu")


@law
@given(row=st.lists(st.integers(-5, 5).map(lambda k: 50.0 * k), min_size=1, max_size=40))
def the_largest_may_start_at_zero(row):
    logits = torch.tensor([row])
    call = RUNGS["k3"].call(logits, torch.zeros(1).long())
    call.on(from_zero)
    truth = logits.log_softmax(-1)[:, 0]
    assert torch.allclose(call.arguments["logps"], truth, rtol=1e-4, atol=1e-4)


print(refute(the_largest_may_start_at_zero))

# %% tags=["property", "check"]
# A row that is negative throughout: every exponential underflows, the sum is 0, the log-prob is
# infinite. Models do put out such rows. And this is what *is* true of every rung:
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 600))


@law
@given(st.sampled_from(list(RUNGS)[:5]), st.sampled_from(DTYPES), SIZES, st.data())
def every_rung_finds_what_torch_finds(name, dtype, sizes, data):
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    shift = data.draw(st.sampled_from([-300.0, 0.0, 300.0]))
    logits = (5 * torch.randn(sizes, generator=generator) + shift).to(dtype)
    targets = torch.randint(sizes[1], sizes[:1], generator=generator)
    found, _ = RUNGS[name].run(logits, targets)
    for mine, truth in zip(("logps", "entropies"), in_torch(logits, targets), strict=True):
        assert torch.allclose(found[mine], truth, rtol=1e-4, atol=1e-3)


print(survives(every_rung_finds_what_torch_finds))

# %% [markdown]
# ## Step 3: what else can run out
#
# Reading once does not finish it. A merge takes two exponentials: one for the new logit, one to
# rescale the sum by. How often is that rescaling needed, that is, how often does a *new largest*
# logit turn up?

# %% tags=["predict"]
# In a row of 128 256 random logits, how often is the largest so far replaced?
guess = 1000

# %% tags=["figure", "dynamics"]
many = torch.randn(64, 128_256, generator=draws)
counts = {}
for size in (10, 100, 1000, 10_000, 128_256):
    tops = many[:, :size].cummax(1).values
    counts[size] = (tops.diff(dim=1) > 0).sum(1).float().mean().item() + 1
pictures.records(many[:3], counts)
print(f"you said {guess}; in the mean over 64 rows it is {counts[128_256]:.0f}")

# %% [markdown]
# The $k$-th logit is the largest of the first $k$ with probability $1/k$, whatever the
# distribution, so a row has $\sum_k 1/k \approx \ln V + 0.58$ new largest ones. **Twelve.** Rung 3
# rescales 128 256 times to be ready for twelve.
#
# Rung 4 loads 8 times 16 bytes before it uses the first, takes the largest of these 64, and
# rescales once a batch. Does it matter? Exponentials come from *special-function units*: 16 a clock
# in each of 132 multiprocessors, at 1.98 GHz at best. We count both, bytes and exponentials, and
# divide by both rates. No kernel beats the slower of the two.

# %% tags=["figure"]
BANDWIDTH, EXPONENTIALS = 4.8e12, 132 * 16 * 1.98e9  # a second, H200, as published
ms = 1e3 * 16_384 * 128_256 / logits.numel()  # for all eight pairs


def bounds(rung, logits):
    """Milliseconds that memory and special-function units need at least, for eight pairs."""
    taken = probe(rung, logits, targets, 2).exponentials
    return ms * rung.run(logits, targets)[1].global_read / BANDWIDTH, ms * taken / EXPONENTIALS


names = {f"rung {name[1]}": RUNGS[name] for name in ("k2", "k3", "k4", "k5")}
of_each = {"bf16": logits, "float32": logits.float()}
pictures.bounds({t: {n: bounds(r, x) for n, r in names.items()} for t, x in of_each.items()})

# %% [markdown] tags=["derivation"]
# In bf16 **rung 3 is not bound by memory**: bytes have halved, and exponentials are what is left.
# In float32 nobody would have noticed. Rung 4 is back at the floor, and then what counts is that
# loads never stop: 4.8 TB/s at a latency near a microsecond means almost 5 MB under way, always.
# Rung 5 asks for its next row before it has finished this one.
#
# ## Step 4: the way back
#
# With $p = \mathrm{softmax}(z)$ and entropy $H$,
#
# $$\frac{\partial \log p_t}{\partial z_j} = \mathbb 1[j = t] - p_j, \qquad
# \frac{\partial H}{\partial z_j} = -p_j\, (\log p_j + H)$$
#
# The first: $\log p_t = z_t - \log \sum_i e^{z_i}$, and the sum's logarithm has slope $p_j$. The
# second: $H = -\sum_i p_i \log p_i$, hence
# $\partial H / \partial z_j = -\sum_i (\log p_i + 1)\, p_i (\mathbb 1[i = j] - p_j)$; the ones
# cancel, as $\sum_i p_i = 1$.
#
# Each element needs its own logit and two numbers of its row. No barrier, no other element.

# %% tags=["check"]
x = sympy.symbols("x:3", real=True)
p = [sympy.exp(each) / sum(map(sympy.exp, x)) for each in x]
entropy = -sum(each * sympy.log(each) for each in p)
for j in range(3):
    assert sympy.simplify(sympy.diff(sympy.log(p[0]), x[j]) - (int(j == 0) - p[j])) == 0
    assert sympy.simplify(sympy.diff(entropy, x[j]) + p[j] * (sympy.log(p[j]) + entropy)) == 0
leaf = logits[:, :5000].float().requires_grad_()
of_leaf = targets % 5000
(truth,) = torch.autograd.grad(in_torch(leaf, of_leaf)[0].sum(), leaf)
for name in ("b1", "k6", "k7", "k8"):
    found, _ = RUNGS[name].run(leaf.detach(), of_leaf)
    assert torch.allclose(found["logits"], truth, rtol=1e-4, atol=1e-7)
print("sympy agrees, and autograd agrees with all four kernels")

# %% [markdown]
# `b1` writes this over the logits: one read, one write, after one read forward: 3 passes. Now
# paper 001's insight becomes a plan. In *every* sequence-level loss the gradient is this one times
# a coefficient of the sequence, which can be multiplied in later, onto something far smaller. So a
# kernel may write $\mathbb 1 - p$ **before the loss is known**, while it still holds the row.

# %% tags=["figure"]
leaf = logits.clone().requires_grad_()
with Moved() as eager:
    leaf.float().log_softmax(-1).gather(-1, targets[:, None]).sum().backward()
both = {"torch": (eager.bytes / PASS,) * 2}
for title, names in {"4, b1": ("k4", "b1"), "6": ("k6",), "7": ("k7",), "8": ("k8",)}.items():
    each = [RUNGS[name].run(logits, targets)[1] for name in names]
    asked = sum(t.global_read + t.global_written for t in each)
    touched = 32 * sum(t.sectors_read + t.sectors_written for t in each)
    both[f"rung {title}"] = asked / PASS, touched / PASS
pictures.moved(both, "log-prob and its gradient")

# %%
for name, rung in RUNGS.items():
    print(f"{name}  {rung.idea}\n    predicted: {rung.prediction}\n    measured:  not measured")

# %% [markdown]
# Rung 6 reads twice and hopes that the second time hits a cache. In rungs 7 and 8 several blocks,
# a *cluster*, hold one row between them, in registers or in shared memory: one read, one write, and
# that is all there can be. The predictions come from the kernels' headers, written before any of
# them met a GPU.
#
# ## Step 5: what a test does not see
#
# Threads do not wait for each other unless told to. Rung 2 has three barriers. We take out the
# last one, after which all threads read the tournament's result. Does anybody notice?

# %% tags=["predict"]
# Without it: one run in order, and 40 in shuffled schedules. How many of the 40 come out right?
guess = 20

# %% tags=["figure", "dynamics"]
few, of_few, rung = torch.randn(1, 700, generator=draws), torch.tensor([5]), RUNGS["k2"]
lines = source(rung.file).splitlines()
line = next(i for i, each in enumerate(lines, 1) if "the result is there" in each)
found = {"all barriers": [], "one fewer": []}
for seed in range(41):
    for name, skipped in zip(found, (0, line), strict=True):
        result, _ = rung.run(few, of_few, seed=seed, without_barrier=skipped)
        found[name].append(result["logps"].item())
pictures.schedules(found)
assert found["one fewer"][0] == found["all barriers"][0]
right = sum(found["one fewer"][seed] == found["all barriers"][0] for seed in range(1, 41))
print(f"you said {guess}; {right} are right")

# %% [markdown] tags=["exercise"]
# Schedule 0 takes threads **in order**, and comes out right: one test on one machine sees nothing.
# So the emulator shuffles by seed, and every barrier of every rung is tested like this.
#
# **A planted bug.** Shares of a total. It passes in order; under other seeds it does not. Mend it.

# %% tags=["bug"]
BUGGY = """
MP_KERNEL(64) void shares(Global<const float> x, Global<float> out, int columns) {
  MP_SHARED(float, all, 64);
  float mine = 0.0f;
  for (int i = threadIdx.x; i < columns; i += 64) mine += x[i];
  all[threadIdx.x] = mine;
  for (int half = 32; half > 0; half /= 2) {
    mp_sync_block();
    if (threadIdx.x < half) all[threadIdx.x] += all[threadIdx.x + half];
  }
  for (int i = threadIdx.x; i < columns; i += 64) out[i] = x[i] / all[0];
}
"""

# %% tags=["solution"]
mended = BUGGY.replace("  }\n  for", "  }\n  mp_sync_block();\n  for")


# %% tags=["exercise", "check"]
def shares(text, seed):
    x, out = torch.arange(1.0, 101.0), torch.full((100,), torch.nan)
    load_text(text, ("shares",)).launch("shares", (1,), (64,), [x, out, np.int32(100)], seed=seed)
    return torch.allclose(out, x / x.sum())


if mended is ...:
    raise NotYet("nothing there yet: a text, such as BUGGY.replace(old, new)")
wrong = [seed for seed in range(50) if not shares(mended, seed)]
if wrong:
    raise NotYet(f"wrong in {len(wrong)} of 50 schedules: who reads what nobody has written yet?")
assert shares(BUGGY, 0)
assert not all(shares(BUGGY, seed) for seed in range(50))
print("right in 50 schedules")

# %% [markdown] tags=["exercise"]
# **Another real one** ([verl #2656](https://github.com/volcengine/verl/issues/2656)). 256 threads
# step through a row together; where the vocabulary ends in between, some columns are phantoms.
# Log-probs were off whenever $V$ was no multiple of 256, and rewards collapsed. Mend this text.

# %% tags=["bug"]
PHANTOMS = """
MP_KERNEL(256) void sums_of_exp(Global<const float> x, Global<float> sums, int vocabulary) {
  float sum = 0.0f;
  for (int start = 0; start < vocabulary; start += 256) {
    const int column = start + threadIdx.x;
    const float logit = column < vocabulary ? x[column] : 0.0f;
    sum += expf(logit);
  }
  sums[threadIdx.x] = sum;
}
"""

# %% tags=["solution"]
real = PHANTOMS.replace("sum += expf", "if (column < vocabulary) sum += expf")


# %% tags=["exercise", "check"]
def sum_of_exp(text, x):
    sums, kernels = torch.full((256,), torch.nan), ("sums_of_exp",)
    arguments = [x, sums, np.int32(len(x))]
    load_text(text, kernels).launch(kernels[0], (1,), (256,), arguments)
    return sums.sum()


if real is ...:
    raise NotYet("nothing there yet: a text, such as PHANTOMS.replace(old, new)")
for columns in (512, 1, 257, 1000):
    x = torch.linspace(-3, 3, columns)
    excess = float(sum_of_exp(real, x) - x.exp().sum())
    if abs(excess) > 1e-2:
        raise NotYet(f"with {columns} words the sum is {excess:+.0f} off: what is exp(0)?")
print("the same at every vocabulary")

# %% [markdown]
# ## What this world cannot tell you
#
# Time. Caches, of which a GPU has two. Whether 5 MB really are under way, whether a schedule that a
# GPU would choose is among those drawn here, the last bits of the GPU's own exponential. And a
# published peak is no bandwidth: a real copy gets less. The verdict is a measurement, interleaved
# with the best rival in one process; `kernels/README.md` has a row for each that we want, and says
# which are missing.
#
# **Five questions.** 1. Why does rung 4 lose its advantage at 500 words? 2. Rung 3 could rescale
# only *if* a new largest comes: what would a warp of 32 lanes do at that `if`? 3. Rung 6 reads
# twice: which number of blocks keeps the rows under way within 50 MB of cache? 4. Why should a
# token's log-prob have the same bits whatever stands in the batch around it, and which method
# needs that? 5. With float32 logits, which rungs are at the floor?
#
# **What to read next.** Milakov and Gimelshein 2018 (arXiv 1805.02867), online softmax: its figures
# time the naive, the safe and the online softmax side by side. Karpathy's llm.c,
# `dev/cuda/classifier_fused.cu`: a ladder like this one.
