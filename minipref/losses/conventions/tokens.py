"""Losses of tokens and of denoising steps, and modified losses, as other libraries have them."""

from .flag import BATCH_MEAN, ONE_LENGTH, Flag

JSD = "adds half a cross-entropy on the data"

TOKENS: dict[str, tuple[Flag, ...]] = {
    "sft": (
        Flag("HALOs", {"loss": "sft"}, BATCH_MEAN, ONE_LENGTH),
        Flag("OpenRLHF", {"train_sft": "SFTLoss"}, BATCH_MEAN, ONE_LENGTH),
    ),
    "gkd": (
        Flag(
            "Liger",
            {"LigerFusedLinearJSDLoss": "beta=0.5", "weight_hard_loss": 0.5},
            f"{JSD}, {BATCH_MEAN}",
            f"weight_hard_loss = 0, weight_soft_loss = 1, {ONE_LENGTH}",
        ),
    ),
    "forward_kl": (
        Flag(
            "Liger",
            {"LigerFusedLinearJSDLoss": "beta=0", "weight_hard_loss": 0.5},
            f"{JSD}, {BATCH_MEAN}",
            f"weight_hard_loss = 0, weight_soft_loss = 1, {ONE_LENGTH}",
        ),
        Flag(
            "OpenRLHF",
            {"train_kd": "until March 2026"},
            f"the cross-entropy, so the teacher's entropy more; {BATCH_MEAN}",
            f"{ONE_LENGTH}, up to a constant",
        ),
    ),
    "minillm": (
        Flag(
            "Liger",
            {"LigerFusedLinearJSDLoss": "beta=1", "weight_hard_loss": 0.5},
            f"{JSD}, {BATCH_MEAN}",
            f"weight_hard_loss = 0, weight_soft_loss = 1, {ONE_LENGTH}",
        ),
    ),
    "figa": (Flag("official", {"cook_ratio": 1.0, "cook_ratio2": 0.5}, checked=False),),
    "wspo": (Flag("official", {"pref_beta": 0.1}, equal="gamma = pref_beta", checked=False),),
    "diffusion_dpo": (
        Flag("official", {"--beta_dpo": 5000}),
        Flag("diffusers", {"--beta_dpo": 5000}, checked=False),
    ),
}

MODIFIED: dict[str, tuple[Flag, ...]] = {
    "length_normalised_dpo": (
        Flag("open-instruct", {"loss_type": "dpo_norm", "beta": 5.0}, "is the default there"),
        Flag("Liger", {"loss_type": "sigmoid", "average_log_prob": True}),
        Flag("NeMo-Aligner", {"preference_loss": "dpo", "preference_average_log_probs": True}),
    ),
    "desensitised_dpo": (
        Flag(
            "LLaMA-Factory",
            {"pref_loss": "sigmoid", "ld_alpha": 0.5},
            "leaves the reference's log-probs whole, so that the policy at the reference has a "
            "margin",
            "none",
        ),
    ),
    "weighted_dpo": (
        Flag(
            "open-instruct",
            {"loss_type": "wpo"},
            "weighs by the mean probability of the tokens, without WPO's normaliser, at most 1",
            "weights of your own",
        ),
    ),
    "dpo_with_nll": (
        Flag("LLaMA-Factory", {"pref_loss": "sigmoid", "pref_ftx": 1.0}, equal="alpha = pref_ftx"),
        Flag("OpenRLHF", {"--model.nll_loss_coef": 0.2}, equal="alpha = nll_loss_coef"),
        Flag(
            "NeMo-Aligner",
            {"preference_loss": "dpo", "sft_loss_weight": 0.2},
            "sums the likelihood unless sft_average_log_probs",
            "sft_average_log_probs = True, alpha = sft_loss_weight",
        ),
        Flag("oat", {"dap_algo": "DPO", "sft_weight": 0.2}, equal="alpha = sft_weight"),
        Flag(
            "Liger",
            {"loss_type": "sigmoid", "compute_nll_loss": True, "alpha": 1.0},
            f"the likelihood {BATCH_MEAN}",
            ONE_LENGTH,
        ),
    ),
}
"""By the name that a modifier gives to the loss it has made."""
