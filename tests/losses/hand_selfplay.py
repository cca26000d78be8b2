"""Losses without a reference, of self-play, and with images, worked out by hand."""

from math import e, exp, log, log1p

ALONE = {"chosen_logps": [-1.0, -1.0], "rejected_logps": [-3.0, -1.5], "anchor_logps": [-4.0, -4.0]}
MEANS = {"chosen_mean_logps": [log(1 / 2)], "rejected_mean_logps": [log(1 / 4)]}
# log-ratios 1 and -1/2, and 2 for a response of the policy itself
PAIR = {"chosen_logps": [-1.0], "rejected_logps": [-3.0]}
PAIR_OF_REF = {"ref_chosen_logps": [-2.0], "ref_rejected_logps": [-2.5]}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    # leads 2, which is enough, and 1/2, which is 1 short of 1.5
    ("slic_hf", ALONE, {"delta": 1.5, "lambda_": 0.25}, [1.0, 1 + 1.0]),
    # 1 + lambda times log 2, and lambda times -log(3/4)
    ("asft", MEANS, {"lambda_": 0.5}, [1.5 * log(2) + 0.5 * log(4 / 3)]),
    # rewards 1 - 2 and 1 - 4
    ("alphapo", MEANS, {"beta": 1.0, "gamma": 0.5, "alpha": 1.0}, [log1p(exp(-1.5))]),
    (
        "unlikelihood",
        {
            "chosen_logps": [[-1.0, -2.0]],
            "chosen_mask": [[True, True]],
            "rejected_logps": [[log(1 / 2), log(1 / 4)]],
            "rejected_mask": [[True, True]],
        },
        {"alpha": 0.5},
        [3 + 0.5 * (log(2) + log(4 / 3))],
    ),
    (
        "sppo",  # log-ratios 1 and -1/2, targets 2 and -1
        {"logps": [-1.0, -3.0], "old_logps": [-2.0, -2.5], "probabilities": [1.0, 0.25]},
        {"eta": 4.0},
        [1.0, 0.25],
    ),
    (
        "nash_md",  # (3/4 - 1/2 - 1/2 * 1) * 1
        {"logps": [-1.0], "ref_logps": [-2.0], "probabilities": [0.75]},
        {"beta": 0.5},
        [-0.25],
    ),
    (
        "xpo",
        PAIR | {"sampled_logps": [-3.0]} | PAIR_OF_REF,
        {"beta": 2.0, "alpha": 0.1},
        [log1p(exp(-3)) - 0.3],
    ),
    (
        "vpo",
        PAIR | {"calibration_logps": [-3.0]} | PAIR_OF_REF,
        {"beta": 2.0, "alpha": 0.1, "outlook": "optimistic"},
        [log1p(exp(-3)) - 0.6],
    ),
    (
        "vpo",
        PAIR | {"calibration_logps": [-3.0]} | PAIR_OF_REF,
        {"beta": 2.0, "alpha": 0.1, "outlook": "pessimistic"},
        [log1p(exp(-3)) + 0.6],
    ),
    (
        "spac",  # rewards 2, -1 and 4
        PAIR | {"sampled_logps": [-3.0]} | PAIR_OF_REF | {"ref_sampled_logps": [-5.0]},
        {"eta": 0.5, "lambda_": 8.0, "penalty": "linear"},
        [log1p(exp(-3)) + 0.5],
    ),
    (
        "spac",
        PAIR | {"sampled_logps": [-3.0]} | PAIR_OF_REF | {"ref_sampled_logps": [-5.0]},
        {"eta": 0.5, "lambda_": 8.0, "penalty": "logsigmoid"},
        [log1p(exp(-3)) + log1p(exp(4)) / 8],
    ),
    (
        "drpo",  # log-ratios 1 and -1/2, ratios e, clipped to 2, and 1 / sqrt(e), which is not
        PAIR
        | {"sampled_logps": [[-2.0, -4.0]]}
        | PAIR_OF_REF
        | {
            "probabilities": [0.75],
            "sampled_probabilities": [[0.5, 0.25]],
            "sampled_kl": [[1.0, 2.0]],
        },
        {"beta": 0.1, "clip": 2.0},
        [(0.5 * 2 + 0.25 * 4) / 2 + (-1 / 8) * (2 * 1 + 0.5 / e**0.5) + 0.1 * 1.5],
    ),
    (
        "mdpo",  # rewards 2, -1 and 4
        PAIR | {"corrupted_logps": [-3.0]} | PAIR_OF_REF | {"ref_corrupted_logps": [-5.0]},
        {"beta": 2.0},
        [log1p(exp(-3)) + log1p(exp(2)) + log1p(exp(-2))],
    ),
    (
        "povid",  # 3 * 1 - 2 * -1/2 - 1/2 * 2
        PAIR | {"noisy_logps": [-3.0]} | PAIR_OF_REF | {"ref_noisy_logps": [-5.0]},
        {"alpha": 3.0, "beta_text": 2.0, "beta_image": 0.5},
        [log1p(exp(-3))],
    ),
]
