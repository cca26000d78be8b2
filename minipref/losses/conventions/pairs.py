"""Losses of a pair with a reference, as other libraries have them."""

from .flag import Flag

SUMS = "sums log-probs, so that its target is for a response's sum, not for its mean"

PAIRS: dict[str, tuple[Flag, ...]] = {
    "dpo": (
        Flag("HALOs", {"loss": "dpo", "beta": 0.1}),
        Flag("LLaMA-Factory", {"stage": "dpo", "pref_loss": "sigmoid", "pref_beta": 0.1}),
        Flag("OpenRLHF", {"--model.beta": 0.1}),
        Flag("Liger", {"loss_type": "sigmoid", "beta": 0.1}),
        Flag(
            "NeMo-Aligner",
            {"preference_loss": "dpo", "ref_policy_kl_penalty": 0.2},
            equal="beta = ref_policy_kl_penalty",
        ),
        Flag("open-instruct", {"loss_type": "dpo"}, "beta is 5 unless set, for dpo_norm's sake"),
        Flag("oat", {"dap_algo": "DPO", "beta": 0.1}),
        Flag("official", {"loss": "dpo", "loss.label_smoothing": 0}),
    ),
    "cdpo": (
        Flag(
            "HALOs",
            {"loss": "cdpo", "epsilon": 0.2},
            "the share of wrong labels is 0.2 unless set",
            "label_smoothing = epsilon",
        ),
        Flag("LLaMA-Factory", {"pref_loss": "sigmoid", "dpo_label_smoothing": 0.1}),
        Flag("OpenRLHF", {"--model.label_smoothing": 0.1}),
        Flag("open-instruct", {"loss_type": "dpo", "label_smoothing": 0.1}),
        Flag("oat", {"dap_algo": "DPO", "label_smoothing": 0.1}),
        Flag("official", {"loss": "dpo", "loss.label_smoothing": 0.1}),
    ),
    "rdpo": (
        Flag(
            "Liger",
            {"loss_type": "robust", "label_smoothing": 0.1},
            'its description says "cDPO / robust"; it is this one, with the minus',
            "flip_rate = label_smoothing",
        ),
    ),
    "ipo": (
        Flag(
            "HALOs",
            {"loss": "ipo", "tau": 0.1},
            "divides by the tokens whose log-ratio is not 0: at the reference that is 0 / 0",
            "a policy that is nowhere exactly the reference",
        ),
        Flag("LLaMA-Factory", {"pref_loss": "ipo", "pref_beta": 0.1}, equal="tau = pref_beta"),
        Flag("OpenRLHF", {"--model.ipo_enable": True}, SUMS, "pass sums as means, tau = beta"),
        Flag(
            "NeMo-Aligner",
            {"preference_loss": "ipo", "preference_average_log_probs": False},
            SUMS,
            "preference_average_log_probs = True, tau = ref_policy_kl_penalty",
        ),
        Flag("oat", {"dap_algo": "IPO", "beta": 0.1}, equal="tau = beta"),
        Flag(
            "official",
            {"loss": "ipo"},
            f"{SUMS}; no config file of that name is shipped",
            "pass sums as means, tau = beta",
        ),
    ),
    "hinge": (
        Flag("LLaMA-Factory", {"pref_loss": "hinge", "pref_beta": 0.1}),
        Flag("Liger", {"loss_type": "hinge", "beta": 0.1}),
        Flag("oat", {"dap_algo": "SLiC", "beta": 0.1}, "is called SLiC, and has a reference"),
    ),
    "exo": (
        Flag("Liger", {"loss_type": "exo_pair", "label_smoothing": 1e-3}, "refuses 0"),
        Flag(
            "official",
            {"loss_type": "exo-pref"},
            "the target is log 1 and log e^-10, whose shares do not add up to 1",
            "label_smoothing = 1 / (1 + e^10), up to a constant",
        ),
    ),
    "nca": (
        Flag("Liger", {"loss_type": "nca_pair", "beta": 0.1}, equal="beta; the paper's is 0.01"),
        Flag("official", {"loss_type": "NCA", "beta": 0.1}),
    ),
    "bce_pair": (Flag("Liger", {"loss_type": "bco_pair", "beta": 0.1}),),
    "sppo_hard": (
        Flag(
            "Liger",
            {"loss_type": "sppo_hard", "beta": 0.1},
            "beta is 0.1 unless set, which asks for 5 nats and not for 500",
            "beta = 0.001",
        ),
    ),
    "apo_zero": (Flag("Liger", {"loss_type": "apo_zero", "beta": 0.1}),),
    "apo_down": (Flag("Liger", {"loss_type": "apo_down", "beta": 0.1}),),
    "discopop": (Flag("Liger", {"loss_type": "discopop", "discopop_tau": 0.05}),),
    "dpop": (
        Flag(
            "oat",
            {"dap_algo": "DPO", "dpo_positive_lambda": 50},
            "off (0) unless set; beta is 0.1 unless set",
            "beta = 0.3",
        ),
        Flag("PaddleNLP", {"loss_type": "dpop", "dpop_lambda": 50}, checked=False),
    ),
    "lr_dpo": (
        Flag(
            "oat",
            {"dap_algo": "LR_DPO", "len_reg_alpha": 0.01},
            "takes means over tokens for LR_DPO, and sums for DPO",
            "dap_algo = DPO with len_reg_alpha",
        ),
    ),
    "odpo": (
        Flag(
            "official",
            {"loss.alpha": 1.0, "ratio": False},
            "takes the log of a gap as it is, also of 0 and below",
            "gaps above 1e-6",
        ),
    ),
    "modpo": (
        Flag(
            "official",
            {"w": "[0.5, 0.5]"},
            "takes the other objectives' rewards one by one",
            "weight = w[0], scores = rewards @ w[1:]",
        ),
    ),
    "mallows_dpo": (
        Flag(
            "official",
            {"neg_log_dispersion_mean": 0.29},
            "multiplies the weights by 0.29, and divides by lengths at beta 10",
            checked=False,
        ),
    ),
    "rainbow_po": (Flag("official", {"mixing_alpha": 0.25, "home_advantage": 0.1}, checked=False),),
    "rebel": (
        Flag(
            "official",
            {"rebel.eta": 1.0},
            "multiplies the rewards by eta where ours divides the log-ratios: eta ** 2 times ours",
            "eta = 1, or its learning rate over eta ** 2",
        ),
    ),
    "rpo_reward_aware": (
        Flag(
            "NeMo-Aligner",
            {"preference_loss": "rpo_sq | rpo_bwd_kl | rpo_fwd_kl", "gt_reward_scale": 1.0},
            equal="beta = ref_policy_kl_penalty, eta = gt_reward_scale, distance by its name",
        ),
    ),
    "rpo_reverse": (
        Flag(
            "official",
            {},
            "has gamma inside beta",
            "gamma = beta * 0.05",
            checked=False,
        ),
    ),
    "cpl": (Flag("official", {"contrastive_bias": 0.5}, equal="lambda_", checked=False),),
    "xpo": (Flag("oat", {"xpo_alpha": 5e-6, "beta": 0.1}, equal="alpha = xpo_alpha"),),
    "tdpo1": (Flag("official", {"loss": "tdpo", "if_tdpo2": False}),),
    "tdpo2": (Flag("official", {"loss": "tdpo", "if_tdpo2": True, "alpha": 0.5}),),
    "mdpo": (Flag("official", {"beta": 0.1}),),
    "povid": (Flag("official", {}, "is the mean of two `dpo` losses", "none", checked=False),),
}
