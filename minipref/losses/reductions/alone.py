"""Losses of a pair without a reference or with other responses, and of single responses."""

from .reduction import Reduction

ALONE: list[Reduction] = [
    # -- pairs without a reference --
    Reduction(
        "dpo",
        "simpo",
        "the reference is indifferent, log-probs are means",
        given={"ref_rejected_logps": "ref_chosen_logps"},
        inputs={"chosen_mean_logps": "chosen_logps", "rejected_mean_logps": "rejected_logps"},
        fixed={"gamma": 0},
    ),
    Reduction(
        "cpo",
        "simpo",
        "alpha = 0, log-probs are means",
        {"alpha": 0},
        inputs={"chosen_mean_logps": "chosen_logps", "rejected_mean_logps": "rejected_logps"},
        fixed={"gamma": 0},
    ),
    Reduction(
        "orpo",
        "sft",
        "lambda_ = 0",
        {"lambda_": 0},
        inputs={"logps": "column(chosen_mean_logps)", "mask": "column(chosen_mean_logps) <= 0"},
    ),
    Reduction(
        "slic_hf",
        "hinge",
        "no likelihood, an indifferent reference, delta = 1 / beta",
        {"delta": "1 / beta", "lambda_": 0},
        inputs={"ref_chosen_logps": "0 * chosen_logps", "ref_rejected_logps": "0 * rejected_logps"},
        scale="1 / beta",
    ),
    Reduction(
        "asft",
        "sft",
        "lambda_ = 0",
        {"lambda_": 0},
        inputs={"logps": "column(chosen_mean_logps)", "mask": "column(chosen_mean_logps) <= 0"},
    ),
    Reduction("alphapo", "simpo", "alpha -> 0", {"alpha": 1e-9}, within=1e-6),
    # -- self-play --
    Reduction("xpo", "dpo", "alpha = 0", {"alpha": 0}),
    Reduction("vpo", "dpo", "alpha = 0", {"alpha": 0}),
    Reduction(
        "vpo",
        "xpo",
        "the outlook is optimistic",
        {"outlook": "optimistic", "alpha": "alpha / beta"},
        inputs={"sampled_logps": "calibration_logps"},
    ),
    Reduction(
        "vpo",
        "cpo",
        "the outlook is pessimistic, the reference is indifferent",
        {"outlook": "pessimistic", "alpha": "alpha / beta"},
        given={"ref_rejected_logps": "ref_chosen_logps"},
        inputs={"chosen_mean_logps": "calibration_logps"},
    ),
    Reduction("spac", "dpo", "lambda_ -> infinity", {"eta": "1 / beta", "lambda_": 1e12}),
    Reduction(
        "xpo",
        "spac",
        "the penalty is linear, beta = 1 / eta",
        {"beta": "1 / eta", "alpha": "1 / (lambda_ * eta)"},
        inputs={"ref_sampled_logps": "0 * sampled_logps"},
        fixed={"penalty": "linear"},
    ),
    # -- images --
    Reduction(
        "povid",
        "flex_dpo",
        "beta_image = 0",
        {"alpha": "beta_plus", "beta_text": "beta_minus", "beta_image": 0},
    ),
    Reduction(
        "cpl",
        "simpo",
        "lambda_ = 1, log-probs are means",
        {"lambda_": 1, "alpha": "beta"},
        inputs={"chosen_mean_logps": "chosen_logps", "rejected_mean_logps": "rejected_logps"},
        fixed={"gamma": 0},
    ),
    Reduction(
        "cpo",
        "cpl",
        "no likelihood term, lambda_ = 1",
        {"alpha": 0, "beta": "alpha"},
        fixed={"lambda_": 1},
    ),
    # -- single responses --
    Reduction("kto_s", "kto", "kl = 0", given={"kl": "0 * kl"}),
    Reduction(
        "kto",
        "apo_zero_unpaired",
        "kl = 0, both weights 1",
        {"lambda_desirable": 1, "lambda_undesirable": 1},
        given={"kl": "0 * kl"},
    ),
    Reduction(
        "bco",
        "pointwise_dpo",
        "the shift is minus the constant",
        given={"shift": "0 * shift - 0.5"},
        fixed={"constant": 0.5},
    ),
    Reduction(
        "ulma",
        "sft",
        "all are desirable, log-probs are means",
        given={"desirable": "desirable | ~desirable"},
        inputs={"logps": "column(logps)", "mask": "column(logps) <= 0"},
    ),
    Reduction(
        "ulma", "pointwise_dpo", "none is desirable", given={"desirable": "desirable & ~desirable"}
    ),
    Reduction(
        "dro",
        "pointwise_dpo_regression",
        "the value is a constant",
        {"tau": "beta"},
        given={"values": "0 * values + 0.5"},
        fixed={"constant": 0.5},
        scale="1 / 2",
    ),
    Reduction(
        "f_sft",
        "sft",
        "the linear divergence, log-probs are means",
        {"divergence": "linear", "beta": 0.3},
        inputs={"logps": "column(logps)", "mask": "column(logps) <= 0"},
        scale="0.3",
        offset="0.3 * ref_logps",
    ),
    Reduction(
        "rwr",
        "sft",
        "beta goes to infinity, log-probs are means",
        {"beta": 1e9},
        inputs={"logps": "column(logps)", "mask": "column(logps) <= 0"},
        within=1e-7,
    ),
]
