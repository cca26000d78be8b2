"""Reward models' losses worked out by hand: odds of 3 to 1, quarters, and whole numbers."""

from math import e, exp, log, log1p, pi, sqrt

PAIR = {"chosen_rewards": [log(3)], "rejected_rewards": [0.0]}
TWICE = {name: x * 2 for name, x in PAIR.items()} | {"ties": [False, True]}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    # gap log 3, log 2 of it asked for: odds 3 to 2
    ("bradley_terry_margin", PAIR | {"margins": [log(2)]}, {}, [log(5 / 3)]),
    # log 4/3, and the sum 3 squared
    (
        "bradley_terry_centred",
        {"chosen_rewards": [(3 + log(3)) / 2], "rejected_rewards": [(3 - log(3)) / 2]},
        {"weight": 0.01},
        [log(4 / 3) + 0.09],
    ),
    # 3/4 that the chosen, 1/3 that the rejected is the better one
    (
        "pair_scorer",
        {"chosen_rewards": [log(3)], "rejected_rewards": [-log(2)]},
        {},
        [log(4 / 3) + log(3 / 2)],
    ),
    ("k_way", {"rewards": [[log(3), log(2), 0.0]]}, {}, [log(6 / 3)]),
    # pairs 3 to 2, 3 to 1, 2 to 1
    (
        "ranknet",
        {"rewards": [[log(3), log(2), 0.0]]},
        {},
        [(log(5 / 3) + log(4 / 3) + log(3 / 2)) / 3],
    ),
    ("thurstone", {"chosen_rewards": [1.0], "rejected_rewards": [1.0]}, {}, [log(2)]),
    ("thurstone", {"chosen_rewards": [3.0], "rejected_rewards": [2.0]}, {}, [-log(0.8413447461)]),
    # strengths 3 and 1, theta 2: wins 3/5 and 1/7, the rest is ties
    ("rao_kupper", TWICE, {"alpha": log(2)}, [-log(3 / 5), -log(1 - 3 / 5 - 1 / 7)]),
    # strengths 3 and 1, geometric mean sqrt 3, twice that for ties
    (
        "davidson",
        TWICE,
        {"nu": 2.0},
        [-log(3 / (4 + 2 * sqrt(3))), -log(2 * sqrt(3) / (4 + 2 * sqrt(3)))],
    ),
    (
        "reward_bce",
        {"rewards": [log(3), log(3)], "desirable": [True, False]},
        {},
        [log(4 / 3), log(4)],
    ),
    ("reward_regression", {"rewards": [2.5], "scores": [4.0]}, {}, [2.25]),
    # a step that is right in 3 of 4 roll-outs and believed to be so, and one that is wrong
    (
        "prm",
        {
            "rewards": [[log(3), 7.0, 0.0]],
            "probabilities": [[0.75, 0.5, 0.0]],
            "mask": [[True, False, True]],
        },
        {},
        [0.75 * log(4 / 3) + 0.25 * log(4) + log(2)],
    ),
    (
        "ovm",
        {
            "values": [[0.5, 1.0, 9.0], [0.5, 1.0, 9.0]],
            "desirable": [True, False],
            "mask": [[True, True, False]] * 2,
        },
        {},
        [0.25, 1.25],
    ),
    (
        "genrm",
        {
            "verdict_logps": [-log(4), -log(4)],
            "solution_logps": [-8.0, -8.0],
            "desirable": [True, False],
        },
        {"lambda_": 0.25},
        [log(4) + 2, log(4)],
    ),
    # costs -1 (safe) and 1 (not), ranked by a margin of 2
    (
        "cost_model",
        {
            "chosen_costs": [-1.0],
            "rejected_costs": [1.0],
            "chosen_safe": [True],
            "rejected_safe": [False],
        },
        {},
        [log1p(exp(-2)) + 2 * log1p(1 / e)],
    ),
    # means 3/4 and 1/4, right for the first option and off by two deviations for the second
    (
        "gpo_group",
        {
            "logits": [[log(3), 0.0]],
            "log_deviations": [[0.0, -log(8)]],
            "shares": [[0.75, 0.5]],
        },
        {},
        [(0 + 0 + 2**2 / 2 - log(8)) / 2 + log(2 * pi) / 2],
    ),
    # 1/2, 1/3, 1/6
    (
        "dprm_cross_entropy",
        {"logits": [[log(3), log(2), 0.0]], "shares": [[0.5, 0.0, 0.5]]},
        {},
        [(log(2) + log(6)) / 2],
    ),
    # worth -3, -1 and 1: a quarter of the probability moves from the best to the worst, by 4
    (
        "dprm_transport",
        {
            "logits": [[log(2), 0.0, 0.0]],
            "shares": [[0.25, 0.5, 0.25]],
            "scores": [1.0, -3.0, -1.0],
        },
        {},
        [0.25 * 4],
    ),
    # targets 3/4 and 1/4, weights a half each
    (
        "pro_orchestrator",
        {"logits": [[0.0, 0.0]], "scores": [[0.1 * log(3), 0.0]]},
        {"temperature": 0.1},
        [0.75 * log(1.5) + 0.25 * log(0.5)],
    ),
]
