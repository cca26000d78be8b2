"""Losses of single responses, as other libraries have them."""

from .flag import Flag

POINTS: dict[str, tuple[Flag, ...]] = {
    "kto": (
        Flag(
            "HALOs",
            {"loss": "kto", "beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0},
            "the reference point is over the mismatched pairs of all devices",
            "kl = that mean, at least 0; lambda_desirable and lambda_undesirable are the weights",
        ),
        Flag(
            "LLaMA-Factory",
            {"stage": "kto", "kto_chosen_weight": 1.0, "kto_rejected_weight": 1.0},
            equal="lambda_desirable, lambda_undesirable are the weights, beta = pref_beta",
        ),
        Flag(
            "OpenRLHF",
            {"train_kto": "until March 2026", "--beta": 0.01},
            "was taken out; its variant for pairs took the other side's mean as reference point",
            "the unpaired one is equal as it is",
        ),
        Flag("Liger", {"beta": 0.1}, "has no weights; kl comes from the caller", "both weights 1"),
        Flag(
            "NeMo-Aligner",
            {"conf": "gpt_kto", "desirable_loss_weight": 1.0, "undesirable_loss_weight": 1.0},
            equal="beta = ref_policy_kl_penalty, and the weights",
        ),
    ),
    "apo_zero_unpaired": (
        Flag("HALOs", {"loss": "kto-zero"}, "in older versions: KTO with 0 as reference point"),
        Flag("Liger", {"kl": "None"}, "KTO without a reference point"),
    ),
    "bco": (
        Flag(
            "LLaMA-Factory",
            {"pref_loss": "sigmoid", "pref_bco_weight": 0.0},
            "on pairs, mixed with `dpo` as (dpo + w * bco) / (1 + w); its shift is the running "
            "mean of all rewards",
            "shift = that mean",
        ),
    ),
    "npo": (Flag("official", {"forget_loss": "npo", "npo_coeff": 1.0}),),
    "dro": (
        Flag(
            "verl",
            {"policy_loss.loss_mode": "dro", "policy_loss.dro_beta": 1.0},
            "the policy's part alone, token by token: for a response of one token 1 / tau of ours",
            "advantages = scores - values, tau = dro_beta",
        ),
    ),
    "ulma": (
        Flag("official", {}, "averages log-probs, adds up each kind's mean", "none", checked=False),
    ),
    "pointwise_dpo": (
        Flag("official", {"constant_zx": 0.0}, "averages log-probs", "none", checked=False),
    ),
    "sppo": (
        Flag(
            "official",
            {"loss_type": "sppo", "beta": 0.001},
            "the mean over a prompt's best and worst response",
            "eta = 1 / beta",
        ),
    ),
    "rwr": (Flag("AWR", {}, "stops weights at 20", "none", checked=False),),
}
