"""Which of our losses TRL 1.16 computes, with which settings, and where its conventions differ."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ... import losses
from ...losses.modifiers import (
    desensitised,
    length_normalised,
    smoothed,
    weighted,
    with_nll,
)
from ...losses.registry import Entry, entry_of
from . import trl_pairs, trl_responses
from .comparison import Comparison, Peer, with_number
from .one_model import softmaxed

TOKEN_MEAN = "TRL takes the mean over the batch's tokens, ours over each response's own first"


def of_pairs(
    loss: Any,
    loss_type: str | list[str],
    mapped: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Comparison:
    """A comparison with DPOTrainer; beta is beta unless `mapped` says otherwise."""
    return Comparison(
        entry=loss if isinstance(loss, Entry) else entry_of(loss),
        trainer="DPOTrainer",
        theirs=trl_pairs.dpo,
        fixed={"loss_type": loss_type, **(fixed or {})},
        mapped={"beta": "beta", **(mapped or {})},
        **rest,
    )


def of_groups(
    loss: Any,
    loss_type: str,
    mapped: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Comparison:
    """A comparison with GRPOTrainer, whose clips are `epsilon` and `epsilon_high`."""
    clips = {"epsilon": "clip_low", "epsilon_high": "clip_high"}
    return Comparison(
        entry=entry_of(loss),
        trainer="GRPOTrainer",
        theirs=trl_responses.grpo,
        fixed={"loss_type": loss_type, **(fixed or {})},
        mapped=clips if mapped is None else mapped,
        **rest,
    )


def of_distributions(loss: Any, **rest: Any) -> Comparison:
    """A comparison with GKDTrainer's divergence."""
    return Comparison(
        entry=entry_of(loss),
        trainer="experimental GKDTrainer",
        theirs=trl_responses.gkd,
        over="tokens",
        through=softmaxed,
        **rest,
    )


TIES = "tied margins share their counterparts' mean in ours, and stay in the sort's order in TRL"
SOFTMAX = f"{TOKEN_MEAN}, and puts log-probs through a softmax again, which takes a slope off"

DIRECT = [
    of_pairs(losses.dpo, "sigmoid"),
    of_pairs(
        losses.cdpo,
        ["sigmoid", "robust"],
        {
            "label_smoothing": "label_smoothing",
            "loss_weights": "[2 - 2 * label_smoothing, 2 * label_smoothing - 1]",
        },
        difference="TRL's sigmoid does not read label_smoothing (robust, exo_pair and aot do), but "
        "twice sigmoid less robust, with these weights, is the mix of both labels",
    ),
    of_pairs(losses.rdpo, "robust", {"label_smoothing": "flip_rate"}),
    of_pairs(losses.hinge, "hinge"),
    of_pairs(
        losses.ipo,
        "ipo",
        {"beta": "tau"},
        difference="TRL's beta is tau; both take means over tokens, which TRL makes of sums itself",
    ),
    of_pairs(losses.exo, "exo_pair", {"label_smoothing": "label_smoothing"}),
    of_pairs(losses.nca, "nca_pair"),
    of_pairs(losses.bce_pair, "bco_pair"),
    of_pairs(losses.sppo_hard, "sppo_hard"),
    of_pairs(losses.aot, "aot", difference=TIES),
    of_pairs(losses.aot_unpaired, "aot_unpaired", difference=TIES),
    of_pairs(
        with_number(partial(smoothed, losses.aot), "label_smoothing", 0.1, "[0, 0.5)"),
        "aot",
        {"label_smoothing": "label_smoothing"},
        difference=TIES,
    ),
    of_pairs(losses.apo_zero, "apo_zero"),
    of_pairs(losses.apo_down, "apo_down"),
    of_pairs(losses.discopop, "discopop", {"discopop_tau": "tau"}),
    *(
        of_pairs(
            losses.f_dpo, "sigmoid", fixed={"f_divergence_type": theirs}, given={"divergence": ours}
        )
        for ours, theirs in {
            "reverse_kl": "reverse_kl",
            "forward_kl": "forward_kl",
            "js": "js_divergence",
        }.items()
    ),
    of_pairs(
        losses.f_dpo,
        "sigmoid",
        {"f_alpha_divergence_coef": "1 - alpha"},
        {"f_divergence_type": "alpha_divergence"},
        given={"divergence": "alpha"},
        difference="TRL's coefficient is 1 - alpha, and it refuses float64",
        precision=torch.float32,
    ),
    of_pairs(
        length_normalised(losses.dpo),
        "sigmoid_norm",
        difference="the loss takes means over tokens, which TRL makes of sums itself",
    ),
    of_pairs(
        with_number(partial(desensitised, losses.dpo), "alpha", 0.5, "[0, 1]"),
        "sigmoid",
        {"ld_alpha": "alpha"},
    ),
    of_pairs(
        weighted(losses.dpo),
        "sigmoid",
        fixed={"use_weighting": True},
        difference="TRL computes the weights itself (`wpo_weights`, chosen times rejected)",
    ),
    of_pairs(
        with_number(partial(with_nll, losses.dpo), "alpha", 1.0, "[0, inf)"),
        ["sigmoid", "sft"],
        {"loss_weights": "[1.0, alpha]"},
        difference=f"{TOKEN_MEAN}: equal where the chosen responses are equally long",
    ),
]

REFERENCE_FREE = [
    Comparison(
        entry_of(losses.cpo),
        "experimental CPOTrainer",
        trl_pairs.cpo,
        {"loss_type": "sigmoid"},
        {"beta": "beta", "cpo_alpha": "alpha"},
        difference=f"{TOKEN_MEAN}: equal where the chosen responses are equally long",
    ),
    Comparison(
        entry_of(losses.cpo),
        "experimental TPOTrainer",
        trl_pairs.tpo,
        {"loss_type": "sigmoid"},
        {"beta": "beta", "tpo_alpha": "alpha"},
        difference=f"TPO's likelihood term is of a third, gold response; here that is the chosen "
        f"one. {TOKEN_MEAN}: equal where the chosen responses are equally long",
    ),
    Comparison(
        entry_of(losses.simpo),
        "experimental CPOTrainer",
        trl_pairs.cpo,
        {"loss_type": "simpo", "cpo_alpha": 0.0},
        {"beta": "beta", "simpo_gamma": "gamma"},
        difference="TRL adds CPO's likelihood term unless cpo_alpha is 0; it is 1 by default",
    ),
    Comparison(
        entry_of(losses.simpo),
        "experimental TPOTrainer",
        trl_pairs.tpo,
        {"loss_type": "tpo-l", "tpo_alpha": 0.0},
        {"beta": "beta", "tpo_l_gamma": "gamma"},
        difference="TRL adds the likelihood of a third, gold response unless tpo_alpha is 0",
    ),
    Comparison(
        entry_of(losses.alphapo),
        "experimental CPOTrainer",
        trl_pairs.cpo,
        {"loss_type": "simpo", "cpo_alpha": 0.0},  # what "alphapo" is made into
        {"beta": "beta", "simpo_gamma": "gamma", "alpha": "alpha"},
        difference='`loss_type="alphapo"` is short for simpo without a likelihood term; '
        "the reward bends only where alpha is set, as it is 0 by default",
    ),
    Comparison(
        entry_of(losses.orpo),
        "experimental ORPOTrainer",
        trl_pairs.orpo,
        mapped={"beta": "lambda_"},
        difference=f"{TOKEN_MEAN}, and trains the prompt's tokens too: equal where the chosen "
        "responses are equally long and the prompt is a single token; in float32",
    ),
]

UNPAIRED = [
    Comparison(
        entry_of(losses.kto),
        "KTOTrainer",
        trl_responses.kto,
        {"loss_type": "kto"},
        {
            "beta": "beta",
            "desirable_weight": "lambda_desirable",
            "undesirable_weight": "lambda_undesirable",
        },
        difference="TRL estimates the reference point itself, from unmatched pairs, and takes 0 "
        "where the estimate is below",
    ),
    Comparison(
        entry_of(losses.apo_zero_unpaired),
        "KTOTrainer",
        trl_responses.kto,
        {"loss_type": "apo_zero_unpaired"},
        {"beta": "beta"},
    ),
    Comparison(
        entry_of(losses.dro),
        "experimental A2POTrainer",
        trl_responses.a2po,
        mapped={"beta2": "tau"},
        scale="2",
        held=("values",),
        difference="TRL leaves out the 1/2 of the square, and its value of a prompt is estimated "
        "once (V*), not trained",
    ),
]

REWARDS = [
    Comparison(
        entry_of(losses.bradley_terry),
        "RewardTrainer",
        trl_responses.reward,
        {"center_rewards_coefficient": None},
    ),
    Comparison(
        entry_of(losses.bradley_terry_margin),
        "RewardTrainer",
        trl_responses.reward,
        {"center_rewards_coefficient": None},
        difference="the margins are a column of the data, `margin`, without which there are none",
    ),
    Comparison(
        entry_of(losses.bradley_terry_centred),
        "RewardTrainer",
        trl_responses.reward,
        mapped={"center_rewards_coefficient": "weight"},
    ),
]

CLIPS = {"epsilon": "clip_low", "epsilon_high": "clip_high"}

GROUPS = [
    of_groups(losses.grpo, "grpo", CLIPS | {"beta": "kl"}, given={"aggregate": "sequence"}),
    of_groups(losses.grpo, "bnpo", CLIPS | {"beta": "kl"}, given={"aggregate": "token"}),
    of_groups(
        losses.dr_grpo,
        "dr_grpo",
        CLIPS | {"beta": "kl", "max_completion_length": "max_tokens"},
    ),
    of_groups(
        losses.dapo,
        "dapo",
        fixed={"beta": 0.0},
        difference="TRL counts the tokens of the whole batch, where ours takes them as `tokens`; "
        "its epsilon_high is 0.2 unless set",
    ),
    of_groups(
        losses.cispo,
        "cispo",
        {"epsilon_high": "1 + clip_high"},
        {"beta": 0.0},
        given={"clip_low": 1.0},
        difference="TRL's epsilon_high is the largest weight itself, ours 1 less; it has no lower "
        "bound, which is clip_low 1; unset it is 0.2, which cuts nearly every weight",
    ),
    of_groups(
        losses.gspo,
        "grpo",
        fixed={"importance_sampling_level": "sequence", "beta": 0.0},
        difference="TRL's epsilon is 0.2 by default, which hardly ever clips a response's ratio",
    ),
    of_groups(
        losses.ppo_clip,
        "grpo",
        {"epsilon": "clip", "epsilon_high": "clip"},
        {"beta": 0.0},
        difference="TRL has no PPOTrainer any more; GRPO's loss takes advantages a token too, but "
        "its trainer only makes one a response",
    ),
    Comparison(
        entry_of(losses.rloo),
        "RLOOTrainer",
        trl_responses.rloo,
        {"beta": 0.0, "epsilon": 0.2, "normalize_advantages": False},
        values=False,
        held=("rewards",),
        difference="TRL's loss is -advantage * ratio, clipped, ours -advantage * logps: one "
        "gradient where the policy has just sampled, two values",
    ),
]

TOKENS = [
    Comparison(
        entry_of(losses.sft),
        "SFTTrainer",
        trl_responses.sft,
        {"loss_type": "nll"},
        over="tokens",
        difference=TOKEN_MEAN,
    ),
    of_distributions(losses.gkd, mapped={"beta": "beta"}, difference=SOFTMAX),
    of_distributions(losses.forward_kl, fixed={"beta": 0.0}, difference=SOFTMAX),
    of_distributions(losses.minillm, fixed={"beta": 1.0}, difference=SOFTMAX),
]

TRL = Peer(
    name="TRL",
    package="trl",
    comparisons=(*DIRECT, *REFERENCE_FREE, *UNPAIRED, *REWARDS, *GROUPS, *TOKENS),
    absent={
        "bco": "TRL had a BCOTrainer and has it no longer; DPOTrainer's bco_pair is `bce_pair`",
        "nash_md": "TRL had a NashMDTrainer and has it no longer",
        "xpo": "TRL had an XPOTrainer and has it no longer; oat has one",
        "prm": "TRL had a PRMTrainer and has it no longer",
        "value_clip": "TRL had a PPOTrainer and has it no longer; OpenRLHF and verl have one",
        "reinforce": "TRL has RLOOTrainer alone; OpenRLHF and verl have REINFORCE with a baseline",
        "remax": "TRL has it not; verl has it as an advantage estimator",
        "rpo_reward_aware": "TRL has it not; NeMo-Aligner has rpo_sq, rpo_bwd_kl and rpo_fwd_kl",
        "slic_hf": "TRL's hinge keeps a reference, which is `hinge`; HALOs has slic",
        "dpop": "TRL has it not; oat has it as dpo_positive_lambda",
        "lr_dpo": "TRL has it not; oat has it as len_reg_alpha",
        "sppo": "TRL has sppo_hard alone, which is `sppo_hard`",
        "diffusion_dpo": "TRL has no trainer for diffusion; align-anything has one",
        "cost_model": "TRL has it not; align-anything has it",
        "kto_s": "TRL has plain KTO alone, which is `kto`",
    },
)
