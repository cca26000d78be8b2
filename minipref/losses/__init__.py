"""Preference losses as pure functions: tensors in, one loss a row out."""

from .coefficient import gradient_coefficient
from .diffusion import diffusion_dpo
from .listwise import plackett_luce
from .pairwise import cdpo, dpo, flex_dpo, hinge, ipo, mcts_dpo, rdpo
from .pointwise import derangement, kto, kto_reference_point
from .policy_gradient import group_advantages, grpo, ppo_clip, remax, rloo
from .reference_free import cpo, orpo, simpo, simpo_gamma
from .reward import bradley_terry
from .tokenwise import sft, sparsepo

__all__ = [
    "bradley_terry",
    "cdpo",
    "cpo",
    "derangement",
    "diffusion_dpo",
    "dpo",
    "flex_dpo",
    "gradient_coefficient",
    "group_advantages",
    "grpo",
    "hinge",
    "ipo",
    "kto",
    "kto_reference_point",
    "mcts_dpo",
    "orpo",
    "plackett_luce",
    "ppo_clip",
    "rdpo",
    "remax",
    "rloo",
    "sft",
    "simpo",
    "simpo_gamma",
    "sparsepo",
]
