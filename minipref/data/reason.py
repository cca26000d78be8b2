"""The reasoning world: short chains of arithmetic whose every step can be checked.

    eight , plus five , times three , what is it ?
    eight plus five is thirteen . thirteen times three is thirty nine . so thirty nine

All values lie between 1 and 99. Numbers are written in words ("thirty nine") or digit by digit
("3 9"): either way neighbouring numbers share tokens. The grammar of a well-formed response:

    response = ["okay ,"] (step ".") (step ".") ... ("so" | "so the answer is") number
    step     = number operation number "is" number

with one step for each operation of the prompt. The opener and the longer closer carry no value:
they are there so that length can move.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

from .notation import NOTATIONS
from .streams import dice
from .vocabulary import WordVocabulary, prompt_ids, response_ids

LIMIT = 99  # the largest value
OPERATIONS = {
    "plus": lambda a, b: a + b,
    "minus": lambda a, b: a - b,
    "times": lambda a, b: a * b,
}
GRAMMAR = ("is", ".", ",", "what", "it", "?", "so", "the", "answer", "okay")
OPENER = "okay ,"
CLOSERS = ("so", "so the answer is")
WEIGHTS = {"correct": 2.0, "steps_correct": 1.0, "well_formed": 1.0, "brief": 0.5}
SLIPS = (-10, -2, -1, 1, 2, 10)  # how far a wrong result lies from the right one


@dataclass(frozen=True)
class ReasonPrompt:
    """A chain of operations; `values` are the true running values, the start first."""

    text: str
    operations: tuple[tuple[str, int], ...]
    values: tuple[int, ...]

    @property
    def answer(self) -> int:
        return self.values[-1]

    @property
    def hardness(self) -> float:
        """Number of steps."""
        return float(len(self.operations))

    @property
    def kind(self) -> str:
        return f"{len(self.operations)}-step"


@dataclass(frozen=True)
class Step:
    """One sentence of a response.

    start, stop  its words in the response: words[start:stop], without the full stop
    follows      it takes up the value before it, uses the prompt's operation and computes it right
    correct      it follows and its values are the true ones: the process label. A step that
                 follows from a wrong value is not correct, and the fault is not its own.
    """

    text: str
    start: int
    stop: int
    result: int | None
    follows: bool
    correct: bool


class Reason:
    """Chains of 1 to `steps` operations.

    Args:
        steps: the longest chain.
        notation: "words" or "digits".
    """

    name = "reason"

    def __init__(self, steps: int = 3, notation: str = "words") -> None:
        if steps < 1:
            raise ValueError(f"steps: expected at least 1, got {steps}")
        if notation not in NOTATIONS:
            raise ValueError(f"notation: expected one of {sorted(NOTATIONS)}, got {notation!r}")
        self.steps = steps
        self.weights = dict(WEIGHTS)  # of the scorers in the true reward
        self.notation = NOTATIONS[notation]
        self.vocabulary = WordVocabulary([*self.notation.words, *OPERATIONS, *GRAMMAR])
        self.vocabulary_size = len(self.vocabulary)
        longest = len(OPENER.split()) + 8 * steps + len(CLOSERS[1].split()) + 2  # words
        self.max_new_tokens = longest + 1  # and <eos>

    # ---- prompts and demonstrations -------------------------------------------------------------

    def prompts(self, count: int, dice: random.Random) -> list[ReasonPrompt]:
        """Draw prompts; every number of steps is as likely."""
        return [self.prompt(dice, dice.randint(1, self.steps)) for _ in range(count)]

    def prompt(self, dice: random.Random, steps: int) -> ReasonPrompt:
        """Draw a chain of so many operations: operands 2 to 9, values 1 to 99."""
        values = [dice.randint(2, 19)]
        operations = []
        for _ in range(steps):
            possible = {
                name: [n for n in range(2, 10) if 1 <= apply(values[-1], n) <= LIMIT]
                for name, apply in OPERATIONS.items()
            }
            name = dice.choice([name for name in OPERATIONS if possible[name]])
            operand = dice.choice(possible[name])
            operations.append((name, operand))
            values.append(OPERATIONS[name](values[-1], operand))
        write = self.notation.write
        asked = "".join(f" , {name} {write(operand)}" for name, operand in operations)
        text = f"{write(values[0])}{asked} , what is it ?"
        return ReasonPrompt(text, tuple(operations), tuple(values))

    def solution(self, prompt: ReasonPrompt) -> str:
        """The shortest response that is right in every step."""
        return self._response(prompt, list(prompt.values))

    def solutions(self, prompt: ReasonPrompt) -> list[str]:
        """Every well-formed response that is right in every step: with each opener and closer."""
        return [
            opener + self._response(prompt, list(prompt.values), closer)
            for opener in ("", f"{OPENER} ")
            for closer in CLOSERS
        ]

    def demonstration(
        self, prompt: ReasonPrompt, dice: random.Random, corruption: float = 0.0
    ) -> str:
        """A well-formed response; each step slips with probability `corruption`.

        A slip makes the result 1, 2 or 10 too large or too small, and the rest goes on from there.
        Slips after which the chain would leave 0 to 99 are not made (if none is left, the step is
        right). Opener and closer are drawn with even chances.
        """
        if not 0 <= corruption <= 1:
            raise ValueError(f"corruption: expected a probability, got {corruption}")
        values = [prompt.values[0]]
        for position, (name, operand) in enumerate(prompt.operations):
            result = OPERATIONS[name](values[-1], operand)
            slips = [result + slip for slip in SLIPS]
            slips = [slip for slip in slips if _fits(slip, prompt.operations[position + 1 :])]
            if dice.random() < corruption and slips:
                result = dice.choice(slips)
            values.append(result)
        opener = dice.choice(["", f"{OPENER} "])
        return opener + self._response(prompt, values, dice.choice(CLOSERS))

    def _response(self, prompt: ReasonPrompt, values: list[int], closer: str = CLOSERS[0]) -> str:
        write = self.notation.write
        steps = [
            f"{write(left)} {name} {write(operand)} is {write(right)} . "
            for (left, right), (name, operand) in zip(
                pairwise(values), prompt.operations, strict=True
            )
        ]
        return f"{''.join(steps)}{closer} {write(values[-1])}"

    # ---- reading a response ---------------------------------------------------------------------

    def read(self, prompt: ReasonPrompt, response: str) -> list[Step]:
        """The steps of a response, or of the beginning of one: its finished sentences, in order."""
        words = response.split()
        at = 2 if words[:2] == OPENER.split() else 0
        steps: list[Step] = []
        before: int | None = prompt.values[0]
        while "." in words[at:]:
            stop = words.index(".", at)
            step = self._step(prompt, len(steps), before, words, at, stop)
            steps.append(step)
            before, at = step.result, stop + 1
        return steps

    def _step(
        self,
        prompt: ReasonPrompt,
        position: int,
        before: int | None,
        words: list[str],
        start: int,
        stop: int,
    ) -> Step:
        text = " ".join(words[start:stop])
        parsed = self._equation(words[start:stop])
        if parsed is None:
            return Step(text, start, stop, None, follows=False, correct=False)
        left, name, operand, result = parsed
        asked = position < len(prompt.operations) and prompt.operations[position] == (name, operand)
        follows = asked and left == before and result == OPERATIONS[name](left, operand)
        correct = follows and result == prompt.values[position + 1]
        return Step(text, start, stop, result, follows, correct)

    def _equation(self, words: list[str]) -> tuple[int, str, int, int] | None:
        """Read "number operation number is number"; None for anything else."""
        operation = next((i for i, word in enumerate(words) if word in OPERATIONS), None)
        if operation is None or "is" not in words[operation:]:
            return None
        equals = words.index("is", operation)
        read = self.notation.read
        left, operand = read(words[:operation]), read(words[operation + 1 : equals])
        result = read(words[equals + 1 :])
        if left is None or operand is None or result is None:
            return None
        return left, words[operation], operand, result

    def answer(self, response: str) -> int | None:
        """The number that the response ends in, behind "so"; None if there is none."""
        words = response.split()
        if "so" not in words:
            return None
        last = words[len(words) - 1 - words[::-1].index("so") :]
        return self.notation.read(last[4:] if last[:4] == CLOSERS[1].split() else last[1:])

    def key_tokens(self, prompt: ReasonPrompt, response: str) -> list[bool]:
        """Which words decide whether the response is right: the results, the answer included."""
        words = response.split()
        keys = [False] * len(words)
        spans = [(step.start, step.stop) for step in self.read(prompt, response)]
        for start, stop in spans:
            if "is" in words[start:stop]:
                first = words.index("is", start) + 1
                keys[first:stop] = [True] * (stop - first)
        for at in range(len(words) - 1, -1, -1):
            if words[at] not in self.notation.words:
                break
            keys[at] = True
        return keys

    # ---- scores ---------------------------------------------------------------------------------

    def scores(self, prompt: ReasonPrompt, response: str) -> dict[str, float]:
        """correct: the final answer; steps_correct: share of the prompt's steps that are;
        well_formed: parses by the grammar; brief: 1 for the shortest well-formed response.
        """
        steps = self.read(prompt, response)
        well_formed = self._well_formed(prompt, response, steps)
        shortest = len(self.solution(prompt).split())
        return {
            "correct": float(self.answer(response) == prompt.answer),
            "steps_correct": sum(step.correct for step in steps) / len(prompt.operations),
            "well_formed": float(well_formed),
            "brief": min(1.0, shortest / len(response.split())) if well_formed else 0.0,
        }

    def _well_formed(self, prompt: ReasonPrompt, response: str, steps: list[Step]) -> bool:
        if len(steps) != len(prompt.operations) or any(step.result is None for step in steps):
            return False
        words = response.split()
        closing = words[steps[-1].stop + 1 :]
        closers = [closer.split() for closer in CLOSERS]
        return any(
            closing[: len(closer)] == closer
            and self.notation.read(closing[len(closer) :]) is not None
            for closer in closers
        )

    def reward(self, prompt: ReasonPrompt, response: str) -> float:
        """weights . scores"""
        scores = self.scores(prompt, response)
        return sum(weight * scores[name] for name, weight in self.weights.items())

    # ---- text and ids ---------------------------------------------------------------------------

    def encode_prompt(self, prompt: ReasonPrompt) -> list[int]:
        return prompt_ids(self.vocabulary, prompt.text)

    def encode_response(self, response: str) -> list[int]:
        return response_ids(self.vocabulary, response)

    def decode_response(self, ids: list[int]) -> str:
        return self.vocabulary.decode(ids)

    def page(self) -> str:
        """What a person wants to know first: ten samples, the reward, and what is exact."""
        draw = dice(0, "reason/page")
        lines = [f"reason: chains of 1 to {self.steps} operations in {self.vocabulary_size} words"]
        for prompt in self.prompts(10, draw):
            response = self.demonstration(prompt, draw, corruption=0.3)
            labels = "".join("+" if step.correct else "-" for step in self.read(prompt, response))
            lines += ["", f"  {prompt.text}"]
            lines += [f"    {response}   [{labels}] {self.reward(prompt, response):.2f}"]
        formula = " + ".join(f"{weight} {name}" for name, weight in self.weights.items())
        return "\n".join(
            [
                *lines,
                "",
                f"reward   {formula}",
                "hardness number of steps",
                "exact    reward, scores, the label of every step, annotators",
            ]
        )


def _fits(value: int, operations: tuple[tuple[str, int], ...]) -> bool:
    """Whether a chain that goes on from `value` stays between 0 and 99."""
    for name, operand in (("plus", 0), *operations):
        value = OPERATIONS[name](value, operand)
        if not 0 <= value <= LIMIT:
            return False
    return True
