"""Rules on learning from own samples: do they differ, do they end, how far have they gone?"""

from __future__ import annotations

from statistics import fmean

from .history import History
from .rule import rule

FAR = {"minipref": (20.0, "nats a response"), "trl": (1.0, "nats a token")}


@rule(
    "most tokens are clipped",
    needs=("clip_ratio/region_mean",),
    why="A token whose probability ratio has left 1 +- epsilon has no gradient. Here the policy "
    "leaves that region within its first update, so the later passes over the same samples teach "
    "next to nothing.",
    cure="A smaller learning rate, fewer passes (num_iterations), a larger epsilon; check that old "
    "log-probs come from the same precision and temperature as the new ones.",
    see="`minipref show ppo_clip`, `minipref show cispo`",
)
def all_clipped(history: History) -> str | None:
    shares = [x for x in history["clip_ratio/region_mean"].tail(0.75) if x > 0]
    every = len(history["clip_ratio/region_mean"].tail(0.75))
    if len(shares) < 0.3 * every or fmean(shares) < 0.3:
        return None
    return (
        f"clip_ratio/region_mean is {fmean(shares):.0%} on average where it is not 0 "
        f"({len(shares)} of {every} logs), up to {max(shares):.0%}"
    )


@rule(
    "groups have no variance",
    needs=("frac_reward_zero_std",),
    why="The advantage of a sample is its reward less its group's mean. Where all samples of a "
    "prompt get the same reward, all advantages are 0, and the whole group was sampled in vain.",
    cure="If the reward is at its lowest, easier prompts or partial credit; if it is at its "
    "highest, harder ones. More samples a prompt, a higher temperature, and leave such groups out.",
    see="minipref/losses/advantages.py; `minipref show grpo`",
)
def zero_variance_groups(history: History) -> str | None:
    share = fmean(history["frac_reward_zero_std"].tail())
    if not share > 0.6:
        return None
    said = f"in the last half of the run {share:.0%} of the groups have equal rewards"
    if "reward" in history:
        curve = history["reward"]
        said += f"; the mean reward there is {fmean(curve.tail()):.3g}, of a range over the run of "
        said += f"{min(curve.values):.3g} to {max(curve.values):.3g}"
    return said


@rule(
    "the reward rises and the policy runs away",
    needs=("reward", "kl"),
    why="Far from the reference a reward model (or a rule) is asked about texts that it was not "
    "made for. What it gives there is no longer what people want: over-optimisation.",
    cure="Stop earlier, raise the KL penalty (kl_penalty; TRL: beta), lower the learning rate, "
    "compare runs at equal KL, and read samples.",
    see="minipref/evaluation/matched.py; RESULTS.md compares at equal KL",
)
def kl_explodes(history: History) -> str | None:
    reward, kl = history["reward"], history["kl"]
    far, unit = FAR[history.writer]
    if not kl.late > far or not reward.clearly(+1):
        return None
    return (
        f"the reward went from {reward.early:.3g} to {reward.late:.3g}, and kl from {kl.early:.3g} "
        f"to {kl.late:.3g} {unit} (more than {far:g} is far)"
    )


@rule(
    "the entropy collapses",
    needs=("entropy", "reward"),
    why="The policy is certain about every next token, so samples of a prompt are all the same: "
    "there is nothing left to compare, and exploration has ended.",
    cure="A smaller learning rate, a KL or entropy term, a higher epsilon for rising tokens (clip "
    "higher), more varied prompts; go back to where entropy was half of its start.",
    see="minipref/evaluation/diversity.py",
)
def entropy_collapse(history: History) -> str | None:
    entropy = history["entropy"]
    if not entropy.late < 0.2 * entropy.first or entropy.late > 0.5:
        return None
    return (
        f"entropy starts at {entropy.first:.2f} nats a token and ends at {entropy.late:.3f}: "
        f"{entropy.late / entropy.first:.0%} of it"
    )


@rule(
    "samples hit the length limit",
    needs=("completions/clipped_ratio",),
    why="A sample that is cut off has no end token. Its reward is that of a torso, and where "
    "lengths are rewarded the limit, not the task, is what is learnt.",
    cure="Raise max_completion_length, mask cut samples from the loss (TRL: "
    "mask_truncated_completions=True), or take a fine off the reward of a sample without an end.",
    see="`minipref show dr_grpo`; notebook 01 (sum or mean)",
)
def hits_the_limit(history: History) -> str | None:
    share = fmean(history["completions/clipped_ratio"].tail())
    if not share > 0.5:
        return None
    said = f"in the last half of the run {share:.0%} of the samples are cut off"
    if "completions/mean_length" in history:
        said += f", at a mean length of {history['completions/mean_length'].late:.0f} tokens"
    return said
