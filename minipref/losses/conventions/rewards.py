"""Losses of reward models, as other libraries have them."""

from .flag import Flag

REWARDS: dict[str, tuple[Flag, ...]] = {
    "bradley_terry": (
        Flag("HALOs", {"loss": "bradley-terry"}, "the score is the second of two logits"),
        Flag("LLaMA-Factory", {"stage": "rm"}),
        Flag(
            "OpenRLHF",
            {"--model.loss_type": "sigmoid"},
            '"logexp" is log(1 + exp(x)) as it is written, which overflows',
        ),
    ),
    "bradley_terry_margin": (Flag("OpenRLHF", {"--model.margin_loss_enable": True}),),
    "bradley_terry_centred": (
        Flag("ms-swift", {"center_rewards_coefficient": 0.01}, checked=False),
    ),
    "pair_scorer": (
        Flag(
            "official",
            {"loss_type": "BCE"},
            "halves the sum of the two terms; its default, instructgpt, is `bradley_terry`",
            "half of ours",
        ),
    ),
    "prm": (
        Flag(
            "OpenRLHF",
            {"train_prm": "until March 2026"},
            "cross-entropy over the vocabulary or two words, the mean over the batch's steps",
            "responses of one step",
        ),
    ),
    "ovm": (Flag("official", {}, "sums over tokens, averages responses", checked=False),),
    "gpo_group": (
        Flag("official", {}, "the mean over all targets, padding included", "none", checked=False),
    ),
}
