"""``minipref train --model``: a Hugging Face model on disk, with its own tokenizer and template."""

import json

import pytest
import torch

from minipref.data.jsonl import write
from minipref.data.records import Message, Pair

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
pytestmark = pytest.mark.slow  # importing transformers takes seconds

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
STRINGS = [Pair(f"What is {i}?", f"It is {i}, surely.", f"Who knows {i}") for i in range(20)]
CONVERSATIONS = [
    Pair((Message("user", p.prompt),), (Message("assistant", p.chosen),),
         (Message("assistant", p.rejected),))
    for p in STRINGS
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a random Llama and a byte-level BPE that was learnt from the pairs."""
    learnt = tokenizers.Tokenizer(tokenizers.models.BPE())
    learnt.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    learnt.train_from_iterator([p.prompt + p.chosen + p.rejected for p in STRINGS], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=learnt, bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = TEMPLATE
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "max_position_embeddings": 64}
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=1, **sizes
    )
    folder = tmp_path_factory.mktemp("llama")
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train(run, data, out, model, *more):
    return run(
        *("train", "--data", str(data), "--loss", "dpo", "--out", str(out)),
        *("--model", str(model), "--steps", "6", "--supervised-steps", "6", "--batch-size", "4"),
        *("--learning-rate", "1e-3", "--supervised-learning-rate", "1e-2", "--max-length", "64"),
        *more,
    )


@pytest.mark.parametrize("records", [STRINGS, CONVERSATIONS], ids=["strings", "conversations"])
def test_a_llama_learns_and_is_kept_as_a_folder(run, tmp_path, model, records):
    data, out = tmp_path / "data.jsonl", tmp_path / "run"
    write(data, records)
    code, _, err = train(run, data, out, model)
    assert code == 0, err
    history = json.loads((out / "history.json").read_text())
    assert abs(history[0]["loss"] - 0.6931) < 1e-3
    supervised = json.loads((out / "supervised.json").read_text())
    assert supervised[-1]["loss"] < supervised[0]["loss"]
    kept = transformers.AutoModelForCausalLM.from_pretrained(out / "model")
    first = transformers.AutoModelForCausalLM.from_pretrained(model)
    moved = [
        not torch.equal(a, b) for a, b in zip(kept.parameters(), first.parameters(), strict=True)
    ]
    assert all(moved)
    assert transformers.AutoTokenizer.from_pretrained(out / "model").chat_template == TEMPLATE
    report = (out / "report.md").read_text()
    assert "A causal language model" in report
    assert ("<s>user: What is" in report) == (records is CONVERSATIONS)
    weights = (out / "model" / "model.safetensors").read_bytes()
    assert train(run, data, out, model, "--resume")[0] == 0
    assert (out / "model" / "model.safetensors").read_bytes() == weights
    assert (out / "report.md").read_text() == report


def test_mistakes_are_one_line(run, tmp_path, model):
    data = tmp_path / "data.jsonl"
    write(data, STRINGS)
    code, _, err = train(run, data, tmp_path / "run", model, "--max-length", "65")
    assert code == 2
    assert "max_length: the model reads at most 64, got 65" in err
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")
    code, _, err = train(run, data, tmp_path / "run", damaged)
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot be read as a causal language model" in err
    assert not (tmp_path / "run").exists()
