"""The `chat` world: questions, answers in sentences, and a reward that is known exactly."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

from ..streams import dice as dice_of
from ..vocabulary import WordVocabulary, prompt_ids, response_ids
from .grammar import ALSO, Slots, draw_slots, render, takes_register
from .language import MARKS, SUFFIX, Lexicon
from .parse import ANSWERS, Parsed, parse
from .prompts import KINDS, WISHES, ChatPrompt, draw_prompt
from .questions import Arithmetic, Request, every_question
from .scorers import SCORERS, WEIGHTS, brief, harmless
from .words import CATEGORIES, CLOSERS, HEDGE, ONES, OPENERS, REGISTERS, TENS

# How a demonstration is answered: what the base policies learn, with room above it.
CORRECT = 0.65  # of ordinary questions, and
CORRECT_SUMS = 0.85  # of arithmetic: a small model blurs neighbouring numbers by itself
REFUSED = {"unsafe": 0.45, "safe": 0.06}  # of unsafe requests, and of their safe twins
OBEYED = 0.85  # of the wishes


@cache
def lexicon_words() -> tuple[str, ...]:
    """Every word that a prompt or a response in A can hold, in a fixed order."""
    things = [thing for members in CATEGORIES.values() for thing in members]
    answers = [*sorted(ANSWERS), *things]
    texts = [*sorted(MARKS), *ONES, *TENS, *answers, *WISHES, ALSO, HEDGE, "it and because"]
    texts += [p for group in (OPENERS, CLOSERS) for phrases in group.values() for p in phrases]
    texts += [text.replace("{}", "") for text in REGISTERS.values()]
    for question in every_question():
        texts += [question.ask, question.before]
        texts += [question.reason(a) for a in answers if question.check(a) is not None]
    return tuple(dict.fromkeys(word for text in texts for word in text.split()))


@dataclass(frozen=True)
class Chat:
    """A world of short questions and answers in one or two languages.

    Args:
        languages: 1, or 2 for a second language with a suffix lexicon.
        code_mix: share of the corpus that mixes both languages word by word.
        anchors: are names and numbers the same in both?
        weights: the reward's weights by scorer; `scorers.WEIGHTS` by default.
    """

    languages: int = 1
    code_mix: float = 0.4
    anchors: bool = True
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)

    name = "chat"
    max_new_tokens = 32

    def __post_init__(self) -> None:
        if self.languages not in (1, 2):
            raise ValueError(f"languages: expected 1 or 2, got {self.languages}")
        if not 0 <= self.code_mix <= 1:
            raise ValueError(f"code_mix: expected a share from 0 to 1, got {self.code_mix}")
        unknown = sorted(set(self.weights) - set(WEIGHTS))
        if unknown:
            raise ValueError(f"weights: no scorer is called {unknown}; there are {list(WEIGHTS)}")
        lexicon = Lexicon(lexicon_words(), self.anchors)
        words = lexicon.words
        if self.languages == 2:
            words += tuple(word + SUFFIX for word in words if not lexicon.shared(word))
        object.__setattr__(self, "lexicon", lexicon)
        object.__setattr__(self, "vocabulary", WordVocabulary(words))
        object.__setattr__(self, "_parsed", lru_cache(65536)(self._parse))

    lexicon: Lexicon = field(init=False, repr=False, compare=False)
    vocabulary: WordVocabulary = field(init=False, repr=False, compare=False)

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary)

    # ---- text and ids ---------------------------------------------------------------------------

    def read(self, prompt: ChatPrompt) -> str:
        """The prompt's words in its own language."""
        return self.lexicon.in_b(prompt.text) if prompt.language == "B" else prompt.text

    def encode_prompt(self, prompt: ChatPrompt) -> list[int]:
        return prompt_ids(self.vocabulary, self.read(prompt))

    def encode_response(self, response: str) -> list[int]:
        return response_ids(self.vocabulary, response)

    def decode_response(self, ids: list[int]) -> str:
        return self.vocabulary.decode(ids)

    # ---- prompts and responses ------------------------------------------------------------------

    def prompts(
        self, count: int, dice: random.Random, kinds: Sequence[str] = KINDS
    ) -> list[ChatPrompt]:
        """`count` prompts, every kind equally often on average; in A, or in A and B by turns."""
        if not kinds:
            raise ValueError(f"kinds: expected some of {', '.join(KINDS)}, got none")
        drawn = []
        for _ in range(count):
            prompt = draw_prompt(dice, dice.choice(kinds))
            in_b = self.languages == 2 and dice.random() < 0.5
            drawn.append(replace(prompt, language="B") if in_b else prompt)
        return drawn

    def say(self, prompt: ChatPrompt, answers: list[str], slots: Slots) -> str:
        """The response with these answers and slots, in the prompt's language."""
        text = render(prompt.questions, answers, slots)
        return self.lexicon.in_b(text) if prompt.language == "B" else text

    def demonstration(self, prompt: ChatPrompt, dice: random.Random) -> str:
        """A response as people of this world write them: often right, sometimes obedient."""
        slots = draw_slots(dice, len(prompt.questions))
        if prompt.wish and dice.random() < OBEYED:
            slots = obey(prompt, slots, dice)
        answers = []
        for question in prompt.questions:
            share = CORRECT
            if isinstance(question, Request):
                refused = REFUSED["safe" if question.safe else "unsafe"]
                share = 1 - refused if question.safe else refused
            elif isinstance(question, Arithmetic):
                share = CORRECT_SUMS
            answers.append(question.answer(dice, dice.random() < share))
        return self.say(prompt, answers, slots)

    def oracle(self, prompt: ChatPrompt, slots: Slots | None = None) -> str:
        """A right and complete response; polite and explained unless `slots` says otherwise."""
        slots = slots or Slots("sure ,", ", i hope this helps", style=best_style(prompt))
        dice = dice_of(0, prompt.text)
        answers = [question.answer(dice, True) for question in prompt.questions]
        return self.say(prompt, answers, slots)

    def corpus(self, count: int, dice: random.Random) -> list[tuple[ChatPrompt, str]]:
        """Prompts with demonstrations, for supervised learning."""
        prompts = self.prompts(count, dice)
        return [(prompt, self.demonstration(prompt, dice)) for prompt in prompts]

    def lines(self, count: int, dice: random.Random) -> list[tuple[list[int], list[int]]]:
        """The corpus as ids of prompts and responses; `code_mix` of it in both languages."""
        encoded = []
        for prompt, response in self.corpus(count, dice):
            asked = self.read(prompt)
            if self.languages == 2 and dice.random() < self.code_mix:
                asked = self.lexicon.mixed(self.lexicon.in_a(asked), dice)
                response = self.lexicon.mixed(self.lexicon.in_a(response), dice)
            encoded.append((prompt_ids(self.vocabulary, asked), self.encode_response(response)))
        return encoded

    # ---- what a response is worth ---------------------------------------------------------------

    def _parse(self, prompt: ChatPrompt, response: str) -> Parsed | None:
        if len(response.split()) >= self.max_new_tokens:  # no room for <eos>: it never ended
            return None
        return parse(prompt.questions, self.lexicon.in_a(response))

    def parse(self, prompt: ChatPrompt, response: str) -> Parsed | None:
        """The response's slots and answers; None where the grammar cannot have made it."""
        return self._parsed(prompt, response)  # type: ignore[attr-defined]

    def scores(self, prompt: ChatPrompt, response: str) -> dict[str, float]:
        """Every scorer's value; nonsense has none but `harmless`, `brief` and `language`."""
        parsed, in_a = self.parse(prompt, response), self.lexicon.in_a(response)
        found = {
            "harmless": harmless(in_a),
            "brief": brief(response),
            "language": self.lexicon.fidelity(response, prompt.language),
        }
        if parsed is not None:
            found |= {name: scorer(prompt, parsed) for name, scorer in SCORERS.items()}
            found["well_formed"] = 1.0
        return {name: found.get(name, 0.0) for name in WEIGHTS}

    def reward(self, prompt: ChatPrompt, response: str) -> float:
        """The true reward: weights . scores."""
        scores = self.scores(prompt, response)
        return sum(weight * scores[name] for name, weight in self.weights.items())

    def key_tokens(self, prompt: ChatPrompt, response: str) -> list[bool]:
        """For every word of the response: does it belong to an answer? None do in nonsense."""
        parsed = self.parse(prompt, response)
        spans = [(part.start, part.stop) for part in parsed.parts] if parsed else []
        words = range(len(response.split()))
        return [any(start <= word < stop for start, stop in spans) for word in words]

    def page(self) -> str:
        """What the world is, in text: ten samples, the reward, what is exact."""
        dice = dice_of(0, "chat/page")
        lines = [
            "chat: short questions, answers in sentences, a reward that is known exactly",
            f"{len(KINDS)} kinds of prompt: {', '.join(KINDS)}",
            f"{self.vocabulary_size} words, responses of at most {self.max_new_tokens} tokens",
            "",
        ]
        for kind in [*KINDS, "fact", "unsafe"]:
            prompt = draw_prompt(dice, kind)
            response = self.demonstration(prompt, dice)
            lines.append(f"  {self.read(prompt)}")
            lines.append(f"      {response}   [{self.reward(prompt, response):.2f}]")
        terms = " ".join(f"{weight:+g} {name}" for name, weight in self.weights.items())
        lines += ["", f"reward = {terms}", "every scorer lies in [0, 1]", ""]
        lines += ["exact: scorers, reward, an annotator's probability, a slot's probability"]
        lines += ["sampled: anything averaged over a language model's responses"]
        return "\n".join(lines)


def best_style(prompt: ChatPrompt) -> str:
    """Explained, where there is room for it."""
    return "explained" if len(prompt.questions) == 1 else "sentence"


def obey(prompt: ChatPrompt, slots: Slots, dice: random.Random) -> Slots:
    """The slots, changed as far as the prompt's wish asks."""
    wanted = dict(WISHES[prompt.wish])
    for slot, phrases in (("opener", OPENERS), ("closer", CLOSERS)):
        if slot in wanted:
            wanted[slot] = dice.choice(phrases[wanted[slot]]) if wanted[slot] != "none" else ""
    if len(prompt.questions) > 1 and wanted.get("style") == "explained":
        wanted["style"] = "sentence"
    return replace(slots, **wanted)  # type: ignore[arg-type]


def may_wish(prompt: ChatPrompt) -> bool:
    """Can every wish be obeyed here? Chat and advice take no register."""
    return len(prompt.questions) == 1 and takes_register(prompt.questions[0], "")
