"""Runs of TRL's own trainers for the clinic, on a tiny random Llama, offline and on the CPU.

Each function trains for some seconds and returns what TRL wrote to `trainer_state.json`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from clinic_ours import END, PAIRS, WORDS, alike, longer, noisy
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from minipref.data.streams import dice

SPECIALS = ["<pad>", "<bos>", "<sep>", "<eos>"]
NAMES = [*SPECIALS, *(f"w{i}" for i in range(4, WORDS + 4))]
STEPS = 40
WELL = {"learning_rate": 2e-3, "max_steps": STEPS}


def tokenizer() -> PreTrainedTokenizerFast:
    words = models.WordLevel({name: i for i, name in enumerate(NAMES)}, unk_token="<pad>")
    made = Tokenizer(words)
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def llama(dropout=0.0) -> LlamaForCausalLM:
    set_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(NAMES),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            attention_dropout=dropout,
            initializer_range=0.2,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=END,
        )
    )


def text(ids) -> str:
    return " ".join(NAMES[i] for i in ids)


def pairs(kind) -> Dataset:
    rng = dice(0, f"clinic/trl/{kind.__name__}")
    rows = []
    for _ in range(PAIRS):
        chosen, rejected = map(text, kind(rng))
        prompt = f"w{4 + rng.randrange(WORDS)} "
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return Dataset.from_list(rows)


def points(kind) -> Dataset:
    rows = [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in pairs(kind)
        for side in ("chosen", "rejected")
    ]
    return Dataset.from_list(rows)


def trained(trainer_of, config_of, data, settings, model=None, **more) -> dict:
    """What TRL has written about a run with these settings."""
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(
            output_dir=folder,
            **{
                "per_device_train_batch_size": 16,
                "logging_steps": 1,
                "save_strategy": "no",
                "report_to": [],
                "use_cpu": True,
                "bf16": False,
                "gradient_checkpointing": False,
                "disable_tqdm": True,
                "lr_scheduler_type": "constant",
                "seed": 0,
                **settings,
            },
        )
        trainer = trainer_of(
            model=model or llama(),
            args=config,
            train_dataset=data,
            processing_class=tokenizer(),
            **more,
        )
        trainer.train()
        path = Path(folder) / "trainer_state.json"
        trainer.state.save_to_json(str(path))
        return json.loads(path.read_text(encoding="utf-8"))


def trl_dpo(kind=noisy, model=None, **settings) -> dict:
    reference = llama(model.config.attention_dropout if model else 0.0)
    return trained(DPOTrainer, DPOConfig, pairs(kind), WELL | settings, model, ref_model=reference)


def trl_dpo_well():
    return trl_dpo()


def trl_dpo_sparse_logs():
    """Well, but logged every ten steps as by default: nobody sees the first step by itself."""
    return trl_dpo(logging_steps=10, max_steps=100)


def trl_dpo_dropout():
    return trl_dpo(model=llama(dropout=0.3), disable_dropout=False)


def trl_dpo_falling():
    return trl_dpo(alike, learning_rate=1e-2)


def trl_dpo_length():
    return trl_dpo(longer, learning_rate=5e-3)


def trl_dpo_rate_too_small():
    return trl_dpo(learning_rate=1e-7)


def trl_dpo_rate_too_large():
    return trl_dpo(learning_rate=0.5)


def trl_ipo_well():
    return trl_dpo(loss_type="ipo")


def trl_kto_well():
    return trained(KTOTrainer, KTOConfig, points(noisy), WELL, ref_model=llama())


def trl_simpo_well():
    settings = WELL | {"loss_type": "simpo", "cpo_alpha": 0.0}
    return trained(CPOTrainer, CPOConfig, pairs(noisy), settings)


def trl_orpo_well():
    return trained(ORPOTrainer, ORPOConfig, pairs(noisy), WELL)


def always(rng):
    """The chosen response never changes, so that its log-prob can reach 0."""
    return [4], [5 + rng.randrange(WORDS - 1)]


class RoundedORPO(ORPOTrainer):
    """The planted fault: odds in bfloat16, where p above 0.998 is 1, and its odds are infinite."""

    def odds_ratio_loss(self, policy_chosen_logps, policy_rejected_logps):
        logps = policy_chosen_logps.bfloat16(), policy_rejected_logps.bfloat16()
        chosen, rejected = (logp - torch.log1p(-logp.exp()) for logp in logps)
        ratio = F.logsigmoid(chosen - rejected)
        rewards = (self.beta * logp.detach() for logp in logps)
        return self.beta * ratio, *rewards, ratio.mean(), (chosen - rejected).mean()


def trl_orpo_nan():
    data = pairs(always).map(lambda row: {"prompt": "w5 "})
    settings = WELL | {"learning_rate": 0.03, "logging_nan_inf_filter": False}
    return trained(RoundedORPO, ORPOConfig, data, settings)


def liked_share(completion_ids, **_) -> list[float]:
    """Share of the liked words in a completion, and half a point for an end."""
    half = WORDS // 2
    shares = [sum(4 <= i < 4 + half for i in ids) / len(ids) for ids in completion_ids]
    ends = [0.5 * (ids[-1] == END) for ids in completion_ids]
    return [share + end for share, end in zip(shares, ends, strict=True)]


def one_word(completion_ids, **_) -> list[float]:
    """One word to begin with, and soon the end."""
    return [(ids[:1] == [7]) - 0.02 * len(ids) for ids in completion_ids]


def impossible(completion_ids, **_) -> list[float]:
    """A task that nobody solves."""
    return [0.0 for _ in completion_ids]


def trl_grpo(reward=liked_share, **settings) -> dict:
    prompts = Dataset.from_list([{"prompt": f"w{4 + i % WORDS} "} for i in range(256)])
    usual = WELL | {"num_generations": 8, "max_completion_length": 64, "learning_rate": 3e-3}
    return trained(GRPOTrainer, GRPOConfig, prompts, usual | settings, llama(), reward_funcs=reward)


def trl_grpo_well():
    return trl_grpo(num_iterations=2)


def trl_grpo_clipped():
    return trl_grpo(num_iterations=8, learning_rate=0.1, epsilon=0.02)


def trl_grpo_no_variance():
    return trl_grpo(impossible)


def trl_grpo_collapse():
    return trl_grpo(one_word, learning_rate=2e-2)


def trl_grpo_length():
    return trl_grpo(max_completion_length=4)


TRL = (
    *(trl_dpo_well, trl_dpo_sparse_logs, trl_ipo_well, trl_kto_well, trl_simpo_well),
    *(trl_orpo_well, trl_grpo_well),
    *(trl_dpo_dropout, trl_dpo_falling, trl_dpo_length, trl_dpo_rate_too_small),
    *(trl_dpo_rate_too_large, trl_orpo_nan, trl_grpo_clipped, trl_grpo_no_variance),
    *(trl_grpo_collapse, trl_grpo_length),
)
