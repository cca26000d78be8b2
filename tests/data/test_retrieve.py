"""The world of facts: which source is right, what an edit changes, and what noise never says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.data import corpora
from minipref.data.retrieve import (
    CELLS,
    CONFLICTS,
    SOURCES,
    TEST,
    TRAIN,
    Fact,
    Retrieve,
    RetrievePrompt,
    ask,
    chains,
    conflict,
    edits,
    follow,
    mixture,
)
from minipref.data.retrieve.conflicts import EVERYTHING, another, passed, question
from minipref.data.retrieve.facts import ENTITIES, RELATIONS, STRANGERS, TYPES, UNKNOWN
from minipref.data.streams import dice

WORLD = Retrieve()
MEMORY = WORLD.memory
rolls = st.randoms(use_true_random=False)
parts = st.sampled_from([EVERYTHING, TRAIN, TEST])
cells = st.sampled_from(list(CELLS))
hops = st.integers(1, 2)
noises = st.integers(0, 4)


def entities(prompt):
    """Every entity that is named in a prompt or on the way to anybody's answer."""
    facts = [*prompt.assumptions, *prompt.notes]
    named = {prompt.subject, *(end for fact in facts for end in (fact.subject, fact.object))}
    return named | {end for chain in WORLD.chains(prompt).values() for end in chain}


# ---- facts --------------------------------------------------------------------------------------


def test_everything_known_by_heart_fits_its_type():
    assert len(MEMORY) == 3 * 60
    for (subject, relation), found in MEMORY.items():
        assert TYPES[found] == RELATIONS[TYPES[subject]][relation]
        assert found != subject
        assert subject in ENTITIES[TYPES[subject]]
    assert Retrieve().memory == MEMORY


@given(rolls, st.integers(1, 3), st.data())
def test_each_hop_is_taken_from_the_first_source_that_covers_it(roll, length, data):
    subject, relations = question(EVERYTHING, roll, length)
    sources = [MEMORY]
    for _ in range(2):
        chosen = data.draw(st.sets(st.integers(0, length - 1)))
        sources.insert(
            0, edits(subject, relations, chosen, lambda e: roll.choice(peers(e)), *sources)
        )
    here = subject
    for relation, found in zip(relations, follow(subject, relations, *sources), strict=True):
        assert found == next(s[here, relation] for s in sources if (here, relation) in s)
        here = found


def peers(entity):
    return [other for other in ENTITIES[TYPES[entity]] if other != entity]


@given(rolls, st.integers(1, 3), st.data())
def test_an_edit_leaves_the_hops_before_it_and_moves_those_behind(roll, length, data):
    subject, relations = question(EVERYTHING, roll, length)
    at = data.draw(st.integers(0, length - 1))
    made = edits(subject, relations, {at}, lambda e: roll.choice(peers(e)), MEMORY)
    before, after = follow(subject, relations, MEMORY), follow(subject, relations, made, MEMORY)
    ((key, found),) = made.items()
    first = (subject, *before).index(key[0]) if length > 1 else 0
    assert first <= at  # a chain may pass the edited fact earlier on
    assert before[:first] == after[:first]
    assert after[at] == found != before[at]
    for here, relation, there in zip((subject, *after), relations, after, strict=False):
        assert there == made.get((here, relation), MEMORY[here, relation])
    assert follow(subject, relations, made, made, MEMORY) == after  # twice is once
    assert {**MEMORY, **made} == {**MEMORY, **made, **made}


def test_where_no_source_tells_the_chain_ends():
    stranger = STRANGERS["person"][0]
    assert follow(stranger, ["home", "mayor"], MEMORY) == (UNKNOWN,)
    assert follow(stranger, ["home"], {(stranger, "home"): "ashby"}, MEMORY) == ("ashby",)
    with pytest.raises(ValueError, match=f"no source says what the home of {stranger} is"):
        edits(stranger, ["home"], {0}, str, MEMORY)
    with pytest.raises(ValueError, match=r"hops: expected 0 to 1, got \[2\]"):
        edits("alba", ["home", "mayor"], {2}, str, MEMORY)


# ---- prompts ------------------------------------------------------------------------------------


@given(rolls, parts, cells, hops, noises)
def test_sources_disagree_as_the_cell_says(roll, part, cell, hops, noise):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise, part=part)
    lead = WORLD.chains(prompt)
    answers = {source: lead[source][-1] for source in SOURCES}
    assert len({answers[source] for source in CELLS[cell]}) == len(CELLS[cell])
    assert lead[CELLS[cell][0]] == lead["instruction"]  # the first of the cell is the right one
    assert bool(prompt.assumptions) == ("instruction" in CELLS[cell])
    assert len(prompt.notes) >= noise
    assert prompt.kind == f"{cell}, {hops}-hop"
    assert len(WORLD.encode_prompt(prompt)) + WORLD.max_new_tokens <= 128
    if cell == "context, instruction":
        assert answers["context"] == answers["memory"]


@given(rolls, st.sampled_from(CONFLICTS), hops, noises)
def test_without_the_top_source_the_next_one_answers(roll, cell, hops, noise):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise)
    right = chains(prompt, MEMORY)
    without = RetrievePrompt("", prompt.subject, prompt.relations, (), prompt.notes)
    assert chains(without, MEMORY)["instruction"] == right["context"]
    nothing = RetrievePrompt("", prompt.subject, prompt.relations)
    assert chains(nothing, MEMORY)["instruction"] == right["memory"]


@given(rolls, cells, hops, noises, st.data())
def test_order_and_repetition_of_sentences_change_no_answer(roll, cell, hops, noise, data):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise)
    notes = tuple(data.draw(st.permutations(prompt.notes)))
    assumptions = tuple(data.draw(st.permutations(prompt.assumptions)))
    again = ask(
        prompt.subject, prompt.relations, roll, assumptions=assumptions * 2, notes=notes * 2
    )
    assert WORLD.chains(again) == WORLD.chains(prompt)


@given(rolls, parts, cells, hops, noises)
def test_noise_names_nobody_who_matters(roll, part, cell, hops, noise):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise, part=part)
    noisy = prompt.notes[len(prompt.notes) - noise :]
    matter = {prompt.subject, *(end for chain in WORLD.chains(prompt).values() for end in chain)}
    assert len(set(noisy)) == noise
    for fact in noisy:
        assert not {fact.subject, fact.object} & matter
        assert MEMORY[fact.subject, fact.relation] == fact.object
    quiet = ask(
        prompt.subject,
        prompt.relations,
        roll,
        assumptions=prompt.assumptions,
        notes=prompt.notes[: len(prompt.notes) - noise],
    )
    assert WORLD.chains(quiet) == WORLD.chains(prompt)


@given(rolls, cells, hops, noises)
def test_training_and_testing_share_no_subject_relation_or_phrase(roll, cell, hops, noise):
    train = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise, part=TRAIN)
    test = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise, part=TEST)
    assert not set(train.relations) & set(test.relations)
    assert test.subject not in entities(train)
    assert not {fact.object for fact in test.assumptions} & entities(train)
    openers = [{*part.wording.notes, *part.wording.assumptions} for part in (TRAIN, TEST)]
    assert not openers[0] & openers[1]
    assert not openers[1] & set(train.text.split())
    assert not openers[0] & set(test.text.split())
    assert ("name" in test.text.split(), "name" in train.text.split()) == (True, False)


@given(rolls, parts, cells, hops, noises)
def test_the_verb_tells_an_assumption_from_a_note(roll, part, cell, hops, noise):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise, part=part)
    words = prompt.text.split()
    assert words.count("were") == len(prompt.assumptions)
    assert words.count("is") - words.count("what") == len(prompt.notes)


@given(rolls, parts, cells, hops, noises)
def test_where_sources_agree_all_lead_to_what_is_known(roll, part, cell, hops, noise):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops, noise=noise, part=part, agree=True)
    assert len(set(WORLD.chains(prompt).values())) == 1
    for fact in (*prompt.assumptions, *prompt.notes):
        assert MEMORY[fact.subject, fact.relation] == fact.object
    assert bool(prompt.assumptions) == ("instruction" in CELLS[cell])


@given(rolls, st.sampled_from([e for members in ENTITIES.values() for e in members]))
def test_another_is_of_the_same_type(roll, entity):
    other = another(entity, EVERYTHING, roll)
    assert other != entity
    assert TYPES[other] == TYPES[entity]


@given(rolls, hops)
def test_notes_tell_the_whole_chain(roll, hops):
    subject, relations = question(EVERYTHING, roll, hops)
    facts = passed(subject, relations, MEMORY)
    told = {fact[:2]: fact.object for fact in facts}
    assert follow(subject, relations, told) == follow(subject, relations, MEMORY)


def test_bad_input():
    roll = dice(0, "tests")
    with pytest.raises(ValueError, match=r"cell: expected one of memory, .*, got 'peace'"):
        conflict(MEMORY, roll, cell="peace")
    with pytest.raises(ValueError, match="relations: expected 1 to 3, got 0"):
        ask("alba", (), roll)
    facts = (Fact("alba", "home", "ashby"), Fact("alba", "home", "brookby"))
    said = ask("alba", ("home",), roll, notes=facts)
    with pytest.raises(ValueError, match="the home of alba is said to be ashby and brookby"):
        WORLD.chains(said)


# ---- responses ----------------------------------------------------------------------------------


@given(rolls, st.integers(1, 3))
def test_a_solution_is_perfect_and_comes_back(roll, length):
    prompt = ask(*question(EVERYTHING, roll, length), roll)
    solution = WORLD.solution(prompt)
    assert set(WORLD.scores(prompt, solution).values()) == {1.0}
    assert WORLD.reward(prompt, solution) == sum(WORLD.weights.values())
    ids = WORLD.encode_response(solution)
    assert len(ids) <= WORLD.max_new_tokens
    assert WORLD.decode_response(ids) == solution
    assert WORLD.say(WORLD.read(solution)) == solution


@given(rolls, cells, hops, st.data())
def test_one_wrong_hop_is_found(roll, cell, hops, data):
    prompt = conflict(MEMORY, roll, cell=cell, hops=hops)
    chain = list(WORLD.chains(prompt)["instruction"])
    at = data.draw(st.integers(0, hops - 1))
    chain[at] = data.draw(st.sampled_from(peers(chain[at])))
    scores = WORLD.scores(prompt, WORLD.say(tuple(chain)))
    assert scores["correct"] == float(at != hops - 1)
    assert scores["steps_correct"] == (hops - 1) / hops
    assert scores["well_formed"] == 1.0


@given(rolls, st.data())
def test_any_words_can_be_scored(roll, data):
    (prompt,) = WORLD.prompts(1, roll)
    words = st.sampled_from(WORLD.vocabulary.words[4:])
    text = " ".join(data.draw(st.lists(words, max_size=WORLD.max_new_tokens)))
    scores = WORLD.scores(prompt, text)
    assert set(scores) == set(WORLD.weights)
    assert all(0 <= score <= 1 for score in scores.values())
    if scores["well_formed"] == 0:
        assert WORLD.reward(prompt, text) == 0


def test_unknown_is_an_answer_and_a_cut_chain_is_none():
    roll = dice(0, "tests")
    stranger = ask(STRANGERS["person"][0], ("home", "mayor"), roll)
    assert WORLD.solution(stranger) == "unknown"
    assert WORLD.reward(stranger, "unknown") == 4.0
    assert WORLD.scores(stranger, "ashby , so alba")["correct"] == 0.0
    known = ask("alba", ("home", "mayor"), roll)
    home, mayor = MEMORY["alba", "home"], MEMORY[MEMORY["alba", "home"], "mayor"]
    assert WORLD.scores(known, home)["well_formed"] == 0.0  # it stops half-way
    assert WORLD.scores(known, f"{home} , so unknown") == {
        "correct": 0.0,
        "steps_correct": 0.5,
        "well_formed": 1.0,
    }
    assert WORLD.reward(known, f"{home} , so {mayor}") == 4.0
    assert WORLD.read(f"{home} so {mayor}") is None


@given(rolls)
def test_what_the_base_reads_fits_the_vocabulary(roll):
    for asked, answered in corpora.retrieve(5, roll):
        assert len(asked) + len(answered) <= 128
        assert len(answered) > 1


@given(rolls)
def test_a_stranger_is_known_from_what_is_said_alone(roll):
    prompt = corpora.stranger_prompt(roll)
    told = {fact[:2] for fact in (*prompt.assumptions, *prompt.notes)}
    known = (prompt.subject, prompt.relations[0]) in told
    assert (WORLD.solution(prompt) == UNKNOWN) == (not known)


@given(rolls, st.integers(0, 20))
def test_a_mixture_is_as_large_as_asked_for(roll, count):
    prompts = mixture(MEMORY, count, roll, part=TRAIN, noise=(0,))
    assert len(prompts) == count
    assert all(prompt.noise == 0 for prompt in prompts)


def test_the_page_shows_ten_samples_and_who_says_what():
    page = WORLD.page()
    assert page.count("[4.00]") == 10
    assert "[1.00, memory]" in page
    assert "reward   2.0 correct + 1.0 steps_correct + 1.0 well_formed" in page
