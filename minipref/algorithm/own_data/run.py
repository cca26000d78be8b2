"""A run on an own file: supervised on what was liked, then the loss, the supervised model held.

Both parts are `align`, each with its checkpoint: killed anywhere, a run that is resumed ends in the
same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...data.streams import stream
from ...losses.registry import get
from ...model.fit import Metrics, Probe
from ...model.policy import Policy
from ...model.transformer import Config, Transformer
from ..align import AsStored, GradientStep, align
from ..objective import Frozen, Objective
from ..sources import Stored
from .corpus import Corpus
from .parallel import Shared, check_shares, checkpoint_of
from .plan import PREFERENCE, SUPERVISED, Plan

BUCKET = 8  # batches among which responses of similar length are put together
PROBES = 10  # looks at what was held out, over the run

Measure = Callable[[Policy, Policy], Metrics]  # of the policy and its reference


@dataclass(frozen=True)
class Trained:
    """What a run leaves: the model before and after the loss, and both histories."""

    before: Frozen
    after: Policy
    supervised_history: list[Metrics]
    history: list[Metrics]


def tiny(plan: Plan, vocabulary: int) -> Transformer:
    """The small transformer that reads bytes: 117 thousand parameters."""
    sizes = Config(vocabulary, width=64, layers=2, heads=4, context=plan.max_length)
    return Transformer(sizes, stream(plan.seed, "own data/weights"))


def train(
    plan: Plan,
    policy: Policy,
    corpus: Corpus,
    folder: Path,
    *,
    every: int = 25,
    measure: Measure | None = None,
    progress: bool = False,
) -> Trained:
    """Train `policy` in place by the plan; go on with the checkpoints in `folder` if there are any.

    Args:
        every: steps between two checkpoints.
        measure: asked ten times on the way, with the policy and its reference.
        progress: show a bar.

    Raises: ValueError for a loss whose batches cannot be shared, where the plan has processes;
        FloatingPointError where the loss is not finite.
    """
    entry = get(plan.loss)
    batch_size = min(plan.batch_size, *(len(Stored(b, 1)) for b in (corpus.liked, corpus.train)))
    check_shares(entry, batch_size, plan.processes)

    def part(
        objective: Objective,
        source: Stored,
        steps: int,
        rate: float,
        name: str,
        probes: tuple[Probe, ...] = (),
    ) -> list[Metrics]:
        with checkpoint_of(folder / name) as checkpoint:
            state = align(
                policy,
                source,
                AsStored(),
                Shared(objective) if plan.processes > 1 else objective,
                steps,
                seed=plan.seed,
                step=GradientStep(policy, rate, steps),
                probes=probes,
                checkpoint=checkpoint,
                every=every,
                progress=Path(name).stem if progress else None,
            )
        return state.history

    liked = Stored(corpus.liked, batch_size, BUCKET)
    supervised_history = part(
        Objective.of("sft"), liked, plan.supervised_steps, plan.supervised_learning_rate, SUPERVISED
    )
    before = Frozen(policy)
    objective = Objective.of(
        plan.loss, reference=before if entry.reference else None, **plan.hyperparameters
    )
    look = None if measure is None else lambda: measure(policy, before)
    probes = () if look is None else (Probe(look, max(1, plan.steps // PROBES)),)
    history = part(
        objective,
        Stored(corpus.train, batch_size, BUCKET),
        plan.steps,
        plan.learning_rate,
        PREFERENCE,
        probes,
    )
    return Trained(before, policy, supervised_history, history)
