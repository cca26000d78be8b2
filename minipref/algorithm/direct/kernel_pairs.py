"""DPO Kernels as an objective: embeddings of prompts and responses, and `losses.dpo_kernels`.

A reconstruction. The paper's template, a kernel of log(pi(chosen) / pi(rejected)) and of embedding
similarities, is not a well-posed loss taken literally (`literal_rbf`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...data.batch import Batch
from ...data.rows import Rows
from ...losses import dpo_kernels
from ...model.fit import Metrics
from ...model.logprobs import count_trained, predicted, sequence_logps
from ...model.policy import Policy
from ...model.transformer import Transformer
from ..align import GradientStep
from .kernels import HierarchicalMixture, LogKernel

Embeddings = tuple[Tensor, Tensor]  # of the prompts and of the responses, (rows, width) each
ROWS = 512


def _unit(embeddings: Embeddings, centres: Embeddings) -> Embeddings:
    prompts, responses = embeddings
    return F.normalize(prompts - centres[0], dim=-1), F.normalize(responses - centres[1], dim=-1)


def means(tokens: Tensor, rows: Rows, weights: Tensor | None = None) -> Embeddings:
    """The weighted mean over the prompt's tokens, and that over the response's.

    Args:
        tokens: (batch, length, width), a vector a token.
        rows: whose tokens they are.
        weights: (batch, length), or 1 each.
    """
    weights = torch.ones(rows.ids.shape) if weights is None else weights
    found = []
    for mask in (rows.attention_mask & ~rows.completion_mask, rows.completion_mask):
        share = (weights * mask)[..., None]  # (batch, length, 1)
        found.append((tokens * share).sum(1) / share.sum(1))
    return found[0], found[1]


class Words:
    """A frozen encoder: the mean vector of the base's words, rare words first (SIF).

    A word of frequency p weighs a / (a + p) (Arora et al. 2017). Prompts and responses are centred
    apart, each on the mean of `rows`, and scaled to length 1.
    """

    def __init__(self, base: Transformer, rows: Rows, a: float = 0.01):
        self.vectors = base.embedding.weight.detach().clone()  # (vocabulary, width)
        counts = rows.ids[rows.attention_mask].bincount(minlength=len(self.vectors))
        self.weights = a / (a + counts / counts.sum())  # (vocabulary,)
        prompts, responses = self._means(rows)
        self.centres = prompts.mean(0), responses.mean(0)

    def _means(self, rows: Rows) -> Embeddings:
        return means(self.vectors[rows.ids], rows, self.weights[rows.ids])

    def __call__(self, rows: Rows) -> Embeddings:
        return _unit(self._means(rows), self.centres)


class States:
    """The policy's own encoder: its mean final state, so that the kernel's gradient reaches it.

    Centred on the means over `rows` of the policy as it was at first, and scaled to length 1.
    """

    def __init__(self, base: Transformer, rows: Rows):
        prompts, responses = self._read(base, rows, means)
        self.centres = prompts.mean(0), responses.mean(0)

    def __call__(self, hidden: Tensor, rows: Rows) -> Embeddings:
        """Of final states (batch, length, width) of the policy as it is now."""
        return _unit(means(hidden, rows), self.centres)

    def of(self, policy: Transformer, rows: Rows) -> Embeddings:
        """Of what this policy makes of the rows, without gradient."""
        return self._read(policy, rows, self)

    @staticmethod
    @torch.no_grad()
    def _read(
        policy: Transformer, rows: Rows, embed: Callable[[Tensor, Rows], Embeddings]
    ) -> Embeddings:
        parts = [rows[part] for part in torch.arange(len(rows)).split(ROWS)]
        found = [embed(policy.hidden(some.ids, some.attention_mask), some) for some in parts]
        return torch.cat([each[0] for each in found]), torch.cat([each[1] for each in found])


def embedded(batch: Batch, encoder: Callable[[Rows], Embeddings]) -> Batch:
    """The batch with the embeddings of its prompts and responses as columns, (rows, width)."""
    prompts, responses = encoder(batch.rows)
    return batch.with_columns(prompt_embeddings=prompts, response_embeddings=responses)


class KernelPairs:
    """`losses.dpo_kernels` on a batch of pairs: `(policy, batch) -> (mean loss, metrics)`.

    Args:
        kernel: log k(prompt, response); a `HierarchicalMixture` earns `bonus` times its entropy.
        states: the policy's own encoder. Without it embeddings are columns (`embedded`): then the
            kernels' contrast is a constant of each pair, an offset as in ODPO. It weighs the pair
            in the gradient and has no gradient of its own.
        beta, gamma: of the loss; no divergence is added here.
    """

    def __init__(
        self,
        kernel: LogKernel,
        *,
        states: States | None = None,
        beta: float = 0.1,
        gamma: float = 0.1,
        bonus: float = 0.01,
    ):
        self.kernel, self.states = kernel, states
        self.beta, self.gamma, self.bonus = beta, gamma, bonus

    def row_terms(self, policy: Transformer, batch: Batch) -> tuple[Tensor, Tensor]:
        """log pi(response | prompt) and log k(prompt, response) of every row: (rows,) each."""
        rows, columns = batch.rows, batch.columns
        if self.states is None:
            embeddings = columns["prompt_embeddings"], columns["response_embeddings"]
            return sequence_logps(policy, rows), self.kernel(*embeddings)
        hidden = policy.hidden(rows.ids, rows.attention_mask)  # (rows, length, width)
        mask = predicted(rows)
        logits = policy.unembed(hidden[:, :-1][mask[:, 1:]]).float()  # (tokens, vocabulary)
        count_trained(logits, rows)
        logps = logits.gather(-1, rows.ids[mask][:, None])[:, 0] - logits.logsumexp(-1)
        logps = torch.zeros(rows.ids.shape).masked_scatter(mask, logps).sum(1)
        return logps, self.kernel(*self.states(hidden, rows))

    def margins(self, policy: Transformer, batch: Batch) -> tuple[Tensor, Tensor]:
        """The two parts of the margin, nats: the policy's and the kernel's, (pairs,) each."""
        logps, logs = self.row_terms(policy, batch)
        chosen, rejected = _sides(batch)
        ratios = logps - batch.columns["ref_logps"]
        return (
            self.beta * (ratios[chosen] - ratios[rejected]),
            self.gamma * (logs[chosen] - logs[rejected]),
        )

    def __call__(self, policy: Transformer, batch: Batch) -> tuple[Tensor, Metrics]:
        logps, logs = self.row_terms(policy, batch)
        chosen, rejected = _sides(batch)
        ref_logps = batch.columns["ref_logps"]
        losses = dpo_kernels(
            logps[chosen],
            logps[rejected],
            ref_logps[chosen],
            ref_logps[rejected],
            logs[chosen],
            logs[rejected],
            torch.zeros(len(chosen)),
            beta=self.beta,
            gamma=self.gamma,
            alpha=0.0,
        )
        loss, metrics = losses.mean(), {"kernels/mean": float(logs.detach().mean())}
        if isinstance(self.kernel, HierarchicalMixture):
            entropy = self.kernel.entropy()
            loss, metrics["kernels/entropy"] = loss - self.bonus * entropy, float(entropy.detach())
        return loss, metrics


class MixtureStep(GradientStep):
    """A step of the policy and of a mixture's weights, which learn at a constant rate."""

    def __init__(
        self,
        policy: Policy,
        mixture: HierarchicalMixture,
        learning_rate: float = 1e-3,
        weight_rate: float = 0.1,
        steps: int | None = None,
    ):
        super().__init__(policy, learning_rate, steps)
        self.parameters += list(mixture.parameters())
        self.optimizer.add_param_group({"params": list(mixture.parameters()), "lr": weight_rate})


def literal_rbf(chosen_logps: Tensor, rejected_logps: Tensor, *, sigma: float) -> Tensor:
    """The paper's template with an RBF of the log-ratio, as a loss: (pairs,).

        L = -exp(-(chosen_logps - rejected_logps)^2 / (2 sigma^2))

    Even in the ratio, so that swapping chosen and rejected changes nothing: what it teaches is to
    find both equally likely. There is no reference in it either. A semantic term would be added to
    the ratio, and be as even.
    """
    return -(-(chosen_logps - rejected_logps).square() / (2 * sigma**2)).exp()


def _sides(batch: Batch) -> tuple[Tensor, Tensor]:
    if batch.pairs is None:
        raise ValueError("the batch has no pairs; let an annotator label it first")
    chosen, rejected = batch.pairs.T
    return chosen, rejected
