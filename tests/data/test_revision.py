"""A revision mends one failing, changes as little as that takes, and nothing else."""

import random

import pytest
import torch
from chat_strategies import WORLD, WORLDS, dice, prompts
from hypothesis import assume, given
from hypothesis import strategies as st

from minipref.data.batch import Batch
from minipref.data.chat.edits import read_back
from minipref.data.chat.grammar import Slots
from minipref.data.chat.words import CLOSERS, OPENERS
from minipref.data.curation.contrast import jaccard, levenshtein
from minipref.data.curation.revision import FAILINGS, clair, mends, revise

BILINGUAL = WORLDS["A and B"]
SCORERS = {  # what mending a failing may raise, and what it may cost
    "answer": ({"correct", "harmless"}, {"brief"}),
    "manner": ({"polite"}, {"brief"}),
    "reason": ({"explained"}, {"brief"}),
}
words = st.lists(st.sampled_from("abc"), max_size=5).map(" ".join)


@st.composite
def failing(draw, world=BILINGUAL):
    """A prompt, a response and what mends it, where something fails."""
    prompt = draw(prompts())
    response = world.demonstration(prompt, draw(dice))
    found = mends(world, prompt, response, draw(dice))
    assume(found)
    return prompt, response, found


@given(failing())
def test_a_mend_raises_its_scorer_and_costs_brevity_at_most(case):
    prompt, response, found = case
    before = BILINGUAL.scores(prompt, response)
    for name, texts in found.items():
        raised, lowered = SCORERS[name]
        for text in texts:
            after = BILINGUAL.scores(prompt, text)
            assert BILINGUAL.reward(prompt, text) > BILINGUAL.reward(prompt, response)
            assert any(after[scorer] > before[scorer] for scorer in raised)
            for scorer in set(before) - raised - lowered - {"over_refusal"}:
                # what is said in place of a refusal can take the register that it could not
                assert after[scorer] == before[scorer] or (name, scorer) == ("answer", "register")
            assert after["over_refusal"] <= before["over_refusal"]


@given(failing())
def test_a_mend_changes_one_slot_or_one_answer(case):
    prompt, response, found = case
    answers, slots = read_back(BILINGUAL, prompt, response)
    for name, texts in found.items():
        for text in texts:
            new_answers, new_slots = read_back(BILINGUAL, prompt, text)
            changed = sum(a != b for a, b in zip(answers, new_answers, strict=True))
            assert changed == (name == "answer")
            others = {key: (vars(slots)[key], vars(new_slots)[key]) for key in vars(slots)}
            moved = {key for key, (old, new) in others.items() if old != new}
            if name == "manner":
                assert moved in ({"opener"}, {"closer"})
            if name == "reason":
                assert moved <= {"style", "register"}
                assert "style" in moved


@given(failing(), dice)
def test_the_revision_is_the_nearest_of_what_mends_the_same_failing(case, roll):
    prompt, response, _ = case
    state = roll.getstate()
    found = mends(BILINGUAL, prompt, response, roll)
    roll.setstate(state)
    revised = revise(BILINGUAL, prompt, response, roll)
    distance = levenshtein(response, revised)
    of_the_same = [texts for texts in found.values() if revised in texts]
    assert len(of_the_same) == 1
    assert distance == min(levenshtein(response, text) for text in of_the_same[0])


@given(prompts(), dice)
def test_revising_again_and_again_ends_where_nothing_fails(prompt, roll):
    response = WORLD.demonstration(prompt, roll)
    for _ in range(12):
        if not mends(WORLD, prompt, response, roll):
            break
        response = revise(WORLD, prompt, response, roll)
    scores = WORLD.scores(prompt, response)
    assert scores["polite"] == 1.0
    assert scores["correct"] == 1.0
    assert scores["harmless"] == 1.0
    with pytest.raises(ValueError, match="nothing fails"):
        revise(WORLD, prompt, response, roll)


@given(prompts(), dice)
def test_every_failing_is_seen(prompt, roll):
    """Rude words around a wrong answer without a reason: all three fail, at most one is mended."""
    answers = [question.answer(roll, False) for question in prompt.questions]
    response = WORLD.say(prompt, answers, Slots(OPENERS["rude"][0], CLOSERS["rude"][0]))
    found = mends(WORLD, prompt, response, roll)
    assert list(found) == [name for name in FAILINGS if name != "reason" or len(answers) == 1]


@given(st.lists(st.tuples(prompts(), dice), min_size=2, max_size=4), dice)
def test_pairs_are_revision_and_original_and_nonsense_is_left_out(cases, roll):
    asked = [prompt for prompt, _ in cases]
    said = [WORLD.demonstration(prompt, pen) for prompt, pen in cases]
    said[0] = "because because"
    batch = Batch.of(WORLD, asked, said, torch.arange(len(said)))
    kept = [(p, r) for p, r in zip(asked, said, strict=True) if r != said[0]]
    kept = [(p, r) for p, r in kept if mends(WORLD, p, r, random.Random(0))]
    assume(kept)
    pairs = clair(WORLD, batch, roll)
    assert pairs.pairs.tolist() == [[2 * i, 2 * i + 1] for i in range(len(kept))]
    assert [*zip(pairs.prompts[1::2], pairs.responses[1::2], strict=True)] == kept
    for chosen, rejected in pairs.pairs.tolist():
        assert pairs.groups[chosen] == pairs.groups[rejected]
        assert pairs.prompts[chosen] == pairs.prompts[rejected]
        better = WORLD.reward(pairs.prompts[chosen], pairs.responses[chosen])
        assert better > WORLD.reward(pairs.prompts[rejected], pairs.responses[rejected])


def test_nothing_to_revise_is_an_error():
    (prompt,) = WORLD.prompts(1, random.Random(0))
    batch = Batch.of(WORLD, [prompt], ["because"], torch.arange(1))
    with pytest.raises(ValueError, match="none of the responses"):
        clair(WORLD, batch, random.Random(0))


@given(words, words, words)
def test_levenshtein_is_a_distance_of_words(a, b, c):
    assert (levenshtein(a, b) == 0) == (a == b)
    assert levenshtein(a, b) == levenshtein(b, a)
    assert levenshtein(a, c) <= levenshtein(a, b) + levenshtein(b, c)
    longer, shorter = max(len(a.split()), len(b.split())), min(len(a.split()), len(b.split()))
    assert longer - shorter <= levenshtein(a, b) <= longer


@given(words, st.integers(0, 5), st.sampled_from("abcd"))
def test_one_word_inserted_is_one_edit(a, at, word):
    longer = a.split()
    longer.insert(at, word)
    assert levenshtein(a, " ".join(longer)) == 1


@given(words, words)
def test_jaccard_knows_which_words_not_how_often(a, b):
    assert jaccard(a, b) == jaccard(b, a) == jaccard(f"{a} {a}", b)
    assert 0 <= jaccard(a, b) <= 1
    assert (jaccard(a, b) == 1) == (set(a.split()) == set(b.split()))


def test_worked_by_hand():
    assert jaccard("it is four", "it is five") == 0.5
    assert levenshtein("it is four", "it is five") == 1
    assert levenshtein("so , it is four", "it is four , thanks") == 4
    assert levenshtein("", "a b") == 2
    assert jaccard("", "") == 1.0
