"""The reasoning world: its grammar, its labels, and that wrong steps are found."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.notation import NOTATIONS
from minipref.data.reason import OPERATIONS, Reason, ReasonPrompt

WORLDS = {name: Reason(notation=name) for name in NOTATIONS}
worlds = st.sampled_from(sorted(WORLDS)).map(WORLDS.get)
rolls = st.randoms(use_true_random=False)


@pytest.mark.parametrize("notation", NOTATIONS.values())
def test_numbers_come_back(notation):
    texts = [notation.write(number) for number in range(100)]
    assert len(set(texts)) == 100
    for number, text in enumerate(texts):
        assert notation.read(text.split()) == number
        assert set(text.split()) <= set(notation.words)
    for words in product(notation.words, repeat=2):  # what reads as a number is how it is written
        number = notation.read(words)
        assert number is None or texts[number] == " ".join(words)
    with pytest.raises(ValueError, match="expected 0 to 99, got 100"):
        notation.write(100)


@given(worlds, rolls, st.integers(1, 3))
def test_prompts_stay_in_range_and_say_what_they_ask(world, roll, steps):
    prompt = world.prompt(roll, steps)
    assert prompt.hardness == steps == len(prompt.operations)
    assert prompt.kind == f"{steps}-step"
    value = prompt.values[0]
    for (name, operand), after in zip(prompt.operations, prompt.values[1:], strict=True):
        value = OPERATIONS[name](value, operand)
        assert value == after
        assert f"{name} {world.notation.write(operand)}" in prompt.text
    assert value == prompt.answer
    assert all(1 <= value <= 99 for value in prompt.values)
    assert world.encode_prompt(prompt)[1:-1] == world.vocabulary.encode(prompt.text)


@given(worlds, rolls)
def test_a_solution_is_perfect(world, roll):
    prompt = world.prompts(1, roll)[0]
    solution = world.solution(prompt)
    assert set(world.scores(prompt, solution).values()) == {1.0}
    assert world.reward(prompt, solution) == sum(world.weights.values())
    assert all(step.correct and step.follows for step in world.read(prompt, solution))


@given(worlds, rolls, st.floats(0, 1))
def test_demonstrations_are_well_formed_and_fit(world, roll, corruption):
    prompt = world.prompts(1, roll)[0]
    text = world.demonstration(prompt, roll, corruption)
    scores = world.scores(prompt, text)
    assert scores["well_formed"] == 1.0
    ids = world.encode_response(text)
    assert len(ids) <= world.max_new_tokens
    assert world.decode_response(ids) == text
    steps = world.read(prompt, text)
    assert scores["steps_correct"] == sum(step.correct for step in steps) / len(steps)
    assert scores["correct"] == float(steps[-1].result == prompt.answer)
    if corruption == 0:
        assert scores["correct"] == 1.0


@given(worlds, rolls)
def test_labels_of_a_demonstration_follow_from_its_values(world, roll):
    prompt = world.prompt(roll, 3)
    steps = world.read(prompt, world.demonstration(prompt, roll, corruption=0.5))
    values = [prompt.values[0], *(step.result for step in steps)]
    for i, (step, (name, operand)) in enumerate(zip(steps, prompt.operations, strict=True)):
        assert step.follows == (values[i + 1] == OPERATIONS[name](values[i], operand))
        assert step.correct == (values[i : i + 2] == list(prompt.values[i : i + 2]))


@given(worlds, rolls, st.data())
def test_one_wrong_digit_is_found(world, roll, data):
    """Replace any one number word of a solution: some score must fall."""
    prompt = world.prompts(1, roll)[0]
    words = world.solution(prompt).split()
    at = data.draw(st.sampled_from([i for i, w in enumerate(words) if w in world.notation.words]))
    other = data.draw(st.sampled_from([w for w in world.notation.words if w != words[at]]))
    spoilt = " ".join([*words[:at], other, *words[at + 1 :]])
    assert world.reward(prompt, spoilt) < world.reward(prompt, world.solution(prompt))
    scores = world.scores(prompt, spoilt)
    if world.key_tokens(prompt, world.solution(prompt))[at]:
        assert min(scores["correct"], scores["steps_correct"], scores["well_formed"]) < 1


@given(worlds, rolls, st.data())
def test_any_words_can_be_scored(world, roll, data):
    prompt = world.prompts(1, roll)[0]
    words = st.sampled_from(world.vocabulary.words[4:])
    text = " ".join(data.draw(st.lists(words, max_size=world.max_new_tokens)))
    scores = world.scores(prompt, text)
    assert set(scores) == set(world.weights)
    assert all(0 <= score <= 1 for score in scores.values())
    assert len(world.key_tokens(prompt, text)) == len(text.split())
    for step in world.read(prompt, text):
        assert step.text == " ".join(text.split()[step.start : step.stop])


@given(worlds, rolls, st.data())
def test_what_never_ended_is_not_well_formed(world, roll, data):
    prompt = world.prompt(roll, world.steps)
    words = world.demonstration(prompt, roll, 0.3).split()
    filler = st.sampled_from(world.vocabulary.words[4:])
    missing = world.max_new_tokens - len(words)
    rest = data.draw(st.lists(filler, min_size=missing, max_size=missing))
    assert world.scores(prompt, " ".join([*words, *rest]))["well_formed"] == 0.0
    assert world.scores(prompt, " ".join(words[:-2]))["well_formed"] == 0.0


EIGHT = ReasonPrompt(
    "eight , plus five , times three , what is it ?", (("plus", 5), ("times", 3)), (8, 13, 39)
)


@pytest.mark.parametrize(
    ("response", "correct", "steps", "well_formed", "brief"),
    [
        ("eight plus five is thirteen . thirteen times three is thirty nine . so thirty nine",
         1, 1, 1, 1),
        ("okay , eight plus five is thirteen . thirteen times three is thirty nine . "
         "so the answer is thirty nine", 1, 1, 1, 16 / 21),
        ("eight plus five is twelve . twelve times three is thirty six . so thirty six",
         0, 0, 1, 1),
        ("eight plus five is thirteen . thirteen times three is forty . so forty", 0, 0.5, 1, 1),
        ("eight plus five is thirteen . eight times three is twenty four . so thirty nine",
         1, 0.5, 1, 1),
        ("eight plus five is thirteen . thirteen plus three is sixteen . so thirty nine",
         1, 0.5, 1, 1),
        ("eight plus five is thirteen . so thirty nine", 1, 0.5, 0, 0),
        ("so thirty nine", 1, 0, 0, 0),
        ("thirty nine", 0, 0, 0, 0),
        ("", 0, 0, 0, 0),
        ("eight plus five is thirteen . thirteen times three is thirty nine . so", 0, 1, 0, 0),
        ("eight plus five is . thirteen times three is thirty nine . so thirty nine", 1, 0, 0, 0),
        ("okay eight plus five is thirteen . thirteen times three is thirty nine . so thirty nine",
         1, 0, 0, 0),
        ("eight plus five is thirteen . thirteen times three is thirty nine . so thirty nine .",
         0, 1, 0, 0),
    ],
)  # fmt: skip
def test_scores_by_hand(response, correct, steps, well_formed, brief):
    scores = WORLDS["words"].scores(EIGHT, response)
    assert (scores["correct"], scores["steps_correct"]) == (correct, steps)
    assert scores["well_formed"] == well_formed
    assert scores["brief"] == pytest.approx(brief)


def test_a_step_after_a_slip_follows_but_is_not_correct():
    world = WORLDS["words"]
    beginning = "eight plus five is twelve . twelve times three is thirty six . so thir"
    first, second = world.read(EIGHT, beginning)
    assert (first.follows, first.correct, first.result) == (False, False, 12)
    assert (second.follows, second.correct, second.result) == (True, False, 36)
    assert (second.start, second.stop, second.text) == (6, 12, "twelve times three is thirty six")


def test_key_tokens_are_the_results():
    world = WORLDS["words"]
    text = (
        "okay , eight plus five is thirteen . thirteen times three is thirty nine . so thirty nine"
    )
    keys = [w for w, key in zip(text.split(), world.key_tokens(EIGHT, text), strict=True) if key]
    assert keys == ["thirteen", "thirty", "nine", "thirty", "nine"]


def test_slips_come_as_often_as_asked():
    world = Reason()
    roll = random.Random(0)
    first = [
        world.read(prompt, world.demonstration(prompt, roll, 0.3))[0].correct
        for prompt in world.prompts(2000, roll)
    ]
    share = 1 - sum(first) / len(first)
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / 2000) ** 0.5


def test_the_longest_response_just_fits():
    """Two words a number throughout; what never ended has one word more."""
    world = Reason(notation="digits")
    prompt = ReasonPrompt("", (("plus", 2),) * 3, (15, 17, 19, 21))
    longest = f"okay , {world.solution(prompt)}".replace(" so ", " so the answer is ")
    assert world.scores(prompt, longest)["well_formed"] == 1.0
    assert len(world.encode_response(longest)) == world.max_new_tokens


def test_every_number_of_steps_is_as_likely():
    kinds = [prompt.kind for prompt in Reason().prompts(3000, random.Random(1))]
    for steps in (1, 2, 3):
        assert abs(kinds.count(f"{steps}-step") / 3000 - 1 / 3) < 0.04


def test_pages_and_answers():
    for world in WORLDS.values():
        assert world.page().count("what is it ?") == 10
        assert "reward" in world.page()
    assert WORLDS["digits"].answer("so the answer is 3 9") == 39
    assert WORLDS["digits"].answer("3 9") is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Reason(steps=0), "steps: expected at least 1, got 0"),
        (lambda: Reason(notation="roman"), "notation: expected one of .*, got 'roman'"),
        (lambda: Reason().demonstration(EIGHT, random.Random(0), 1.5), "corruption"),
        (lambda: Reason().encode_response("so thirty eleventeen"), "eleventeen"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
