"""Same name, other meaning: what a name of the field may stand for, and what we call each.

A name that means several things is not registered as it is, but for those on which the field has
settled (`bare`); a test holds the registry to that.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clash:
    """A name and its meanings.

    name      as the field writes it
    meanings  what it stands for, each with our name for it; "" where it is no loss of ours
    bare      registered under the plain name: the field has settled on one meaning
    """

    name: str
    meanings: tuple[tuple[str, str], ...]
    bare: bool = False


CLASHES: tuple[Clash, ...] = (
    Clash(
        "APO",
        (
            ("anchored preference optimisation (paper 064)", "apo_zero"),
            ("the same, where the model is better than its data", "apo_down"),
            ("adversarial preference optimisation", ""),
        ),
    ),
    Clash(
        "ASFT",
        (
            ("aligned SFT, absolute likelihood (paper 109)", "asft"),
            ("anchored SFT, LLaMA-Factory's use_asft_loss: re-weighted SFT and a KL", ""),
        ),
        bare=True,
    ),
    Clash(
        "CPO",
        (
            ("contrastive preference optimisation, translation (paper 056; TRL, Liger)", "cpo"),
            ("controllable preference optimisation (Guo et al.): a condition in the prompt", "sft"),
            ("constrained policy optimisation", "lagrange_multiplier"),
        ),
        bare=True,
    ),
    Clash(
        "DDPO",
        (
            ("denoising diffusion policy optimisation", "ppo_clip"),
            ("dense DPO of RLHF-V", "dpo"),
        ),
    ),
    Clash("DiffPO", (("a rewriter of texts, by consistency (paper 027)", "forward_kl"),)),
    Clash("DPA", (("dual preference alignment of a retriever (paper 062)", "ranknet"),)),
    Clash("DPP", (("a diffusion policy trained by policy gradient", "reinforce"),)),
    Clash(
        "DRO",
        (
            ("direct reward optimisation, policy and value (Richemond et al.)", "dro"),
            ("its policy part alone (verl, Tinker)", "dro"),
            ("distributionally robust optimisation", "group_robust_weights"),
        ),
        bare=True,
    ),
    Clash(
        "DRPO",
        (
            ("doubly robust preference optimisation (paper 100)", "drpo"),
            ("several others, direct reward or ranking among them", ""),
        ),
        bare=True,
    ),
    Clash(
        "FPO",
        (
            ("feature-level preference optimisation (paper 099)", "fpo"),
            ("f-PO, a family of divergences", "f_dpo"),
            ("filtered preference optimisation: pairs are dropped", "dpo"),
        ),
        bare=True,
    ),
    Clash(
        "GPO",
        (
            ("generalised preference optimisation (Tang et al.)", "gpo_generalised"),
            ("group preference optimisation (paper 058)", "gpo_group"),
        ),
    ),
    Clash(
        "GRPO",
        (
            ("group relative policy optimisation", "grpo"),
            ("group robust preference optimisation (Ramesh et al.)", "group_robust_weights"),
        ),
        bare=True,
    ),
    Clash(
        "hinge",
        (
            ("SLiC's hinge on DPO's margin, with a reference (TRL, LLaMA-Factory)", "hinge"),
            ("SLiC-HF, without a reference and with a likelihood (HALOs' slic)", "slic_hf"),
        ),
        bare=True,
    ),
    Clash(
        "IPO",
        (
            ("identity preference optimisation, of means (TRL, HALOs, LLaMA-Factory)", "ipo"),
            ("the same of sums (official code, OpenRLHF, NeMo-Aligner)", "gpo_generalised"),
            ("importance policy optimisation", ""),
        ),
        bare=True,
    ),
    Clash(
        "IRPO",
        (
            ("in-context ranking (paper 114)", "irpo_ranking"),
            ("iterative reasoning: DPO and a likelihood term", "with_nll"),
        ),
    ),
    Clash(
        "label_smoothing",
        (
            ("a mix of both labels (OpenRLHF, oat, LLaMA-Factory)", "cdpo"),
            ("an unbiased estimate (TRL's and Liger's robust)", "rdpo"),
            ("softness of a teacher (EXO)", "exo"),
        ),
    ),
    Clash("LPO", (("latent, latent-space, listwise or length-: several methods", ""),)),
    Clash(
        "MaPO",
        (
            ("margin-aware, for images", "mapo_diffusion"),
            ("masks from a model's activations (paper 117)", "sparsepo"),
            ("MAPO, multilingual alignment as preference optimisation", "dpo"),
        ),
    ),
    Clash(
        "MPO",
        (
            ("mixed: DPO, BCO and a likelihood (InternVL)", "with_nll"),
            ("multi-preference optimisation", ""),
        ),
    ),
    Clash(
        "OPO",
        (
            ("on-the-fly preference optimisation (paper 030): retrieval, nothing is trained", ""),
            ("an optimal baseline of a policy gradient (verl)", "reinforce"),
        ),
    ),
    Clash(
        "P3O",
        (
            ("pairwise proximal policy optimisation (Wu et al.)", "p3o"),
            ("policy-on policy-off policy optimisation (Fakoor et al.)", "p3o_fakoor"),
        ),
        bare=True,
    ),
    Clash(
        "PRO",
        (
            ("preference ranking optimisation (paper 103)", "pro"),
            ("preference orchestrator (paper 006)", "pro_orchestrator"),
        ),
        bare=True,
    ),
    Clash(
        "rDPO",
        (
            ("robust DPO (paper 070)", "rdpo"),
            ("R-DPO, length-regularised (Park et al.)", "lr_dpo"),
            ("a name in the code of paper 114", "irpo_ranking"),
            ("Re-Align's, with retrieved images", "mdpo"),
        ),
        bare=True,
    ),
    Clash(
        "RPO",
        (
            ("relative (paper 049)", "rpo_relative"),
            ("reward-aware (paper 072, NeMo-Aligner)", "rpo_reward_aware"),
            ("reverse (paper 094)", "rpo_reverse"),
            ("robust, provably (paper 070 calls it rDPO)", "rdpo"),
            ("DPO and a likelihood term (Llama 3, TRL's former rpo_alpha)", "with_nll"),
        ),
    ),
    Clash(
        "SDPO",
        (
            ("sDPO, stepwise (paper 046): DPO in rounds", "dpo"),
            ("S-DPO, softmax over rejected ones", "s_dpo"),
            ("self-distillation (TRL)", "forward_kl"),
            ("importance-sampled diffusion DPO", "weighted"),
        ),
    ),
    Clash(
        "SPA",
        (
            ("spread preference annotation (paper 010)", "soft_dpo"),
            ("the data set of paper 108", "figa"),
        ),
    ),
    Clash(
        "SPAC",
        (
            ("self-play with an adversarial critic (paper 107)", "spac"),
            ("other methods", ""),
        ),
        bare=True,
    ),
    Clash(
        "SPO",
        (
            ("sequential (paper 025)", "spo_sequential"),
            ("step-aware, of diffusion models", "diffusion_dpo"),
            ("self-play", "sppo"),
        ),
    ),
    Clash(
        "TPO",
        (
            ("test-time preference optimisation (paper 059): nothing is trained", ""),
            (
                "triple preference optimisation (TRL): a pair without reference, and likelihood",
                "cpo",
            ),
            ("ternary: ties as a third verdict (paper 039 calls it TODO)", "todo"),
            ("tree or trajectory", "mcts_dpo"),
        ),
    ),
    Clash(
        "VPO",
        (
            ("value-incentivised (Cen et al.)", "vpo"),
            ("other methods", ""),
        ),
        bare=True,
    ),
    Clash(
        "XPO",
        (
            ("exploratory (Xie et al.)", "xpo"),
            ("any preference optimisation, as in *PO", ""),
        ),
        bare=True,
    ),
    Clash(
        "beta",
        (
            ("strength of the KL constraint", "dpo"),
            ("IPO's tau", "ipo"),
            ("SLiC's margin in nats (HALOs)", "slic_hf"),
            ("ORPO's lambda (TRL)", "orpo"),
            ("SimPO's scale of mean log-probs", "simpo"),
            ("GRPO's weight of the KL (TRL, Liger)", "grpo"),
            ("which divergence: GKD's place between the two KLs", "gkd"),
        ),
    ),
    Clash(
        "gamma",
        (
            ("SimPO's margin (paper, TRL, LLaMA-Factory, Liger)", "simpo"),
            ("the ratio gamma / beta (official code, HALOs, open-instruct, oat)", "simpo"),
            ("a discount", "gae"),
        ),
    ),
)
