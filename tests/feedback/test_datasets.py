"""The shipped data sets: made again byte for byte, exact, and described."""

import math
from pathlib import Path

import pytest

from minipref.data.chat import Chat, ChatPrompt
from minipref.data.chat.prompts import WISHES, with_wish
from minipref.data.chat.questions import Fact
from minipref.data.jsonl import Reader
from minipref.data.records import Message, Pair
from minipref.feedback.datasets import FILES, make, messages

FOLDER = Path(__file__).parents[2] / "datasets"


def test_the_files_are_made_again_byte_for_byte(tmp_path):
    for path in make(tmp_path):
        stored = FOLDER / path.name
        assert path.read_bytes() == stored.read_bytes(), "run `minipref data make datasets`"
    assert {path.name for path in FOLDER.glob("*.jsonl*")} == set(FILES)


RANKED = "chat-rankings.jsonl"


@pytest.mark.parametrize("name", sorted(set(FILES) - {RANKED}))
def test_the_figures_fit_the_labels(name):
    records = list(Reader(FOLDER / name))
    agreed = [record.meta["probability"] for record in records]
    better = [record.meta["reward_chosen"] > record.meta["reward_rejected"] for record in records]
    assert all(p > 0.5 for p, b in zip(agreed, better, strict=True) if b)
    expected = sum(max(p, 1 - p) for p in agreed) / len(agreed)
    error = (expected * (1 - expected) / len(agreed)) ** 0.5  # points come in twos: twice that
    assert abs(sum(better) / len(better) - expected) < 4 * 2**0.5 * error
    for record in records:
        if isinstance(record, Pair):
            assert record.chosen != record.rejected


@pytest.mark.parametrize("name", FILES)
def test_the_datasheet_counts_the_lines(name):
    count = len(list(Reader(FOLDER / name)))
    assert f"| `{name}` | {count} |" in (FOLDER / "README.md").read_text()


def test_rankings_have_the_probability_of_their_order():
    """A product of softmaxes, best first; the true best comes first as often as it should."""
    first, expected, variance = 0, 0.0, 0.0
    for record in Reader(FOLDER / RANKED):
        rewards = record.meta["rewards"]
        assert len(set(record.completions)) == len(rewards) == 4
        shares = [math.exp(r) / sum(map(math.exp, rewards[i:])) for i, r in enumerate(rewards)]
        assert record.meta["probability"] == pytest.approx(math.prod(shares), abs=2e-6)
        top = math.exp(max(rewards)) / sum(map(math.exp, rewards))
        first += rewards[0] == max(rewards)
        expected, variance = expected + top, variance + top * (1 - top)
    assert abs(first - expected) < 4 * variance**0.5


@pytest.mark.parametrize("name", ["chat-pairs.jsonl", "chat-two-languages.jsonl"])
def test_texts_of_chat_are_words_of_its_vocabulary(name):
    world = Chat(languages=2)
    for record in Reader(FOLDER / name):
        language = record.meta.get("language", "A")
        for text in (record.prompt, record.chosen, record.rejected):
            assert world.vocabulary.encode(text)
            assert world.lexicon.fidelity(text, language) == 1.0


def test_conversations_read_as_the_prompts_that_they_were():
    records = list(Reader(FOLDER / "chat-conversations.jsonl"))
    for record in records:
        roles = [message.role for message in record.prompt]
        assert roles[-1] == "user"
        turns = roles[1:] if roles[0] == "system" else roles
        assert turns == ["user", "assistant"] * (len(turns) // 2) + ["user"]
        assert [message.role for message in (*record.chosen, *record.rejected)] == ["assistant"] * 2
    wished = [record for record in records if record.prompt[0].role == "system"]
    assert {record.prompt[0].content for record in wished} == set(WISHES)
    assert any(len(record.prompt) > 2 for record in records)
    prompt = with_wish(
        ChatPrompt((Fact("dog", 1),), turns=(("nice day", "it is warm"),)), "say why"
    )
    assert messages(prompt) == (
        Message("system", "say why"),
        Message("user", "nice day ?"),
        Message("assistant", "it is warm"),
        Message("user", "what does the dog eat ?"),
    )
