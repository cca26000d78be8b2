"""Conflicts between sources of knowledge, made to order: the data method of paper 104.

A cell says which sources are at odds. For each question some hops are edited (at least one), what
follows from an edit follows again, and questions whose sources agree by accident are drawn anew:

    memory                  nothing is said about the question
    memory, context         a note contradicts what is known by heart
    memory, instruction     an assumption does
    context, instruction    notes say what is known by heart, an assumption contradicts them
    all three               a note contradicts what is known, and an assumption the note
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from .facts import ENTITIES, RELATIONS, TYPES, Fact, Facts, edits, follow
from .questions import WORDING, RetrievePrompt, Wording, ask, chains

CELLS = {  # cell: the sources that disagree, the one to be followed first
    "memory": ("memory",),
    "memory, context": ("context", "memory"),
    "memory, instruction": ("instruction", "memory"),
    "context, instruction": ("instruction", "context"),
    "all three": ("instruction", "context", "memory"),
}
CONFLICTS = tuple(cell for cell in CELLS if cell != "memory")
NOISE = (0, 1, 2, 3, 4)  # notes that have nothing to do with the question
KNOWN = tuple(entity for members in ENTITIES.values() for entity in members)
HELD_OUT = KNOWN[2::3]  # entities that are asked about in tests only
HELD_OUT_RELATIONS = frozenset({"employer", "twin", "owner"})  # one a type
EVERY_RELATION = frozenset(relation for group in RELATIONS.values() for relation in group)


@dataclass(frozen=True)
class Part:
    """What questions may be made of, so that those for training and for tests share little.

    entities   subjects of questions, and objects that edits put in
    relations  of questions, edits and noise
    wording    the phrases
    avoid      entities that no chain and no note may pass
    """

    entities: tuple[str, ...]
    relations: frozenset[str]
    wording: Wording = WORDING
    avoid: frozenset[str] = frozenset()


EVERYTHING = Part(KNOWN, EVERY_RELATION)
TRAIN = Part(
    tuple(entity for entity in KNOWN if entity not in HELD_OUT),
    EVERY_RELATION - HELD_OUT_RELATIONS,
    Wording(WORDING.notes[:2], WORDING.assumptions[:2], WORDING.asks[:1]),
    avoid=frozenset(HELD_OUT),
)
TEST = Part(
    HELD_OUT,
    HELD_OUT_RELATIONS,
    Wording(WORDING.notes[2:], WORDING.assumptions[2:], WORDING.asks[1:]),
)


def mixture(
    memory: Facts,
    count: int,
    dice: random.Random,
    *,
    part: Part = EVERYTHING,
    cells: Sequence[str] = tuple(CELLS),
    noise: Sequence[int] = NOISE,
    agree: bool = False,
) -> list[RetrievePrompt]:
    """Questions of one and two hops; cell, hops and number of noisy notes are drawn evenly."""
    return [
        conflict(
            memory,
            dice,
            cell=dice.choice(cells),
            hops=dice.randint(1, 2),
            noise=dice.choice(noise),
            part=part,
            agree=agree,
        )
        for _ in range(count)
    ]


def conflict(
    memory: Facts,
    dice: random.Random,
    *,
    cell: str,
    hops: int = 1,
    noise: int = 0,
    part: Part = EVERYTHING,
    agree: bool = False,
) -> RetrievePrompt:
    """A question of that cell: its sources lead to different answers, as CELLS says.

    Args:
        memory: what is known by heart.
        cell: a key of CELLS.
        hops: how many relations the question follows.
        noise: how many true notes about something else are put in.
        part: which entities, relations and phrases to use.
        agree: the same sentences without a conflict: every source says what is known by heart.

    Raises: ValueError for an unknown cell.
    """
    if cell not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {cell!r}")
    replace = (lambda found: found) if agree else partial(another, part=part, dice=dice)
    while True:
        subject, relations = question(part, dice, hops)
        context: Facts = {}
        instruction: Facts = {}
        if cell in ("memory, context", "all three"):
            context = edits(subject, relations, some_hops(hops, dice), replace, memory)
        if cell in ("memory, instruction", "context, instruction", "all three"):
            chosen = some_hops(hops, dice)
            instruction = edits(subject, relations, chosen, replace, context, memory)
        told = cell in ("memory, context", "context, instruction", "all three")
        notes = passed(subject, relations, context, memory) if told else ()
        assumptions = tuple(Fact(*key, found) for key, found in instruction.items())
        drawn = RetrievePrompt("", subject, relations, assumptions, notes)
        leads = chains(drawn, memory)
        busy = {subject, *(entity for chain in leads.values() for entity in chain)}
        busy |= {entity for fact in (*assumptions, *notes) for entity in (fact[0], fact[2])}
        answers = {leads[source][-1] for source in CELLS[cell]}
        if busy & part.avoid or (len(answers) < len(CELLS[cell]) and not agree):
            continue
        notes += distractors(memory, noise, dice, part, busy)
        words = part.wording
        return ask(
            subject,
            relations,
            dice,
            assumptions=assumptions,
            notes=notes,
            wording=words,
            cell=cell,
            noise=noise,
        )


def question(part: Part, dice: random.Random, hops: int) -> tuple[str, tuple[str, ...]]:
    """A subject and relations that fit each other's types."""
    subject = dice.choice(part.entities)
    kind, relations = TYPES[subject], []
    for _ in range(hops):
        relations.append(dice.choice([r for r in RELATIONS[kind] if r in part.relations]))
        kind = RELATIONS[kind][relations[-1]]
    return subject, tuple(relations)


def some_hops(hops: int, dice: random.Random) -> set[int]:
    """Which hops to edit: at least one, every number of them as likely."""
    return set(dice.sample(range(hops), dice.randint(1, hops)))


def another(found: str, part: Part, dice: random.Random) -> str:
    """Another entity of the same type."""
    kind = TYPES[found]
    return dice.choice([e for e in part.entities if TYPES[e] == kind and e != found])


def passed(subject: str, relations: Sequence[str], *sources: Facts) -> tuple[Fact, ...]:
    """The facts that a question passes on its way through these sources, each once."""
    chain = follow(subject, relations, *sources)
    facts = zip((subject, *chain), relations, chain, strict=False)
    return tuple(dict.fromkeys(Fact(*fact) for fact in facts))


def distractors(
    memory: Facts, count: int, dice: random.Random, part: Part, busy: Collection[str]
) -> tuple[Fact, ...]:
    """True notes about other entities: none names one that has to do with the question."""
    found: dict[Fact, None] = {}
    while len(found) < count:
        subject = dice.choice(KNOWN)
        relation = dice.choice(sorted(RELATIONS[TYPES[subject]].keys() & part.relations))
        fact = Fact(subject, relation, memory[subject, relation])
        if not {subject, fact.object} & {*busy, *part.avoid}:
            found[fact] = None
    return tuple(found)
