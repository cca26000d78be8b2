"""Losses on single responses and on edited tokens, worked out by hand."""

from math import e, exp, log, log1p, sqrt

# log-ratios 1 and -1
POINTS = {"logps": [-1.0, -3.0], "ref_logps": [-2.0, -2.0]}
LABELLED = POINTS | {"desirable": [True, False]}
ALL_TOKENS = [[True, True]]

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    (
        "kto_s",  # gains 2 * (1 + 0.5) and 2 * (-1 - 0.5)
        LABELLED | {"kl": 0.5},
        {"beta": 2.0, "lambda_desirable": 1.0, "lambda_undesirable": 3.0},
        [1 / (1 + exp(3)), 3 / (1 + exp(3))],
    ),
    ("apo_zero_unpaired", LABELLED, {"beta": log(3)}, [1 / 4, 1 / 4]),
    # rewards 2 and -2, logits 1 and -3
    ("bco", LABELLED | {"shift": 1.0}, {"beta": 2.0}, [log1p(exp(-1)), log1p(exp(-3))]),
    ("pointwise_dpo", LABELLED, {"beta": 2.0, "constant": -1.0}, [log1p(exp(-1)), log1p(exp(-3))]),
    (
        "pointwise_dpo_regression",  # 3 - 2 - 0.5 and 1 + 2 - 0.5
        POINTS | {"scores": [3.0, 1.0]},
        {"beta": 2.0, "constant": 0.5},
        [0.25, 6.25],
    ),
    ("ulma", LABELLED, {"beta": 2.0, "constant": 0.5}, [1.0, log1p(exp(-1.5))]),
    (
        "dro",  # 3 - 2 - 2 and 1 - 0 + 2
        POINTS | {"scores": [3.0, 1.0], "values": [2.0, 0.0]},
        {"tau": 2.0},
        [1 / 2, 9 / 2],
    ),
    # s = 1/2 and -1/2
    (
        "f_sft",
        POINTS,
        {"beta": 0.5, "divergence": "chi_square"},
        [2 - 2 * sqrt(1.5), 2 - 2 * sqrt(0.5)],
    ),
    ("f_sft", POINTS, {"beta": 0.5, "divergence": "hellinger"}, [-1 / 3, 1.0]),
    ("f_sft", POINTS, {"beta": 0.5, "divergence": "kl"}, [-log(1.5), log(2)]),
    ("f_sft", POINTS, {"beta": 0.5, "divergence": "linear"}, [-0.5, 0.5]),
    # s = -2: from the tangent's foot at -0.9, where 1 + s = 0.1, 1.1 down a slope of 1 / 0.1
    (
        "f_sft",
        {"logps": [-3.0], "ref_logps": [-1.0]},
        {"beta": 1.0, "divergence": "kl"},
        [log(10) + 1.1 * 10],
    ),
    ("rwr", {"logps": [-1.0, -3.0], "rewards": [2.0, -2.0]}, {"beta": 2.0}, [e, 3 / e]),
    (
        "figa",  # 0.5 is not punished at -2; three tokens of two rows count
        {
            "logps": [[-1.0, -2.0, -3.0], [-0.5, -2.0, -9.0]],
            "signals": [[1.0, 1.0, 0.0], [-0.5, -0.5, 1.0]],
            "mask": [[True, True, True], [True, True, False]],
        },
        {"threshold": 0.6},
        [2 * 3 / 3, 2 * -0.25 / 3],
    ),
    (
        "token_guidance",
        {
            "logps": [[-1.0, -2.0]],
            "rewards": [[0.5, 0.25]],
            "entropies": [[1.0, 3.0]],
            "mask": ALL_TOKENS,
        },
        {"alpha": 0.25},
        [(0.5 + 0.5 - 0.25 * 4) / 2],
    ),
    (
        "token_guidance_mle",
        {"logps": [[-1.0, -2.0]], "scores": [[0.6, 0.2]], "mask": ALL_TOKENS},
        {},
        [0.75 * 1 + 0.25 * 2],
    ),
]
