"""Methods that are a registered loss modified, with a number fixed, or several losses added up."""

from .entry import Elsewhere

MODIFIED: tuple[Elsewhere, ...] = (
    Elsewhere(
        "TR-DPO",
        "2404.09656",
        "DPO, the reference follows",
        "dpo, minipref.algorithm.objective.Moving",
    ),
    Elsewhere(
        "WPO", "2406.11827", "DPO, weighed by how on-policy a pair is", "weighted, wpo_weights"
    ),
    Elsewhere(
        "LD-DPO", "2409.06411", "DPO, tokens beyond the shorter length count less", "desensitised"
    ),
    Elsewhere("LN-DPO", "paper 054", "DPO of mean log-probs", "length_normalised"),
    Elsewhere("MRPO", "paper 057", "DPO, several references in one", "mixed_reference, dpo"),
    Elsewhere("Multi-DPO", "paper 057", "a sum of DPO losses, one a reference", "dpo"),
    Elsewhere("rIPO", "paper 070", "IPO, unbiased under flips", "robust, ipo"),
    Elsewhere("rSLiC", "paper 070", "hinge, unbiased under flips", "robust, hinge"),
    Elsewhere(
        "Group-robust PO",
        "2405.20304",
        "DPO, groups weighed by their loss",
        "group_robust_weights, weighted",
    ),
    Elsewhere("OPTune", "2406.07657", "DPO weighed by the reward gap", "weighted"),
    Elsewhere(
        "OpenChat C-RLFT",
        "2309.11235",
        "SFT weighed by class, with a class prompt",
        "weighted, sft",
    ),
    Elsewhere("DPO+NLL", "2404.19733", "DPO and the chosen's likelihood", "with_nll, dpo"),
    Elsewhere("DPO+SFT", "paper 106", "DPO and the chosen's likelihood", "with_nll, dpo"),
    Elsewhere("HA-DPO", "2311.16839", "DPO and a likelihood term", "with_nll, dpo"),
    Elsewhere(
        "GRM",
        "2406.10216",
        "Bradley-Terry and a likelihood on one trunk",
        "with_nll, bradley_terry",
    ),
    Elsewhere(
        "PPO-ptx", "2203.02155", "PPO and the likelihood of other text", "with_nll, ppo_clip"
    ),
    Elsewhere("SPA", "paper 010", "soft DPO, doubted labels smoothed", "soft_dpo"),
    Elsewhere("Selfie", "paper 010", "SPA's first name", "soft_dpo"),
    Elsewhere("OSP", "paper 085", "soft DPO on the policy's own judgement", "soft_dpo"),
    Elsewhere(
        "CREAM", "paper 068", "soft DPO, the label is as sure as two models agree", "soft_dpo"
    ),
    Elsewhere("DNO", "2404.03715", "soft DPO, the label is sigmoid(reward difference)", "soft_dpo"),
    Elsewhere("Sr-DPO", "paper 001", "DPO with a margin that the policy judges", "rpo_reverse"),
    Elsewhere(
        "DLMA", "paper 040", "DPO with a clipped margin of contrasting prompts", "rpo_reverse"
    ),
    Elsewhere("MM-DPO", "2502.10391", "DPO, beta grows with the reward gap", "mallows_dpo"),
    Elsewhere("DAMA", "paper 116", "DPO, beta by hardness of data and model", "mallows_dpo"),
    Elsewhere("ALLO", "paper 061", "DPO on marked tokens: weights 0 and 1", "sparsepo"),
    Elsewhere(
        "MaPO (masks)",
        "paper 117",
        "SparsePO, masks from activations",
        "sparsepo, minipref.algorithm.direct.token_masks",
    ),
    Elsewhere("ARM", "paper 115", "CPO without its likelihood term", "cpo"),
    Elsewhere(
        "GenARM", "paper 115", "decoding with an ARM", "cpo, minipref.algorithm.decoding.product"
    ),
    Elsewhere(
        "BPPO",
        "2302.11312",
        "PPO on the behaviour policy's samples",
        "ppo_clip, minipref.algorithm.online.collected",
    ),
    Elsewhere(
        "PTR-PPO",
        "paper 061",
        "PPO on replayed trajectories",
        "ppo_clip, minipref.algorithm.sources.Replay",
    ),
    Elsewhere("NLPO", "2210.01241", "PPO among the top-p words", "ppo_clip"),
    Elsewhere("RTO", "2404.18922", "PPO on a DPO policy's token rewards", "rto_rewards, ppo_clip"),
    Elsewhere(
        "Fine-Grained RLHF", "2306.01693", "PPO on rewards at the ends of segments", "ppo_clip"
    ),
    Elsewhere(
        "A-LoL", "2305.14718", "REINFORCE on positive advantages, clipped weights", "reinforce"
    ),
    Elsewhere(
        "DDPO", "2305.13301", "PPO at clip = 1e-4 on denoising steps", "ppo_clip, step_logps"
    ),
    Elsewhere("DDPO-SF", "2305.13301", "REINFORCE on denoising steps", "reinforce, step_logps"),
    Elsewhere("DRaFT", "2309.17400", "minus the reward, through the last K steps", "refl"),
    Elsewhere(
        "AlignProp", "2310.03739", "minus the reward, through a random number of steps", "refl"
    ),
    Elsewhere(
        "Context distillation", "paper 074", "forward KL, the prompt is the teacher", "forward_kl"
    ),
    Elsewhere("FDPO", "2308.06394", "point-wise DPO on segments", "pointwise_dpo"),
    Elsewhere("RLHF-V", "2312.00849", "DPO, corrected tokens count gamma, over the count", "dpo"),
    Elsewhere(
        "ULMA (squared)", "paper 016", "ULMA, scores on the bad", "ulma, pointwise_dpo_regression"
    ),
)

SUMS: tuple[Elsewhere, ...] = (
    Elsewhere(
        "RLHF-PPO",
        "2203.02155",
        "PPO, a critic, a KL in the rewards",
        "ppo_clip, value_clip, token_rewards, gae",
    ),
    Elsewhere(
        "Safe RLHF",
        "2310.12773",
        "two reward models, PPO with a multiplier",
        "cost_model, lagrange_multiplier, ppo_clip",
    ),
    Elsewhere("SuperHF", "2310.16763", "SFT on the best, and a KL to the start", "sft, minillm"),
    Elsewhere("MPO (InternVL)", "2411.10442", "0.8 DPO, 0.2 BCO and a likelihood", "dpo, bco, sft"),
    Elsewhere(
        "CHiP", "paper 116", "DPO of responses, segments and images, and TDPO", "dpo, tdpo2, mdpo"
    ),
    Elsewhere(
        "HPO",
        "paper 001",
        "DPO or KTO, and a policy gradient on other rewards",
        "dpo, kto, reinforce",
    ),
    Elsewhere("DCKD", "paper 105", "SFT and forward KL on both sides of a pair", "sft, forward_kl"),
    Elsewhere("ADPA+", "paper 105", "ADPA that starts from DCKD", "adpa, forward_kl"),
    Elsewhere(
        "DiffPO (text)",
        "paper 027",
        "likelihood and consistency with the best draft",
        "sft, forward_kl",
    ),
    Elsewhere("BiAlign (total)", "paper 083", "forward KL and the ranking", "forward_kl, bialign"),
    Elsewhere(
        "Controllable PO", "2402.19085", "SFT with conditions, then MODPO's form", "sft, modpo"
    ),
    Elsewhere(
        "PAFT",
        "paper 080",
        "SFT with an L1 penalty beside DPO, then merged",
        "sft, dpo, minipref.model.merging",
    ),
    Elsewhere(
        "DPO-LS",
        "paper 024",
        "a weighted sum of DPO losses",
        "dpo, minipref.algorithm.objectives.scalarisation",
    ),
    Elsewhere(
        "Panacea",
        "paper 024",
        "a random weighting of losses in one model",
        "minipref.algorithm.objectives.panacea",
    ),
    Elsewhere(
        "PRO-MORLHF",
        "paper 006",
        "PPO on rewards weighed by the orchestrator",
        "pro_orchestrator, ppo_clip",
    ),
    Elsewhere(
        "PRO-WIC",
        "paper 006",
        "SFT with the orchestrator's weights in the prompt",
        "pro_orchestrator, sft",
    ),
)

VARIANTS = MODIFIED + SUMS
