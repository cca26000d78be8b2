"""Reward models whose loss is registered, or a module of its own."""

from .entry import Elsewhere

REWARD_MODELS: tuple[Elsewhere, ...] = (
    Elsewhere("CARM", "paper 003", "Bradley-Terry, the context is in the prompt", "bradley_terry"),
    Elsewhere(
        "CPM",
        "paper 005",
        "Bradley-Terry on named features",
        "bradley_terry, minipref.feedback.reward_models.linear",
    ),
    Elsewhere(
        "CoPL", "paper 037", "Bradley-Terry, a user's embedding chooses experts", "bradley_terry"
    ),
    Elsewhere("BPR", "paper 037", "Bradley-Terry on users and items", "bradley_terry"),
    Elsewhere(
        "DIAL",
        "paper 060",
        "Bradley-Terry and a critic of domains, which is not here",
        "bradley_terry",
    ),
    Elsewhere(
        "Soft-label Bradley-Terry",
        "paper 023",
        "cross-entropy of a share of votes on the difference",
        "prm",
    ),
    Elsewhere("RLAIF", "2309.00267", "the same, on an AI's share in both orders", "prm"),
    Elsewhere(
        "West-of-N", "2401.12086", "Bradley-Terry on the best and worst of N", "bradley_terry"
    ),
    Elsewhere(
        "ALMoST", "2305.13735", "Bradley-Terry, larger models win by construction", "bradley_terry"
    ),
    Elsewhere(
        "SALMON", "paper 040", "Bradley-Terry with principles in the prompt", "bradley_terry"
    ),
    Elsewhere(
        "Ranked preference modelling",
        "paper 074",
        "Bradley-Terry on all pairs of ranks",
        "bradley_terry",
    ),
    Elsewhere(
        "PMP",
        "paper 074",
        "Bradley-Terry on public pairs first, and a likelihood",
        "bradley_terry, sft",
    ),
    Elsewhere(
        "DPO-implicit RM", "2305.18290", "DPO; beta times the log-ratio is the reward", "dpo"
    ),
    Elsewhere(
        "CLoud", "2408.11791", "SFT on critiques, Bradley-Terry after them", "sft, bradley_terry"
    ),
    Elsewhere(
        "ArmoRM",
        "2406.12845",
        "regression on attributes, a gate by Bradley-Terry",
        "reward_regression, bradley_terry",
    ),
    Elsewhere(
        "Math-Shepherd",
        "2312.08935",
        "step labels from roll-outs",
        "prm, minipref.algorithm.search.steps.StepValue",
    ),
    Elsewhere("OmegaPRM", "2406.06592", "step labels from a binary search", "prm"),
    Elsewhere("Cobbe's verifier", "2110.14168", "OVM and a likelihood", "ovm, sft"),
    Elsewhere(
        "DPA-RAG",
        "paper 062",
        "a point, a pair and a contrastive loss; the last is not here",
        "reward_bce, ranknet, minipref.algorithm.objectives.min_norm",
    ),
    Elsewhere("WCO", "2310.02743", "the worst member of an ensemble", "ensemble_rewards"),
    Elsewhere("UWO", "2310.02743", "the mean less the variance of an ensemble", "ensemble_rewards"),
    Elsewhere("LoRA ensemble", "paper 001", "an ensemble of adapters", "ensemble_rewards"),
    Elsewhere(
        "WARM", "2401.12187", "the mean of reward models' weights", "minipref.model.merging.combine"
    ),
    Elsewhere(
        "MORE",
        "paper 088",
        "Bradley-Terry of k sources, weighed for the smallest gradient",
        "bradley_terry, minipref.algorithm.objectives.min_norm",
    ),
    Elsewhere(
        "LoRe",
        "paper 119",
        "Bradley-Terry on shares of a common basis",
        "minipref.feedback.reward_models.low_rank",
    ),
)
