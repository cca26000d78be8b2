"""The shipped base policies behave as the experiments on them need: neither ignorant nor perfect.

`python tests/model/test_bases.py` measures every base and writes `datasets/bases/README.md`.
"""

import functools
import re
from dataclasses import replace

import pytest
import torch

from minipref.data import corpora
from minipref.data.chat.prompts import KINDS, WISHES, with_wish
from minipref.data.chat.scorers import obeyed
from minipref.data.chat.world import may_wish
from minipref.data.retrieve import CELLS, CONFLICTS, RetrievePrompt, conflict
from minipref.data.streams import dice
from minipref.data.vocabulary import prompt_ids
from minipref.evaluation.responses import respond
from minipref.model import bases
from minipref.model.bases import BASES, load_base
from minipref.model.checkpoint import load
from minipref.model.logprobs import token_entropies
from minipref.resources import ROOT

FOLDER = ROOT / "datasets" / "bases"
FILES = sorted(path.stem for path in FOLDER.glob("*.safetensors"))
WORLDS = {
    "chat-two-language": corpora.TWO_LANGUAGES,
    "chat-two-language-apart": corpora.APART,
    "reason": corpora.REASON,
    "retrieve": corpora.RETRIEVE,
}
PROMPTS, SAMPLES = 400, 8


def base_of(file):
    name, seed = file.rsplit("-", 1)
    return name, load_base(name, int(seed))


def files_of(*prefixes):
    return pytest.mark.parametrize("file", [f for f in FILES if f.startswith(prefixes)])


def asked(name):
    """400 prompts of the sort that a base was made for, from a stream that none was trained on."""
    rng = dice(0, f"bases/{name}/measured")
    if name == "reader":
        return [corpora.reader_prompt(rng) for _ in range(PROMPTS)]
    if name == "reason":
        return corpora.REASON.prompts(PROMPTS, rng)
    if name == "retrieve":
        kinds = [(cell, hops) for cell in CELLS for hops in (1, 2)] * (PROMPTS // 10)
        memory = corpora.RETRIEVE.memory
        return [conflict(memory, rng, cell=cell, hops=hops) for cell, hops in kinds]
    world = WORLDS.get(name, corpora.CHAT)
    return [p for kind in KINDS for p in world.prompts(PROMPTS // len(KINDS), rng, (kind,))]


def sort(prompt):
    """What correctness is told apart by: the kind of question, or how many notes to read."""
    if isinstance(prompt, RetrievePrompt):
        return prompt.cell.replace(", ", " against ")
    notes = len(getattr(prompt, "notes", ()))
    return f"{notes} notes" if notes else prompt.kind


def mean(numbers):
    return sum(numbers) / len(numbers)


@functools.cache
def measure(file):
    """What a base answers, by name of the measure; `correct` by kind of prompt too."""
    name, policy = base_of(file)
    if name == "judge":
        return judged(policy)
    world = WORLDS.get(name, corpora.CHAT)
    batch = respond(policy, world, asked(name), per_prompt=SAMPLES)
    scores = [world.scores(p, r) for p, r in zip(batch.prompts, batch.responses, strict=True)]
    with torch.no_grad():
        entropies = token_entropies(policy, batch.rows)[batch.rows.completion_mask]
    groups = [batch.responses[i : i + SAMPLES] for i in range(0, len(scores), SAMPLES)]
    found = {
        "correct": mean([score["correct"] for score in scores]),
        "well_formed": mean([score["well_formed"] for score in scores]),
        "entropy": float(entropies.mean()),
        "distinct": mean([len(set(group)) for group in groups]),
    }
    kinds = [sort(prompt) for prompt in batch.prompts]
    for kind in sorted(set(kinds)):
        found[kind] = mean([s["correct"] for k, s in zip(kinds, scores, strict=True) if k == kind])
    if name.startswith("chat-two-language"):
        found["language"] = mean([score["language"] for score in scores])
    if name == "chat-instruct":
        found |= {"obeyed": obedience(policy), "obeyed by chance": obedience(policy, silent=True)}
    return found


def obedience(policy, silent=False):
    """Share of responses that do all their wish asks for; `silent`: the wish is not said."""
    rng = dice(0, "bases/chat-instruct/wishes")
    prompts = [p for p in corpora.CHAT.prompts(PROMPTS, rng) if may_wish(p)]
    wished = [with_wish(p, wish) for p in prompts for wish in WISHES]
    batch = respond(
        policy, corpora.CHAT, [replace(p, wish="") for p in wished] if silent else wished
    )
    pairs = zip(wished, batch.responses, strict=True)
    read = [(prompt, corpora.CHAT.parse(prompt, response)) for prompt, response in pairs]
    return mean([parsed is not None and obeyed(prompt, parsed) for prompt, parsed in read])


def judged(policy):
    """Agreement with the true reward, and the share of "one" over both orders of each pair."""
    rng, world, pairs = dice(0, "bases/judge/measured"), corpora.CHAT, []
    for prompt in world.prompts(PROMPTS, rng):
        a, b = world.demonstration(prompt, rng), world.demonstration(prompt, rng)
        if world.reward(prompt, a) != world.reward(prompt, b):
            pairs += [(prompt, a, b), (prompt, b, a)]
    one, two = world.vocabulary.encode("one two")
    says, truth = [], []
    with torch.no_grad():
        for prompt, a, b in pairs:
            ids = prompt_ids(world.vocabulary, corpora.judge_text(prompt, a, b))
            p = policy(torch.tensor([ids]))[0, -1].softmax(-1)
            says.append((float(p[one]), float(p[two])))
            truth.append(world.reward(prompt, a) > world.reward(prompt, b))
    chose = [p_one > p_two for p_one, p_two in says]
    return {
        "accuracy": mean([c == t for c, t in zip(chose, truth, strict=True)]),
        "says one": mean(chose),
        "consistent": mean([x != y for x, y in zip(chose[::2], chose[1::2], strict=True)]),
        "mass": mean([p_one + p_two for p_one, p_two in says]),
    }


# Correctness by kind, as measured on three seeds and widened by about 0.05, two standard errors.
# 0.30 to 0.75 was aimed at: larger bases add better than that, and chat-instruct, most of whose
# lines spend its width on wishes, answers two questions at once less well.
BANDS = dict.fromkeys(KINDS, (0.32, 0.75)) | {
    "sum": (0.50, 0.85),
    "hard": (0.50, 0.80),
    "two_part": (0.17, 0.62),
}


@pytest.mark.slow
@files_of("chat-")
def test_a_chat_base_is_neither_ignorant_nor_perfect(file):
    found = measure(file)
    outside = {
        kind: found[kind] for kind, (low, high) in BANDS.items() if not low < found[kind] < high
    }
    assert outside == {}
    assert 0.50 < found["correct"] < 0.65
    assert 0.6 < found["entropy"] < 1.0  # nats a token
    assert found["distinct"] >= 6  # of 8
    assert found["well_formed"] >= 0.93


@pytest.mark.slow
@files_of("chat-instruct")
def test_wishes_are_obeyed(file):
    """0.85 of the lines it read did; where the wish is not said, chance obeys it now and then."""
    assert measure(file)["obeyed"] > 0.72
    assert measure(file)["obeyed by chance"] < 0.15


@pytest.mark.slow
@files_of("chat-two-language")
def test_answers_come_in_the_language_of_the_question(file):
    """Where no line was mixed, always; else a word of the other language slips in."""
    fidelity = measure(file)["language"]
    assert fidelity > 0.98 if "apart" in file else 0.90 < fidelity < 0.98


@pytest.mark.slow
@files_of("reader")
def test_the_reader_answers_as_its_notes_say(file):
    found = measure(file)
    assert found["1 notes"] > 0.9
    assert found["1 notes"] > found["2 notes"] > found["3 notes"] > 0.5
    assert found["well_formed"] > 0.97


@pytest.mark.slow
@files_of("reason")
def test_more_steps_are_harder(file):
    """A step in five of the lines it read was wrong, so 0.8 ** steps is what it aims at."""
    found = measure(file)
    for steps in (1, 2, 3):
        assert abs(found[f"{steps}-step"] - 0.8**steps) < 0.12
    assert found["well_formed"] > 0.97


@pytest.mark.slow
@files_of("retrieve")
def test_what_is_known_by_heart_and_what_is_said_are_followed_by_chance(file):
    """One and two hops, no noise. No source comes first: a rule would be right nearly always."""
    found = measure(file)
    assert found["memory"] > 0.9
    for cell in CONFLICTS:
        assert 0.05 < found[cell.replace(", ", " against ")] < 0.5
    assert found["well_formed"] > 0.97


@pytest.mark.slow
@files_of("retrieve")
def test_a_stranger_is_known_from_notes(file):
    rng = dice(0, "bases/retrieve/strangers")
    prompts = [corpora.stranger_prompt(rng) for _ in range(PROMPTS)]
    answers = respond(base_of(file)[1], corpora.RETRIEVE, prompts).responses
    right = {
        said: mean(
            [
                corpora.RETRIEVE.scores(prompt, answer)["correct"]
                for prompt, answer in zip(prompts, answers, strict=True)
                if len(prompt.assumptions) + len(prompt.notes) == said
            ]
        )
        for said in (1, 2)
    }
    assert right[1] > 0.95
    assert 0.75 < right[2] < right[1]


@pytest.mark.slow
@files_of("judge")
def test_the_judge_is_often_right_and_nearly_fair(file):
    found = measure(file)
    assert 0.68 < found["accuracy"] < 0.85
    assert 0.42 < found["says one"] < 0.58  # each pair was shown in both orders
    assert found["consistent"] > 0.7
    assert found["mass"] > 0.99  # it says nothing but "one" or "two"


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_the_readme_says_what_is_measured(file):
    """To 0.05, as another machine may draw other responses."""
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {file} |")]
    for said, here in zip(line.split("|")[4:], row(file).split("|")[4:], strict=True):
        for told, found in zip(numbers(said), numbers(here), strict=True):
            assert told == pytest.approx(found, abs=0.05)


def numbers(cell):
    return [float(word) for word in re.findall(r"\d+\.\d+", cell)]


@pytest.mark.parametrize("file", FILES)
def test_files_are_small_and_of_half_precision(file):
    path = FOLDER / f"{file}.safetensors"
    saved = load(path)
    assert {weight.dtype for weight in saved["weights"].values()} == {torch.float16}
    assert {weight.dtype for weight in base_of(file)[1].parameters()} == {torch.float32}
    assert saved["facts"]["parameters"] * 2 < path.stat().st_size < 600_000
    assert saved["facts"]["recipe"] == BASES[saved["facts"]["name"]].digest()


def test_every_shipped_base_has_its_seeds():
    shipped = [(name, base.seeds) for name, base in BASES.items() if base.shipped]
    assert {f"{name}-{seed}" for name, seeds in shipped for seed in seeds} <= set(FILES)


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(ValueError, match="called 'chat-nan'; did you mean chat-nano"):
        load_base("chat-nan")


def test_a_seed_that_is_not_there_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--only chat-nano --seeds 99 --cache` trains it"):
        load_base("chat-nano", 99)


@pytest.mark.slow
def test_a_recipe_trains_to_the_same_bits(tmp_path, monkeypatch, capsys):
    """Whatever was drawn before; another seed trains to others. What is cached is found."""
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path))
    tiny = replace(BASES["chat-nano"], width=8, layers=1, steps=12, batch=4, seeds=(5,))
    monkeypatch.setitem(bases.BASES, "tiny", tiny)
    files = []
    for place, seed in enumerate((5, 5, 6)):
        torch.rand(place + 1)  # the global generator must not matter
        path = tmp_path / f"{place}.safetensors"
        assert bases.build("tiny", seed, path)["seed"] == seed
        assert bases.is_current("tiny", path)
        files.append(load(path)["weights"])
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[0])
    assert not torch.equal(files[0]["embedding.weight"], files[2]["embedding.weight"])
    bases.main(["--only", "tiny", "--seeds", "5", "--cache", "--jobs", "1"])
    bases.main(["--only", "tiny", "--cache", "--jobs", "1"])  # the recipe's own seeds
    assert "0 trained, 1 up to date" in capsys.readouterr().out
    found = load_base("tiny", 5).state_dict()
    assert all(torch.equal(found[name].half(), files[0][name]) for name in files[0])
    monkeypatch.setitem(bases.BASES, "tiny", replace(tiny, learning_rate=1.0))
    assert not bases.is_current("tiny", tmp_path / "0.safetensors")


# ---- the table of datasets/bases/README.md ------------------------------------------------------

README = """# Base policies

Small models that have read a world's corpus; `load_base(name, seed)` loads one, `make bases`
trains what is missing or older than its recipe (`minipref/model/bases.py`). Weights in half
precision, MIT licence as the code. All text is made up of a grammar's words.

Measured on 400 prompts that they were not trained on, 8 responses each at temperature 1; a share
has a standard error of about 0.01, a share by kind 0.02 to 0.03. `well-formed`: share of responses
that the grammar can have made; `entropy`: nats a token; `distinct`: of 8 responses to a prompt.
`python tests/model/test_bases.py` measures again and writes this file.

| base | parameters | seconds to train | correct | well-formed | entropy | distinct | more |
|---|---|---|---|---|---|---|---|
"""


def row(file):
    """A base's line of the table; "more" is correctness by kind and what it was made for."""
    facts, found = load(FOLDER / f"{file}.safetensors")["facts"], measure(file)
    first = ["correct", "well_formed", "entropy", "distinct"]
    cells = [f"{found[name]:.2f}" if name in found else "" for name in first]
    more = ", ".join(f"{name} {value:.2f}" for name, value in found.items() if name not in first)
    cells = [file, f"{facts['parameters']:,}", str(facts["seconds"]), *cells, more]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    table = "".join(row(file) for file in FILES)
    (FOLDER / "README.md").write_text(README + table, encoding="utf-8")
