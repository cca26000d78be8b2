"""TRL's losses of pairs, called on given log-probs: one function a trainer.

Each takes our inputs and TRL's settings, and returns the number that TRL would descend. Sums
and means of log-probs become responses of TOKENS equal tokens, so that TRL does its own summing
and dividing. Read against TRL 1.16.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .comparison import Settings
from .one_model import Inputs, lengths
from .stand_ins import PADDING, GivenLogps, token_ids, trainer_class, untrained

TOKENS = {"chosen": 3, "rejected": 2}  # of a response whose length the inputs leave open


def dpo(inputs: Inputs, settings: Settings) -> Tensor:
    """`DPOTrainer._compute_loss`: chosen rows above rejected ones, the reference a second model."""
    chosen, mask_chosen = tokens_of(inputs, "chosen")
    rejected, mask_rejected = tokens_of(inputs, "rejected")
    ref_chosen, _ = tokens_of(inputs, "chosen", "ref_")
    ref_rejected, _ = tokens_of(inputs, "rejected", "ref_")
    logps, mask = stacked([chosen, rejected], [mask_chosen, mask_rejected])
    ref_logps, _ = stacked([ref_chosen, ref_rejected], [mask_chosen, mask_rejected])
    loss_types = settings["loss_type"]
    loss_types = [loss_types] if isinstance(loss_types, str) else loss_types
    trainer = untrained(
        trainer_class("trainer.dpo_trainer:DPOTrainer"),
        {"discopop_tau": settings.get("discopop_tau")},
        precompute_ref_logps=False,
        ref_model=GivenLogps(ref_logps),
        beta=settings["beta"],
        label_smoothing=settings.get("label_smoothing", 0.0),
        loss_types=loss_types,
        loss_weights=settings.get("loss_weights", [1.0] * len(loss_types)),
        use_weighting=settings.get("use_weighting", False),
        ld_alpha=settings.get("ld_alpha"),
        f_divergence_type=settings.get("f_divergence_type", "reverse_kl"),
        f_alpha_divergence_coef=settings.get("f_alpha_divergence_coef", 0.5),
    )
    model = GivenLogps(logps, log_squares(logps, inputs.get("weights")))
    return trainer._compute_loss(model, token_ids(mask), return_outputs=False)


def log_squares(logps: Tensor, weights: Tensor | None) -> Tensor | None:
    """What a model's next-token distributions are to be for WPO to find these weights of pairs.

    WPO weighs a response by exp(mean(logps - log_squares)); here the chosen has the pair's weight.
    """
    if weights is None:
        return None
    both = torch.cat([weights.clamp(min=1e-30).log(), torch.zeros_like(weights)])
    return (logps - both[:, None]).detach()


def cpo(inputs: Inputs, settings: Settings) -> Tensor:
    """`CPOTrainer.get_batch_loss_metrics`: from logits, with the likelihood term of the chosen."""
    model, batch = logits_of_pairs(inputs)
    trainer = untrained(
        trainer_class("experimental.cpo.cpo_trainer:CPOTrainer"),
        is_encoder_decoder=False,
        pad_token_id=0,
        beta=settings["beta"],
        label_smoothing=0.0,
        loss_type=settings["loss_type"],
        cpo_alpha=settings["cpo_alpha"],
        alpha=settings.get("alpha", 0.0),
        simpo_gamma=settings.get("simpo_gamma", 0.0),
    )
    return trainer.get_batch_loss_metrics(model, batch)[0]


def orpo(inputs: Inputs, settings: Settings) -> Tensor:
    """`ORPOTrainer.get_batch_loss_metrics`: likelihood of the chosen, and the odds ratio."""
    model, batch = logits_of_pairs(inputs)
    trainer = untrained(
        trainer_class("experimental.orpo.orpo_trainer:ORPOTrainer"),
        is_encoder_decoder=False,
        padding_value=0,
        beta=settings["beta"],
    )
    return trainer.get_batch_loss_metrics(model, batch)[0]


def tpo(inputs: Inputs, settings: Settings) -> Tensor:
    """`TPOTrainer._compute_loss`; its third, gold response is the chosen one again."""
    names = ("chosen", "rejected", "chosen") if settings["tpo_alpha"] else ("chosen", "rejected")
    sides = [tokens_of(inputs, side) for side in names]
    logps, mask = stacked(*zip(*sides, strict=True))
    trainer = untrained(
        trainer_class("experimental.tpo.tpo_trainer:TPOTrainer"),
        beta=settings["beta"],
        label_smoothing=0.0,
        loss_type=settings["loss_type"],
        tpo_alpha=settings["tpo_alpha"],
        tpo_l_gamma=settings.get("tpo_l_gamma", 0.0),
    )
    return trainer._compute_loss(GivenLogps(logps), token_ids(mask), return_outputs=False)


def tokens_of(inputs: Inputs, side: str, policy: str = "") -> tuple[Tensor, Tensor]:
    """One side's log-probs as tokens and their mask, (batch, length) each."""
    total = inputs.get(f"{policy}{side}_logps")
    if total is not None and f"{side}_mask" in inputs:
        return total, inputs[f"{side}_mask"]
    counts = token_counts(inputs, side)  # (batch,)
    each = inputs[f"{policy}{side}_mean_logps"] if total is None else total / counts  # (batch,)
    mask = torch.arange(int(counts.max())) < counts[:, None]
    return each[:, None].expand(mask.shape), mask


def token_counts(inputs: Inputs, side: str) -> Tensor:
    """Tokens of one side's responses, (batch,): what sum and mean say, or TOKENS of them."""
    total, mean = inputs.get(f"{side}_logps"), inputs.get(f"{side}_mean_logps")
    if total is not None and mean is not None:
        return lengths(total, mean)
    rows = inputs[f"{side}_mean_logps"] if total is None else total
    return torch.full_like(rows, TOKENS[side]).detach()


def stacked(logps: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sides of different lengths as one table, a side below the other."""
    longest = max(mask.shape[1] for mask in masks)

    def widened(x: Tensor, fill: float) -> Tensor:
        return torch.nn.functional.pad(x, (0, longest - x.shape[1]), value=fill)

    mask = torch.cat([widened(mask, False) for mask in masks])
    table = torch.cat([widened(x, PADDING) for x in logps])
    return table.where(mask, PADDING), mask


def logits_of_pairs(inputs: Inputs) -> tuple[GivenLogps, dict[str, Tensor]]:
    """A model and a batch as the older trainers take them, with labels a side."""
    sides = [tokens_of(inputs, side) for side in ("chosen", "rejected")]
    logps, mask = stacked(*zip(*sides, strict=True))
    ids = token_ids(mask)
    labels = ids["input_ids"].masked_fill(ids["completion_mask"] == 0, -100)
    columns = {"input_ids": ids["input_ids"], "attention_mask": ids["attention_mask"]}
    half = len(mask) // 2
    batch: dict[str, Tensor] = {}
    for name, x in (columns | {"labels": labels}).items():
        batch |= {f"chosen_{name}": x[:half], f"rejected_{name}": x[half:]}
    return GivenLogps(logps), batch
