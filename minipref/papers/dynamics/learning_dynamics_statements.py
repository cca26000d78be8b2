"""Behaviours of paper 019 on `chat`: questions to be answered with one of two words.

A behaviour prefers "sure" for one class of questions and "silly" for the other: for those about
where an animal lives and about what it eats, say. The base has never heard of it; how far apart
its features of the two classes lie depends on what it had to tell apart to write answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ...data.chat.questions import Arithmetic, Fact, Request, every_question
from ...data.corpora import CHAT
from ...data.rows import Rows
from ...data.streams import dice
from ...data.vocabulary import SEP, prompt_ids
from ...data.work import count
from ...losses import dpo
from ...model.policy import Policy

Asked = TypeVar("Asked", Arithmetic, Fact, Request)
BETA, RATE, MOST = 1.0, 0.01, 36
WORDS = CHAT.vocabulary.encode("sure silly")


@dataclass(frozen=True)
class Behaviour:
    """Prompts that end where the answer begins, and +1 where "sure" is preferred, else -1."""

    rows: Rows
    signs: Tensor  # (n,)


def _split(
    kind: type[Asked], yes: Callable[[Asked], bool], no: Callable[[Asked], bool]
) -> tuple[list[str], list[str]]:
    asked = [question for question in every_question() if isinstance(question, kind)]
    return [q.ask for q in asked if yes(q)], [q.ask for q in asked if no(q)]


def _sums_and_facts() -> tuple[list[str], list[str]]:
    sums, _ = _split(Arithmetic, lambda q: q.sign == "plus", lambda q: False)
    return sums, _split(Fact, lambda q: False, lambda q: True)[1]


# The two classes of each, from what any reader tells apart to what takes knowledge or a sum.
CLASSES: dict[str, tuple[list[str], list[str]]] = {
    "place or food": _split(Fact, lambda q: q.relation == 0, lambda q: q.relation == 1),
    "sum or fact": _sums_and_facts(),
    "unsafe or safe": _split(Request, lambda q: not q.safe, lambda q: q.safe),
    "large or small": _split(Arithmetic, lambda q: q.value > 7, lambda q: q.value <= 7),
    "plus or minus": _split(Arithmetic, lambda q: q.sign == "plus", lambda q: q.sign == "minus"),
    "odd or even": _split(Arithmetic, lambda q: q.value % 2 == 1, lambda q: q.value % 2 == 0),
    "common or rare": _split(Fact, lambda q: q.hardness < 0.5, lambda q: q.hardness > 0.5),
}


def behaviours(seed: int) -> dict[str, Behaviour]:
    """Nine in ten of the smaller class, but at most 36, and as many of the other."""
    made = {}
    for name, (yes, no) in CLASSES.items():
        pen = dice(seed, f"019/{name}")
        size = min(MOST, 9 * min(len(yes), len(no)) // 10)
        asked = [f"{ask} ?" for ask in pen.sample(yes, size) + pen.sample(no, size)]
        prompts = [prompt_ids(CHAT.vocabulary, text) for text in asked]
        signs = torch.tensor([1.0] * size + [-1.0] * size)
        made[name] = Behaviour(Rows.of(prompts, [WORDS[:1]] * len(prompts)), signs)
    count(labels=sum(len(behaviour.signs) for behaviour in made.values()))
    return made


def features(policy: Policy, behaviour: Behaviour) -> Tensor:
    """Hidden states after the last norm, where the answer begins: (n, width)."""
    rows = behaviour.rows
    return policy.hidden(rows.ids, rows.attention_mask, keep=rows.ids == SEP)


def words(policy: Policy, hidden: Tensor) -> Tensor:
    """log pi of "sure" and of "silly": (n, 2)."""
    return policy.unembed(hidden).log_softmax(-1)[:, WORDS]


def dpo_losses(logps: Tensor, reference: Tensor, signs: Tensor) -> Tensor:
    """DPO's loss of every statement, its preferred word against the other: (n,)."""
    order = torch.stack([(signs < 0).long(), (signs > 0).long()], 1)  # preferred, other
    chosen, rejected = logps.gather(1, order).T
    ref_chosen, ref_rejected = reference.gather(1, order).T
    return dpo(chosen, rejected, ref_chosen, ref_rejected, beta=BETA)
