"""Losses of a pair without a reference, as other libraries have them."""

from .flag import BATCH_MEAN, ONE_LENGTH, Flag

RATIO = "asks for the ratio gamma / beta"

REFERENCE_FREE: dict[str, tuple[Flag, ...]] = {
    "simpo": (
        Flag(
            "HALOs",
            {"loss": "simpo", "beta": 10.0, "gamma_beta_ratio": 0.3},
            RATIO,
            "gamma = beta * gamma_beta_ratio, 3 at its defaults",
        ),
        Flag(
            "LLaMA-Factory",
            {"pref_loss": "simpo", "pref_beta": 0.1, "simpo_gamma": 0.5},
            "beta is 0.1 unless set, a twentieth of the paper's",
            "gamma = simpo_gamma, pref_beta = 2",
        ),
        Flag(
            "Liger",
            {"beta": 0.1, "gamma": 0.5, "compute_nll_loss": True},
            "adds alpha (1) times the likelihood unless told not to",
            "compute_nll_loss = False",
        ),
        Flag(
            "open-instruct",
            {"loss_type": "simpo", "gamma_beta_ratio": 0.3},
            RATIO,
            "gamma = beta * gamma_beta_ratio",
        ),
        Flag(
            "oat",
            {"dap_algo": "SimPO", "gamma_beta_ratio": 0.5},
            RATIO,
            "gamma = beta * gamma_beta_ratio",
        ),
        Flag(
            "official",
            {"gamma_beta_ratio": 0.25, "sft_weight": 0.0},
            RATIO,
            "gamma = beta * gamma_beta_ratio",
        ),
    ),
    "cpo": (
        Flag(
            "Liger",
            {"beta": 0.1, "alpha": 1.0, "average_log_prob": False},
            f"the likelihood {BATCH_MEAN}",
            ONE_LENGTH,
        ),
    ),
    "orpo": (
        Flag("LLaMA-Factory", {"pref_loss": "orpo", "pref_beta": 0.1}, equal="lambda_ = pref_beta"),
        Flag(
            "Liger", {"beta": 0.1}, f"the likelihood {BATCH_MEAN}", f"lambda_ = beta, {ONE_LENGTH}"
        ),
        Flag(
            "official",
            {"alpha": 1.0, "disable_prompt_loss": False},
            "trains the prompt's tokens too; its weight is 1 unless set",
            f"disable_prompt_loss, lambda_ = alpha, {ONE_LENGTH}",
        ),
    ),
    "slic_hf": (
        Flag(
            "HALOs",
            {"loss": "slic", "beta": 1.0, "lambda_coef": 0.1},
            "its likelihood is of the chosen, (batch, length) where the hinge is (batch,)",
            "anchor_logps = chosen_logps, delta = beta, lambda_ = lambda_coef, in intent",
        ),
    ),
}
