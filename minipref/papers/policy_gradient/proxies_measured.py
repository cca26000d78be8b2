"""What row 202 measures along a climb, and what best-of-n chooses by the same models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...data.batch import Batch
from ...data.corpora import CHAT
from ...data.streams import stream
from ...evaluation.best_of_n import kl_bound, of_the_best
from ...evaluation.divergence import kl
from ...evaluation.estimate import Estimate
from ...evaluation.mixture import Curve
from ...evaluation.responses import respond, rewards
from .proxies import NS, Climb, Proxies


def told(feedback: Any, batch: Batch) -> Tensor:
    """What the feedback says of every row: (rows,) float64; it draws nothing."""
    return feedback.label(batch, stream(0, "202/told")).columns["rewards"].double()


@dataclass(frozen=True)
class Way:
    """Along a climb, the base first: KL, true rewards and what the proxy says (prompts,) each."""

    kls: list[float]
    gold: list[Tensor]
    proxy: list[Tensor]

    @property
    def curve(self) -> Curve:
        return list(zip(self.kls, self.gold, strict=True))

    @property
    def peak(self) -> int:
        """Where true reward is highest on every second prompt; the others may judge that."""
        return max(range(len(self.gold)), key=lambda i: float(self.gold[i][::2].mean()))

    def since_peak(self, values: Sequence[Tensor]) -> Estimate:
        """What changed from the peak to the end, on the prompts that did not choose it."""
        return Estimate.mean((values[-1] - values[self.peak])[1::2])

    def told(self, name: str) -> dict[str, Estimate]:
        """Its points as measurements, in gains over the base; and what happened since the peak."""
        found = {}
        for look, (reached, gold) in enumerate(self.curve):
            found[f"root kl {look}, {name}"] = Estimate(reached**0.5, unit="root nats")
            found[f"gain {look}, {name}"] = Estimate.mean(gold - self.gold[0])
        found[f"gain since its peak, {name}"] = self.since_peak(self.gold)
        for look, proxy in enumerate(self.proxy):
            found[f"proxy {look}, {name}"] = Estimate.mean(proxy - self.proxy[0])
        if self.proxy:
            found[f"proxy since the peak, {name}"] = self.since_peak(self.proxy)
        return found


def way(made: Proxies, climbed: Climb) -> Way:
    """What every policy of a climb answers to the tested prompts."""
    kls, batches = [0.0], [made.own]
    for policy in climbed.policies:
        batches.append(respond(policy, CHAT, made.tested, seed=made.seed))
        kls.append(kl(policy, made.base, batches[-1]).value)
    proxy = [told(climbed.feedback, own) for own in batches] if climbed.feedback else []
    return Way(kls, [rewards(CHAT, own) for own in batches], proxy)


def common(ours: Way, theirs: Way) -> float:
    """The largest KL that both have reached."""
    return min(max(ours.kls), max(theirs.kls))


def chosen(made: Proxies, feedbacks: Mapping[str, Any]) -> dict[str, Estimate]:
    """Best-of-n by each proxy: root of the KL, and gains over a single answer."""
    groups, found, last = made.many.by_group(), {}, {}  # (prompts, samples)
    gold = rewards(CHAT, made.many)[groups]
    for name, feedback in feedbacks.items():
        proxy = told(feedback, made.many)[groups]
        for look, n in enumerate(NS):
            last[name] = of_the_best(proxy, gold, n)
            gain = Estimate.mean(last[name] - gold.mean(1))
            found[f"root kl {look}, best of n, {name}"] = Estimate(
                kl_bound(n) ** 0.5, unit="root nats"
            )
            found[f"gain {look}, best of n, {name}"] = gain
    found["best of n, lead of many over few"] = Estimate.mean(last["many"] - last["few"])
    return found


def path(name: str, what: str = "gain") -> list[tuple[float | str, str]]:
    """The points of a curve in the figure."""
    return [(f"root kl {look}, {name}", f"{what} {look}, {name}") for look in range(6)]
