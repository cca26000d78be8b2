"""Losses on tokens, on distributions over two words, and on what is to be forgotten, by hand."""

from math import exp, log, log1p

PAIR = {  # log-ratios 1 and -0.5
    "chosen_logps": [-1.0],
    "rejected_logps": [-3.0],
    "ref_chosen_logps": [-2.0],
    "ref_rejected_logps": [-2.5],
}
HALF, QUARTERS = [log(1 / 2), log(1 / 2)], [log(1 / 4), log(3 / 4)]
STUDENT_AND_TEACHER = {  # the second token does not count
    "logps": [[HALF, QUARTERS]],
    "teacher_logps": [[QUARTERS, HALF]],
    "mask": [[True, False]],
}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    (
        "tdpo1",  # 2 * (1.5 - (0.7 - 0.2))
        PAIR | {"chosen_kl": [0.2], "rejected_kl": [0.7]},
        {"beta": 2.0},
        [log1p(exp(-2))],
    ),
    (
        "tdpo2",  # 2 * (1.5 - 3 * (0.7 - 0.2))
        PAIR | {"chosen_kl": [0.2], "rejected_kl": [0.7]},
        {"beta": 2.0, "alpha": 3.0},
        [log(2)],
    ),
    (
        "fpo",  # 2 * (1.5 - 0.5 * (3 - 1))
        {
            "chosen_mean_logps": [-1.0],
            "rejected_mean_logps": [-3.0],
            "ref_chosen_mean_logps": [-2.0],
            "ref_rejected_mean_logps": [-2.5],
            "chosen_drift": [1.0],
            "rejected_drift": [3.0],
        },
        {"beta": 2.0, "alpha": 0.5},
        [log1p(exp(-1))],
    ),
    (
        "wspo",  # the strong model moved by 2 and 1, the weak one by 0.5 and -0.5
        {
            "logps": [[-1.0, -1.0, -9.0]],
            "ref_logps": [[-3.0, -2.0, -1.0]],
            "weak_logps": [[-2.0, -2.5, -9.0]],
            "weak_ref_logps": [[-2.5, -2.0, -2.0]],
            "mask": [[True, True, False]],
        },
        {"gamma": 0.5},
        [(0.5**2 + 1.0**2) / 2],
    ),
    ("forward_kl", STUDENT_AND_TEACHER, {}, [1 / 4 * log(1 / 2) + 3 / 4 * log(3 / 2)]),
    ("minillm", STUDENT_AND_TEACHER, {}, [1 / 2 * log(2) + 1 / 2 * log(2 / 3)]),
    (
        "gkd",  # a mixture of 1/4 * 1/4 + 3/4 * 1/2 = 7/16 and 9/16
        STUDENT_AND_TEACHER,
        {"beta": 0.25},
        [
            (1 / 4 * log(4 / 7) + 3 / 4 * log(4 / 3)) / 4
            + 3 * (1 / 2 * log(8 / 7) + 1 / 2 * log(8 / 9)) / 4
        ],
    ),
    (
        "adpa",  # expectations 1/2 * 2 + 1/2 * -1 and 1/4 * 0 + 3/4 * 4
        {
            "logps": [[HALF, QUARTERS]],
            "advantages": [[[2.0, -1.0], [0.0, 4.0]]],
            "mask": [[True, True]],
        },
        {},
        [-(0.5 + 3.0) / 2],
    ),
    ("npo", {"logps": [-1.0], "ref_logps": [-2.0]}, {"beta": 0.5}, [4 * log1p(exp(0.5))]),
]
