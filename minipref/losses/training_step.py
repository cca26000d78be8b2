"""The text of a training step for any loss, made from the names of its inputs.

A stand-in for the model and random data make it run as it is; what to replace says so.
"""

from __future__ import annotations

import re
import textwrap

import torch
from torch import Tensor

from .registry import Entry
from .vocabulary import kind_of

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
SIZES = {"batch": 8, "length": 12, "k": 4, "vocabulary": 50}
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
    outputs = "mean_logps|logps|rewards|errors|values"
    parts = re.fullmatch(rf"(ref_|old_)?(chosen_|rejected_)?({outputs})", name)
    if parts is None or (name == "rewards" and entry.logps != "none"):
        return None
    policy, side, output = parts[1] or "", parts[2] or "", parts[3]
    policy = "reference" if policy == "ref_" else "model"
    if output == "errors":
        return f"{name} = denoising_errors({policy}, {side}images, noise)"
    shape = ".view(2, 4)  # two lists of four" if entry.axes(name) == ["batch", "k"] else ""
    if output == "rewards":
        return f"{name} = last_token_rewards({policy}({side}ids), {side}mask){shape}"
    if output == "values":
        return f"{name} = {policy}({side}ids)[..., 0]"
    if entry.axes(name) == ["batch", "length", "vocabulary"]:
        return f"{name} = {policy}({side}ids).log_softmax(-1)"
    token = entry.axes(name) == ["batch", "length"]
    kind = "token_logps" if token else "mean_logps" if output == "mean_logps" else "sequence_logps"
    return f"{name} = {kind}({policy}({side}ids), {side}ids, {side}mask){shape}"


def data(entry: Entry) -> list[str]:
    """The lines that draw a batch."""
    if entry.family == "diffusion" and entry.logps == "none":
        images = ["chosen_images", "rejected_images", "noise"]
        if not any(name.startswith("chosen_") for name in entry.inputs):
            images = ["images", "noise"]
        lines = [f"{', '.join(images)} = torch.randn({len(images)}, 8, 16)  # yours"]
    else:
        sides = dict.fromkeys(
            side for name in entry.inputs for side in ("chosen_", "rejected_") if side in name
        )
        lines = [f"{side}ids, {side}mask = random_rows()  # yours" for side in sides or [""]]
    made = {name for side in ("", "chosen_", "rejected_") for name in [f"{side}mask"]}
    needed = [name for name in entry.inputs if from_model(entry, name) is None and name not in made]
    if needed.count("advantages"):
        per_token = entry.axes("advantages") == ["batch", "length"]
        needed += ["rewards"] if per_token else ["rewards", "groups"]
        lines += [drawn(entry, n) for n in dict.fromkeys(needed) if n != "advantages"]
        return [*lines, ADVANTAGES[2 if per_token else 1]]
    return lines + [drawn(entry, name) for name in needed]


def drawn(entry: Entry, name: str) -> str:
    """The line that makes up one input where there is no data."""
    sizes = SIZES | ({"batch": 2} if any("k" in entry.axes(n) for n in entry.inputs) else {})
    shape = [sizes[axis] for axis in entry.axes(name)]
    text = kind_of(name).example.format(
        shape=", ".join(map(str, shape)) if shape else "()", size=torch.Size(shape).numel()
    )
    note = kind_of(name).note
    return f"{name} = {text}" + (f"  # yours: {note}" if note else "  # yours")


def model(entry: Entry) -> str:
    """The stand-in for what is trained."""
    if entry.family == "diffusion" and entry.logps == "none":
        return "nn.Linear(16, 16)  # yours: noisy images (batch, elements) to their noise"
    if entry.logps == "none":
        return f"{MODEL.format(1)}  # yours: ids to rewards"
    return f"{MODEL.format(50)}  # yours: ids to logits"


def step_size(entry: Entry) -> float:
    """Small where beta is large: Diffusion-DPO's is in the thousands."""
    return 1e-4 if entry.family == "diffusion" else 0.01


def indent(text: str) -> str:
    return textwrap.indent(text, "    ")
