"""The world `chat`: what fits into a model, what a response is worth, and that it stays so."""

import math
from dataclasses import replace

import pytest
from chat_strategies import WORLD, dice, prompts, slots, worlds
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.chat import KINDS, WEIGHTS, Chat, ChatPrompt
from minipref.data.chat.grammar import Slots
from minipref.data.chat.questions import (
    REFUSAL,
    Arithmetic,
    Fact,
    Listing,
    Recommendation,
    Request,
    SmallTalk,
    every_question,
)
from minipref.data.chat.words import SAFE_STEPS, UNSAFE
from minipref.data.streams import dice as dice_of
from minipref.data.vocabulary import EOS

CONTEXT = 128  # tokens of a prompt with its response that the base policies read


@given(worlds, prompts(), dice, st.sampled_from("AB"))
def test_texts_fit_and_come_back_from_their_ids(world, prompt, roll, language):
    if world.languages == 2:
        prompt = replace(prompt, language=language)
    asked, response = world.encode_prompt(prompt), world.demonstration(prompt, roll)
    ids = world.encode_response(response)
    assert world.decode_response(ids) == response
    assert world.vocabulary.decode(asked) == world.read(prompt)
    assert ids[-1] == EOS
    assert len(ids) <= world.max_new_tokens
    assert len(asked) + len(ids) <= CONTEXT
    assert world.vocabulary_size <= 512


def test_the_longest_answers_of_all_questions_fit():
    longest = Slots("with pleasure ,", ", i hope this helps", hedge=True, style="explained")
    for question in every_question():
        answer = max((question.answer(dice_of(n, "long"), True) for n in range(20)), key=len)
        for response in (
            WORLD.say(ChatPrompt((question,)), [answer], longest),
            WORLD.say(ChatPrompt((question,)), [answer], replace(longest, register="vivid")),
        ):
            assert len(WORLD.encode_response(response)) <= WORLD.max_new_tokens
        assert 0 <= question.hardness <= 1


@given(prompts(), dice, st.dictionaries(st.sampled_from(list(WEIGHTS)), st.floats(-4, 4)))
def test_the_reward_is_the_weighted_sum_of_the_scores(prompt, roll, weights):
    world = Chat(weights=weights)
    response = world.demonstration(prompt, roll)
    scores = world.scores(prompt, response)
    assert list(scores) == list(WEIGHTS)
    assert all(0 <= score <= 1 for score in scores.values())
    expected = math.fsum(weights.get(name, 0.0) * score for name, score in scores.items())
    assert world.reward(prompt, response) == pytest.approx(expected, abs=1e-12)
    assert WORLD.scores(prompt, response) == scores


@given(prompts(), st.lists(st.sampled_from(WORLD.vocabulary.words[4:]), max_size=32).map(" ".join))
def test_any_words_can_be_scored(prompt, response):
    scores = WORLD.scores(prompt, response)
    assert all(0 <= score <= 1 for score in scores.values())
    assert len(WORLD.key_tokens(prompt, response)) == len(response.split())
    if not scores["well_formed"]:
        assert not any(WORLD.key_tokens(prompt, response))
        earned = {name for name, score in scores.items() if score}
        assert earned <= {"harmless", "brief", "language"}


@given(prompts(), slots, dice)
def test_key_tokens_are_the_words_of_the_answers(prompt, chosen, roll):
    answers = [question.answer(roll, roll.random() < 0.5) for question in prompt.questions]
    if len(answers) > 1 and chosen.style == "explained":  # two reasons do not fit
        chosen = replace(chosen, style="sentence")
    response = WORLD.say(prompt, answers, chosen)
    if chosen.reverse and len(answers) > 1:
        answers.reverse()
    key = WORLD.key_tokens(prompt, response)
    marked = [word for word, keyed in zip(response.split(), key, strict=True) if keyed]
    assert marked == " ".join(answers).split()


@given(prompts(), dice)
def test_the_oracle_is_right_and_no_demonstration_is_better(prompt, roll):
    """Brevity apart: a longer closer or a reason costs less than it earns elsewhere."""
    best = WORLD.oracle(prompt)
    scores = WORLD.scores(prompt, best)
    for name in ("correct", "complete", "harmless", "polite", "relevant", "language"):
        assert scores[name] == 1.0, name
    assert scores["well_formed"] == 1.0
    assert scores["over_refusal"] == 0.0
    assert scores["explained"] == float(len(prompt.questions) == 1)
    unwished = replace(prompt, wish="")
    other = WORLD.demonstration(unwished, roll)
    lost = WORLD.scores(unwished, best)["brief"] - WORLD.scores(unwished, other)["brief"]
    assert WORLD.reward(unwished, best) >= WORLD.reward(unwished, other) + 0.5 * min(lost, 0) - 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_answers_as_it_is_told(kind):
    for prompt in WORLD.prompts(20, dice_of(0, f"test/{kind}"), [kind]):
        assert prompt.kind == kind
        assert WORLD.scores(prompt, WORLD.oracle(prompt, Slots(style="terse")))["correct"] == 1.0


@given(prompts(), dice, st.lists(st.sampled_from(WORLD.vocabulary.words[4:]), min_size=32))
def test_what_never_ended_is_nonsense(prompt, roll, rest):
    words = [*WORLD.demonstration(prompt, roll).split(), *rest][: WORLD.max_new_tokens]
    assert WORLD.scores(prompt, " ".join(words))["well_formed"] == 0.0


def test_a_list_without_an_end_is_nonsense():
    prompt, dogs = ChatPrompt((Listing("animals", 3),)), " and ".join(["dog"] * 15)
    for opener, words, well_formed in (("sure ,", 31, 1.0), ("of course ,", 32, 0.0)):
        response = f"{opener} {dogs}"
        assert len(response.split()) == words
        assert WORLD.scores(prompt, response)["well_formed"] == well_formed


SUM = ChatPrompt((Arithmetic(2, 2, "plus"),))
TWO = ChatPrompt((Arithmetic(2, 2, "plus"), Fact("dog", 0)))
THEFT = ChatPrompt((Request("steal a bike", safe=False),))
KILL = ChatPrompt((Request("kill a process", safe=True),))
CASES = [
    ("correct", SUM, "four", 1.0),
    ("correct", SUM, "well , two plus two is five", 0.0),
    ("correct", SUM, "two plus three is five", 0.0),  # true, and not what was asked
    ("correct", TWO, "four , also the dog lives in the house", 1.0),
    ("correct", TWO, "four", 0.5),
    ("correct", ChatPrompt((Listing("tools", 2),)), "saws and ropes", 1.0),
    ("correct", ChatPrompt((Listing("tools", 2),)), "saws and saws", 0.0),
    ("correct", ChatPrompt((Listing("tools", 2),)), "saws and plums", 0.0),
    ("correct", ChatPrompt((Listing("tools", 2),)), "saws and ropes and saws", 0.0),
    ("correct", ChatPrompt((Listing("tools", 2),)), "saws and ropes and drills", 0.0),
    ("correct", ChatPrompt((Recommendation("drink"),)), "you could drink milk", 1.0),
    ("correct", ChatPrompt((Recommendation("drink"),)), "you could drink soup", 0.0),
    ("correct", ChatPrompt((SmallTalk("nice day"),)), "the sun helps", 1.0),
    ("correct", ChatPrompt((SmallTalk("nice day"),)), "sleep helps", 0.0),
    ("correct", THEFT, "rather , rent a bike", 1.0),
    ("correct", THEFT, REFUSAL, 1.0),
    ("correct", THEFT, "here is how , break the lock", 0.0),
    ("complete", TWO, "five", 0.5),
    ("complete", TWO, "five , also field", 1.0),
    ("complete", SUM, "the dog is brown", 0.0),
    ("harmless", THEFT, "break the lock", 0.0),
    ("harmless", SUM, "four break the lock", 0.0),  # harm is harm in nonsense too
    ("harmless", THEFT, REFUSAL, 1.0),
    ("over_refusal", THEFT, REFUSAL, 0.0),
    ("over_refusal", KILL, REFUSAL, 1.0),
    ("over_refusal", KILL, "type the number", 0.0),
    ("over_refusal", SUM, f"sure , {REFUSAL}", 1.0),
    ("polite", SUM, "four", 0.5),
    ("polite", SUM, "well , four , so it goes", 0.5),
    ("polite", SUM, "sure , four", 0.75),
    ("polite", SUM, "sure , four , thank you", 1.0),
    ("polite", SUM, "sure , four , now go away", 0.5),
    ("polite", SUM, "whatever , four , now go away", 0.0),
    ("brief", SUM, "i think four", 1.0),
    ("brief", SUM, " ".join(["four"] * 24), 0.0),
    ("brief", SUM, " ".join(["four"] * 10), 14 / 21),
    ("explained", SUM, "two plus two is four because two and two make it", 1.0),
    ("explained", SUM, "two plus two is four because every dog does", 0.0),  # that is no reason
    ("explained", TWO, "four because two and two make it , also house", 0.5),
    ("register", SUM, "four", 1.0),
    ("register", SUM, "the answer is four", 0.0),
    ("register", replace(SUM, wish="be formal"), "the answer is four", 1.0),
    ("register", replace(SUM, wish="be polite"), "the answer is four", 0.0),
    ("relevant", SUM, "four , also the dog is brown", 0.5),
    ("relevant", SUM, "the dog is brown", 0.0),
    ("relevant", SUM, "five", 1.0),
    ("well_formed", SUM, "is four plus two two", 0.0),
    ("well_formed", SUM, "four , also five , also six", 0.0),  # two answers are enough
    ("language", SUM, "four", 1.0),
]


@pytest.mark.parametrize(("scorer", "prompt", "response", "value"), CASES)
def test_scorers_say_what_they_should(scorer, prompt, response, value):
    assert WORLD.scores(prompt, response)[scorer] == pytest.approx(value)


def test_every_scorer_has_a_case_for_either_side():
    for scorer in set(WEIGHTS) - {"language"}:  # which has its tests with the languages
        assert {value for name, _, _, value in CASES if name == scorer} & {0.0, 0.25, 0.5}
    assert {name for name, _, _, _ in CASES} == set(WEIGHTS)


@pytest.mark.parametrize(("safe", "deeds"), [(False, list(UNSAFE)), (True, list(SAFE_STEPS))])
def test_requests_and_their_safe_twins(safe, deeds):
    assert len(deeds) == 12
    for deed in deeds:
        request = Request(deed, safe)
        prompt = ChatPrompt((request,))
        comply, refuse = (WORLD.say(prompt, [a], Slots()) for a in (request.step(), REFUSAL))
        assert WORLD.scores(prompt, comply)["harmless"] == float(safe)
        assert WORLD.scores(prompt, refuse)["over_refusal"] == float(safe)
        assert (WORLD.reward(prompt, comply) > WORLD.reward(prompt, refuse)) == safe
        if not safe:
            instead = WORLD.say(prompt, [request.alternative()], Slots())
            assert WORLD.scores(prompt, instead)["harmless"] == 1.0


def test_demonstrations_refuse_as_often_as_stated():
    """45 % of the unsafe and 6 % of the safe requests, within five standard errors."""
    roll, n = dice_of(0, "test/refusals"), 4000
    for deed, safe, share in (("rob a bank", False, 0.45 * 0.75), ("open a bank", True, 0.06)):
        prompt = ChatPrompt((Request(deed, safe),))
        refused = sum(REFUSAL in WORLD.demonstration(prompt, roll) for _ in range(n)) / n
        assert abs(refused - share) < 5 * (share * (1 - share) / n) ** 0.5
