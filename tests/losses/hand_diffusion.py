"""Losses on a denoiser, by hand."""

from math import exp, log, log1p

PAIR = {  # the chosen image gained 1 on the reference, the other lost 0.5
    "chosen_errors": [1.0],
    "rejected_errors": [2.0],
    "ref_chosen_errors": [2.0],
    "ref_rejected_errors": [1.5],
}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    (
        "timestep_diffusion_dpo",  # 1/2 * 2 * 1.5 * (1 + 0.5)
        PAIR | {"weights": [1.5]},
        {"beta": 2.0},
        [log1p(exp(-2.25))],
    ),
    (
        "diffusion_cpo",
        {"chosen_errors": [1.0], "rejected_errors": [2.5]},
        {"beta": 2.0, "lambda_": 0.5},
        [log1p(exp(-3)) + 0.5],
    ),
    (
        "mapo_diffusion",  # scores log(2) / (2 - 1) and log(4) / (4 - 1), 10 times their difference
        {"chosen_errors": [2 * log(2)], "rejected_errors": [2 * log(4)]},
        {"beta": 0.1, "snr": 0.5, "steps": 10.0},
        [2 * log(2) + 0.1 * log1p(exp(-10 * (log(2) - log(4) / 3)))],
    ),
    (
        "mapo_diffusion",  # without error the score is 1
        {"chosen_errors": [0.0], "rejected_errors": [log(2)]},
        {"beta": 1.0, "snr": 1.0, "steps": 1.0},
        [log1p(exp(log(2) - 1))],
    ),
    (  # noise 0, the model says 1 and the reference 3 on the chosen: 1 - c * (1 - 3), c = 2 * 1/2
        "dspo",
        {
            "chosen_errors": [1.0],
            "rejected_errors": [4.0],
            "ref_chosen_errors": [9.0],
            "ref_rejected_errors": [12.0],
            "chosen_drift": [4.0],
        },
        {"beta": 2.0},
        [(1 + 2) ** 2],
    ),
    (
        "diffusion_kto",  # gains 2 * (1 - 0.5) and 2 * (-1 - 0.5)
        {
            "errors": [1.0, 3.0],
            "ref_errors": [2.0, 2.0],
            "desirable": [True, False],
            "kl": 0.5,
        },
        {"beta": 2.0, "lambda_desirable": 1.0, "lambda_undesirable": 3.0},
        [1 / (1 + exp(1)), 3 / (1 + exp(3))],
    ),
    (
        "dpok",  # -10 * 2 * -1.5 and 0.5 * 3
        {"logps": [[-1.0, -0.5]], "rewards": [2.0], "drift": [[1.0, 2.0]]},
        {"reward_weight": 10.0, "kl_weight": 0.5},
        [30 + 1.5],
    ),
    (
        "dlpo",  # gains 4 - 1 and 4 - 6
        {"logps": [[-1.0, -0.5]], "rewards": [2.0], "errors": [[0.5, 3.0]]},
        {"alpha": 2.0, "beta": 2.0},
        [3 * 1.0 - 2 * 0.5],
    ),
    (
        "prdp",  # log-ratios 0.5 against a gap of 2 / 2; the move of 0.5 counts as one of 0.1
        {
            "chosen_logps": [[-1.0]],
            "rejected_logps": [[-2.0]],
            "ref_chosen_logps": [[-1.5]],
            "ref_rejected_logps": [[-2.0]],
            "old_chosen_logps": [[-1.5]],
            "old_rejected_logps": [[-2.0]],
            "chosen_scores": [3.0],
            "rejected_scores": [1.0],
        },
        {"beta": 2.0, "clip": 0.1},
        [(0.1 - 1) ** 2],
    ),
    ("hive", {"errors": [3.0], "scores": [2 * log(5)]}, {"beta": 2.0}, [15.0]),
    (
        "refl",
        {"rewards": [0.5, 3.0], "errors": [1.0, 1.0]},
        {"lambda_": 0.1, "target": 2.0},
        [1.15, 1.0],
    ),
]
