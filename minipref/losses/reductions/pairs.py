"""Losses of a pair with a reference."""

from .reduction import IMPLICIT, Reduction

SUMS_AS_MEANS = {
    f"{policy}{side}_mean_logps": f"{policy}{side}_logps"
    for policy in ("", "ref_")
    for side in ("chosen", "rejected")
}

PAIRS: list[Reduction] = [
    Reduction("cdpo", "dpo", "label_smoothing = 0", {"label_smoothing": 0}),
    Reduction("rdpo", "dpo", "flip_rate = 0", {"flip_rate": 0}),
    Reduction("flex_dpo", "dpo", "both betas equal", {"beta_plus": "beta", "beta_minus": "beta"}),
    Reduction(
        "mcts_dpo",
        "dpo",
        "the rejected was never visited",
        given={"rejected_visits": "0 * rejected_visits"},
    ),
    Reduction(
        "dpo",
        "bradley_terry",
        "rewards are beta * log(pi / ref)",
        {"beta": 0.3},
        inputs=IMPLICIT,
    ),
    Reduction(
        "apo_zero",
        "kto",
        "the rejected stays at the reference, kl = 0",
        given={"rejected_logps": "ref_rejected_logps"},
        inputs={
            "logps": "chosen_logps",
            "ref_logps": "ref_chosen_logps",
            "desirable": "chosen_logps <= 0",
            "kl": "batch_sum(0 * chosen_logps)",
        },
        fixed={"lambda_desirable": 1, "lambda_undesirable": 1},
        offset="0.5",
    ),
    Reduction(
        "apo_down",
        "apo_zero",
        "the chosen stays at the reference",
        given={"chosen_logps": "ref_chosen_logps"},
    ),
    Reduction("dpop", "dpo", "lambda_ = 0", {"lambda_": 0}),
    Reduction(
        "dpop",
        "dpo",
        "the chosen does not fall below the reference",
        given={"ref_chosen_logps": "ref_chosen_logps - 3"},
    ),
    Reduction(
        "nca",
        "bce_pair",
        "the log-ratios are equal",
        given={"rejected_logps": "ref_rejected_logps + (chosen_logps - ref_chosen_logps)"},
    ),
    Reduction(
        "bce_pair",
        "dpo",
        "the log-ratios are opposite, twice the beta",
        {"beta": "2 * beta"},
        given={"rejected_logps": "ref_rejected_logps - (chosen_logps - ref_chosen_logps)"},
        scale="2",
    ),
    Reduction(
        "sppo_hard",
        "ipo",
        "the log-ratios are opposite, beta = 2 tau, log-probs are means",
        {"beta": "2 * tau"},
        given={"rejected_logps": "ref_rejected_logps - (chosen_logps - ref_chosen_logps)"},
        inputs=SUMS_AS_MEANS,
        scale="0.5",
    ),
    Reduction("gpo_generalised", "dpo", "the link is logistic", {"link": "logistic"}),
    Reduction("gpo_generalised", "hinge", "the link is hinge", {"link": "hinge"}),
    Reduction(
        "gpo_generalised",
        "ipo",
        "the link is square, beta = 2 tau, log-probs are means",
        {"link": "square", "beta": "2 * tau"},
        inputs=SUMS_AS_MEANS,
        scale="4 * tau ** 2",
    ),
    Reduction(
        "discopop",
        "dpo",
        "tau -> 0, the pair is ranked wrongly",
        {"tau": 1e-5},
        given={"ref_chosen_logps": "ref_chosen_logps + 10"},
    ),
    Reduction(
        "discopop",
        "gpo_generalised",
        "tau -> 0, the pair is ranked rightly, and the link is exponential",
        {"tau": 1e-5},
        given={"ref_chosen_logps": "ref_chosen_logps - 10"},
        fixed={"link": "exponential"},
    ),
    Reduction("f_dpo", "dpo", "the divergence is the reverse KL", {"divergence": "reverse_kl"}),
    Reduction(
        "f_dpo",
        "dpo",
        "the divergence is alpha, alpha -> 0",
        {"divergence": "alpha", "alpha": 1e-6},
        within=1e-3,
    ),
    Reduction(
        "aot",
        "dpo",
        "the reference is indifferent",
        given={"ref_rejected_logps": "ref_chosen_logps"},
    ),
    Reduction(
        "aot_unpaired",
        "dpo",
        "all rejected log-ratios are equal",
        given={"rejected_logps": "ref_rejected_logps + batch_mean(rejected_logps)"},
        within=1e-7,
    ),
    Reduction("odpo", "dpo", "alpha = 0", {"alpha": 0}),
    Reduction(
        "odpo",
        "rpo_reverse",
        "the margins are the log-gaps of the scores",
        {"alpha": "gamma"},
        inputs={"margins": "log(max(chosen_scores - rejected_scores, 1e-6))"},
    ),
    Reduction("lr_dpo", "dpo", "alpha = 0", {"alpha": 0}),
    Reduction(
        "lr_dpo",
        "dpo",
        "both are equally long",
        given={"rejected_lengths": "chosen_lengths"},
    ),
    Reduction(
        "lr_dpo",
        "rpo_reverse",
        "the margins are how much longer the rejected is",
        {"alpha": "gamma"},
        inputs={"margins": "(rejected_lengths - chosen_lengths).double()"},
    ),
    Reduction(
        "modpo",
        "dpo",
        "weight = 1, the other objectives are indifferent",
        {"weight": 1},
        given={"rejected_scores": "chosen_scores"},
    ),
    Reduction("spo_sequential", "dpo", "alpha = 0", {"alpha": 0}),
    Reduction("spo_sequential", "modpo", "alpha = 1", {"alpha": 1}, fixed={"weight": 1}),
    Reduction("rpo_reverse", "dpo", "gamma = 0", {"gamma": 0}),
    Reduction(
        "mallows_dpo",
        "dpo",
        "all weights are 1",
        given={"dispersion_weights": "0 * dispersion_weights + 1"},
    ),
    Reduction(
        "rainbow_po",
        "mallows_dpo",
        "no normalisation, the reference as it is",
        {"alpha": 1, "eta": 0},
    ),
    Reduction(
        "rainbow_po",
        "simpo",
        "means, no reference, all weights are 1",
        {"alpha": 0, "eta": 1, "gamma": "gamma / beta"},
        given={"dispersion_weights": "0 * dispersion_weights + 1"},
        inputs={
            "chosen_mean_logps": "chosen_logps / chosen_lengths",
            "rejected_mean_logps": "rejected_logps / rejected_lengths",
        },
    ),
    Reduction(
        "soft_dpo",
        "dpo",
        "the chosen is better for sure",
        given={"probabilities": "0 * probabilities + 1"},
    ),
    Reduction(
        "soft_dpo",
        "cdpo",
        "one probability for all pairs",
        given={"probabilities": "0 * probabilities + 0.7"},
        fixed={"label_smoothing": 0.3},
    ),
    Reduction(
        "mcts_dpo",
        "soft_dpo",
        "the probability is the share of the visits, and at least 1/2",
        inputs={
            "probabilities": "1 - clamp(rejected_visits / (max(1, chosen_visits) + rejected_visits)"
            ", 0, 0.5)"
        },
    ),
    Reduction(
        "todo",
        "dpo",
        "alpha -> 0, no ties",
        {"alpha": 1e-9},
        given={"ties": "chosen_logps > 0"},
    ),
    Reduction(
        "todo",
        "rpo_reverse",
        "no ties",
        {"alpha": 0.4},
        given={"ties": "chosen_logps > 0"},
        inputs={"margins": "0 * chosen_logps + 1"},
        fixed={"gamma": 0.4},
    ),
    Reduction(
        "irepo",
        "rpo_reward_aware",
        "the distance is square, the scores differ by the votes' log-odds",
        inputs={
            "chosen_scores": "log(probabilities)",
            "rejected_scores": "log(1 - probabilities)",
        },
        fixed={"eta": 1, "distance": "square"},
    ),
    Reduction(
        "rebel",
        "rpo_reward_aware",
        "the distance is square, eta = 1 / beta",
        {"eta": "1 / beta"},
        fixed={"eta": 1, "distance": "square"},
    ),
    Reduction(
        "rpo_reward_aware",
        "ipo",
        "the distance is square, the target 1/2, log-probs are means",
        {"distance": "square", "beta": "tau", "eta": 1},
        given={
            "chosen_scores": "0 * chosen_scores + 0.5",
            "rejected_scores": "0 * rejected_scores",
        },
        inputs=SUMS_AS_MEANS,
        scale="tau ** 2",
    ),
    Reduction(
        "rpo_reward_aware",
        "dpo",
        "the distance is backward_kl, the chosen is far better",
        {"distance": "backward_kl", "eta": 1},
        given={
            "chosen_scores": "0 * chosen_scores + 60",
            "rejected_scores": "0 * rejected_scores",
        },
    ),
    Reduction(
        "rpo_reward_aware",
        "soft_dpo",
        "the distance is backward_kl, less the label's entropy",
        {"distance": "backward_kl", "eta": 1},
        inputs={"probabilities": "sigmoid(chosen_scores - rejected_scores)"},
        offset="-sigmoid(chosen_scores - rejected_scores)"
        " * softplus(rejected_scores - chosen_scores)"
        " - sigmoid(rejected_scores - chosen_scores)"
        " * softplus(chosen_scores - rejected_scores)",
    ),
    Reduction(
        "rpo_relative",
        "dpo",
        "no prompt is like another: all but its own pair cost log 2",
        given={"weights": "(0 * chosen_logps + 1).diag()"},
        scale="1 / batch_size(chosen_logps)",
        offset="(1 - 1 / batch_size(chosen_logps)) * softplus(0 * chosen_logps)",
    ),
    Reduction("dpo_kernels", "dpo", "gamma = alpha = 0", {"gamma": 0, "alpha": 0}),
    Reduction(
        "dpo_kernels",
        "rpo_reverse",
        "alpha = 0, the margins are the kernels' contrasts",
        {"alpha": 0},
        inputs={"margins": "rejected_log_kernels - chosen_log_kernels"},
    ),
    Reduction(
        "flex_dpo",
        "cpl",
        "there is no reference",
        {"beta_plus": "alpha", "beta_minus": "alpha * lambda_"},
        given={
            "ref_chosen_logps": "0 * ref_chosen_logps",
            "ref_rejected_logps": "0 * ref_rejected_logps",
        },
    ),
]
