"""What trainers log: each metric's name here and in TRL, its unit, and what it should do.

One table: the rules of `diagnosis` take their names from it, and docs/metrics.md is written from it
(`python -m minipref.course.pages`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """name  as histories of minipref and the rules have it; "" where only TRL logs it
    trl    as `trainer_state.json` has it; "" where TRL does not log it
    """

    name: str
    trl: str
    unit: str
    what: str
    healthy: str


def same(name: str, unit: str, what: str, healthy: str) -> Metric:
    """A metric that has the same name here and in TRL."""
    return Metric(name, name, unit, what, healthy)


def trl_only(name: str, unit: str, what: str, healthy: str) -> Metric:
    """A metric that TRL logs and minipref does not."""
    return Metric("", name, unit, what, healthy)


def ours(name: str, unit: str, what: str, healthy: str) -> Metric:
    """A metric that minipref logs, or a probe can, and TRL does not."""
    return Metric(name, "", unit, what, healthy)


GLOSSARY = {
    "Every trainer": (
        same(
            "loss",
            "the loss's own",
            "mean of the batch, before its update",
            "DPO starts at 0.6931 = log 2 and falls; a policy gradient's says nothing",
        ),
        same(
            "grad_norm",
            "loss per weight",
            "length of the gradient, before clipping",
            "never 0; no peaks of 20 times its median",
        ),
        trl_only("learning_rate", "none", "as the schedule has it", "small: 5e-7 to 5e-5 for DPO"),
        same(
            "entropy",
            "nats a token",
            "how undecided the policy is about the next token",
            "falls slowly; near 0 the samples of a prompt are all the same",
        ),
        trl_only("mean_token_accuracy", "share", "argmax is the data's token", "slow changes"),
        trl_only("num_tokens", "tokens", "seen so far", "grows"),
    ),
    "Pairs (DPO, IPO, SimPO, ORPO) and points (KTO)": (
        same(
            "logps/chosen",
            "nats a response",
            "mean log-prob of chosen responses, summed over tokens",
            "a fall is not yet harm: look at samples",
        ),
        same("logps/rejected", "nats a response", "the same of rejected ones", "falls"),
        ours("logps/mean", "nats a response", "the same of all responses in the batch", "drifts"),
        same(
            "rewards/chosen",
            "beta times nats",
            "beta log(policy / reference) of chosen ones; without a reference beta log(policy)",
            "exactly 0 before the first update (with a reference)",
        ),
        same("rewards/rejected", "beta times nats", "the same of rejected ones", "falls below 0"),
        same(
            "rewards/margins",
            "beta times nats",
            "rewards/chosen less rewards/rejected",
            "grows; 0.5 is where IPO on sums stops",
        ),
        same(
            "rewards/accuracies",
            "share",
            "pairs in the batch whose chosen reward is the higher one",
            "from 0.5 (0 where ties count as lost) to 0.6 to 0.8; 1.0 at once is a shortcut",
        ),
        Metric(
            "held_out/accuracy",
            "eval_rewards/accuracies",
            "share",
            "the same on pairs that are not trained on",
            "above 0.5, and below the training's",
        ),
        trl_only("eval_loss", "the loss's own", "the loss on held-out data", "falls, then rises"),
        ours("lengths/chosen", "tokens", "mean length of chosen responses", "near the rejected's"),
        ours("lengths/rejected", "tokens", "mean length of rejected ones", "near the chosen's"),
        trl_only("nll_loss", "nats a token", "the supervised part of ORPO and CPO", "falls"),
        trl_only("log_odds_chosen", "nats", "ORPO's log odds ratio", "grows, stays finite"),
        trl_only("log_odds_ratio", "nats", "its log-sigmoid", "rises towards 0, stays finite"),
        same(
            "kl",
            "nats a response (here, KTO); nats a token (TRL's GRPO)",
            "distance to the reference: on own samples, or for KTO on mismatched pairs",
            "grows to a few nats a response, then levels off",
        ),
        trl_only("logits/chosen", "logits", "mean logit over chosen responses", "drifts"),
        trl_only("logits/rejected", "logits", "the same over rejected ones", "drifts"),
    ),
    "Own samples (RLOO, GRPO, PPO)": (
        same("reward", "the reward's own", "mean reward of the samples", "rises"),
        trl_only("reward_std", "the reward's own", "spread within a group", "above 0"),
        trl_only(
            "frac_reward_zero_std",
            "share",
            "groups whose samples all have the same reward: they teach nothing",
            "below one half",
        ),
        trl_only(
            "clip_ratio/region_mean",
            "share",
            "tokens whose probability ratio is clipped: they have no gradient",
            "below 0.2; exactly 0 with one update a batch",
        ),
        trl_only("clip_ratio/low_mean", "share", "of these, at 1 - epsilon", "below 0.2"),
        trl_only("clip_ratio/high_mean", "share", "of these, at 1 + epsilon", "below 0.2"),
        trl_only("completions/mean_length", "tokens", "of the samples", "changes slowly"),
        trl_only(
            "completions/clipped_ratio",
            "share",
            "samples cut off by the length limit, without an end",
            "below 0.1",
        ),
    ),
}

METRICS = {
    name: metric
    for metrics in GLOSSARY.values()
    for metric in metrics
    for name in (metric.name, metric.trl)
    if name
}
