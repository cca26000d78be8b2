"""Pair losses worked out by hand: log-ratios 1 for the chosen and -1/2 for the rejected."""

from math import e, exp, log1p

PAIR = {"chosen_logps": [-1.0], "rejected_logps": [-3.0]}
PAIR |= {"ref_chosen_logps": [-2.0], "ref_rejected_logps": [-2.5]}
MEANS = {name.replace("logps", "mean_logps"): x for name, x in PAIR.items()}
ALONE = {"chosen_mean_logps": [-1.0], "rejected_mean_logps": [-3.0]}
VISITS = {"chosen_visits": [4.0], "rejected_visits": [1.0]}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    ("dpo", PAIR, {"beta": 2.0}, [log1p(exp(-3))]),
    (
        "cdpo",
        PAIR,
        {"beta": 2.0, "label_smoothing": 0.2},
        [0.8 * log1p(exp(-3)) + 0.2 * log1p(exp(3))],
    ),
    ("mcts_dpo", PAIR | VISITS, {"beta": 2.0}, [0.8 * log1p(exp(-3)) + 0.2 * log1p(exp(3))]),
    (
        "rdpo",
        PAIR,
        {"beta": 2.0, "flip_rate": 0.2},
        [(0.8 * log1p(exp(-3)) - 0.2 * log1p(exp(3))) / 0.6],
    ),
    ("flex_dpo", PAIR, {"beta_plus": 2.0, "beta_minus": 1.0}, [log1p(exp(-2.5))]),
    ("ipo", MEANS, {"tau": 0.25}, [0.25]),  # (1.5 - 2) ** 2
    ("hinge", PAIR, {"beta": 0.5}, [0.25]),  # 1 - 0.75
    ("hinge", PAIR, {"beta": 1.0}, [0.0]),  # a margin of 1.5 is enough
    ("simpo", ALONE, {"beta": 1.5, "gamma": 1.0}, [log1p(exp(-2))]),  # 3 - 1
    (
        "cpo",
        {"chosen_logps": [-1.0], "rejected_logps": [-3.0], "chosen_mean_logps": [-2.0]},
        {"beta": 0.5, "alpha": 0.25},
        [log1p(exp(-1)) + 0.25 * 2],
    ),
    # odds 1 / (e - 1) and 1 / (e^3 - 1)
    ("orpo", ALONE, {"lambda_": 1.0}, [1 + log1p((e - 1) / (exp(3) - 1))]),
]
