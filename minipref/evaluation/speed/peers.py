"""How other libraries compute the tasks of `ours`, as their authors mean them to be called.

Nothing of them is imported before it is measured: a loader imports a library and returns how it
computes. Where a library has log-probs with a gradient, sums and the loss of pairs are added to
them in torch, which costs nothing beside the logits. Read against TRL 1.16, Liger-Kernel ead96b6,
flash-attention 058ad35 and quack c8ec317.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import losses
from . import ours
from .cases import PRODUCTS, Case, Stage, Task
from .inputs import BETA, Inputs
from .stages import Compute, Outputs, Start, products, starting

OURS = "minipref"
Loader = Callable[[], Compute]
Logps = Callable[[Tensor, Tensor], Tensor]  # (rows, vocabulary) logits and (rows,) targets


def gathered(logits: Tensor, targets: Tensor) -> Tensor:
    logps = F.log_softmax(logits, -1, dtype=torch.float32)
    return logps.gather(1, targets[:, None].clamp_min(0))[:, 0] * (targets >= 0)


def gathered_with_entropy(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    logps, kept = F.log_softmax(logits, -1, dtype=torch.float32), targets >= 0
    entropies = -(logps.exp() * logps).sum(-1)
    return logps.gather(1, targets[:, None].clamp_min(0))[:, 0] * kept, entropies * kept


def mean_dpo(logps: Tensor, inputs: Inputs) -> Tensor:
    """The loss of pairs from (rows,) log-probs."""
    sums = logps.view(inputs.targets.shape).sum(-1)
    return losses.dpo(*sums.chunk(2), *inputs.ref_logps.chunk(2), beta=BETA).mean()


# Libraries that have log-probs, and a gradient for each.


def eager() -> Logps:
    return gathered


@cache
def compiled() -> Logps:
    return torch.compile(gathered, dynamic=False)


def trl() -> Logps:
    from trl.trainer.utils import selective_log_softmax  # a Triton kernel on a GPU

    def logps(logits: Tensor, targets: Tensor) -> Tensor:
        return selective_log_softmax(logits, targets.clamp_min(0), row_mask=targets >= 0)

    return logps


def flash_attention() -> Logps:
    from flash_attn.ops.triton.cross_entropy import cross_entropy_loss

    return lambda logits, targets: -cross_entropy_loss(logits, targets, inplace_backward=True)[0]


def quack() -> Logps:
    from quack.cross_entropy import cross_entropy

    return lambda logits, targets: (
        -cross_entropy(logits, targets, reduction="none", inplace_backward=True)
    )


LOGPS: dict[str, Callable[[], Logps]] = {
    "torch": eager,
    "torch.compile": compiled,
    "TRL": trl,
    "flash-attention": flash_attention,
    "quack": quack,
}


def computing(task: Task, load: Callable[[], Logps]) -> Loader:
    """A loader of a task on the logits, from a library's log-probs."""

    def loader() -> Compute:
        logps = load()

        def compute(inputs: Inputs) -> Outputs:
            found = logps(*inputs.rows)
            if task == "dpo":
                return {"loss": mean_dpo(found, inputs)}
            return {"loss": -found.sum()} if task == "nll" else {"logps": found}

        return compute

    return loader


# What else they have.


def entropy_of(function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Compute:
    def compute(inputs: Inputs) -> Outputs:
        return dict(zip(("logps", "entropies"), function(*inputs.rows), strict=True))

    return compute


@cache
def compiled_entropy() -> Compute:
    return entropy_of(torch.compile(gathered_with_entropy, dynamic=False))


def trl_entropy() -> Compute:
    from trl.trainer.utils import selective_log_softmax_and_entropy

    return entropy_of(
        lambda logits, targets: selective_log_softmax_and_entropy(
            logits, targets.clamp_min(0), row_mask=targets >= 0
        )
    )


def liger() -> Compute:
    from liger_kernel.transformers.functional import liger_cross_entropy

    def compute(inputs: Inputs) -> Outputs:
        logits, targets = inputs.rows
        if logits.requires_grad:
            raise NotImplementedError("has written the gradient before backward comes")
        return {"logps": -liger_cross_entropy(logits, targets, reduction="none")}

    return compute


def liger_nll() -> Compute:
    from liger_kernel.transformers.functional import liger_cross_entropy

    return lambda inputs: {"loss": liger_cross_entropy(*inputs.rows, reduction="sum")}


# From hidden states and the output matrix.


def through_logits(task: Task, load: Callable[[], Logps]) -> Loader:
    def loader() -> Compute:
        logps = load()

        def compute(inputs: Inputs) -> Outputs:
            hidden, targets = inputs.rows
            found = logps(hidden @ inputs.sources[1].T, targets)
            return {"loss": mean_dpo(found, inputs) if task == "linear_dpo" else -found.sum()}

        return compute

    return loader


def liger_linear_nll() -> Compute:
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    def compute(inputs: Inputs) -> Outputs:
        hidden, targets = inputs.rows
        loss = liger_fused_linear_cross_entropy(
            hidden, inputs.sources[1], targets, reduction="sum", accum_dtype=torch.float32
        )
        return {"loss": loss}

    return compute


def liger_linear_dpo() -> Compute:
    from liger_kernel.chunked_loss import LigerFusedLinearDPOLoss

    loss = LigerFusedLinearDPOLoss(beta=BETA, use_ref_model=False)  # a reference of zeros

    def compute(inputs: Inputs) -> Outputs:
        hidden, weight = inputs.sources
        return {"loss": loss(weight, hidden, inputs.targets)[0]}

    return compute


def quack_linear_nll() -> Compute:
    from quack.linear_cross_entropy import chunked_linear_cross_entropy

    def compute(inputs: Inputs) -> Outputs:
        hidden, targets = inputs.rows
        loss = chunked_linear_cross_entropy(hidden, inputs.sources[1], targets, reduction="sum")
        return {"loss": loss}

    return compute


# Who takes part.

OTHERS: dict[Task, dict[str, Loader]] = {
    "logps": {"Liger": liger},
    "entropy": {
        "torch": lambda: entropy_of(gathered_with_entropy),
        "torch.compile": compiled_entropy,
        "TRL": trl_entropy,
        "Liger": liger,  # log-probs without entropies
        "flash-attention": computing("logps", flash_attention),  # the same
    },
    "nll": {"Liger": liger_nll},
    "dpo": {},
    "linear_nll": {"Liger": liger_linear_nll, "quack": quack_linear_nll},
    "linear_dpo": {"Liger": liger_linear_dpo},
}


def contenders(case: Case) -> dict[str, Callable[[], Start]]:
    """Who computes a case, ours first; each imports what it needs when it is called."""
    loaders: dict[str, Loader] = {OURS: lambda: ours.TASKS[case.task]}
    if case.linear:
        for name in ("torch", "torch.compile"):
            loaders[name] = through_logits(case.task, LOGPS[name])
    elif case.task != "entropy":
        loaders |= {name: computing(case.task, load) for name, load in LOGPS.items()}
    loaders |= OTHERS[case.task]
    starts: dict[str, Callable[[], Start]] = {
        name: partial(started, case.stage, load) for name, load in loaders.items()
    }
    return starts | ({PRODUCTS: lambda: products} if case.linear else {})


def started(stage: Stage, load: Loader) -> Start:
    return starting(stage, load())
