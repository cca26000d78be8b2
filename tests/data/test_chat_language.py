"""The second language of `chat`: a bijection of words, mixed as often as it should be."""

from dataclasses import replace

import pytest
from chat_strategies import WORLD, WORLDS, dice, prompts, slots
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.chat import Chat
from minipref.data.chat.language import DIGITS, MARKS, NAMES, SUFFIX, Lexicon
from minipref.data.chat.world import lexicon_words
from minipref.data.streams import dice as dice_of
from minipref.data.vocabulary import SEP

LEXICONS = [Lexicon(lexicon_words(), anchors) for anchors in (True, False)]
lexicons = st.sampled_from(LEXICONS)
texts = st.lists(st.sampled_from(lexicon_words()), max_size=20).map(" ".join)
bilingual = st.sampled_from([WORLDS["A and B"], WORLDS["A and B, apart"]])


@pytest.mark.parametrize("lexicon", LEXICONS)
def test_every_word_has_one_word_in_b(lexicon):
    words = lexicon.words
    in_b = [lexicon.in_b(word) for word in words]
    assert len(set(in_b)) == len(words)
    assert [lexicon.in_a(word) for word in in_b] == list(words)
    same = {a for a, b in zip(words, in_b, strict=True) if a == b}
    assert same == {w for w in words if w in MARKS | DIGITS | (NAMES if lexicon.anchors else set())}
    assert not set(in_b) - same & set(words)  # no word of B is another word of A
    assert all(lexicon.in_a(word + SUFFIX) == word + SUFFIX for word in same)


@given(lexicons, texts, dice)
def test_a_text_in_b_or_in_both_comes_back(lexicon, text, roll):
    assert lexicon.in_a(lexicon.in_b(text)) == text
    assert lexicon.in_a(lexicon.mixed(text, roll)) == text
    assert lexicon.in_a(text) == text
    assert lexicon.in_b(lexicon.in_a(lexicon.in_b(text))) == lexicon.in_b(text)


@given(lexicons, texts, st.data())
def test_fidelity_is_the_share_of_own_words(lexicon, text, data):
    words = text.split()
    flips = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    mixed = [lexicon.in_b(w) if flip else w for w, flip in zip(words, flips, strict=True)]
    own = [flip for word, flip in zip(words, flips, strict=True) if not lexicon.shared(word)]
    in_b = sum(own) / len(own) if own else 1.0
    in_a = 1 - in_b if own else 1.0
    assert lexicon.fidelity(" ".join(mixed), "B") == pytest.approx(in_b)
    assert lexicon.fidelity(" ".join(mixed), "A") == pytest.approx(in_a)


@given(bilingual, prompts(), slots, dice)
def test_both_languages_are_worth_the_same(world, prompt, chosen, roll):
    answers = [question.answer(roll, roll.random() < 0.5) for question in prompt.questions]
    in_b = replace(prompt, language="B")
    a, b = world.say(prompt, answers, chosen), world.say(in_b, answers, chosen)
    assert world.scores(prompt, a) == world.scores(in_b, b) == WORLD.scores(prompt, a)
    assert world.key_tokens(prompt, a) == world.key_tokens(in_b, b)
    crossed = world.scores(in_b, a)
    assert crossed | {"language": 1.0} == world.scores(in_b, b)
    assert crossed["language"] == world.lexicon.fidelity(a, "B")
    assert world.lexicon.in_a(world.read(in_b)) == world.read(prompt)


@pytest.mark.parametrize("code_mix", [0.0, 0.4, 1.0])
def test_lines_are_mixed_as_often_as_stated(code_mix):
    """A line is mixed when its prompt holds own words of both languages."""
    world, n = Chat(languages=2, code_mix=code_mix), 3000
    found = mixed = 0
    for asked, _ in world.lines(n, dice_of(0, "test/lines")):
        assert asked[-1] == SEP
        shares = [world.lexicon.fidelity(world.vocabulary.decode(asked), x) for x in "AB"]
        assert sum(shares) == pytest.approx(1)
        found += 1
        mixed += 0 < shares[0] < 1
    assert found == n
    # a mixed line of k own words looks pure with probability 2 ** (1 - k), and k is at least 3
    assert mixed / n <= code_mix + 5 * (code_mix * (1 - code_mix) / n) ** 0.5
    assert mixed / n >= 0.75 * code_mix - 5 * (code_mix * (1 - code_mix) / n) ** 0.5


def test_half_of_the_prompts_are_in_b_and_none_in_a_world_of_one_language():
    n = 4000
    drawn = WORLDS["A and B"].prompts(n, dice_of(0, "test/languages"))
    assert abs(sum(prompt.language == "B" for prompt in drawn) / n - 0.5) < 5 * (0.25 / n) ** 0.5
    assert {prompt.language for prompt in WORLD.prompts(100, dice_of(0, "x"))} == {"A"}


def test_one_language_knows_no_word_of_b():
    with pytest.raises(ValueError, match=f"'dog{SUFFIX}' is not among"):
        WORLD.encode_response(f"dog{SUFFIX}")
    assert len(WORLDS["A and B"].vocabulary) < len(WORLDS["A and B, apart"].vocabulary) <= 512
