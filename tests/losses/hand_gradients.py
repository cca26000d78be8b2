"""Policy-gradient losses and a critic's, worked out by hand."""

from math import log

TWO_TOKENS = {  # ratios 2 and 1/2; the third token is padding
    "logps": [[log(0.5), log(0.25), -9.0]],
    "old_logps": [[log(0.25), log(0.5), -1.0]],
    "mask": [[True, True, False]],
}
CLIP = {"clip_low": 0.2, "clip_high": 0.3}

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    (
        "reinforce",
        {"logps": [-2.0, -1.0], "rewards": [3.0, 0.5], "baselines": [1.0, 1.0]},
        {},
        [4.0, -0.5],
    ),
    ("reinforce", {"logps": [-2.0], "rewards": [3.0]}, {}, [6.0]),
    (
        "a2c",  # gains 1 * -2 + 0.1 * 3 and -1 * -4 + 0.1 * 5
        {
            "logps": [[-2.0, -4.0, -7.0]],
            "advantages": [[1.0, -1.0, 7.0]],
            "entropies": [[3.0, 5.0, 7.0]],
            "mask": [[True, True, False]],
        },
        {"entropy_weight": 0.1},
        [-(-1.7 + 4.5) / 2],
    ),
    (
        "dr_grpo",  # 2 is clipped to 1.3; k3 of a ratio ref / policy of 1 and of 2
        TWO_TOKENS | {"advantages": [1.0], "ref_logps": [[log(0.5), log(0.5), 0.0]]},
        CLIP | {"kl": 0.5, "max_tokens": 10},
        [(-1.3 - 0.5 + 0.5 * (2 - 1 - log(2))) / 10],
    ),
    (
        "dapo",  # at advantage -1, 1/2 is clipped to 0.8; five tokens a response
        TWO_TOKENS | {"advantages": [-1.0], "tokens": 5.0},
        CLIP,
        [(2 + 0.8) / 5],
    ),
    (
        "gspo",  # ratios 8 and 1/2: their geometric mean is 2, clipped to 1.3
        {
            "logps": [[log(0.8), log(0.2)]],
            "old_logps": [[log(0.1), log(0.4)]],
            "advantages": [3.0],
            "mask": [[True, True]],
        },
        CLIP,
        [-1.3 * 3],
    ),
    (
        "cispo",  # weights 1.3 and 0.8
        TWO_TOKENS | {"advantages": [2.0], "tokens": 4.0},
        CLIP,
        [-2 * (1.3 * log(0.5) + 0.8 * log(0.25)) / 4],
    ),
    (
        "p3o",  # ratios 2 and 1/4, so weight 1/2 and margin log 8, clipped to 1; advantage 3
        {
            "first_logps": [log(0.5)],
            "second_logps": [log(0.1)],
            "old_first_logps": [log(0.25)],
            "old_second_logps": [log(0.4)],
            "first_rewards": [7.0],
            "second_rewards": [1.0],
        },
        {"clip": 1.0},
        [-0.5 * 3 * 1],
    ),
    (
        "p3o_fakoor",  # a fresh row; a replayed one of weights 0.8 and 0.5, drift -log 2 and log 2
        {
            **{name: rows * 2 for name, rows in TWO_TOKENS.items()},
            "advantages": [[1.0, -1.0, 5.0]] * 2,
            "replayed": [False, True],
            "ess": 0.8,
        },
        {},
        [
            -(log(0.5) - log(0.25)) / 2,
            (0.2 * (-log(2) + log(2)) - 0.8 * log(0.5) + 0.5 * log(0.25)) / 2,
        ],
    ),
    (
        "value_clip",  # 3 counts as 1.2, 2.8 off the goal; -1 as 0.8, but is further off itself
        {
            "values": [[3.0, -1.0, 9.0]],
            "old_values": [[1.0, 1.0, 0.0]],
            "returns": [[4.0, 2.0, 0.0]],
            "mask": [[True, True, False]],
        },
        {"clip": 0.2},
        [(2.8**2 + 3**2) / 4],
    ),
]
