"""From a batch to a loss: gather what a registered loss asks for, by the names of its arguments.

A loss names its inputs after the field: `chosen_logps`, `ref_rejected_logps`, `advantages`. Each
name says how it is computed: a quantity a row (`logps`, `mean_logps`, `lengths`, ...), under the
policy or the reference (`ref_`), at the pair's chosen or rejected row (`chosen_`, `rejected_`).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..data.batch import Batch
from ..losses.advantages import group_advantages
from ..losses.pointwise import kto_reference_point
from ..losses.registry import entry_of, get
from ..model.fit import Metrics
from ..model.kl import token_kl
from ..model.logprobs import sequence_logps, token_logps
from ..model.policy import Policy
from .mismatch import mismatched


class Frozen(Policy):
    """A reference that stays what the policy was when it was made."""

    def __init__(self, policy: Policy):
        super().__init__()
        self.model: Policy = copy.deepcopy(policy).requires_grad_(False).eval()

    def hidden(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.model.hidden(*args, **kwargs)

    def unembed(self, hidden: Tensor) -> Tensor:
        return self.model.unembed(hidden)

    def unembedding(self) -> Tensor | None:
        return self.model.unembedding()

    def new_cache(self, rows: int, length: int | None = None) -> Any:
        return self.model.new_cache(rows, length)

    def follow(self, policy: Policy) -> None:
        pass


class Moving(Frozen):
    """A reference that follows the policy (TR-DPO): theta_ref <- a theta + (1 - a) theta_ref.

    `alpha=1` with `every=512` is the hard update, a small alpha at every step the soft one.
    """

    def __init__(self, policy: Policy, alpha: float = 0.6, every: int = 512):
        super().__init__(policy)
        if not 0 < alpha <= 1 or every < 1:
            raise ValueError(f"expected 0 < alpha <= 1 and every >= 1, got {alpha} and {every}")
        self.alpha, self.every = alpha, every
        self.seen: Tensor = nn.Buffer(torch.zeros((), dtype=torch.int64))  # steps so far

    def follow(self, policy: Policy) -> None:
        self.seen.add_(1)
        if int(self.seen) % self.every == 0:
            for mine, theirs in zip(self.model.parameters(), policy.parameters(), strict=True):
                mine.lerp_(theirs.detach(), self.alpha)


class Quantities:
    """What can be known about a batch; each quantity is computed once, when it is asked for."""

    def __init__(
        self, policy: Policy, reference: Policy | None, batch: Batch, kl_penalty: float = 0.0
    ):
        self.policy, self.reference, self.batch = policy, reference, batch
        self.kl_penalty = kl_penalty
        self._known: dict[str, Tensor] = {}

    def ranked(self, name: str) -> Tensor:
        """A quantity of ranked lists: (lists, k), best first."""
        if self.batch.rankings is None:
            raise ValueError(f"{name} needs rankings; the feedback has ranked nothing")
        return self.row(name)[self.batch.rankings]

    def __getitem__(self, name: str) -> Tensor:
        """A quantity by the name it has as the argument of a loss."""
        for column, side in enumerate(("chosen_", "rejected_")):
            if side in name:
                if self.batch.pairs is None:
                    raise ValueError(f"{name} needs pairs; the feedback has labelled none")
                return self.row(name.replace(side, ""))[self.batch.pairs[:, column]]
        return self.row(name)

    def row(self, name: str) -> Tensor:
        """A quantity a row: (rows,), or (rows, length) for one a token."""
        if name not in self._known:
            self._known[name] = self._compute(name)
        return self._known[name]

    def _compute(self, name: str) -> Tensor:
        columns, rows = self.batch.columns, self.batch.rows
        match name:
            case "token_logps":
                return token_logps(self.policy, rows)  # (rows, length)
            case "logps":
                return self.row("token_logps").sum(1)
            case "ref_token_logps":
                with torch.no_grad():
                    return token_logps(self._reference(name), rows)
            case "token_kl":  # of the reference's next-token distributions from the policy's
                return token_kl(self._reference(name), self.policy, rows)
            case "response_kl":
                return self.row("token_kl").sum(1)
            case "ref_logps" if name not in columns:
                with torch.no_grad():
                    return sequence_logps(self._reference(name), rows)
            case "mean_logps" | "ref_mean_logps":
                return self.row(name.replace("mean_", "")) / self.row("lengths")
            case "lengths":
                return rows.completion_mask.sum(1)
            case "mask":
                return rows.completion_mask
            case "groups":
                return self.batch.groups
            case "rewards":
                return self._rewards()
            case "advantages" if name not in columns:
                return group_advantages(self.row("rewards"), self.batch.groups)
            case "token_advantages" if name not in columns:  # one for all tokens of a response
                return self.row("advantages")[:, None].expand(rows.ids.shape)
            case "kl":
                return self._reference_point()
        if name not in columns:
            raise ValueError(
                f"{name} is not a column of the batch (it has {sorted(columns)}) "
                "and minipref does not know how to compute it"
            )
        column = columns[name]
        return column[:, : rows.ids.shape[1]] if column.dim() == 2 else column

    def _reference(self, name: str) -> Policy:
        if self.reference is None:
            raise ValueError(
                f"{name} needs a reference: Objective.of(loss, reference=policy), "
                "or store it once with with_reference(data, policy)"
            )
        return self.reference

    def _rewards(self) -> Tensor:
        """Rewards of whole responses, less the KL penalty: r - kl_penalty * log(pi / pi_ref)."""
        if "rewards" not in self.batch.columns:
            raise ValueError(
                "rewards needs a feedback that gives rewards, such as Rewards(world.reward)"
            )
        rewards = self.batch.columns["rewards"]
        if self.kl_penalty:
            log_ratio = self.row("logps").detach() - self.row("ref_logps")
            rewards = rewards - self.kl_penalty * log_ratio
        return rewards

    def _reference_point(self) -> Tensor:
        """KTO's z_0: how far the policy is from the reference on mismatched pairs."""
        rows = mismatched(self.batch)
        with torch.no_grad():
            logps = sequence_logps(self.policy, rows)
            ref_logps = sequence_logps(self._reference("kl"), rows)
        return kto_reference_point(logps, ref_logps)


class Objective:
    """A loss, ready for `align`: `(policy, batch) -> (mean loss, metrics)`."""

    def __init__(
        self,
        loss: Callable[..., Tensor],
        reference: Frozen | None,
        kl_penalty: float,
        hyperparameters: dict[str, Any],
    ):
        self.loss, self.entry = loss, entry_of(loss)
        self.reference, self.kl_penalty = reference, kl_penalty
        self.hyperparameters = hyperparameters

    @classmethod
    def of(
        cls,
        loss: str | Callable[..., Tensor],
        *,
        reference: Policy | None = None,
        kl_penalty: float = 0.0,
        **hyperparameters: Any,
    ) -> Objective:
        """The objective of a registered loss.

        Args:
            loss: a loss of `minipref.losses`, its name, or what a modifier has made of one.
            reference: a policy to freeze as it is now, or a `Moving` reference.
            kl_penalty: for losses on rewards, how much of log(pi/pi_ref) is taken off (nats^-1).
            hyperparameters: passed on to the loss.
        """
        function = get(loss).function if isinstance(loss, str) else loss
        if reference is None or isinstance(reference, Frozen):
            return cls(function, reference, kl_penalty, hyperparameters)
        return cls(function, Frozen(reference), kl_penalty, hyperparameters)

    def __call__(self, policy: Policy, batch: Batch) -> tuple[Tensor, Metrics]:
        known = Quantities(policy, self.reference, batch, self.kl_penalty)
        losses = self.loss(**self.gathered(known), **self.hyperparameters)
        if self.reference is not None:
            self.reference.follow(policy)
        return losses.mean(), self.metrics(known)

    def gathered(self, known: Quantities) -> dict[str, Tensor]:
        """What the loss takes, each input from the rows it speaks of.

        What is known of a pair or of a list stands in the row of its chosen, or best, response.
        """
        inputs = {}
        paired = any(name.startswith("chosen_") for name in self.entry.inputs)
        ranked = any("k" in self.entry.axes(name) for name in self.entry.inputs)
        for name in self.entry.inputs:
            quantity, axes = self._alias(name), self.entry.axes(name)
            if "k" in axes:
                inputs[name] = known.ranked(quantity)
            elif ranked and axes:
                inputs[name] = known.ranked(quantity)[:, 0]
            elif paired and axes and "chosen" not in name and "rejected" not in name:
                inputs[name] = known[f"chosen_{quantity}"]
            else:
                inputs[name] = known[quantity]
        return inputs

    def _alias(self, name: str) -> str:
        """Token-wise losses call a token's log-prob `logps`, as the others call a response's."""
        if self.entry.shapes.get(name) != "batch length" or name == "mask":
            return re.sub("_kl$", "_response_kl", name)  # `kl` alone is KTO's reference point
        name = name.replace("logps", "token_logps").replace("advantages", "token_advantages")
        return re.sub("_kl$", "_token_kl", name)

    @torch.no_grad()
    def metrics(self, known: Quantities) -> Metrics:
        """Metrics under the names that users of TRL know; rewards are beta * log(pi / pi_ref)."""
        metrics = {"logps/mean": float(known["logps"].mean())}
        has_reference = known.reference is not None or "ref_logps" in known.batch.columns
        if "rewards" in known.batch.columns:
            metrics["reward"] = float(known.batch.columns["rewards"].mean())
            if has_reference:  # the mean over own samples of log(pi / pi_ref), in nats
                metrics["kl"] = float((known["logps"] - known["ref_logps"]).mean())
        if known.batch.pairs is not None:
            chosen, rejected = known["chosen_logps"], known["rejected_logps"]
            metrics |= {"logps/chosen": float(chosen.mean())}
            metrics |= {"logps/rejected": float(rejected.mean())}
            if has_reference:
                chosen = chosen - known["ref_chosen_logps"]
                rejected = rejected - known["ref_rejected_logps"]
            beta = self.hyperparameters.get("beta", self.entry.hyperparameters.get("beta", 1.0))
            rewards = {"chosen": beta * chosen, "rejected": beta * rejected}
            margins = rewards["chosen"] - rewards["rejected"]
            metrics |= {f"rewards/{side}": float(r.mean()) for side, r in rewards.items()}
            metrics["rewards/margins"] = float(margins.mean())
            metrics["rewards/accuracies"] = float((margins > 0).float().mean())
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {} if self.reference is None else dict(self.reference.state_dict())

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        if self.reference is not None:
            self.reference.load_state_dict(saved)
