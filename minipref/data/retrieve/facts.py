"""Facts about people, towns and firms, and how a question follows them hop by hop.

    the home of alba is ashford, and the mayor of ashford is corvo:
    the mayor of the home of alba is corvo

A source of knowledge is a map from (subject, relation) to object. Sources are asked in order, for
each hop anew: the first one that covers it decides, and the next hop goes on from there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from typing import NamedTuple

UNKNOWN = "unknown"  # what is said where no source covers a hop


class Fact(NamedTuple):
    subject: str
    relation: str
    object: str


Facts = Mapping[tuple[str, str], str]  # (subject, relation) -> object


def names(stems: str, endings: str) -> tuple[str, ...]:
    return tuple(stem + ending for stem, ending in product(stems.split(), endings.split()))


PEOPLE = "ba dine la mon na ra rik sta tin vo"
TOWNS = "by dale ford ham ley mouth port ston wick worth"
FIRMS = "co corp dyne gen lab max net soft tek works"
ENTITIES = {  # by type; all facts are about these
    "person": names("al bel", PEOPLE),
    "town": names("ash brook", TOWNS),
    "firm": names("acri bolti", FIRMS),
}
STRANGERS = {  # of whom nothing is known by heart
    "person": names("cor nil", PEOPLE),
    "town": names("clay glen", TOWNS),
    "firm": names("cora grano", FIRMS),
}
RELATIONS = {  # type of the subject -> relation -> type of the object
    "person": {"home": "town", "friend": "person", "employer": "firm"},
    "town": {"mayor": "person", "twin": "town", "mill": "firm"},
    "firm": {"owner": "person", "seat": "town", "rival": "firm"},
}
TYPES = {
    entity: kind
    for group in (ENTITIES, STRANGERS)
    for kind, members in group.items()
    for entity in members
}


def known_by_heart(dice: random.Random) -> dict[tuple[str, str], str]:
    """Every relation of every entity, objects drawn evenly; nobody is their own friend."""
    return {
        (subject, relation): dice.choice([e for e in ENTITIES[wanted] if e != subject])
        for kind, subjects in ENTITIES.items()
        for subject in subjects
        for relation, wanted in RELATIONS[kind].items()
    }


def follow(subject: str, relations: Sequence[str], *sources: Facts) -> tuple[str, ...]:
    """The object of every hop, each from the first source that covers it.

    Ends early, with UNKNOWN, at a hop that none covers.
    """
    chain: list[str] = []
    for relation in relations:
        subject = next(
            (source[subject, relation] for source in sources if (subject, relation) in source),
            UNKNOWN,
        )
        chain.append(subject)
        if subject == UNKNOWN:
            break
    return tuple(chain)


def edits(
    subject: str,
    relations: Sequence[str],
    hops: Collection[int],
    replace: Callable[[str], str],
    *sources: Facts,
) -> dict[tuple[str, str], str]:
    """Facts that differ from the sources at these hops, each on the chain that the last one made.

    The hops behind an edited one are not stated: they follow again from what lies below.

    Args:
        subject, relations: the question.
        hops: which of them to edit, from 0.
        replace: object that the sources give -> another one.
        sources: what holds without the edits.

    Raises: ValueError for a hop that the question has not, or that no source covers.
    """
    wrong = sorted(set(hops) - set(range(len(relations))))
    if wrong:
        raise ValueError(f"hops: expected 0 to {len(relations) - 1}, got {wrong}")
    made: dict[tuple[str, str], str] = {}
    for hop, relation in enumerate(relations):
        if hop in hops and (subject, relation) not in made:  # a chain may pass a fact twice
            (found,) = follow(subject, [relation], *sources)
            if found == UNKNOWN:
                raise ValueError(f"hops: no source says what the {relation} of {subject} is")
            made[subject, relation] = replace(found)
        (subject,) = follow(subject, [relation], made, *sources)
    return made
