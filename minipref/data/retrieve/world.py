"""The `retrieve` world: questions on facts, with retrieved notes and with assumptions.

    officially the home of alba is ashford . suppose the mayor of ashford were belvo .
    what is the mayor of the home of alba ?
        ashford , so belvo

Three sources can answer: an assumption in the request, a note, and what is known by heart. The
right answer takes each hop from the first of them that covers it (paper 104). Where none does, it
is "unknown". An assumption says "were", a note "is", whatever phrase they open with.
"""

from __future__ import annotations

import random

from ..streams import dice as dice_of
from ..vocabulary import WordVocabulary, prompt_ids, response_ids
from .conflicts import mixture
from .facts import RELATIONS, TYPES, UNKNOWN, Facts, known_by_heart
from .questions import HOPS, WORDING, RetrievePrompt, chains

THEN = ", so"  # between the hops of a response
WEIGHTS = {"correct": 2.0, "steps_correct": 1.0, "well_formed": 1.0}


class Retrieve:
    """60 entities with three relations each, and 60 strangers of whom nothing is known.

    Args:
        memory: what is known by heart; by default the facts that the base `retrieve` has learned.
    """

    name = "retrieve"
    max_new_tokens = 3 * HOPS - 2 + 1  # <eos> included

    def __init__(self, memory: Facts | None = None) -> None:
        self.memory = known_by_heart(dice_of(0, "retrieve/facts")) if memory is None else memory
        self.weights = dict(WEIGHTS)  # of the scorers in the true reward
        relations = [relation for group in RELATIONS.values() for relation in group]
        phrases = [phrase for group in WORDING for phrase in group]
        texts = [*TYPES, *relations, *phrases, THEN, UNKNOWN, "the of is were . ?"]
        self.vocabulary = WordVocabulary(dict.fromkeys(w for text in texts for w in text.split()))
        self.vocabulary_size = len(self.vocabulary)

    def prompts(self, count: int, dice: random.Random) -> list[RetrievePrompt]:
        """Questions of one and two hops in every cell, with 0 to 4 notes that are noise."""
        return mixture(self.memory, count, dice)

    # ---- responses and what they are worth ------------------------------------------------------

    def chains(self, prompt: RetrievePrompt) -> dict[str, tuple[str, ...]]:
        """By source, the chain that it leads to with those below it; the first is the right one."""
        return chains(prompt, self.memory)

    def say(self, chain: tuple[str, ...]) -> str:
        """A chain as a response."""
        return f" {THEN} ".join(chain)

    def solution(self, prompt: RetrievePrompt) -> str:
        """The right response: instruction before context before memory, hop by hop."""
        return self.say(self.chains(prompt)["instruction"])

    def read(self, response: str) -> tuple[str, ...] | None:
        """The chain that a response states; None for anything else."""
        chain = tuple(response.split(f" {THEN} "))
        good = all(hop in TYPES for hop in chain[:-1]) and chain[-1] in {*TYPES, UNKNOWN}
        return chain if good else None

    def scores(self, prompt: RetrievePrompt, response: str) -> dict[str, float]:
        """correct: the last hop is right; steps_correct: share of the hops that are;
        well_formed: a chain of as many hops as were asked for, or one that ends in "unknown".
        """
        right, said = self.chains(prompt)["instruction"], self.read(response)
        asked = len(prompt.relations)
        if said is None or len(said) > asked or (len(said) < asked and said[-1] != UNKNOWN):
            return dict.fromkeys(WEIGHTS, 0.0)
        same = sum(ours == theirs for ours, theirs in zip(said, right, strict=False))
        return {
            "correct": float(said[-1] == right[-1]),
            "steps_correct": same / max(len(said), len(right)),
            "well_formed": 1.0,
        }

    def reward(self, prompt: RetrievePrompt, response: str) -> float:
        """weights . scores"""
        scores = self.scores(prompt, response)
        return sum(weight * scores[name] for name, weight in self.weights.items())

    # ---- text and ids ---------------------------------------------------------------------------

    def encode_prompt(self, prompt: RetrievePrompt) -> list[int]:
        return prompt_ids(self.vocabulary, prompt.text)

    def encode_response(self, response: str) -> list[int]:
        return response_ids(self.vocabulary, response)

    def decode_response(self, ids: list[int]) -> str:
        return self.vocabulary.decode(ids)

    def page(self) -> str:
        """What a person wants to know first: ten samples, the reward, and what is exact."""
        draw = dice_of(0, "retrieve/page")
        lines = [
            f"retrieve: {len(self.memory)} facts known by heart, notes and assumptions, "
            f"in {self.vocabulary_size} words"
        ]
        for prompt in self.prompts(10, draw):
            right = self.solution(prompt)
            lines += ["", f"  {prompt.text}", f"    {right}   [{self.reward(prompt, right):.2f}]"]
            others = {self.say(chain): name for name, chain in self.chains(prompt).items()}
            lines += [
                f"    {said}   [{self.reward(prompt, said):.2f}, {name}]"
                for said, name in others.items()
                if said != right
            ]
        formula = " + ".join(f"{weight} {name}" for name, weight in self.weights.items())
        return "\n".join(
            [
                *lines,
                "",
                f"reward   {formula}",
                "right    each hop from the instruction, else from a note, else known by heart",
                "hardness number of hops and of sentences",
                "exact    the right answer, each source's answer, reward, scores",
            ]
        )
