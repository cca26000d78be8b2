"""The other kinds of losses worked out by hand."""

from math import e, exp, log, log1p

NO_MASK = [[True, True]]

BY_HAND = [  # (loss, inputs, hyper-parameters, expected)
    ("bradley_terry", {"chosen_rewards": [log(3)], "rejected_rewards": [0.0]}, {}, [log(4 / 3)]),
    # 3/6 * 2/3
    ("plackett_luce", {"rewards": [[log(3), log(2), 0.0]]}, {}, [log(3)]),
    ("sft", {"logps": [[-7.0, -1.0, -4.0]], "mask": [[False, True, True]]}, {}, [2.5]),
    (
        "kto",  # gains 2 * (1 - 0.5) and 2 * (-1 - 0.5)
        {
            "logps": [-1.0, -3.0],
            "ref_logps": [-2.0, -2.0],
            "desirable": [True, False],
            "kl": 0.5,
        },
        {"beta": 2.0, "lambda_desirable": 1.0, "lambda_undesirable": 3.0},
        [1 / (1 + e), 3 / (1 + exp(3))],
    ),
    (
        "rloo",
        {"logps": [-1.0, -2.0, -3.0], "rewards": [4.0, 4.0, 5.0], "groups": [2, 2, 2]},
        {},
        [-0.5, -1.0, 3.0],
    ),
    ("remax", {"logps": [-2.0], "rewards": [3.0], "baselines": [1.0]}, {}, [4.0]),
    (
        "ppo_clip",  # ratios 2 (clipped to 1.2) and 1/2 (not clipped downwards for a good token)
        {
            "logps": [[log(0.5), log(0.25)]],
            "old_logps": [[log(0.25), log(0.5)]],
            "advantages": [[1.0, 1.0]],
            "mask": NO_MASK,
        },
        {"clip": 0.2},
        [-(1.2 + 0.5) / 2],
    ),
    (
        "grpo",  # the same two tokens, advantage -1; k3 of a ratio ref / policy of 1 and of 2
        {
            "logps": [[log(0.5), log(0.25)]],
            "old_logps": [[log(0.25), log(0.5)]],
            "advantages": [-1.0],
            "mask": NO_MASK,
            "ref_logps": [[log(0.5), log(0.5)]],
        },
        {"clip_low": 0.2, "clip_high": 0.2, "kl": 0.5, "aggregate": "sequence"},
        [(2 + 0.8 + 0.5 * (2 - 1 - log(2))) / 2],
    ),
    (
        "diffusion_dpo",
        {
            "chosen_errors": [1.0],
            "rejected_errors": [2.0],
            "ref_chosen_errors": [2.0],
            "ref_rejected_errors": [1.5],
        },
        {"beta": 2.0},
        [log1p(exp(-1.5))],
    ),
    (
        "sparsepo",  # u = 1 * 1 - 2 * -0.5 = 2, d = 1 * 0.5 - 0 = 0.5, masks 1 + 2 and 0 + 1
        {
            "chosen_logps": [[-1.0]],
            "rejected_logps": [[-3.0]],
            "ref_chosen_logps": [[-2.0]],
            "ref_rejected_logps": [[-2.5]],
            "chosen_kl": [[0.7]],
            "rejected_kl": [[0.5]],
            "chosen_weights": [[1.0]],
            "rejected_weights": [[2.0]],
            "chosen_kl_weights": [[0.0]],
            "rejected_kl_weights": [[1.0]],
        },
        {"beta": 2.0, "reward_sparsity": 0.1, "kl_sparsity": 0.2},
        [log1p(exp(-3)) + 0.3 + 0.2],
    ),
]
