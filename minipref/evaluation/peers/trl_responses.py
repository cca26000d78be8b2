"""TRL's losses of single responses and of rewards: one function a trainer.

Each takes our inputs and TRL's settings, and returns the number that TRL would descend. Read
against TRL 1.16.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .comparison import Settings
from .one_model import Inputs
from .stand_ins import PADDING, GivenLogps, token_ids, trainer_class, untrained


def kto(inputs: Inputs, settings: Settings) -> Tensor:
    """`KTOTrainer._compute_loss`; the reference point is what unmatched pairs' KL comes to."""
    batch = len(inputs["logps"])
    kl = inputs.get("kl", torch.zeros(()))
    mask = torch.ones(2 * batch, 1, dtype=torch.bool)
    ids = token_ids(mask)  # of the responses, then of the unmatched ones
    reference = inputs["ref_logps"]
    trainer = untrained(
        trainer_class("trainer.kto_trainer:KTOTrainer"),
        calculate_KL="kl" in inputs,
        precompute_ref_logps=True,
        beta=settings["beta"],
        loss_type=settings["loss_type"],
        desirable_weight=settings.get("desirable_weight", 1.0),
        undesirable_weight=settings.get("undesirable_weight", 1.0),
    )
    unmatched = kl.expand(batch).to(reference.dtype)
    model = GivenLogps(torch.cat([inputs["logps"], unmatched])[:, None])
    rows = {name: x[:batch] for name, x in ids.items()}
    kl_rows = {f"KL_{name}": x[batch:] for name, x in ids.items()}
    labels = {"label": inputs["desirable"], "ref_logps": reference}
    labels["ref_KL_logps"] = torch.zeros_like(reference)
    return trainer._compute_loss(model, rows | kl_rows | labels, return_outputs=False)


def reward(inputs: Inputs, settings: Settings) -> Tensor:
    """`RewardTrainer.compute_loss`; its model says the given rewards."""
    rewards = torch.cat([inputs["chosen_rewards"], inputs["rejected_rewards"]])
    trainer = untrained(trainer_class("trainer.reward_trainer:RewardTrainer"), dict(settings))
    batch = {"margin": inputs["margins"]} if "margins" in inputs else {}

    def model(**_: Any) -> Any:
        return SimpleNamespace(logits=rewards[:, None])

    return trainer.compute_loss(model, batch)


def grpo(inputs: Inputs, settings: Settings) -> Tensor:
    """`GRPOTrainer._compute_loss` on advantages that are there already."""
    mask = inputs["mask"]
    tokens = inputs.get("tokens")
    trainer = untrained(
        trainer_class("trainer.grpo_trainer:GRPOTrainer"),
        {"delta": None, "use_bias_correction_kl": False},
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level=settings.get("importance_sampling_level", "token"),
        beta=settings["beta"],
        epsilon_low=settings.get("epsilon"),
        epsilon_high=settings["epsilon_high"],
        loss_type=settings["loss_type"],
        max_completion_length=settings.get("max_completion_length"),
        use_vllm=False,
        _entropy_bonus_enabled=False,
    )
    batch = completions(mask) | {
        "advantages": inputs["advantages"],
        "old_per_token_logps": inputs["old_logps"],
        "num_items_in_batch": mask.sum() if tokens is None else tokens * len(mask),
    }
    if "ref_logps" in inputs:
        batch["ref_per_token_logps"] = inputs["ref_logps"]
    elif settings["beta"]:
        raise ValueError("ref_logps: TRL needs them for a beta above 0, so give kl=0 or ref_logps")
    return trainer._compute_loss(GivenLogps(inputs["logps"].where(mask, PADDING)), batch)


def rloo(inputs: Inputs, settings: Settings) -> Tensor:
    """`RLOOTrainer`: its own advantages of each prompt's responses, then `_compute_loss`."""
    total = inputs["logps"].new_zeros(())
    for group in inputs["groups"].unique():
        own = inputs["groups"] == group
        model = GivenLogps(inputs["logps"][own, None])
        trainer = untrained(
            trainer_class("trainer.rloo_trainer:RLOOTrainer"),
            {"per_device_eval_batch_size": len(model.logps)},
            pad_to_multiple_of=None,
            mask_truncated_completions=False,
            num_generations_eval=len(model.logps),
            reward_weights=torch.ones(1),
            reward_clip_range=None,
            reward_func_names=["given"],
            beta=settings["beta"],
            epsilon_low=settings["epsilon"],
            epsilon_high=settings["epsilon"],
            normalize_advantages=settings["normalize_advantages"],
            log_multimodal=False,
            _tokenizer=SimpleNamespace(pad_token_id=0),
            _pending_extra_logs={},
            _pending_metrics={},
        )
        total = total + of_group(trainer, model, inputs["rewards"][own]) * own.sum()
    return total / len(inputs["groups"])


def of_group(trainer: Any, model: GivenLogps, rewards: Tensor) -> Tensor:
    """RLOO's loss of one prompt's responses, a token each."""
    count = len(rewards)
    trainer.model = model
    trainer._generate = lambda prompts: ([[i] for i in range(count)], [[0]] * count, prompts)
    trainer._calculate_rewards = lambda *_: rewards[:, None]
    trainer._logs = {
        "prompt": [],
        "completion": [],
        "rewards": defaultdict(list),
        "advantages": [],
        "extra": defaultdict(list),
    }
    batch = trainer._generate_and_score_completions([{"prompt": ""}] * count)
    return trainer._compute_loss(model, batch)


def sft(inputs: Inputs, settings: Settings) -> Tensor:
    """`SFTTrainer.compute_loss` with labels on the response's tokens alone."""
    ids = token_ids(inputs["mask"])
    trainer = untrained(
        trainer_class("trainer.sft_trainer:SFTTrainer"),
        {"loss_type": settings["loss_type"], "average_tokens_across_devices": False},
        compute_loss_func=None,
        label_smoother=None,
    )
    labels = ids["input_ids"].masked_fill(ids["completion_mask"] == 0, -100)
    model = GivenLogps(inputs["logps"].where(inputs["mask"], PADDING))
    return trainer.compute_loss(model, {"input_ids": ids["input_ids"], "labels": labels})


def gkd(inputs: Inputs, settings: Settings) -> Tensor:
    """`GKDTrainer.generalized_jsd_loss`, a function of both models' logits."""
    labels = torch.zeros_like(inputs["mask"], dtype=torch.long).masked_fill(~inputs["mask"], -100)
    divergence = trainer_class("experimental.gkd.gkd_trainer:GKDTrainer").generalized_jsd_loss
    return divergence(inputs["logps"], inputs["teacher_logps"], labels, settings["beta"])


def a2po(inputs: Inputs, settings: Settings) -> Tensor:
    """`A2POTrainer.compute_loss`: the log-ratio regressed to the reward less the prompt's value."""
    ids = token_ids(torch.ones_like(inputs["logps"][:, None], dtype=torch.bool))
    trainer = untrained(
        trainer_class("experimental.a2po.a2po_trainer:A2POTrainer"),
        {"beta2": settings["beta2"]},
        model_kwarg_keys=(),
    )
    batch = ids | {
        "logits_to_keep": 1,
        "ref_logps": inputs["ref_logps"],
        "rewards": inputs["scores"],
        "v_star": inputs["values"].detach(),
    }
    return trainer.compute_loss(GivenLogps(inputs["logps"][:, None]), batch)


def completions(mask: Tensor) -> dict[str, Tensor]:
    """A batch of one prompt token and a response, as GRPO's trainer takes it."""
    ids = token_ids(mask)
    return {
        "prompt_ids": ids["input_ids"][:, :1],
        "prompt_mask": ids["attention_mask"][:, :1],
        "completion_ids": ids["input_ids"][:, 1:],
        "completion_mask": mask.long(),
    }
