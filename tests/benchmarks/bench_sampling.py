"""Sampled tokens a second, ours against `transformers.generate`: same sizes, prompts and lengths.

    pip install transformers
    python tests/benchmarks/bench_sampling.py [--threads 2] [--repeats 5]

Each line is the ratio of their time a useful token to ours, medians of interleaved repeats in one
process. The last one samples answers of `chat-small`, which end when they end: useful tokens are
those up to <eos>.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from minipref.data.corpora import CHAT
from minipref.data.streams import dice
from minipref.model.bases import load_base
from minipref.model.generate import generate
from minipref.model.transformer import Config, Transformer

NEVER, EOS, NEW = -2, 3, 32


def as_llama(policy: Transformer) -> LlamaForCausalLM:
    """The same weights as a Hugging Face Llama, whose rotary pairs are (i, i + D/2)."""
    sizes = policy.config
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.width,
            intermediate_size=sizes.intermediate,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            max_position_embeddings=sizes.context,
            rms_norm_eps=sizes.epsilon,
            rope_theta=sizes.rotary_base,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=EOS,
        )
    ).eval()

    def halves(weight: Tensor) -> Tensor:
        return weight.view(sizes.heads, -1, 2, sizes.width).transpose(1, 2).flatten(0, 2)

    named = {"model.embed_tokens.weight": policy.embedding.weight, "lm_head.weight": None}
    named["lm_head.weight"], named["model.norm.weight"] = (
        policy.embedding.weight,
        policy.norm.weight,
    )
    for i, block in enumerate(policy.blocks):
        q, k, v = block.attention.qkv.weight.chunk(3)
        gate, up = block.feed_forward.gate_up.weight.chunk(2)
        layer = f"model.layers.{i}."
        named |= {
            f"{layer}self_attn.q_proj.weight": halves(q),
            f"{layer}self_attn.k_proj.weight": halves(k),
            f"{layer}self_attn.v_proj.weight": v,
            f"{layer}self_attn.o_proj.weight": block.attention.out.weight,
            f"{layer}mlp.gate_proj.weight": gate,
            f"{layer}mlp.up_proj.weight": up,
            f"{layer}mlp.down_proj.weight": block.feed_forward.down.weight,
            f"{layer}input_layernorm.weight": block.attention_norm.weight,
            f"{layer}post_attention_layernorm.weight": block.feed_forward_norm.weight,
        }
    model.load_state_dict(named)
    return model


def ours(policy: Transformer, prompts: list[list[int]], eos: int) -> Callable[[], float]:
    """Seconds a useful token."""
    rng = torch.Generator().manual_seed(0)

    def run() -> float:
        start = time.perf_counter()
        new = generate(policy, prompts, max_new_tokens=NEW, generator=rng, eos=eos)
        return (time.perf_counter() - start) / sum(map(len, new))

    return run


def theirs(policy: Transformer, prompts: list[list[int]], eos: int) -> Callable[[], float]:
    """Seconds a useful token, prompts padded on the left."""
    model, longest = as_llama(policy), max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])

    def run() -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            output = model.generate(
                ids,
                attention_mask=mask,
                do_sample=True,
                top_k=0,
                max_new_tokens=NEW,
                eos_token_id=None if eos == NEVER else eos,
            )
        seconds, new = time.perf_counter() - start, output[:, longest:]
        ended = (new == eos).long().cumsum(1) - (new == eos).long()  # <eos> itself is useful
        return seconds / int((ended == 0).sum())

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    rng = dice(0, "bench_sampling")
    words = [[rng.randrange(4, 256) for _ in range(12)] for _ in range(32)]
    asked = [CHAT.encode_prompt(prompt) for prompt in CHAT.prompts(256, rng)]
    sized = [Config(256, width, layers, 4) for layers, width in ((4, 128), (2, 64))]
    for name, policy, prompts, eos in (
        ("4 layers x 128, 32 x 32 tokens", Transformer(sized[0]), words, NEVER),
        ("2 layers x 64, 32 x 32 tokens", Transformer(sized[1]), words, NEVER),
        ("chat-small, 256 until <eos>", load_base("chat-small"), asked, EOS),
    ):
        peers = [ours(policy, prompts, eos), theirs(policy, prompts, eos)]
        for peer in peers:
            peer()  # warm-up
        times = [[peer() for peer in peers] for _ in range(options.repeats)]
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{name:30s} minipref {1e-3 / mine:6.1f} k tokens/s  "
            f"transformers {1e-3 / other:6.1f} k tokens/s  ratio {other / mine:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
