"""The grammar of `chat`: what it says reads back, and what it does not say is nonsense."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
from chat_strategies import WORLD, dice, prompts, slots
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.chat.grammar import (
    ALSO,
    CLOSER_KINDS,
    HEDGED,
    OPENER_KINDS,
    REGISTER_KINDS,
    STYLES,
    Slots,
    bare,
    body,
    draw_slots,
    takes_register,
)
from minipref.data.chat.parse import parse
from minipref.data.chat.prompts import ChatPrompt
from minipref.data.chat.questions import Arithmetic, every_question
from minipref.data.chat.words import CLOSERS, HEDGE, ONES, OPENERS, VALUES, number
from minipref.data.streams import dice as dice_of

OPENER_OF = {phrase: kind for kind, phrases in OPENERS.items() for phrase in phrases} | {"": "none"}
CLOSER_OF = {phrase: kind for kind, phrases in CLOSERS.items() for phrase in phrases} | {"": "none"}
FRAMES = {
    " ".join(part for part in frame if part)
    for frame in product(OPENER_OF, ("", HEDGE), ("{}",), CLOSER_OF)
}


@given(prompts(), slots, dice, st.lists(st.booleans(), min_size=2, max_size=2))
def test_every_response_reads_back_to_its_slots_and_answers(prompt, chosen, roll, right):
    if chosen.style == "terse" or chosen.register != "plain":
        chosen = replace(chosen, reverse=False)  # bare answers are read in the order of questions
    answers = [q.answer(roll, ok) for q, ok in zip(prompt.questions, right, strict=False)]
    response = WORLD.say(prompt, answers, chosen)
    parsed = parse(prompt.questions, response)
    assert (parsed.opener, parsed.closer) == (OPENER_OF[chosen.opener], CLOSER_OF[chosen.closer])
    assert parsed.hedge == chosen.hedge
    assert parsed.words == len(response.split())
    assert len(parsed.parts) == len(answers)
    order = range(len(answers))
    for part, i in zip(parsed.parts, reversed(order) if chosen.reverse else order, strict=True):
        question, answer = prompt.questions[i], answers[i]
        register = chosen.register if takes_register(question, answer) else "plain"
        assert (part.question, part.answer, part.register) == (i, answer, register)
        assert part.correct == question.check(answer)
        assert (part.correct == 1.0) == right[i]
        assert part.explained == (chosen.style == "explained")
        short = chosen.style == "terse" or register != "plain" or bare(answer)
        assert part.style == ("explained" if part.explained else "terse" if short else "sentence")
        assert " ".join(response.split()[part.start : part.stop]) == answer


@given(prompts(), dice)
def test_a_demonstration_reads_back(prompt, roll):
    response = WORLD.demonstration(prompt, roll)
    parsed = parse(prompt.questions, response)
    assert sorted(part.question for part in parsed.parts) == list(range(len(prompt.questions)))
    assert said(prompt, parsed, response)


def said(prompt, parsed, response):
    """Can these parts, in some frame, be put together again to this response?"""
    forms = []
    for part in parsed.parts:
        question = prompt.questions[part.question]
        form = body(question, part.answer, Slots(style=part.style, register=part.register))
        because = f"because {question.reason(part.answer)}"
        forms.append([form, f"{part.answer} {because}"] if part.explained else [form])
    texts = [f" {ALSO} ".join(some) for some in product(*forms)]
    return any(text in response and response.replace(text, "{}", 1) in FRAMES for text in texts)


@given(prompts(), dice, st.data())
def test_what_reads_as_well_formed_is_what_the_grammar_says(prompt, roll, data):
    """Drop, replace, swap or cut words: what still parses can be put together from its parts."""
    words = WORLD.demonstration(prompt, roll).split()
    place = st.integers(0, len(words) - 1)
    i, j, change = data.draw(
        st.tuples(place, place, st.sampled_from(["drop", "put", "swap", "cut"]))
    )
    if change == "drop":
        del words[i]
    elif change == "cut":
        del words[i:]
    elif change == "swap":
        words[i], words[j] = words[j], words[i]
    else:
        words[i] = data.draw(st.sampled_from(WORLD.vocabulary.words[4:]))
    response = " ".join(words)
    parsed = parse(prompt.questions, response)
    if parsed is not None and all(part.question is not None for part in parsed.parts):
        assert said(prompt, parsed, response)


@given(prompts(kinds=["sum", "hard", "fact", "talk", "unsafe", "two_part"]), dice, slots)
def test_shuffled_words_are_nonsense(prompt, roll, chosen):
    """A sentence with a reason has one good order, up to numbers that change places."""
    answers = [question.answer(roll, True) for question in prompt.questions]
    words = WORLD.say(prompt, answers, replace(chosen, style="explained")).split()
    shuffled = roll.sample(words, len(words))
    parsed = parse(prompt.questions, " ".join(shuffled))
    names = [word for word in shuffled if word not in VALUES]
    assert parsed is None or names == [word for word in words if word not in VALUES]


@given(prompts(), dice, slots)
def test_a_response_cut_short_is_nonsense_or_says_less(prompt, roll, chosen):
    """It ends before a reason, another answer or a closer, or within numbers or a list."""
    answers = [question.answer(roll, True) for question in prompt.questions]
    words = WORLD.say(prompt, answers, chosen).split()
    for stop in range(len(words)):
        if parse(prompt.questions, " ".join(words[:stop])) is not None:
            assert words[stop] in (",", "because", "and", "plus", "minus", "times", *ONES)


def test_bare_answers_are_read_in_the_order_of_the_questions():
    prompt = ChatPrompt((Arithmetic(6, 3, "minus"), Arithmetic(5, 1, "plus")))
    for response, correct in (("three , also six", 1.0), ("six , also three", 0.0)):
        assert WORLD.scores(prompt, response)["correct"] == correct
    swapped = "five plus one is six , also six minus three is three"
    assert WORLD.scores(prompt, swapped)["correct"] == 1.0


@pytest.mark.parametrize("response", ["", ",", "because", "i think", "sure ,", ", thank you", "{}"])
def test_no_answer_is_nonsense(response):
    for question in every_question():
        assert parse((question,), response) is None


def test_slots_are_drawn_with_the_stated_probabilities():
    """20 000 draws: every share within five standard errors of its probability."""
    roll, n = dice_of(0, "test/slots"), 20_000
    drawn = [draw_slots(roll) for _ in range(n)]
    for share, found in (
        (STYLES, Counter(s.style for s in drawn)),
        (REGISTER_KINDS, Counter(s.register for s in drawn)),
        (OPENER_KINDS, Counter(OPENER_OF[s.opener] for s in drawn)),
        (CLOSER_KINDS, Counter(CLOSER_OF[s.closer] for s in drawn)),
        ({True: HEDGED, False: 1 - HEDGED}, Counter(s.hedge for s in drawn)),
    ):
        assert sum(share.values()) == pytest.approx(1)
        assert set(found) == set(share)
        for value, p in share.items():
            assert abs(found[value] / n - p) < 5 * (p * (1 - p) / n) ** 0.5
    assert not any(s.reverse for s in drawn)
    two = [draw_slots(roll, parts=2) for _ in range(1000)]
    assert {s.style for s in two} == {"terse", "sentence"}
    assert {s.reverse for s in two} == {True, False}


def test_numbers_have_one_name_each():
    assert len(VALUES) == 100
    assert all(VALUES[number(value)] == value for value in range(100))
    for value in (-1, 100):
        with pytest.raises(ValueError, match=f"value: expected 0 to 99, got {value}"):
            number(value)
