"""The text of a training step for any loss, made from the names of its inputs.

A stand-in for the model and random data make it run as it is; what to replace says so.
"""

from __future__ import annotations

import re
import textwrap

import torch
from torch import Tensor

from .registry import Entry

# what the script may name
PREAMBLE = """
import copy
import torch
from torch import nn
from .logits import denoising_errors, last_token_rewards, mean_logps, sequence_logps
from .logits import token_kl, token_logps
from .pointwise import derangement, kto_reference_point
from .policy_gradient import group_advantages
from .training_step import random_rows
"""
MODEL = "nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, {}))"
DATA = {  # what neither the model nor the rows of tokens give
    "desirable": "desirable = torch.arange(8) % 2 == 0  # yours: was it liked?",
    "chosen_visits": "chosen_visits = torch.arange(8.0, 16.0)  # yours: of the search",
    "rejected_visits": "rejected_visits = torch.arange(8.0)",
    "chosen_weights": "chosen_weights = chosen_mask.float()  # yours: masks, learnt or read off",
    "rejected_weights": "rejected_weights = rejected_mask.float()",
    "chosen_kl_weights": "chosen_kl_weights = chosen_mask.float()",
    "rejected_kl_weights": "rejected_kl_weights = rejected_mask.float()",
    "groups": "groups = torch.arange(8) // 4  # four responses to each of two prompts",
    "rewards": "rewards = torch.rand(8)  # yours: what each sampled response earned",
    "baselines": "baselines = torch.rand(8)  # yours: what the greedy response earned",
}
ADVANTAGES = {
    1: "advantages = group_advantages(rewards, groups)",
    2: "advantages = (rewards - rewards.mean())[:, None].expand(8, 12)  # yours: a critic's",
}
KTO_REFERENCE_POINT = """\
with torch.no_grad():  # each prompt with another prompt's response
    partner = derangement(8)
    mixed = torch.cat([ids[:, :4], ids[partner, 4:]], 1)
    mixed_logps = sequence_logps(model(mixed), mixed, mask[partner])
    ref_mixed_logps = sequence_logps(reference(mixed), mixed, mask[partner])
    kl = kto_reference_point(mixed_logps, ref_mixed_logps)"""


def random_rows() -> tuple[Tensor, Tensor]:
    """Ids (8, 12) of 50 words, and the mask of each response: after 4 of prompt, before padding."""
    ends = torch.randint(6, 13, (8, 1))
    position = torch.arange(12)
    return torch.randint(50, (8, 12)), (position >= 4) & (position < ends)


def training_step(entry: Entry) -> str:
    """A script of ten steps of gradient descent on one batch that prints the loss at each."""
    computed = {name: text for name in entry.inputs if (text := from_model(entry, name))}
    fixed = [text for name, text in computed.items() if name.startswith(("ref_", "old_"))]
    moving = [text for name, text in computed.items() if not name.startswith(("ref_", "old_"))]
    setup = ["torch.manual_seed(0)", f"model = {model(entry)}"]
    if entry.reference or "ref_logps" in entry.inputs:
        setup.append("reference = copy.deepcopy(model)")
    setup.append(f"optimizer = torch.optim.AdamW(model.parameters(), lr={step_size(entry)})")
    setup += data(entry)
    if fixed:
        setup.append("with torch.no_grad():\n" + indent("\n".join(fixed)))
    inputs = ", ".join(entry.inputs)
    call = f"losses = {entry.name}({inputs})"
    body = [
        *moving,
        f"losses = {entry.name}(\n{indent(textwrap.fill(inputs, 84))}\n)"
        if len(call) > 92
        else call,
        "optimizer.zero_grad()",
        "losses.mean().backward()",
        "optimizer.step()",
        'print(f"step {step}: loss {losses.mean().item():.4f}")',
    ]
    script = "\n".join([*setup, "for step in range(10):", indent("\n".join(body))])
    return f'if __name__ == "__main__":\n{indent(script)}\n'


def from_model(entry: Entry, name: str) -> str | None:
    """The line that computes one input from a model's output; None for what is data."""
    if name == "kl":
        return KTO_REFERENCE_POINT
    if name in ("chosen_kl", "rejected_kl"):
        side = name.removesuffix("kl")
        return f"{name} = token_kl(model({side}ids), reference({side}ids), {side}mask)"
    parts = re.fullmatch(r"(ref_|old_)?(chosen_|rejected_)?(mean_logps|logps|rewards|errors)", name)
    if parts is None or (name == "rewards" and entry.logps != "none"):
        return None
    policy, side, output = parts[1] or "", parts[2] or "", parts[3]
    policy = "reference" if policy == "ref_" else "model"
    if output == "errors":
        return f"{name} = denoising_errors({policy}, {side}images, noise)"
    if output == "rewards":
        shape = ".view(2, 4)  # two lists, best first" if not side else ""
        return f"{name} = last_token_rewards({policy}({side}ids), {side}mask){shape}"
    token = entry.shapes.get(name) == "batch length"
    kind = "token_logps" if token else "mean_logps" if output == "mean_logps" else "sequence_logps"
    return f"{name} = {kind}({policy}({side}ids), {side}ids, {side}mask)"


def data(entry: Entry) -> list[str]:
    """The lines that draw a batch."""
    if entry.family == "diffusion":
        return ["chosen_images, rejected_images, noise = torch.randn(3, 8, 16)  # yours"]
    sides = dict.fromkeys(
        side for name in entry.inputs for side in ("chosen_", "rejected_") if side in name
    )
    lines = [f"{side}ids, {side}mask = random_rows()  # yours" for side in sides or [""]]
    needed = list(entry.inputs) if entry.logps != "none" else []
    if "advantages" in needed:
        per_token = entry.shapes.get("advantages") == "batch length"
        needed = ["rewards"] if per_token else ["rewards", "groups"]
        return [*lines, *map(DATA.__getitem__, needed), ADVANTAGES[2 if per_token else 1]]
    return lines + [DATA[name] for name in needed if name in DATA]


def model(entry: Entry) -> str:
    """The stand-in for what is trained."""
    if entry.family == "diffusion":
        return "nn.Linear(16, 16)  # yours: noisy images (batch, elements) to their noise"
    if entry.logps == "none":
        return f"{MODEL.format(1)}  # yours: ids to rewards"
    return f"{MODEL.format(50)}  # yours: ids to logits"


def step_size(entry: Entry) -> float:
    """Small where beta is large: Diffusion-DPO's is in the thousands."""
    return 1e-4 if entry.family == "diffusion" else 0.01


def indent(text: str) -> str:
    return textwrap.indent(text, "    ")
