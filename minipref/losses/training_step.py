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
from .advantages import group_advantages
from .diffusion import prediction_drift
from .diffusion_rewards import step_logps
from .logits import denoising_errors, last_token_rewards, mean_logps, sequence_logps
from .logits import token_entropies, token_kl, token_logps
from .pointwise import derangement, kto_reference_point
from .selfplay import response_kl
from .tokenwise import feature_drift
from .training_step import random_rows
"""
MODEL = "nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, {}))"
SIDES = (
    "chosen_",
    "rejected_",
    "anchor_",
    "sampled_",
    "calibration_",
    "corrupted_",
    "noisy_",
    "verdict_",
    "solution_",
    "first_",
    "second_",
)
SIZES = {"batch": 8, "length": 12, "k": 4, "vocabulary": 50}
ADVANTAGES = {
    1: "advantages = group_advantages(rewards, groups)",
    "dr_grpo": "advantages = group_advantages(rewards, groups, scale=False)",
    2: "advantages = (rewards - rewards.mean())[:, None].expand(8, 12)  # yours: a critic's",
}
SETTINGS = {  # where the paper's are too large or too small for ten steps on twelve tokens
    "dr_grpo": "max_tokens=12",
    "gspo": "clip_low=0.2, clip_high=0.2",
    "rebel": "eta=10",
}
ONE_STEP_A_BATCH = ("cispo",)  # its value falls only while its weights, which are constants, stay
KTO_REFERENCE_POINT = """\
with torch.no_grad():  # each prompt with another prompt's response
    partner = derangement(8)
    mixed = torch.cat([ids[:, :4], ids[partner, 4:]], 1)
    mixed_logps = sequence_logps(model(mixed), mixed, mask[partner])
    ref_mixed_logps = sequence_logps(reference(mixed), mixed, mask[partner])
    kl = kto_reference_point(mixed_logps, ref_mixed_logps)"""
SAMPLED_KL = """\
sampled_kl = response_kl(
    token_logps(model(sampled_ids), sampled_ids, sampled_mask),
    token_logps(reference(sampled_ids), sampled_ids, sampled_mask),
    sampled_mask,
).view(2, 4)"""


DRIFT = """\
{side}features = model[0]({side}ids)  # yours: of a frozen sparse autoencoder
ref_{side}features = reference[0]({side}ids)
{side}drift = feature_drift({side}features, ref_{side}features, {side}mask)"""


def random_rows() -> tuple[Tensor, Tensor]:
    """Ids (8, 12) of 50 words, and the mask of each response: after 4 of prompt, before padding."""
    ends = torch.randint(6, 13, (8, 1))
    position = torch.arange(12)
    return torch.randint(50, (8, 12)), (position >= 4) & (position < ends)


def training_step(entry: Entry) -> str:
    """A script of ten steps of gradient descent on one batch that prints the loss at each."""
    computed = {name: text for name in entry.inputs if (text := from_model(entry, name))}
    if entry.name in ONE_STEP_A_BATCH:
        computed["old_logps"] = "old_logps = logps.detach()  # one step a batch"
    given = ("ref_",) if entry.name in ONE_STEP_A_BATCH else ("ref_", "old_")
    fixed = [text for name, text in computed.items() if name.startswith(given)]
    moving = [text for name, text in computed.items() if not name.startswith(given)]
    setup = ["torch.manual_seed(0)", f"model = {model(entry)}"]
    if any("reference" in text for text in computed.values()):
        setup.append("reference = copy.deepcopy(model)")
    setup.append(f"optimizer = torch.optim.AdamW(model.parameters(), lr={step_size(entry)})")
    setup += data(entry)
    if fixed:
        setup.append("with torch.no_grad():\n" + indent("\n".join(fixed)))
    settings = SETTINGS.get(entry.name)
    inputs = ", ".join([*entry.inputs, settings] if settings else entry.inputs)
    call = f"losses = {entry.name}({inputs})"
    body = [
        *moving,
        *([f"# {settings}: for this example; yours: the paper's"] if settings else []),
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
    if entry.family == "diffusion" and (text := of_a_denoiser(entry, name)):
        return text
    if name == "kl":
        return KTO_REFERENCE_POINT
    if name == "sampled_kl":
        return SAMPLED_KL
    if name == "entropies":
        return "entropies = token_entropies(model(ids), mask)"
    if name in ("chosen_kl", "rejected_kl"):
        side = name.removesuffix("kl")
        total = ".sum(-1)" if entry.axes(name) == ["batch"] else ""
        return f"{name} = token_kl(model({side}ids), reference({side}ids), {side}mask){total}"
    if name in ("chosen_drift", "rejected_drift"):
        return DRIFT.format(side=name.removesuffix("drift"))
    outputs = "mean_logps|logps|rewards|costs|errors|values|logits"
    parts = re.fullmatch(rf"(ref_|old_)?({'|'.join(SIDES)})?({outputs})", name)
    sampled = name in ("rewards", "first_rewards", "second_rewards")
    if parts is None or (sampled and entry.logps != "none"):
        return None
    policy, side, output = parts[1] or "", parts[2] or "", parts[3]
    policy = "reference" if policy == "ref_" else "model"
    if output == "errors":
        return f"{name} = denoising_errors({policy}, {side}images, noise)"
    shape = ".view(2, 4)  # two lists of four" if entry.axes(name) == ["batch", "k"] else ""
    if entry.axes(name) == ["batch"] and any("k" in entry.axes(other) for other in entry.inputs):
        shape = "[::4]  # one to each list"
    if output == "logits":
        return f"{name} = {policy}({side}ids)[:2, -1]  # two rows of four"
    token = entry.axes(name) == ["batch", "length"]
    if output in ("rewards", "costs") and not token:
        return f"{name} = last_token_rewards({policy}({side}ids), {side}mask){shape}"
    if output in ("rewards", "values"):
        if entry.axes(name) == ["batch"]:
            return f"{name} = {policy}({side}ids)[:, 3, 0]  # yours: a critic's, of the prompt"
        return f"{name} = {policy}({side}ids)[..., 0]"
    if entry.axes(name) == ["batch", "length", "vocabulary"]:
        return f"{name} = {policy}({side}ids).log_softmax(-1).roll(1, 1)  # t predicted token t + 1"
    kind = "token_logps" if token else "mean_logps" if output == "mean_logps" else "sequence_logps"
    if name == kind:  # which the first step would overwrite
        shape = shape.split("  #")[0]
        return f"{name} = (sequence_logps(model(ids), ids, mask) / mask.sum(-1)){shape}"
    taken = f"{policy}({side}ids), {side}ids, {side}mask"
    line = f"{name} = {kind}({taken}){shape}"
    return line if len(line) <= 92 else f"{name} = {kind}(\n    {taken}\n){shape}"


def of_a_denoiser(entry: Entry, name: str) -> str | None:
    """The same for what a loss on a denoiser takes, where it is not said of a language model."""
    policy = "reference" if name.startswith("ref_") else "model"
    side = "chosen_" if "chosen_" in name else "rejected_" if "rejected_" in name else ""
    if name.endswith("logps"):
        return f"{name} = step_logps({policy}({side}states), {side}next_states)"
    if entry.logps != "none":  # over the steps
        return {
            "errors": "errors = (model(states) - noise).square().mean(-1)",
            "drift": "drift = (model(states) - reference(states)).square().mean(-1)",
        }.get(name)
    return {
        "kl": "kl = (ref_errors - errors).detach().mean().clamp(min=0)",
        "chosen_drift": "chosen_drift = prediction_drift(model, reference, chosen_images, noise)",
        "rewards": "rewards = -model(noise).square().mean(-1)  # yours: of the images it makes",
    }.get(name)


def data(entry: Entry) -> list[str]:
    """The lines that draw a batch."""
    sides = list(dict.fromkeys(side for n in entry.inputs for side in SIDES if side in n)) or [""]
    if entry.family == "diffusion" and entry.logps == "none":
        images = ["chosen_images", "rejected_images", "noise"]
        if not any(name.startswith("chosen_") for name in entry.inputs):
            images = ["images", "noise"]
        lines = [f"{', '.join(images)} = torch.randn({len(images)}, 8, 16)  # yours"]
    elif entry.family == "diffusion":
        states = [f"{side}states, {side}next_states" for side in sides]
        states += ["noise"] if "errors" in entry.inputs else []
        lines = [
            f"{names} = torch.randn({'2, ' * names.count(',')}8, 12, 16)  # yours"
            for names in states
        ]
    else:
        lines = [f"{side}ids, {side}mask = random_rows()  # yours" for side in sides]
    made = {name for side in ("", *SIDES) for name in [f"{side}mask"]}
    needed = [name for name in entry.inputs if from_model(entry, name) is None and name not in made]
    if "advantages" in needed and "vocabulary" not in entry.axes("advantages"):
        per_token = entry.axes("advantages") == ["batch", "length"]
        needed += ["rewards"] if per_token else ["rewards", "groups"]
        lines += [drawn(entry, n) for n in dict.fromkeys(needed) if n != "advantages"]
        return [*lines, ADVANTAGES.get(entry.name, ADVANTAGES[2 if per_token else 1])]
    return lines + [drawn(entry, name) for name in needed]


def drawn(entry: Entry, name: str) -> str:
    """The line that makes up one input where there is no data."""
    sizes = SIZES | ({"batch": 2} if any("k" in entry.axes(n) for n in entry.inputs) else {})
    shape = [sizes[axis] for axis in entry.axes(name)]
    text = kind_of(name).example.format(
        shape=", ".join(map(str, shape)) if shape else "()", size=torch.Size(shape).numel()
    )
    if "vocabulary" in entry.axes(name) and name.endswith("logps"):
        text = f"torch.randn({', '.join(map(str, shape))}).log_softmax(-1)"
    note = kind_of(name).note
    return f"{name} = {text}" + (f"  # yours: {note}" if note else "  # yours")


def model(entry: Entry) -> str:
    """The stand-in for what is trained."""
    if entry.family == "diffusion" and entry.logps == "none":
        return "nn.Linear(16, 16)  # yours: noisy images (batch, elements) to their noise"
    if entry.family == "diffusion":
        return "nn.Linear(16, 16)  # yours: states (..., elements) to the mean of the next"
    if "logits" in entry.inputs:
        return f"{MODEL.format(4)}  # yours: ids to four logits"
    if entry.logps == "none":
        return f"{MODEL.format(1)}  # yours: ids to rewards"
    return f"{MODEL.format(50)}  # yours: ids to logits"


def step_size(entry: Entry) -> float:
    """Small where beta is large: Diffusion-DPO's is in the thousands."""
    return 1e-4 if entry.family == "diffusion" and entry.logps == "none" else 0.01


def indent(text: str) -> str:
    return textwrap.indent(text, "    ")
