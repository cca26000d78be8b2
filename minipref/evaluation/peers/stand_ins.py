"""What a trainer needs around its loss: a model that says given log-probs, and nobody to train.

A trainer computes its loss from what a model says about token ids. Here the first id of a row is
the row's number in a table of log-probs, and that is what the model says; all other ids are 0.
The trainer is made without its constructor, which would load, prepare and distribute.
"""

from __future__ import annotations

import importlib
import warnings
from collections import defaultdict
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

PADDING = -1.0  # the log-prob at a place that no mask counts: any would do but 0, 1 - exp(0) is 0


class GivenLogps:
    """A model whose log-prob of each token is given.

    Args:
        logps: (rows, length) of the tokens after the first, nats.
        log_squares: (rows, length) log of the sum of squared probabilities; asked for by WPO.
    """

    training = False
    is_gradient_checkpointing = False

    def __init__(self, logps: Tensor, log_squares: Tensor | None = None) -> None:
        self.logps = logps
        self.log_squares = torch.zeros_like(logps) if log_squares is None else log_squares

    def __call__(self, input_ids: Tensor, labels: Tensor | None = None, **_: Any) -> Any:
        rows = input_ids[:, 0]
        if labels is None:
            return SimpleNamespace(logits=two_words(self.logps[rows]))
        counted = labels[:, 1:] != -100  # (rows, length)
        nothing = torch.zeros_like(self.logps[rows])
        return SimpleNamespace(
            log_probs=self.logps[rows].where(counted, 0.0),
            log_sum_sq_probs=self.log_squares[rows],
            entropy=nothing,
            mean_logits=nothing,
            is_top1=counted,
            label_mask=counted,
        )


def two_words(logps: Tensor) -> Tensor:
    """Logits of a vocabulary of two in which word 0 has these log-probs, one more place after them.

    Word 1 has what is left, log(1 - exp(logps)), so that the softmax changes nothing and the whole
    gradient comes back to the log-prob. (rows, length) to (rows, length + 1, 2).
    """
    rest = torch.where(
        logps < -0.7, torch.log1p(-logps.exp()), torch.log(-torch.expm1(logps))
    )  # either form where it keeps its digits
    logits = torch.stack([logps, rest], dim=-1)
    return torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1)


def token_ids(mask: Tensor) -> dict[str, Tensor]:
    """Ids and masks of rows that begin with one token of prompt, (rows, 1 + length) each."""
    prompt = torch.ones_like(mask[:, :1], dtype=torch.long)
    ids = torch.zeros(len(mask), 1 + mask.shape[1], dtype=torch.long)
    ids[:, 0] = torch.arange(len(mask))
    return {
        "input_ids": ids,
        "attention_mask": torch.cat([prompt, mask.long()], dim=1),
        "completion_mask": torch.cat([1 - prompt, mask.long()], dim=1),
    }


def accelerator() -> Any:
    """One process, one device, nothing to gather."""

    def same(x: Any, *_: Any, **__: Any) -> Any:
        return x

    return SimpleNamespace(
        device=torch.device("cpu"),
        num_processes=1,
        process_index=0,
        is_main_process=True,
        sync_gradients=False,
        parallelism_config=None,
        gather=same,
        gather_for_metrics=same,
        reduce=same,
        autocast=nullcontext,
    )


def trainer_class(path: str) -> Any:
    """The class (or function) `module:name` of TRL.

    Raises: ImportError that says what to install, or that this TRL has no such thing.
    """
    module, name = path.split(":")
    try:
        importlib.import_module("trl")
    except ModuleNotFoundError as error:
        if error.name != "trl":
            raise
        raise ImportError("TRL is not installed: pip install 'trl>=1.16'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that trl.experimental may change
            return getattr(importlib.import_module(f"trl.{module}"), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("trl"):
            raise  # what is missing is a package that TRL needs
        raise ImportError(f"this TRL has no {name}: pip install trl==1.16.0") from error


def untrained(trainer: type, arguments: dict[str, Any] | None = None, **attributes: Any) -> Any:
    """A trainer of that class with these attributes, and `arguments` as its `args`.

    It is in evaluation, where no loss is divided by steps of accumulation.
    """
    made: Any = object.__new__(trainer)
    arguments = {"gradient_checkpointing_kwargs": None, "report_to": [], **(arguments or {})}
    made.__dict__.update(
        accelerator=accelerator(),
        model=SimpleNamespace(training=False, is_gradient_checkpointing=False),
        args=SimpleNamespace(**arguments),
        state=SimpleNamespace(global_step=0),
        aux_loss_enabled=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        **attributes,
    )
    return made
