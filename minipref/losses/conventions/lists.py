"""Losses of lists, as the papers' own repositories have them: no large library has one."""

from .flag import Flag

LISTS: dict[str, tuple[Flag, ...]] = {
    "infonca": (
        Flag(
            "official",
            {"loss_type": "InfoNCA", "beta": 0.1, "temperature_alpha": 1e-4},
            "beta is 0.1 unless set",
            "alpha = temperature_alpha, beta = 0.01",
        ),
    ),
    "exo_list": (
        Flag(
            "official",
            {"loss_type": "exo-rw"},
            equal="beta = beta_pi, reward_temperature = beta_r",
        ),
    ),
    "rrhf": (
        Flag(
            "official",
            {"rrhf_weight": 1.0},
            "averages the likelihood over the padded length",
            "lists padded to the best response's length, its log-prob over that length",
        ),
    ),
    "pro": (Flag("official", {"sft_weight": 0.05}, "adds 1e-10 inside logs", checked=False),),
    "lire": (
        Flag("official", {}, "takes scores.softmax(-1)", "scores.softmax(-1)", checked=False),
    ),
    "irpo_ranking": (Flag("official", {"loss": "rdpo"}, "sums over the batch", checked=False),),
    "rpo_list": (
        Flag(
            "NeMo-Aligner",
            {"preference_loss": "rpo_bwd_kl"},
            "for two responses only",
            "two in the list",
        ),
    ),
    "rpo_leave_one_out": (
        Flag(
            "NeMo-Aligner",
            {"preference_loss": "rpo_sq"},
            "for two responses only",
            "two in the list",
        ),
    ),
}
