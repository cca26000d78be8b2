"""Ways to learn by trying on a bandit, for row 201: how near each comes to the best policy."""

from __future__ import annotations

from torch import nn

from ...algorithm.align import AsStored, GradientStep, align
from ...algorithm.objective import Frozen, Objective
from ...algorithm.online.actor_critic import ActorCritic, Assessed
from ...algorithm.online.centred import Centred
from ...algorithm.sources import Replay, Sampled
from ...data.bandit import Bandit
from ...data.streams import stream
from ...evaluation.matched import share_of_optimum
from ...feedback.annotators import bt
from ...feedback.rewards import Rewards
from ...model.heads import ValueHead
from ...model.tabular import TabularPolicy

PROMPTS, RESPONSES, STEPS, BETA, RATE = 4, 6, 150, 0.3, 0.05
METHODS = ("ppo", "rloo", "grpo", "dr. grpo", "online dpo")


def shares(seed: int, steps: int = STEPS) -> dict[str, tuple[float, float]]:
    """By method: KL from uniform, and the share of what the best policy at that KL earns."""
    world = Bandit(PROMPTS, RESPONSES, seed)
    found = {}
    for method in METHODS:
        policy = TabularPolicy(PROMPTS, RESPONSES)
        learn(method, world, policy, seed, steps)
        table = policy.probabilities()
        found[method] = (world.kl(table), share_of_optimum(world, table))
    return found


def learn(method: str, world: Bandit, policy: TabularPolicy, seed: int, steps: int) -> None:
    """One method's run: as many steps of a policy, its responses drawn afresh."""
    truth, step = Rewards(world.reward), GradientStep(policy, RATE)
    four, two = (Sampled(world, world.all_prompts, 128 // n, n) for n in (4, 2))
    match method:
        case "ppo":
            trunk = TabularPolicy(PROMPTS, RESPONSES)  # a critic with a feature for each prompt
            nn.init.normal_(trunk.table, generator=stream(seed, "201/critic"))
            critic = ValueHead(trunk, RESPONSES)
            asked = Assessed(four, truth, critic, Frozen(policy), kl=BETA)
            both = GradientStep(nn.ModuleList([policy, critic]), RATE)
            source, objective = Replay(asked, AsStored(), 2), ActorCritic(critic, value_clip=1.0)
            align(policy, source, AsStored(), objective, steps, seed=seed, step=both)
        case "rloo":
            loss = Objective.of("rloo", reference=policy, kl_penalty=BETA)
            align(policy, four, truth, loss, steps, seed=seed, step=step)
        case "grpo" | "dr. grpo":
            loss = Objective.of("grpo", reference=policy, kl=BETA)  # of one token: no length counts
            source = Replay(four, truth if method == "grpo" else Centred(truth), 1)
            align(policy, source, AsStored(), loss, steps, seed=seed, step=step)
        case "online dpo":
            loss = Objective.of("dpo", reference=policy, beta=BETA)
            align(policy, two, bt(world.reward), loss, steps, seed=seed, step=step)
        case _:
            raise ValueError(f"method: expected one of {METHODS}, got {method!r}")
