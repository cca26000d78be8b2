"""What the base policies learn from: lines of (prompt ids, response ids), one function a base."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from .chat import Chat
from .chat.grammar import Slots
from .chat.prompts import WISHES, ChatPrompt, two_turns, with_demonstrations, with_notes, with_wish
from .chat.world import may_wish
from .reason import Reason
from .retrieve.conflicts import CELLS, CONFLICTS, EVERYTHING, Part, conflict, question
from .retrieve.facts import ENTITIES, RELATIONS, STRANGERS, TYPES, Fact
from .retrieve.questions import RetrievePrompt, ask
from .retrieve.world import Retrieve
from .vocabulary import prompt_ids, response_ids

Line = tuple[list[int], list[int]]

CHAT = Chat()
TWO_LANGUAGES = Chat(languages=2)
APART = Chat(languages=2, code_mix=0.0)
REASON = Reason(steps=3)
RETRIEVE = Retrieve()
PLAIN = Slots()


def encode(world: Chat, pairs: list[tuple[ChatPrompt, str]]) -> list[Line]:
    return [(world.encode_prompt(p), world.encode_response(text)) for p, text in pairs]


def chat(count: int, dice: random.Random) -> list[Line]:
    """Questions of every kind, answered as people of this world do."""
    return CHAT.lines(count, dice)


def two_languages(count: int, dice: random.Random) -> list[Line]:
    """Both languages, 40 % of the lines mixed word by word, names shared."""
    return TWO_LANGUAGES.lines(count, dice)


def two_languages_apart(count: int, dice: random.Random) -> list[Line]:
    """Both languages, no line mixed: what is left to carry a preference over is the names."""
    return APART.lines(count, dice)


def instruct_prompt(dice: random.Random) -> ChatPrompt:
    """A question under a wish, or with demonstrations, or in a second turn, or as it is."""
    prompt = CHAT.prompts(1, dice)[0]
    roll = dice.random()
    if roll < 0.65 and may_wish(prompt):
        return with_wish(prompt, dice.choice(list(WISHES)))
    if roll < 0.75 and len(prompt.questions) == 1:
        return with_demonstrations(dice, prompt, dice.randrange(1, 3))
    return two_turns(dice) if roll < 0.85 else prompt


def instruct(count: int, dice: random.Random) -> list[Line]:
    """Wishes before the question, obeyed in 85 % of the lines; some earlier turns."""
    prompts = [instruct_prompt(dice) for _ in range(count)]
    return encode(CHAT, [(prompt, CHAT.demonstration(prompt, dice)) for prompt in prompts])


def reader_prompt(dice: random.Random) -> ChatPrompt:
    """One to three notes and a question that they answer; the notes decide, not the world."""
    return with_notes(dice, dice.randrange(1, 4))


def reader(count: int, dice: random.Random) -> list[Line]:
    """Notes with a question, always answered as the notes say; a fifth is ordinary chat."""
    pairs = []
    for _ in range(count):
        if dice.random() < 0.2:
            prompt = CHAT.prompts(1, dice)[0]
            pairs.append((prompt, CHAT.demonstration(prompt, dice)))
        else:
            prompt = reader_prompt(dice)
            answers = [question.answer(dice, True) for question in prompt.questions]
            slots = replace(PLAIN, style=dice.choice(("terse", "sentence")))
            pairs.append((prompt, CHAT.say(prompt, answers, slots)))
    return encode(CHAT, pairs)


def reason(count: int, dice: random.Random) -> list[Line]:
    """Sums of several steps, worked out; a step in five goes wrong."""
    prompts = REASON.prompts(count, dice)
    return [
        (REASON.encode_prompt(p), REASON.encode_response(REASON.demonstration(p, dice, 0.2)))
        for p in prompts
    ]


def judge_text(prompt: ChatPrompt, a: str, b: str) -> str:
    """What the judge reads: a question and two answers to it."""
    return f"{CHAT.read(prompt)} one : {a} . two : {b} ."


def judge(count: int, dice: random.Random) -> list[Line]:
    """Comparisons: two answers to a question, and which one a Bradley-Terry reader preferred."""
    lines = []
    for prompt in CHAT.prompts(count, dice):
        a, b = CHAT.demonstration(prompt, dice), CHAT.demonstration(prompt, dice)
        margin = CHAT.reward(prompt, a) - CHAT.reward(prompt, b)
        first = dice.random() < 1 / (1 + math.exp(-2 * margin))
        asked = prompt_ids(CHAT.vocabulary, judge_text(prompt, a, b))
        lines.append((asked, response_ids(CHAT.vocabulary, "one" if first else "two")))
    return lines


ABOUT_STRANGERS = Part(
    tuple(stranger for members in STRANGERS.values() for stranger in members), EVERYTHING.relations
)


def few_hops(dice: random.Random) -> int:
    return 2 if dice.random() < 0.2 else 1


def stranger_prompt(dice: random.Random) -> RetrievePrompt:
    """A question on one of up to three strangers, of whom only notes and assumptions can tell."""
    subject, relations = question(ABOUT_STRANGERS, dice, few_hops(dice))
    (others,) = dice.choices((0, 1, 2), (4, 5, 1))
    asked = [(subject, relations[0])]
    for other in dice.sample([s for s in ABOUT_STRANGERS.entities if s != subject], others):
        asked.append((other, dice.choice(list(RELATIONS[TYPES[other]]))))
    assumptions: list[Fact] = []
    notes: list[Fact] = []
    for who, relation in asked:
        fact = Fact(who, relation, dice.choice(ENTITIES[RELATIONS[TYPES[who]][relation]]))
        dice.choice((assumptions, notes)).append(fact)
    return ask(subject, relations, dice, assumptions=tuple(assumptions), notes=tuple(notes))


def retrieve(count: int, dice: random.Random) -> list[Line]:
    """Mostly notes on strangers: only they teach to read. Then facts by heart, and conflicts.

    In a conflict any of the sources is followed.
    """
    lines = []
    for _ in range(count):
        roll = dice.random()
        if roll < 0.6:
            prompt, source = stranger_prompt(dice), "instruction"
        else:
            cell = "memory" if roll < 0.88 else dice.choice(CONFLICTS)
            noise = 1 if dice.random() < 0.3 else 0
            prompt = conflict(RETRIEVE.memory, dice, cell=cell, hops=few_hops(dice), noise=noise)
            source = dice.choice(CELLS[cell])
        said = RETRIEVE.say(RETRIEVE.chains(prompt)[source])
        lines.append((RETRIEVE.encode_prompt(prompt), RETRIEVE.encode_response(said)))
    return lines
