"""Losses of reward and preference models."""

from .reduction import IMPLICIT, Reduction

REWARDS: list[Reduction] = [
    Reduction(
        "odpo",
        "bradley_terry_margin",
        "rewards are beta * log(pi / ref), the margin is the offset",
        {"beta": 0.3, "alpha": 1},
        inputs=IMPLICIT | {"margins": "log(max(chosen_scores - rejected_scores, 1e-6))"},
    ),
    Reduction(
        "todo", "rao_kupper", "rewards are beta * log(pi / ref)", {"beta": 0.3}, inputs=IMPLICIT
    ),
    Reduction(
        "bce_pair",
        "pair_scorer",
        "rewards are beta * log(pi / ref)",
        {"beta": 0.3},
        inputs=IMPLICIT,
    ),
    Reduction(
        "s_dpo",
        "k_way",
        "rewards are beta * log(pi / ref)",
        {"beta": 0.3},
        inputs={"rewards": "0.3 * (logps - ref_logps)"},
    ),
    Reduction(
        "bradley_terry_margin",
        "bradley_terry",
        "the margin is 0",
        given={"margins": "0 * margins"},
    ),
    Reduction("bradley_terry_centred", "bradley_terry", "weight = 0", {"weight": 0}),
    Reduction(
        "bradley_terry",
        "reward_bce",
        "the reward is the pair's difference, and right",
        inputs={
            "rewards": "chosen_rewards - rejected_rewards",
            "desirable": "chosen_rewards == chosen_rewards",
        },
    ),
    Reduction(
        "pair_scorer",
        "bradley_terry",
        "the two scores are opposite; half the difference",
        given={"rejected_rewards": "-chosen_rewards"},
        inputs={"chosen_rewards": "chosen_rewards / 2", "rejected_rewards": "-chosen_rewards / 2"},
        scale="2",
    ),
    Reduction(
        "pair_scorer",
        "reward_bce",
        "the rejected has a score of 0",
        given={"rejected_rewards": "0 * rejected_rewards"},
        inputs={"rewards": "chosen_rewards", "desirable": "chosen_rewards == chosen_rewards"},
        offset="softplus(0 * chosen_rewards)",
    ),
    Reduction(
        "k_way",
        "bradley_terry",
        "two in the list",
        given={"rewards": "head(rewards, 2)"},
        inputs={"chosen_rewards": "rewards[:, 0]", "rejected_rewards": "rewards[:, 1]"},
    ),
    Reduction(
        "k_way",
        "plackett_luce",
        "two in the list",
        given={"rewards": "head(rewards, 2)"},
    ),
    Reduction(
        "ranknet",
        "bradley_terry",
        "two in the list",
        given={"rewards": "head(rewards, 2)"},
        inputs={"chosen_rewards": "rewards[:, 0]", "rejected_rewards": "rewards[:, 1]"},
    ),
    Reduction(
        "rao_kupper",
        "bradley_terry_margin",
        "no ties, all margins are alpha",
        {"alpha": 0.5},
        given={"ties": "ties & ~ties"},
        inputs={"margins": "0 * chosen_rewards + 0.5"},
    ),
    Reduction(
        "rao_kupper",
        "bradley_terry",
        "no ties, alpha -> 0",
        {"alpha": 1e-9},
        given={"ties": "ties & ~ties"},
    ),
    Reduction(
        "davidson",
        "bradley_terry",
        "no ties, nu -> 0",
        {"nu": 1e-9},
        given={"ties": "ties & ~ties"},
    ),
    Reduction(
        "reward_bce",
        "prm",
        "one step, a certain label",
        inputs={
            "rewards": "column(rewards)",
            "probabilities": "where(column(desirable), 1, 0)",
            "mask": "column(rewards) == column(rewards)",
        },
    ),
    Reduction(
        "ovm",
        "reward_regression",
        "one token",
        given={"values": "first(values)", "mask": "first(mask) | ~first(mask)"},
        inputs={"rewards": "values[:, 0]", "scores": "where(desirable, 1, 0)"},
    ),
    Reduction(
        "genrm",
        "sft",
        "lambda_ = 0, the verdict is one word",
        {"lambda_": 0},
        inputs={"logps": "column(verdict_logps)", "mask": "column(verdict_logps) <= 0"},
    ),
    Reduction(
        "cost_model",
        "bradley_terry",
        "neither does harm, by far: the signs cost nothing, and the cost is minus the reward",
        given={
            "chosen_costs": "chosen_costs - 50",
            "rejected_costs": "rejected_costs - 50",
            "chosen_safe": "chosen_safe | ~chosen_safe",
            "rejected_safe": "rejected_safe | ~rejected_safe",
        },
        inputs={"chosen_rewards": "-chosen_costs", "rejected_rewards": "-rejected_costs"},
    ),
    Reduction(
        "dprm_cross_entropy",
        "prm",
        "two categories",
        given={"logits": "head(logits, 2)", "shares": "head(shares, 2) / sum(head(shares, 2))"},
        inputs={
            "rewards": "first(logits) - last(logits)",
            "probabilities": "first(shares)",
            "mask": "first(shares) >= 0",
        },
    ),
    Reduction(
        "pro_orchestrator",
        "dprm_cross_entropy",
        "the shares are the target, up to its entropy",
        {"temperature": 0.5},
        inputs={"shares": "softmax(scores / 0.5)"},
        offset="sum(softmax(scores / 0.5) * log(softmax(scores / 0.5)))[:, 0]",
    ),
]
