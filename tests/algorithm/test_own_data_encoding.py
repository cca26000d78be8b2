"""Texts as a model's own tokenizer reads them: cut, ended, and in its chat template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.algorithm.own_data.encoding import Bytes, Tokenized, templated
from minipref.data.records import Message, Pair, Point, Ranking
from minipref.data.texts import TextPrompt

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # importing transformers takes seconds

texts = st.text("abcde .,é", max_size=20)
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    "<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def tokenizer(template=None, bos="<s>", eos="</s>"):
    """A byte-level BPE, learnt from a few sentences."""
    learnt = tokenizers.Tokenizer(tokenizers.models.BPE())
    learnt.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learnt.train_from_iterator(["abc abd cab bad dad", "a bed, a cab."] * 3, trainer)
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=learnt, bos_token=bos, eos_token=eos
    )
    made.chat_template = template
    return made


PLAIN, CHAT = tokenizer(), tokenizer(TEMPLATE)


@given(prompt=texts, response=texts, most=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_a_prompt_keeps_its_end_and_a_response_its_beginning(prompt, response, most):
    encoder = Tokenized(PLAIN, *most)
    whole = Tokenized(PLAIN, 999, 999)
    asked, said = whole.encode_prompt(TextPrompt(prompt)), whole.encode_response(response)
    assert encoder.full_lengths(TextPrompt(prompt), response) == (len(asked), len(said))
    assert encoder.encode_prompt(TextPrompt(prompt)) == asked[-most[0] :]
    assert encoder.encode_response(response) == said[: most[1]]
    assert said[-1] == encoder.end
    assert encoder.end not in said[:-1]
    assert whole.decode_response([*said, 5, 6]) == response
    assert asked  # an empty prompt still has a token, from which the first one is predicted


@given(prompt=texts, response=texts, most=st.integers(1, 9))
def test_bytes_know_how_long_they_were(prompt, response, most):
    whole, encoder = Bytes(), Bytes(max_prompt_tokens=most, max_new_tokens=most)
    lengths = len(whole.encode_prompt(TextPrompt(prompt))), len(whole.encode_response(response))
    assert encoder.full_lengths(TextPrompt(prompt), response) == lengths


class BeginsAlways:
    """A tokenizer that puts <s> before every text, as Llama's does."""

    eos_token_id, bos_token_id = 1, 0

    def __call__(self, text, add_special_tokens=True):
        ids = [9 + ord(c) % 50 for c in text]
        return transformers.BatchEncoding({"input_ids": [0] * add_special_tokens + ids})


@given(prompt=texts, most=st.integers(1, 12))
def test_a_cut_prompt_still_begins_with_bos(prompt, most):
    ids = Tokenized(BeginsAlways(), most, 5).encode_prompt(TextPrompt(prompt))
    assert ids[0] == 0
    assert len(ids) == min(most, 1 + len(prompt))
    assert ids[1:] == [9 + ord(c) % 50 for c in prompt][len(prompt) - len(ids) + 1 :]


messages = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant"]), texts), min_size=1, max_size=3
).map(tuple)
answers = texts.map(lambda text: (Message("assistant", text),))


@given(prompt=messages, chosen=answers, rejected=answers)
def test_a_template_writes_prompt_and_answer_as_one_conversation(prompt, chosen, rejected):
    records = [
        Pair(prompt, chosen, rejected),
        Ranking(prompt, (chosen, rejected)),
        Point(prompt, chosen, True),
        Point("a string", "as it is", False),
    ]
    pair, ranking, point, string = templated(records, CHAT)
    asked = "".join(f"<s>{m.role}: {m.content}</s>" for m in prompt) + "<s>assistant: "
    said = [f"{answer[0].content}</s>" for answer in (chosen, rejected)]
    assert (pair.prompt, pair.chosen, pair.rejected) == (asked, *said)
    assert (ranking.prompt, *ranking.completions) == (asked, *said)
    assert (point.prompt, point.completion, point.label) == (asked, said[0], True)
    assert string == records[3]
    ids = Tokenized(CHAT, 99, 99, templated=True).encode_response(pair.chosen)
    assert ids.count(CHAT.eos_token_id) == 1  # the template's own, and no second one


def test_a_template_that_rewrites_the_prompt_is_told():
    pair = Pair((Message("user", "a"),), (Message("assistant", "b"),), (Message("user", "c"),))
    backwards = tokenizer("{% for m in messages | reverse %}{{ m.content }}{% endfor %}")
    with pytest.raises(ValueError, match="changes a prompt once it is answered"):
        templated([pair], backwards)
    tool = Pair((Message("tool", "a"),), pair.chosen, pair.rejected)
    with pytest.raises(ValueError, match="refuses a conversation: no tools"):
        templated([tool], CHAT)


def test_a_tokenizer_without_an_end_is_refused():
    with pytest.raises(ValueError, match="no eos_token"):
        Tokenized(tokenizer(eos=None), 9, 9)
