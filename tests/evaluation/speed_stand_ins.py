"""Libraries that need a GPU, as modules of the same names and signatures that compute on a CPU."""

import sys
from types import ModuleType

import torch
import torch.nn.functional as F


def liger_cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
    lse_square_scale=0.0,
    softcap=None,
    return_z_loss=False,
    return_token_accuracy=False,
    return_predicted_tokens=False,
):
    return F.cross_entropy(input.float(), target, ignore_index=ignore_index, reduction=reduction)


def liger_fused_linear_cross_entropy(
    input,
    weight,
    target,
    bias=None,
    ce_weight=None,
    ignore_index=-100,
    lse_square_scale=0.0,
    label_smoothing=0.0,
    reduction="mean",
    softcap=None,
    return_z_loss=False,
    accum_dtype=None,
    use_token_scaling=False,
    return_token_accuracy=False,
    return_predicted_tokens=False,
):
    assert input.dim() == 2
    return liger_cross_entropy(input @ weight.T, target, reduction=reduction)


class LigerFusedLinearDPOLoss(torch.nn.Module):
    def __init__(
        self,
        ignore_index=-100,
        beta=0.1,
        alpha=1.0,
        compute_nll_loss=False,
        compiled=True,
        use_ref_model=True,
        average_log_prob=False,
        chunk_size=1,
        loss_type="sigmoid",
        label_smoothing=0.0,
        discopop_tau=0.05,
    ):
        super().__init__()
        assert not use_ref_model
        assert not average_log_prob
        self.beta = beta

    def forward(
        self,
        lin_weight,
        _input,
        target,
        bias=None,
        ref_input=None,
        ref_weight=None,
        ref_bias=None,
    ):
        assert _input.dim() == 3  # chosen responses first
        each = F.cross_entropy(
            (_input @ lin_weight.T).float().transpose(1, 2), target, reduction="none"
        )
        chosen, rejected = -each.sum(-1).chunk(2)[0], -each.sum(-1).chunk(2)[1]
        return -F.logsigmoid(self.beta * (chosen - rejected)).mean(), (chosen, rejected)


def cross_entropy_loss(
    logits,
    labels,
    precomputed_lse=None,
    label_smoothing=0.0,
    logit_scale=1.0,
    lse_square_scale=0.0,
    ignore_index=-100,
    inplace_backward=False,
    process_group=None,
):
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    return losses, torch.zeros_like(losses)


def cross_entropy(
    x,
    target,
    lse_partial=None,
    weight=None,
    ignore_index=-100,
    reduction="mean",
    inplace_backward=False,
):
    return F.cross_entropy(x.float(), target, reduction=reduction)


def chunked_linear_cross_entropy(
    x,
    weight,
    target,
    chunk_size=4096,
    ignore_index=-100,
    reduction="mean",
    tuned=True,
    use_scaled_exp=None,
):
    return F.cross_entropy((x @ weight.T).float(), target, reduction=reduction)


def selective_log_softmax(logits, index, temperature=1.0, row_mask=None):
    logps = logits.float().log_softmax(-1).gather(-1, index[..., None])[..., 0]
    return logps if row_mask is None else logps.masked_fill(row_mask == 0, 0.0)


def selective_log_softmax_and_entropy(
    logits, index, entropy_requires_grad=True, temperature=1.0, row_mask=None
):
    logps = logits.float().log_softmax(-1)
    entropies = -(logps.exp() * logps).sum(-1).masked_fill(row_mask == 0, 0.0)
    return selective_log_softmax(logits, index, temperature, row_mask), entropies


MODULES = {
    "liger_kernel.transformers.functional": (liger_cross_entropy, liger_fused_linear_cross_entropy),
    "liger_kernel.chunked_loss": (LigerFusedLinearDPOLoss,),
    "flash_attn.ops.triton.cross_entropy": (cross_entropy_loss,),
    "quack.cross_entropy": (cross_entropy,),
    "quack.linear_cross_entropy": (chunked_linear_cross_entropy,),
    "trl.trainer.utils": (selective_log_softmax, selective_log_softmax_and_entropy),
}


def install(monkeypatch):
    """Let `import` find the stand-ins, whatever is installed."""
    for name, members in MODULES.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            parent = ".".join(parts[:end])
            if parent not in MODULES or end == len(parts):
                monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        for member in members:
            setattr(sys.modules[name], member.__name__, member)
