"""Losses on lists worked out by hand; probability ratios are 4, 2 and 1, squared by beta = 2."""

from math import e, exp, log, log1p, log2

RATIOS = {
    "logps": [[log(0.4), log(0.2), log(0.1)]],
    "ref_logps": [[log(0.1), log(0.1), log(0.1)]],
}
GRADES = {"scores": [[0.0, 2.0, 1.0]]}  # gains 1, 4, 2
HALVES = {"scores": [[0.0, 0.0, log(2) / 2]]}  # shares 1/4, 1/4, 1/2 when doubled

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    (
        "rrhf",  # the second is 1 too likely, the third 1/2
        {"mean_logps": [[-2.0, -1.0, -1.5]], "logps": [[-6.0, -1.0, -3.0]]},
        {"rank_weight": 0.5},
        [0.5 * 1.5 + 6],
    ),
    (
        "pro",  # choices by 2^-2, 2^-2, 2^-6, then by 2^-2, 2^-3; likelihood 0.05 * 2^2
        {
            "mean_logps": [[-log(2), -2 * log(2), -3 * log(2)]],
            "logps": [[-6.0, -1.0, -1.0]],
            "scores": [[2.0, 1.0, 0.0]],
        },
        {"sft_weight": 0.05},
        [log(33 / 16) + log(3 / 2) + 0.2 * 6],
    ),
    (
        "knowpat",  # weights 1 and 1/2, the last answer has none
        {"mean_logps": [[-1.0, -2.0, -3.0]]},
        {"lambda_": 0.4},
        [
            1
            + 0.4 / 2 * (log1p(e) + (log1p(exp(-2)) + log1p(exp(-3))) / 2)
            + 0.4 / 2 * (log1p(exp(2)) + log1p(exp(-3))) / 2
        ],
    ),
    (
        "lire",  # odds 4, their root 2
        {"logps": [[log(0.8), log(0.2)]], "scores": [[1.0, 4.0]]},
        {"temperature": 2.0},
        [-(2 / 3 * 1 + 1 / 3 * 4)],
    ),
    (
        "aft",  # the wrong one is 1 below and 1 above the right ones; the limit is at -3 - 2 * 1/2
        {"mean_logps": [[-1.0, -2.0, -3.0]], "desirable": [[True, False, True]]},
        {"boundary": 0.5},
        [log(1 + 1 / e + e + 2 * exp(-4 + 2))],
    ),
    ("aft", {"mean_logps": [[-1.0, -2.0]], "desirable": [[True, True]]}, {}, [0.0]),
    (
        "bialign",  # helpfulness 3/4, 1, 0; ranks 1, 3, 2: the second is twice too high
        {"logps": [[-2.0, -1.0, -5.0]], "teacher_logps": [[-1.0, -3.0, -2.0]]},
        {},
        [1.25 + 1.5],
    ),
    ("pl_dpo", RATIOS, {"beta": 2.0}, [log(21 / 16) + log(5 / 4)]),
    ("s_dpo", RATIOS, {"beta": 2.0}, [log(21 / 16)]),
    (
        "lipo",  # second over first, second over third, third over first; ranks 1, 2, 3
        RATIOS | GRADES,
        {"beta": 2.0},
        [
            (4 - 1) * (1 / log(2) - 1 / log(3)) * log(1 + 16 / 4)
            + (4 - 2) * (1 / log(3) - 1 / log(4)) * log(1 + 1 / 4)
            + (2 - 1) * (1 / log(2) - 1 / log(4)) * log(1 + 16 / 1)
        ],
    ),
    (
        "irpo_ranking",  # weights 0, 3 / log2(3), 1 / 2; rivals 17 / 2 to 4, 20 / 2 to 1
        RATIOS | GRADES,
        {"beta": 2.0},
        [(3 / log2(3) * log(1 + 17 / 8) + log(1 + 10) / 2) / 3],
    ),
    (
        "infonca",
        RATIOS | HALVES,
        {"beta": 2.0, "alpha": 0.5},
        [log(21 / 16) / 4 + log(21 / 4) / 4 + log(21) / 2],
    ),
    (
        "rpo_list",
        RATIOS | HALVES,
        {"beta": 2.0, "eta": 2.0},
        [log(21 / 16 / 4) / 4 + log(21 / 4 / 4) / 4 + log(21 / 2) / 2],
    ),
    (
        "exo_list",
        RATIOS | HALVES,
        {"beta": 2.0, "reward_temperature": 0.5},
        [(16 * log(16 / 21 * 4) + 4 * log(4 / 21 * 4) + log(1 / 21 * 2)) / 21],
    ),
    (
        "vcb",  # targets -2, -2, 2, 2, residuals 2, 2, -1, 1
        {
            "logps": [[-3.0, -3.0, -2.0, 0.0]],
            "ref_logps": [[-3.0, -3.0, -3.0, -3.0]],
            "scores": [[0.0, 0.0, 2.0, 2.0]],
        },
        {"beta": 0.5},
        [0 + 9 + 1 + 9 + 1 + 4],
    ),
    (
        "rpo_leave_one_out",  # residuals 0, 0, -2, less the mean of the others: 1, 1, -2
        {
            "logps": [[-1.0, -2.0, -3.0]],
            "ref_logps": [[-2.0, -2.0, -2.0]],
            "scores": [[1.0, 0.0, 0.0]],
        },
        {"beta": 2.0, "eta": 2.0},
        [(1 + 1 + 4) / 2],
    ),
]
