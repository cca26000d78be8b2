"""Anchored pair losses and other links by hand: the log-ratios are 1 and -1/2, as in hand_pairwise.

AOT's two pairs have margins 2 and 1/2 under the policy, -1 and 1 under the reference.
"""

from math import exp, log, log1p

from hand_pairwise import PAIR

FALLEN = PAIR | {"ref_chosen_logps": [-0.5]}  # the chosen's log-ratio is -1/2 too
MARGINS = {"chosen_logps": [-1.0, -2.0], "rejected_logps": [-3.0, -2.5]}
MARGINS |= {"ref_chosen_logps": [-2.0, -1.0], "ref_rejected_logps": [-1.0, -2.0]}
UNPAIRED = {"chosen_logps": [-1.0, -3.0], "rejected_logps": [-3.0, -2.5]}  # 1, -1 and -2, -1/2
UNPAIRED |= {"ref_chosen_logps": [-2.0, -2.0], "ref_rejected_logps": [-1.0, -2.0]}


def gpo(link, expected):
    return "gpo_generalised", PAIR, {"beta": 0.5, "link": link}, [expected]  # margin 3/4


def f_dpo(beta, divergence, expected):
    numbers = {"beta": beta, "divergence": divergence, "alpha": 0.5}
    return "f_dpo", PAIR, numbers, [expected]  # ratios e and 1 / sqrt(e)


BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    ("apo_zero", PAIR, {"beta": 2.0}, [1 / (1 + exp(2)) + 1 / (1 + exp(1))]),
    ("apo_down", PAIR, {"beta": 2.0}, [1 / (1 + exp(-2)) + 1 / (1 + exp(3))]),
    ("dpop", PAIR, {"beta": 2.0, "lambda_": 3.0}, [log1p(exp(-3))]),
    ("dpop", FALLEN, {"beta": 2.0, "lambda_": 3.0}, [log1p(exp(2 * 3 * 0.5))]),
    ("nca", PAIR, {"beta": 2.0}, [log1p(exp(-2)) + (log1p(exp(2)) + log1p(exp(-1))) / 2]),
    ("bce_pair", PAIR, {"beta": 2.0}, [log1p(exp(-2)) + log1p(exp(-1))]),
    ("sppo_hard", PAIR, {"beta": 0.25}, [(1 - 2) ** 2 + (-0.5 + 2) ** 2]),
    gpo("logistic", log1p(exp(-0.75))),
    gpo("square", 1 / 16),
    gpo("hinge", 1 / 4),
    gpo("exponential", exp(-0.75)),
    gpo("truncated_quadratic", 1 / 16),
    gpo("savage", 1 / (1 + exp(0.75)) ** 2),
    (
        "exo",  # odds of 3 to 1, where the label's are 4 to 1
        PAIR,
        {"beta": log(3) / 1.5, "label_smoothing": 0.2},
        [0.75 * log(0.75 / 0.8) + 0.25 * log(0.25 / 0.2)],
    ),
    (
        "discopop",
        PAIR,
        {"beta": 0.5, "tau": 0.75},
        [log1p(exp(-0.75)) / (1 + exp(1)) + exp(-0.75) / (1 + exp(-1))],
    ),
    f_dpo(2.0, "reverse_kl", log1p(exp(-3))),
    f_dpo(2.0, "forward_kl", log1p(exp(-2 * (exp(0.5) - exp(-1))))),
    f_dpo(1.0, "js", log1p((1 + exp(-1)) / (1 + exp(0.5)))),
    f_dpo(2.0, "alpha", log1p(exp(-2 * 2 * (exp(0.25) - exp(-0.5))))),
    ("aot", MARGINS, {"beta": 2.0}, [log1p(exp(-2 * (2 - 1))), log1p(exp(-2 * (0.5 + 1)))]),
    ("aot_unpaired", UNPAIRED, {"beta": 2.0}, [log1p(exp(-2 * 1.5)), log1p(exp(-2 * 1))]),
]
