"""Policy gradients, as other libraries have them."""

from .flag import BATCH_MEAN, ONE_LENGTH, Flag

CLIPPED = "an advantage goes into PPO's clipped loss of tokens"
FIRST_STEP = "equal in gradient on the first step, up to the number of tokens"

POLICY_GRADIENTS: dict[str, tuple[Flag, ...]] = {
    "ppo_clip": (
        Flag(
            "HALOs",
            {"loss": "ppo", "cliprange": 0.5},
            f"{BATCH_MEAN}; the old policy is the reference, advantages are whitened",
            f"clip = cliprange, old_logps = ref_logps, {ONE_LENGTH}",
        ),
        Flag("LLaMA-Factory", {"stage": "ppo"}, "an old TRL's PPO", checked=False),
        Flag("OpenRLHF", {"--actor.eps_clip": 0.2}, BATCH_MEAN, ONE_LENGTH),
        Flag(
            "verl",
            {"policy_loss.loss_mode": "vanilla", "loss_agg_mode": "token-mean"},
            f"{BATCH_MEAN}; a negative advantage costs at most clip_ratio_c (3) times itself",
            'loss_agg_mode = "seq-mean-token-mean", ratios below 3',
        ),
    ),
    "value_clip": (
        Flag("HALOs", {"loss": "ppo", "critic_coef": 0.01}, f"has no clip; {BATCH_MEAN}", "none"),
        Flag("OpenRLHF", {"--critic.value_clip": 0.5}, BATCH_MEAN, f"clip = 0.5, {ONE_LENGTH}"),
        Flag("verl", {"cliprange_value": 0.5}, BATCH_MEAN, f"clip = cliprange_value, {ONE_LENGTH}"),
    ),
    "reinforce": (
        Flag(
            "OpenRLHF",
            {"--algo.advantage.estimator": "reinforce | reinforce_baseline"},
            f"{CLIPPED}, and is whitened over the batch",
            FIRST_STEP,
        ),
    ),
    "rloo": (
        Flag("OpenRLHF", {"--algo.advantage.estimator": "rloo"}, CLIPPED, FIRST_STEP),
        Flag("verl", {"algorithm.adv_estimator": "rloo"}, CLIPPED, FIRST_STEP),
    ),
    "remax": (Flag("verl", {"algorithm.adv_estimator": "remax"}, CLIPPED, FIRST_STEP),),
    "grpo": (
        Flag(
            "HALOs",
            {"loss": "grpo", "beta": 0.01, "epsilon": 0.01},
            "ratios are to the reference, and it averages over the batch's tokens",
            'old_logps = ref_logps, aggregate = "token", kl = beta, both clips epsilon',
        ),
        Flag(
            "OpenRLHF",
            {"--algo.advantage.estimator": "group_norm", "--algo.kl.use_loss": False},
            "averages over the batch's tokens; the KL is in the rewards unless use_loss",
            'aggregate = "token", and --algo.kl.use_loss with --algo.kl.estimator k3',
        ),
        Flag(
            "Liger",
            {"loss_type": "grpo | bnpo", "beta": 0.04},
            'its default is "dapo"; "bnpo" is aggregate = "token"',
            "kl = beta, clip_low = epsilon_low, clip_high = epsilon_high",
        ),
        Flag("verl", {"algorithm.adv_estimator": "grpo"}, checked=False),
    ),
    "dr_grpo": (
        Flag(
            "OpenRLHF",
            {"--algo.advantage.estimator": "dr_grpo"},
            "drops the deviation from the advantages, and still averages over the batch's tokens",
            "none",
        ),
        Flag(
            "Liger",
            {"loss_type": "dr_grpo", "max_completion_length": 3000, "beta": 0.04},
            "has a KL unless beta is 0",
            "max_tokens = max_completion_length, kl = beta",
        ),
    ),
    "dapo": (
        Flag(
            "Liger",
            {"loss_type": "dapo", "epsilon_high": 0.2, "beta": 0.04},
            "clips at 0.2 on both sides and has a KL unless set; counts its own batch's tokens "
            "unless it gets num_items_in_batch",
            "epsilon_high = 0.28, beta = 0",
        ),
        Flag(
            "open-instruct",
            {"loss_fn": "dapo", "clip_higher": 0.272, "beta": 0.05},
            "has a KL",
            "clip_high = clip_higher, beta = 0",
        ),
    ),
    "gspo": (
        Flag(
            "OpenRLHF",
            {"--actor.policy_loss_type": "gspo", "--actor.eps_clip": 0.2},
            "clips at 0.2, which a geometric mean hardly ever reaches",
            "--actor.eps_clip_low_high 3e-4 4e-4",
        ),
        Flag(
            "Liger",
            {"loss_type": "grpo", "importance_sampling_level": "sequence", "beta": 0.04},
            "clips at 0.2, has a KL",
            "epsilon_low = 3e-4, epsilon_high = 4e-4, beta = 0",
        ),
        Flag(
            "verl",
            {"policy_loss.loss_mode": "gspo", "clip_ratio": 0.2},
            "each token has its own gradient of the response's ratio; the same sum",
            "clip_low = clip_ratio_low, clip_high = clip_ratio_high",
        ),
    ),
    "cispo": (
        Flag(
            "Liger",
            {"loss_type": "cispo", "epsilon_high": 0.2, "beta": 0.04},
            "epsilon_high is the largest weight itself: at its default weights are 0.2",
            "epsilon_high = 1 + clip_high, clip_low = 1, beta = 0",
        ),
        Flag(
            "verl",
            {"policy_loss.loss_mode": "cispo"},
            "clips from below as well, at clip_ratio_low",
            "clip_low = clip_ratio_low, clip_high = clip_ratio_high",
        ),
        Flag(
            "open-instruct",
            {"loss_fn": "cispo", "clip_higher": 0.272},
            "the largest weight is 1 + clip_higher, and there is no smallest",
            "clip_high = clip_higher, clip_low = 1, beta = 0",
        ),
    ),
    "drpo": (
        Flag(
            "official",
            {"beta": 0.04, "ratio_processing": "clip", "clipbound": 2.5},
            "takes every pair twice, as it is and swapped",
            "clip = clipbound; a row of ours is the mean of the two",
        ),
    ),
    "token_guidance": (
        Flag(
            "official",
            {"max_entropy_coeff": 0.125, "use_q_for_weight": 0},
            equal="alpha = max_entropy_coeff",
            checked=False,
        ),
    ),
}
