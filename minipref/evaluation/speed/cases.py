"""What is measured: shapes, the least that a card has to do for them, and the bars.

A case is one step of training or of scoring, and every contender does the whole of it. The floors
count what no program can do without: bytes that have to come from memory or go there, operations of
the matrix products. They are the same for all, so that GB/s compare as the times do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Task = Literal["logps", "entropy", "nll", "dpo", "linear_nll", "linear_dpo"]
Stage = Literal["forward", "backward", "both"]
Ceiling = Literal["read", "copy", "matmul"]

ELEMENT = 2  # bytes of a bfloat16, which everything here is measured in

# Operations for each logit that is read: a maximum, a multiply-add (two), an exponential and a sum;
# a multiply-add more for the entropy; backward scales, subtracts, exponentiates and multiplies.
FORWARD, ENTROPY, BACKWARD = 5, 2, 4


@dataclass(frozen=True)
class Shape:
    """Pairs of responses to `tokens` tokens each; `width` is that of hidden states, 0 without.

    `kept` is the share of the tokens that count; the first ones of a response are the prompt's.
    """

    pairs: int
    tokens: int
    vocabulary: int
    width: int = 0
    kept: float = 1.0

    @property
    def rows(self) -> int:
        return 2 * self.pairs * self.tokens

    @property
    def prompt(self) -> int:
        """Tokens of a response that are left out."""
        return round(self.tokens * (1 - self.kept))

    @property
    def kept_rows(self) -> int:
        return 2 * self.pairs * (self.tokens - self.prompt)

    def __str__(self) -> str:
        logits = f"{self.rows} x {self.vocabulary}"
        logits = f"{self.rows} x {self.width}, {self.vocabulary} words" if self.width else logits
        return logits if self.prompt == 0 else f"{logits}, {self.rows - self.kept_rows} rows masked"


@dataclass(frozen=True)
class Bar:
    """What we want on an H200, medians; a number that is None is not asked for.

    milliseconds    at most
    share           of the case's ceiling, at least
    times_products  at most so many times the bare matrix products of the kept rows
    ahead_of        contenders that have to be slower
    """

    milliseconds: float | None = None
    share: float | None = None
    times_products: float | None = None
    ahead_of: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [
            f"at most {self.milliseconds:g} ms" if self.milliseconds else "",
            f"at least {self.share:.0%} of the ceiling" if self.share else "",
            f"at most {self.times_products:g} times {PRODUCTS}" if self.times_products else "",
            f"ahead of {', '.join(self.ahead_of)}" if self.ahead_of else "",
        ]
        return "; ".join(filter(None, parts))


PRODUCTS = "three torch.mm"  # the contender that multiplies and does nothing else


@dataclass(frozen=True)
class Case:
    """One thing that is timed.

    task     which quantity: see `ours` for the words
    stage    "forward": no gradient is asked for; "backward": forward was before, and is not timed
    ceiling  what the floor is held against: reading, copying or multiplying
    """

    name: str
    says: str
    task: Task
    stage: Stage
    shape: Shape
    ceiling: Ceiling
    bar: Bar = field(default_factory=Bar)

    @property
    def linear(self) -> bool:
        return self.task.startswith("linear")

    @property
    def bytes(self) -> int:
        """The least that moves: logits of kept rows are read once a pass, all gradients written."""
        kept, rows = self.shape.kept_rows, self.shape.rows
        if self.linear:  # logits are written and read once each; states and matrix, and theirs
            states, matrix = rows * self.shape.width, self.shape.vocabulary * self.shape.width
            return ELEMENT * 2 * (kept * self.shape.vocabulary + states + matrix)
        passes = {"forward": kept, "backward": kept + rows, "both": 2 * kept + rows}[self.stage]
        return ELEMENT * passes * self.shape.vocabulary

    @property
    def operations(self) -> int:
        """Floating-point operations: those of three products, or those on the logits."""
        logits = self.shape.kept_rows * self.shape.vocabulary
        if self.linear:
            return 3 * 2 * logits * self.shape.width
        forward = FORWARD + ENTROPY * (self.task == "entropy")
        count = {"forward": forward, "backward": BACKWARD, "both": forward + BACKWARD}
        return logits * count[self.stage]

    def fitted(self, free: int) -> Case:
        """This case with no more tokens than fit into `free` bytes: three sets, and room to work.

        With fewer than it had it has no bar, and says so. Raises: ValueError where none fit.
        """
        shape = self.shape
        a_token = ROOM * ELEMENT * 2 * shape.pairs * shape.vocabulary
        fixed = ROOM * ELEMENT * shape.vocabulary * shape.width
        tokens = min(shape.tokens, (free - fixed) // a_token)
        if tokens < 1:
            raise ValueError(f"{self.name}: {free / 1e9:.1f} GB free are not enough for {shape}")
        if tokens == shape.tokens:
            return self
        says = f"{self.says} (cut from {shape.tokens} to {tokens} tokens: memory)"
        return replace(self, says=says, shape=replace(shape, tokens=tokens), bar=Bar())


ROOM = 8  # tensors of the sources' size: three sets, a copy, a gradient, and what others keep

A = Shape(pairs=4, tokens=1024, vocabulary=151936)  # Qwen's vocabulary
B = Shape(pairs=4, tokens=512, vocabulary=128256, width=4096)  # Llama 3's, and its 8B's width
C = Shape(pairs=4, tokens=2048, vocabulary=128256)
QUICK = Shape(pairs=4, tokens=256, vocabulary=32000)


def cases(quick: bool = False) -> tuple[Case, ...]:
    """All cases; `quick` ones are small enough for any card, and have no bars."""
    small = (QUICK, replace(QUICK, width=1024), QUICK)
    a, b, c = small if quick else (A, B, C)
    half_b, half_c = replace(b, kept=0.5), replace(c, kept=0.5)
    found = (
        Case("logps", "log-probs of the targets", "logps", "forward", a, "read"),
        Case("entropy", "log-probs and entropies", "entropy", "forward", a, "read"),
        Case("backward", "gradient of log-probs, in place", "logps", "backward", a, "copy"),
        Case("nll", "log-likelihood, forward and backward", "nll", "both", a, "copy"),
        Case("dpo", "DPO from logits, forward and backward", "dpo", "both", c, "copy"),
        Case("dpo-half", "DPO with the prompts masked", "dpo", "both", half_c, "copy"),
        Case("linear-nll", "log-likelihood from hidden states", "linear_nll", "both", b, "matmul"),
        Case("linear-dpo", "DPO from hidden states", "linear_dpo", "both", half_b, "matmul"),
    )
    bars = {} if quick else BARS
    return tuple(replace(case, bar=bars.get(case.name, Bar())) for case in found)


BARS = {
    "entropy": Bar(
        milliseconds=0.60, ahead_of=("TRL", "flash-attention", "Liger", "torch.compile")
    ),
    "backward": Bar(share=0.92),
    "dpo": Bar(milliseconds=3.2),
    "dpo-half": Bar(milliseconds=2.15),
    "linear-dpo": Bar(times_products=1.06, ahead_of=("Liger",)),
}
