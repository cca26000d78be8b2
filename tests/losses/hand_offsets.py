"""Offsets, soft labels and targets by hand: log-ratios 1 of the chosen, -1/2 of the rejected."""

from math import exp, log, log1p

PAIR = {"chosen_logps": [-1.0], "rejected_logps": [-3.0]}
PAIR |= {"ref_chosen_logps": [-2.0], "ref_rejected_logps": [-2.5]}
SCORES = {"chosen_scores": [4.0], "rejected_scores": [2.0]}
LENGTHS = {"chosen_lengths": [4], "rejected_lengths": [2]}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    # 2 * 1.5 = 3, less log 2 or what the offset is
    ("odpo", PAIR | SCORES, {"beta": 2.0, "alpha": 1.0}, [log1p(2 * exp(-3))]),
    ("lr_dpo", PAIR | LENGTHS, {"beta": 2.0, "alpha": 0.5}, [log1p(exp(-4))]),
    ("modpo", PAIR | SCORES, {"beta": 2.0, "weight": 0.25}, [log1p(exp(-4))]),
    ("spo_sequential", PAIR | SCORES, {"beta": 2.0, "alpha": 0.5}, [log1p(exp(-2))]),
    ("rpo_reverse", PAIR | {"margins": [3.0]}, {"beta": 2.0, "gamma": 0.5}, [log1p(exp(-1.5))]),
    ("mallows_dpo", PAIR | {"dispersion_weights": [0.5]}, {"beta": 2.0}, [log1p(exp(-1.5))]),
    # (-1 + 0.5 * 2) / 4 = 0 and (-3 + 0.5 * 2.5) / 2 = -0.875, half of 0.25 off: 2 * 2 * 0.75
    (
        "rainbow_po",
        PAIR | LENGTHS | {"dispersion_weights": [2.0]},
        {"beta": 2.0, "alpha": 0.5, "gamma": 0.25, "eta": 1.0},
        [log1p(exp(-3))],
    ),
    # square root of a length of 4 and of 9: 0 and -1.75 / 3
    (
        "rainbow_po",
        PAIR | {"chosen_lengths": [4], "rejected_lengths": [9], "dispersion_weights": [1.0]},
        {"beta": 3.0, "alpha": 0.5, "gamma": 0.0, "eta": 0.5},
        [log1p(exp(-1.75))],
    ),
    (
        "soft_dpo",
        PAIR | {"probabilities": [0.75]},
        {"beta": 2.0},
        [0.75 * log1p(exp(-3)) + 0.25 * log1p(exp(3))],
    ),
    ("todo", PAIR | {"ties": [False]}, {"beta": 2.0, "alpha": 1.0}, [log1p(exp(-2))]),
    # log-odds log 2, alpha log 3: chosen wins 2 / 5, loses 1 / 7, and 16 / 35 are left
    ("todo", PAIR | {"ties": [True]}, {"beta": log(2) / 1.5, "alpha": log(3)}, [log(35 / 16)]),
    # log-odds of 3 to 1
    ("irepo", PAIR | {"probabilities": [0.75]}, {"beta": 2.0}, [(3 - log(3)) ** 2]),
    ("rebel", PAIR | SCORES, {"eta": 0.5}, [1.0]),  # (3 - 2) ** 2
    (
        "rpo_reward_aware",  # 3 and 4
        PAIR | SCORES,
        {"beta": 2.0, "eta": 2.0, "distance": "square"},
        [1.0],
    ),
    # preferences: the policy's 2 / 3, the target's 3 / 4
    (
        "rpo_reward_aware",
        PAIR | SCORES,
        {"beta": log(2) / 1.5, "eta": log(3) / 2, "distance": "backward_kl"},
        [3 / 4 * log(9 / 8) + 1 / 4 * log(3 / 4)],
    ),
    (
        "rpo_reward_aware",
        PAIR | SCORES,
        {"beta": log(2) / 1.5, "eta": log(3) / 2, "distance": "forward_kl"},
        [2 / 3 * log(8 / 9) + 1 / 3 * log(4 / 3)],
    ),
    # 2 * (-1 + 0.5 * 3)
    (
        "cpl",
        {"chosen_logps": [-1.0], "rejected_logps": [-3.0]},
        {"alpha": 2.0, "lambda_": 0.5},
        [log1p(exp(-1))],
    ),
    # log-ratios 1 and 2 for the chosen, 0 and -1 for the rejected: 1, 2 and 2, 3, by the weights
    (
        "rpo_relative",
        {
            "chosen_logps": [-1.0, -1.0],
            "rejected_logps": [-2.0, -2.0],
            "ref_chosen_logps": [-2.0, -3.0],
            "ref_rejected_logps": [-2.0, -1.0],
            "weights": [[1.0, 0.5], [0.0, 1.0]],
        },
        {"beta": 2.0},
        [(log1p(exp(-2)) + log1p(exp(-2))) / 2, (log(2) + log1p(exp(-6))) / 2],
    ),
    # 3 + 0.5 * (-1 + 3), and 0.25 * 2
    (
        "dpo_kernels",
        PAIR | {"chosen_log_kernels": [-1.0], "rejected_log_kernels": [-3.0], "divergences": [2.0]},
        {"beta": 2.0, "gamma": 0.5, "alpha": 0.25},
        [log1p(exp(-4)) + 0.5],
    ),
]
