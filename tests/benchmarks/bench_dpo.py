"""DPO steps a second, ours against TRL's `DPOTrainer`: same sizes, batches and lengths.

    pip install trl
    python tests/benchmarks/bench_dpo.py [--threads 2] [--repeats 5]

Each line is the ratio of TRL's time to ours, medians of interleaved repeats in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import torch

from minipref.algorithm.align import AsStored, GradientStep, align
from minipref.algorithm.objective import Objective
from minipref.algorithm.sources import Stored, with_reference
from minipref.data.batch import Batch
from minipref.data.rows import Rows
from minipref.data.streams import dice
from minipref.model.transformer import Config, Transformer

VOCABULARY, WIDTH, LAYERS, HEADS, PAIRS, STEPS = 256, 64, 2, 4, 640, 20


def make_pairs(ragged: bool) -> list[dict[str, list[int]]]:
    """Prompts of 10 words, responses of 14; ragged ones of 2 to 60."""
    rng = dice(0, "bench_dpo")

    def words(low: int, high: int) -> list[int]:
        return [rng.randrange(4, VOCABULARY) for _ in range(rng.randint(low, high))]

    sizes = (2, 60) if ragged else (14, 14)
    return [
        {"prompt": words(10, 10), "chosen": words(*sizes), "rejected": words(*sizes)}
        for _ in range(PAIRS)
    ]


def ours(pairs: list[dict[str, list[int]]], precomputed: bool, bucket: int) -> Callable[[], float]:
    config = Config(vocabulary=VOCABULARY, width=WIDTH, layers=LAYERS, heads=HEADS, context=128)
    policy = Transformer(config, generator=torch.Generator().manual_seed(0))
    prompts = [pair["prompt"] for pair in pairs] * 2
    responses = [pair[side] + [3] for side in ("chosen", "rejected") for pair in pairs]
    rows, count = Rows.of(prompts, responses), len(pairs)
    texts = ("",) * (2 * count)
    data = Batch(texts, texts, rows, torch.arange(count).repeat(2))
    data = data.with_pairs(torch.arange(2 * count).view(2, count).T)
    if precomputed:
        data = with_reference(data, policy)
    objective = Objective.of("dpo", reference=None if precomputed else policy)
    source, step = Stored(data, batch_size=32, bucket=bucket), GradientStep(policy, 1e-4)

    def run() -> float:
        start = time.perf_counter()
        align(policy, source, AsStored(), objective, STEPS, step=step)
        return (time.perf_counter() - start) / STEPS

    return run


def trl(pairs: list[dict[str, list[int]]], precomputed: bool) -> Callable[[], float]:
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    specials = ["<pad>", "<bos>", "<sep>", "<eos>"]
    names = specials + [f"w{i}" for i in range(4, VOCABULARY)]
    words = models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<pad>")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    processing = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>"
    )

    def text(ids: list[int]) -> str:
        return " ".join(names[i] for i in ids)

    rows = [
        {"prompt": text(pair["prompt"]) + " "}
        | {side: text(pair[side]) for side in ("chosen", "rejected")}
        for pair in pairs
    ]
    shape = Config(vocabulary=VOCABULARY, width=WIDTH, layers=LAYERS, heads=HEADS, context=128)

    def model() -> LlamaForCausalLM:
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=WIDTH,
                intermediate_size=shape.intermediate,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS,
                max_position_embeddings=128,
                tie_word_embeddings=True,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=3,
            )
        )

    arguments = DPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=32,
        max_steps=STEPS,
        report_to=[],
        logging_strategy="no",
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        precompute_ref_log_probs=precomputed,
        disable_tqdm=True,
        learning_rate=1e-4,
    )
    trainer = DPOTrainer(
        model=model(),
        ref_model=None if precomputed else model(),
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=processing,
    )

    def run() -> float:
        start = time.perf_counter()
        trainer.train()
        return (time.perf_counter() - start) / STEPS

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    for name, ragged, precomputed in (
        ("reference on the fly", False, False),
        ("reference precomputed", False, True),
        ("ragged lengths, on the fly", True, False),
        ("ragged lengths, precomputed", True, True),
    ):
        pairs = make_pairs(ragged)
        quiet = io.StringIO()
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            peers = [ours(pairs, precomputed, bucket=20 if ragged else 1), trl(pairs, precomputed)]
            for peer in peers:
                peer()  # warm-up
            times = [[peer() for peer in peers] for _ in range(options.repeats)]
        mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{name:30s} minipref {1e3 * mine:6.1f} ms  TRL {1e3 * theirs:6.1f} ms  "
            f"ratio {theirs / mine:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
