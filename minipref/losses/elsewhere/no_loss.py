"""Names that stand for no loss: updates, searches, choices among samples; and what is absent."""

from .entry import Elsewhere

UPDATES: tuple[Elsewhere, ...] = (
    Elsewhere(
        "ComPO",
        "paper 004",
        "a comparison of log-probs decides a step; no gradient",
        "minipref.algorithm.direct.comparison",
    ),
    Elsewhere(
        "MGDA",
        "paper 062",
        "weights of gradients, for the smallest sum",
        "minipref.algorithm.objectives.min_norm",
    ),
    Elsewhere(
        "MaxMin-RLHF", "2402.08925", "the worst group's reward counts", "group_robust_weights"
    ),
    Elsewhere("Best-of-N", "paper 001", "the best of N samples", "minipref.evaluation.best_of_n"),
    Elsewhere(
        "Regularised best-of-N",
        "paper 001",
        "the best by reward less a penalty",
        "minipref.feedback.kept.Best",
    ),
    Elsewhere(
        "ReST-MCTS*",
        "2406.03816",
        "a search that makes step labels",
        "minipref.algorithm.search.tree, prm",
    ),
    Elsewhere("RAP", "2305.14992", "a search by PUCT", "minipref.algorithm.search.tree"),
    Elsewhere(
        "AlphaLLM",
        "2404.12253",
        "a search by PUCT, then imitation",
        "minipref.algorithm.search.tree, sft",
    ),
    Elsewhere(
        "ICDPO",
        "paper 001",
        "a choice among samples by what the context adds",
        "minipref.algorithm.decoding.icdpo",
    ),
    Elsewhere(
        "ExPO",
        "paper 090",
        "weights beyond the trained ones",
        "minipref.algorithm.weights.extrapolation",
    ),
)

ABSENT: tuple[Elsewhere, ...] = (
    Elsewhere(
        "ILQL",
        "2206.11871",
        "Q-learning with an expectile on token rewards: a critic's loss for decoding",
        "",
    ),
    Elsewhere("SupCon", "paper 062", "a contrastive loss of embeddings, no preference loss", ""),
    Elsewhere(
        "Wasserstein critic",
        "paper 060",
        "makes two domains' embeddings alike, no preference loss",
        "",
    ),
    Elsewhere("MetaMetrics", "paper 061", "Bayesian optimisation of a mix of metrics", ""),
    Elsewhere("Drift", "paper 095", "weights of named rewards in closed form", ""),
    Elsewhere("CURATRON", "paper 007", "robust PCA of a table of votes", ""),
    Elsewhere(
        "Over-optimisation law",
        "2210.10760",
        "a curve that is fitted, not minimised over a policy",
        "",
    ),
    Elsewhere("BFPO", "paper 051", "named as a baseline only", ""),
    Elsewhere("Rich Feedback", "paper 061", "a reward model that marks regions of an image", ""),
)

NO_LOSS = UPDATES + ABSENT
