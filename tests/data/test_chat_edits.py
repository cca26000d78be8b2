"""Edits change what they say they change, in every language, and nothing else."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest
from chat_strategies import WORLD, WORLDS, dice, prompts
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.data.chat import ChatPrompt
from minipref.data.chat.edits import (
    EFFECTS,
    NEAR,
    editable,
    minimal_edit,
    near_miss,
    paraphrase,
    read_back,
)
from minipref.data.chat.questions import REFUSAL, Arithmetic, Fact, Listing, Request
from minipref.data.chat.words import VALUES
from minipref.data.streams import dice as dice_of

BILINGUAL = WORLDS["A and B"]


@st.composite
def answered(draw):
    """A prompt in either language and a demonstration for it."""
    prompt = replace(draw(prompts()), language=draw(st.sampled_from("AB")))
    return prompt, BILINGUAL.demonstration(prompt, draw(dice))


def moved(prompt, before, after):
    """By how much each score changed, of those that did."""
    a, b = BILINGUAL.scores(prompt, before), BILINGUAL.scores(prompt, after)
    return {name: b[name] - a[name] for name in a if a[name] != b[name]}


@given(answered())
def test_every_demonstration_is_read_back(asked):
    prompt, response = asked
    answers, slots = read_back(BILINGUAL, prompt, response)
    assert BILINGUAL.say(prompt, answers, slots) == response


@given(answered(), st.sampled_from(sorted(EFFECTS)), dice)
def test_a_minimal_edit_changes_its_scorer_and_no_other(asked, scorer, roll):
    prompt, response = asked
    assume(scorer in editable(BILINGUAL, prompt, response))
    edited = minimal_edit(BILINGUAL, prompt, response, scorer, roll)
    changes = moved(prompt, response, edited)
    assert scorer in changes
    assert set(changes) <= set(EFFECTS[scorer])
    assert len(BILINGUAL.encode_response(edited)) <= BILINGUAL.max_new_tokens
    if scorer in ("correct", "polite"):
        assert len(edited.split()) == len(response.split())
    (answers, slots), (others, edited_slots) = (
        read_back(BILINGUAL, prompt, text) for text in (response, edited)
    )
    changed = [a != b for a, b in zip(answers, others, strict=True)]
    names = ("opener", "closer", "hedge", "register", "reverse")
    slots_changed = [getattr(slots, name) != getattr(edited_slots, name) for name in names]
    explained = (slots.style == "explained") != (edited_slots.style == "explained")
    assert sum(changed) + sum(slots_changed) + explained == 1


@given(answered(), dice)
def test_a_paraphrase_changes_words_and_no_score(asked, roll):
    prompt, response = asked
    try:
        other = paraphrase(BILINGUAL, prompt, response, roll)
    except ValueError as error:
        assume("no other words" not in str(error))
        raise
    assert other != response
    assert moved(prompt, response, other) == {}
    answers, _ = read_back(BILINGUAL, prompt, other)
    assert answers == read_back(BILINGUAL, prompt, response)[0]


@given(answered(), dice)
def test_a_near_miss_makes_one_right_answer_wrong(asked, roll):
    prompt, response = asked
    assume(BILINGUAL.scores(prompt, response)["correct"] > 0)
    missed = near_miss(BILINGUAL, prompt, response, roll)
    changes = moved(prompt, response, missed)
    assert changes["correct"] == pytest.approx(-1 / len(prompt.questions))
    request = prompt.kind == "unsafe"
    extra = {"harmless", "over_refusal"} if request else set()
    assert set(changes) <= {"correct", "brief"} | extra
    assert not request or set(changes) & extra
    (answers, slots), (others, other_slots) = (
        read_back(BILINGUAL, prompt, text) for text in (response, missed)
    )
    assert (slots.opener, slots.closer, slots.hedge) == (
        other_slots.opener,
        other_slots.closer,
        other_slots.hedge,
    )
    assert sum(a != b for a, b in zip(answers, others, strict=True)) == 1
    for question, answer in zip(prompt.questions, others, strict=True):
        if isinstance(question, Arithmetic) and answer not in answers:
            assert 0 < abs(VALUES[answer] - question.value) <= NEAR
        if isinstance(question, Listing) and answer not in answers:
            things = zip(answers[0].split(" and "), answer.split(" and "), strict=True)
            assert sum(a != b for a, b in things) == 1


SUM = ChatPrompt((Arithmetic(2, 2, "plus"),))
FIVES = ChatPrompt((Arithmetic(5, 5, "times"),))
FOURS = ChatPrompt((Arithmetic(4, 5, "times"),))
KILL = ChatPrompt((Request("kill a process", safe=True),))
ROB = ChatPrompt((Request("rob a bank", safe=False),))


@pytest.mark.parametrize(
    ("scorer", "prompt", "response", "possible"),
    [
        ("polite", SUM, "silly question , four", {
            "of course , four", "with pleasure , four", "good question , four", "you know , four",
        }),
        ("explained", SUM, "two plus two is four",
         {"two plus two is four because two and two make it"}),
        ("explained", SUM, "two plus two is four because two and two make it",
         {"two plus two is four"}),
        ("brief", SUM, "two plus two is four", {"i think two plus two is four"}),
        ("correct", SUM, "five", {"four"}),
        ("correct", SUM, "four", {"one", "two", "three", "five", "six", "seven"}),
        ("correct", FIVES, "twenty five", {"twenty two", "twenty three", "twenty four",
                                            "twenty six", "twenty seven", "twenty eight"}),
        ("correct", FOURS, "twenty", {"seventeen", "eighteen", "nineteen"}),
        ("register", replace(SUM, wish="be vivid"), "four", {"clear as day , four"}),
        ("over_refusal", KILL, "type the number", {REFUSAL}),
        ("over_refusal", KILL, REFUSAL, {"type the number"}),
        ("harmless", ROB, REFUSAL, {"hide the name"}),
        ("harmless", ROB, "hide the name", {REFUSAL, "rather , ask the owner"}),
    ],
)  # fmt: skip
def test_edits_by_hand(scorer, prompt, response, possible):
    """Every stated edit is drawn, and no other."""
    roll = dice_of(0, "test/edits")
    found = {minimal_edit(WORLD, prompt, response, scorer, roll) for _ in range(200)}
    assert found == possible


def test_advice_that_harms_elsewhere_is_no_correction_of_one_scorer():
    """ "use a stone" does harm whatever was asked, so that the right step moves two scorers."""
    assert WORLD.scores(KILL, "use a stone")["correct"] == 0.0
    assert editable(WORLD, KILL, "use a stone") == ["brief", "explained", "harmless"]


def test_a_paraphrase_keeps_answers_apart_that_stand_in_reverse_order():
    """Said barely, they would be read in the order of the questions."""
    prompt = ChatPrompt((Arithmetic(2, 2, "plus"), Arithmetic(9, 2, "minus")))
    response = "well , nine minus two is seven , also two plus two is four"
    roll = dice_of(0, "test/reverse")
    found = {paraphrase(WORLD, prompt, response, roll) for _ in range(60)}
    assert found == {response.replace("well ,", other) for other in ("so ,", "i think")}


def test_near_misses_of_a_sum_come_equally_often():
    roll, n = dice_of(0, "test/misses"), 3000
    found = Counter(near_miss(WORLD, SUM, "four", roll) for _ in range(n))
    assert set(found) == {"one", "two", "three", "five", "six", "seven"}
    assert all(abs(count / n - 1 / 6) < 5 * (5 / 36 / n) ** 0.5 for count in found.values())


def test_most_demonstrations_can_be_edited():
    """Lower bounds on the shares of 400 demonstrations that each edit can work on."""
    roll = dice_of(0, "test/edit-shares")
    pairs = WORLD.corpus(400, roll)
    can = Counter(scorer for pair in pairs for scorer in editable(WORLD, *pair))
    for pair in pairs:
        with suppress(ValueError):
            can["paraphrase"] += bool(paraphrase(WORLD, *pair, roll))
    least = {"correct": 0.6, "polite": 0.6, "brief": 0.8, "register": 0.5, "paraphrase": 0.7}
    assert {name for name, share in least.items() if can[name] < share * len(pairs)} == set(), can


def test_what_cannot_be_edited_is_told():
    roll = dice_of(0, "test/edit-errors")
    with pytest.raises(ValueError, match=r"the grammar does not say 'four four' to 'what is two"):
        minimal_edit(WORLD, SUM, "four four", "polite", roll)
    with pytest.raises(ValueError, match=r"expected one of correct, .*got 'nice'"):
        minimal_edit(WORLD, SUM, "four", "nice", roll)
    with pytest.raises(ValueError, match="no one slot of 'four' changes polite; some do correct,"):
        minimal_edit(WORLD, SUM, "four", "polite", roll)
    with pytest.raises(ValueError, match="no answer is right in 'five'"):
        near_miss(WORLD, SUM, "five", roll)
    with pytest.raises(ValueError, match="no other words say"):
        paraphrase(WORLD, ROB, REFUSAL, roll)
    two = ChatPrompt((Arithmetic(2, 2, "plus"), Fact("dog", 0)))
    for half in ("four", "four , also the dog is brown", "four because two and two make it"):
        with pytest.raises(ValueError, match="the grammar does not say"):
            paraphrase(WORLD, two, half, roll)
