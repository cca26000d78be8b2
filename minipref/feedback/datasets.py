"""The small data sets under datasets/, made again byte for byte.

    minipref data make OUT

Prompts, responses and labels are drawn from named streams; numbers are rounded to six digits. The
datasheet beside the files (datasets/README.md) says what they are for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from ..data.bandit import Bandit
from ..data.batch import Batch
from ..data.chat import Chat, ChatPrompt
from ..data.corpora import CHAT, instruct_prompt
from ..data.jsonl import write
from ..data.reason import Reason
from ..data.records import Message, Pair, Point, Ranking, Record, points
from ..data.streams import dice, stream
from ..data.world import World
from ..losses import plackett_luce
from .annotators import Annotator, bt
from .rankings import PlackettLuce

SEED = 0
Ask = Callable[[random.Random], Any]  # draws a prompt
Respond = Callable[[Any, random.Random], str]  # draws a response to a prompt
Labelled = tuple[Any, str, str, dict[str, Any]]  # prompt, chosen, rejected, figures


def bandit_pairs(count: int = 240) -> Iterator[Pair]:
    """Uniform responses of a bandit with 4 prompts and 6 responses."""
    world = Bandit(prompts=4, responses=6, seed=SEED)
    responses = world.responses()

    def uniform(prompt: Any, dice: random.Random) -> str:
        return dice.choice(responses)

    return _pairs(_label(world, _asked(world), uniform, bt(world.reward), count, "bandit"))


def reason_pairs(count: int = 240) -> Iterator[Pair]:
    """Demonstrations of which every step slips with probability 0.35."""
    return _pairs(_reason(count, "reason"))


def reason_points(count: int = 240) -> Iterator[Point]:
    """The same kind of pairs, taken apart: chosen desirable, rejected undesirable."""
    return _points(_reason(count // 2, "reason-points"))


def chat_pairs(count: int = 240) -> Iterator[Pair]:
    """Demonstrations of the chat world, which are often wrong and seldom polite."""
    return _pairs(_chat(count, "chat"))


def chat_points(count: int = 240) -> Iterator[Point]:
    """Other pairs of the chat world, taken apart."""
    return _points(_chat(count // 2, "chat-points"))


def chat_conversations(count: int = 120) -> Iterator[Pair]:
    """Messages with roles: a wish is the system's, earlier turns are user's and assistant's."""
    for prompt, chosen, rejected, figures in _chat(count, "chat-conversations", instruct_prompt):
        better, worse = (Message("assistant", text) for text in (chosen, rejected))
        yield Pair(messages(prompt), (better,), (worse,), figures)


def chat_two_languages(count: int = 240) -> Iterator[Pair]:
    """Half of the prompts, with their responses, in the second language."""
    world = Chat(languages=2)
    name, annotator = "chat-two-languages", bt(world.reward)
    labelled = _label(world, _asked(world), world.demonstration, annotator, count, name)
    for prompt, chosen, rejected, figures in labelled:
        yield Pair(world.read(prompt), chosen, rejected, figures | {"language": prompt.language})


def chat_rankings(count: int = 120, length: int = 4) -> Iterator[Ranking]:
    """Different demonstrations, ranked by a Plackett-Luce annotator."""
    world, draw = CHAT, dice(SEED, "datasets/chat-rankings")
    prompts: list[ChatPrompt] = []
    responses: list[str] = []
    while len(prompts) < count * length:
        (prompt,) = world.prompts(1, draw)
        some = [world.demonstration(prompt, draw) for _ in range(length)]
        if len(set(some)) == length:
            prompts += [prompt] * length
            responses += some
    batch = Batch.of(world, prompts, responses, torch.arange(len(prompts)) // length)
    rng = stream(SEED, "datasets/chat-rankings/labels")
    rankings = PlackettLuce(world.reward).label(batch, rng).rankings
    assert rankings is not None
    for order in rankings.tolist():
        prompt, said = prompts[order[0]], [responses[row] for row in order]
        rewards = [world.reward(prompt, text) for text in said]
        surprise = plackett_luce(torch.tensor([rewards], dtype=torch.float64))  # (1,)
        figures = _about(prompt) | {
            "probability": round((-surprise).exp().item(), 6),
            "rewards": [round(reward, 6) for reward in rewards],
        }
        yield Ranking(prompt.text, tuple(said), figures)


FILES: dict[str, Callable[[], Iterator[Record]]] = {
    "bandit-pairs.jsonl": bandit_pairs,
    "reason-pairs.jsonl": reason_pairs,
    "reason-points.jsonl": reason_points,
    "chat-pairs.jsonl": chat_pairs,
    "chat-points.jsonl": chat_points,
    "chat-rankings.jsonl": chat_rankings,
    "chat-conversations.jsonl": chat_conversations,
    "chat-two-languages.jsonl": chat_two_languages,
}


def make(out_dir: str | Path) -> list[Path]:
    """Write every data set to `out_dir`, each file all or nothing, and return their paths."""
    paths = [Path(out_dir) / name for name in FILES]
    for path in paths:
        write(path, FILES[path.name]())
    return paths


def messages(prompt: ChatPrompt) -> tuple[Message, ...]:
    """A prompt of `chat` as a conversation that waits for the assistant."""
    turns = [Message("system", prompt.wish)] if prompt.wish else []
    for asked, answered in prompt.turns:
        turns += [Message("user", f"{asked} ?"), Message("assistant", answered)]
    asked = " ".join(f"{question.ask} ?" for question in prompt.questions)
    return (*turns, Message("user", asked))


def _asked(world: World) -> Ask:
    return lambda dice: world.prompts(1, dice)[0]


def _reason(count: int, name: str) -> Iterator[Labelled]:
    world = Reason()

    def slipping(prompt: Any, dice: random.Random) -> str:
        return world.demonstration(prompt, dice, corruption=0.35)

    return _label(world, _asked(world), slipping, bt(world.reward, 0.5), count, name)


def _chat(count: int, name: str, ask: Ask | None = None) -> Iterator[Labelled]:
    ask = ask or _asked(CHAT)
    return _label(CHAT, ask, CHAT.demonstration, bt(CHAT.reward), count, name)


def _pairs(labelled: Iterator[Labelled]) -> Iterator[Pair]:
    for prompt, chosen, rejected, figures in labelled:
        yield Pair(prompt.text, chosen, rejected, figures)


def _points(labelled: Iterator[Labelled]) -> Iterator[Point]:
    for pair in _pairs(labelled):
        yield from points(pair)


def _about(prompt: Any) -> dict[str, Any]:
    return {"kind": prompt.kind, "hardness": round(prompt.hardness, 6)}


def _label(
    world: World, ask: Ask, respond: Respond, annotator: Annotator, count: int, name: str
) -> Iterator[Labelled]:
    """Draw two different responses a prompt and have the annotator label them."""
    draw = dice(SEED, f"datasets/{name}")
    prompts: list[Any] = []
    responses: list[str] = []
    while len(prompts) < 2 * count:
        prompt = ask(draw)
        two = [respond(prompt, draw), respond(prompt, draw)]
        if two[0] != two[1]:
            prompts += [prompt, prompt]
            responses += two
    batch = Batch.of(world, prompts, responses, torch.arange(2 * count) // 2)
    labelled = annotator.label(batch, stream(SEED, f"datasets/{name}/labels"))
    assert labelled.pairs is not None
    for chosen, rejected in labelled.pairs.tolist():
        prompt, better, worse = prompts[chosen], responses[chosen], responses[rejected]
        figures = _about(prompt) | {
            "probability": round(annotator.probability(prompt, better, worse), 6),
            "reward_chosen": round(world.reward(prompt, better), 6),
            "reward_rejected": round(world.reward(prompt, worse), 6),
        }
        yield prompt, better, worse, figures
