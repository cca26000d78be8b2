"""Losses of a list of responses."""

from .reduction import Reduction

TWO = {"logps": "head(logps, 2)", "ref_logps": "head(ref_logps, 2)"}  # of a list
FIRST_TWO = {
    f"{policy}{side}_logps": f"{policy}logps[:, {place}]"
    for policy in ("", "ref_")
    for place, side in enumerate(("chosen", "rejected"))
}
APART = "3 - ranks(head(scores, 2))"  # scores 2 and 1
ODDS = "log(17 - 8 * ranks(head(scores, 2)))"  # scores log 9 and log 1

LISTS: list[Reduction] = [
    Reduction(
        "plackett_luce",
        "bradley_terry",
        "two in the list",
        given={"rewards": "head(rewards, 2)"},
        inputs={"chosen_rewards": "rewards[:, 0]", "rejected_rewards": "rewards[:, 1]"},
    ),
    Reduction(
        "rrhf",
        "sft",
        "rank_weight = 0, one token",
        {"rank_weight": 0},
        inputs={"logps": "first(logps)", "mask": "first(logps) <= 0"},
    ),
    Reduction(
        "pro",
        "simpo",
        "two in the list, 1 apart in score, no likelihood term",
        {"sft_weight": 0},
        given={key: f"head({key}, 2)" for key in ("mean_logps", "logps")} | {"scores": APART},
        inputs={
            "chosen_mean_logps": "mean_logps[:, 0]",
            "rejected_mean_logps": "mean_logps[:, 1]",
        },
        fixed={"beta": 1, "gamma": 0},
    ),
    Reduction(
        "knowpat",
        "sft",
        "lambda_ = 0, one token",
        {"lambda_": 0},
        inputs={"logps": "first(mean_logps)", "mask": "first(mean_logps) <= 0"},
    ),
    Reduction(
        "aft",
        "simpo",
        "one right, one wrong, boundary -> infinity",
        {"boundary": 20},
        given={
            "mean_logps": "head(mean_logps, 2)",
            "desirable": "ranks(head(mean_logps, 2)) == 1",
        },
        inputs={
            "chosen_mean_logps": "mean_logps[:, 0]",
            "rejected_mean_logps": "mean_logps[:, 1]",
        },
        fixed={"beta": 1, "gamma": 0},
    ),
    Reduction(
        "pl_dpo",
        "plackett_luce",
        "rewards are beta * log(pi / ref)",
        {"beta": 0.3},
        inputs={"rewards": "0.3 * (logps - ref_logps)"},
    ),
    Reduction("pl_dpo", "dpo", "two in the list", given=TWO, inputs=FIRST_TWO),
    Reduction("s_dpo", "dpo", "two in the list", given=TWO, inputs=FIRST_TWO),
    Reduction(
        "lipo",
        "dpo",
        "two in the list, times what a swap would cost",
        given=TWO | {"scores": "tail_sum(head(scores, 2))"},
        inputs=FIRST_TWO,
        scale="(2 ** scores[:, 0] - 2 ** scores[:, 1]) * (1 / log(scores[:, 0] * 0 + 2)"
        " - 1 / log(scores[:, 0] * 0 + 3))",
    ),
    Reduction(
        "irpo_ranking",
        "dpo",
        "two in the list, the first alone relevant",
        given=TWO | {"scores": "2 - ranks(head(scores, 2))"},
        inputs=FIRST_TWO,
        scale="0.5",
    ),
    Reduction(
        "infonca",
        "s_dpo",
        "one response gets all of the target (alpha -> 0)",
        {"alpha": 0.01},
        given={"scores": "tail_sum(0 * scores + 1)"},
    ),
    Reduction(
        "infonca",
        "cdpo",
        "two in the list, the target 0.9 and 0.1",
        {"alpha": 1},
        given=TWO | {"scores": ODDS},
        inputs=FIRST_TWO,
        fixed={"label_smoothing": 0.1},
    ),
    Reduction(
        "exo_list",
        "exo",
        "two in the list, the target 0.9 and 0.1",
        {"reward_temperature": 1},
        given=TWO | {"scores": ODDS},
        inputs=FIRST_TWO,
        fixed={"label_smoothing": 0.1},
    ),
    Reduction(
        "rpo_list",
        "infonca",
        "less the target's entropy",
        {"eta": "1 / alpha"},
        offset="sum(softmax(scores / alpha) * log(softmax(scores / alpha)))[:, 0]",
    ),
    Reduction(
        "rpo_list",
        "rpo_reward_aware",
        "two in the list",
        given=TWO | {"scores": "head(scores, 2)"},
        inputs=FIRST_TWO | {"chosen_scores": "scores[:, 0]", "rejected_scores": "scores[:, 1]"},
        fixed={"distance": "backward_kl"},
    ),
    Reduction(
        "rpo_leave_one_out",
        "rpo_reward_aware",
        "two in the list",
        given=TWO | {"scores": "head(scores, 2)"},
        inputs=FIRST_TWO | {"chosen_scores": "scores[:, 0]", "rejected_scores": "scores[:, 1]"},
        fixed={"distance": "square"},
    ),
    Reduction(
        "vcb",
        "rpo_leave_one_out",
        "scores are in deviations of their list",
        given={"scores": "ranks(scores)"},
        inputs={"scores": "ranks(scores) / sqrt(mean((ranks(scores) - mean(ranks(scores))) ** 2))"},
        fixed={"eta": 1},
        scale="2 * (count(scores) - 1) ** 2 / count(scores) / beta ** 2",
    ),
]
