"""The text of a training step for any loss, made from the names of its inputs.

A stand-in for the model and random data make it run as it is; what to replace says so.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter

import torch
from torch import Tensor

from .registry import Entry
from .training_pairs import AHEAD, DIVERGENCES, INPUTS, NOTES, rows_of
from .training_points import BEFORE, DATA, LOOP, MEANING, ROWS, WHOSE
from .vocabulary import kind_of

# what the script may name
PREAMBLE = """
import copy
import torch
from torch import nn
from .advantages import gae, group_advantages, whiten
from .denoising import denoising_errors, prediction_drift, step_logps
from .logits import last_token_rewards, mean_logps, sequence_logps
from .logits import token_entropies, token_kl, token_logps
from .pairwise_batchwise import prompt_likeness
from .pairwise_dispersion import entropy_share, mallows_weights
from .pairwise_drift import feature_drift
from .pointwise import bco_shift, derangement, kto_reference_point
from .selfplay import response_kl
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
TOKEN_ADVANTAGES = """\
rewards = torch.rand(8, 12)  # yours: `token_rewards`
values = torch.rand(8, 12)  # yours: what a critic expected before each token
advantages = whiten(gae(rewards, values, mask)[0], mask)"""
SETTINGS = {  # where the paper's are too large or too small for ten steps on twelve tokens
    "dr_grpo": "max_tokens=12",
    "gspo": "clip_low=0.2, clip_high=0.2",
    "irpo_ranking": "beta=0.1",
    "rebel": "eta=10",
    "sppo": "eta=10",
    "sppo_hard": "beta=0.1",
}
ONE_STEP_A_BATCH = ("cispo",)  # its value falls only while its weights, which are constants, stay
KTO_REFERENCE_POINT = """\
with torch.no_grad():  # each prompt with another prompt's response
    partner = derangement(8)
    mixed = torch.cat([ids[:, :4], ids[partner, 4:]], 1)
    mixed_logps = sequence_logps(model(mixed), mixed, mask[partner])
    ref_mixed_logps = sequence_logps(reference(mixed), mixed, mask[partner])
    kl = kto_reference_point(mixed_logps, ref_mixed_logps)"""

DRIFT = """\
{side}features = model[0]({side}ids)  # yours: of a frozen sparse autoencoder
ref_{side}features = reference[0]({side}ids)
{side}drift = feature_drift({side}features, ref_{side}features, {side}mask)"""


def random_rows(prompts: Tensor) -> tuple[Tensor, Tensor]:
    """Ids (rows, 12) of 50 words, and a mask of the response: after 4 of prompt, before padding."""
    rows = len(prompts)
    ids = torch.cat([prompts, torch.randint(50, (rows, 8))], 1)
    ends, position = torch.randint(6, 13, (rows, 1)), torch.arange(12)
    return ids, (position >= 4) & (position < ends)


def training_step(entry: Entry) -> str:
    """A script of ten steps of gradient descent on one batch that prints the loss at each."""
    needed = inputs_of(entry)
    in_order = sorted(needed, key=lambda name: (entry.name, name) in LOOP)
    computed = {name: text for name in in_order if (text := from_model(entry, name))}
    if entry.name in ONE_STEP_A_BATCH:
        computed["old_logps"] = "old_logps = logps.detach()  # one step a batch"
    given = ("ref_",) if entry.name in ONE_STEP_A_BATCH else ("ref_", "old_")
    fixed, moving = one_pass_each(
        [text for name, text in computed.items() if name.startswith(given)],
        [text for name, text in computed.items() if not name.startswith(given)],
    )
    setup = ["torch.manual_seed(0)", f"model = {model(entry)}"]
    if any("reference" in text for text in computed.values()):
        setup.append("reference = copy.deepcopy(model).requires_grad_(False)")
    setup.append(f"optimizer = torch.optim.AdamW(model.parameters(), lr={step_size(entry)})")
    setup += data(entry)
    if fixed:
        setup.append("with torch.no_grad():\n" + indent("\n".join(fixed)))
    settings = SETTINGS.get(entry.name)
    inputs = ", ".join([*needed, settings] if settings else needed)
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


def inputs_of(entry: Entry) -> list[str]:
    """The inputs without the reference that a KL of weight 0 has no use for."""
    without_kl = entry.hyperparameters.get("kl") == 0
    return [name for name in entry.inputs if not (without_kl and name.startswith("ref_"))]


def one_pass_each(fixed: list[str], moving: list[str]) -> tuple[list[str], list[str]]:
    """The lines before the loop and in it; a forward pass that several need stands before them."""
    for side in repeated_passes("reference", [*fixed, *moving]):
        call, name = f"reference({side}ids)", f"ref_{side}logits"
        fixed = [f"{name} = {call}", *(line.replace(call, name) for line in fixed)]
        moving = [line.replace(call, name) for line in moving]
    for side in repeated_passes("model", moving):
        call, name = f"model({side}ids)", f"{side}logits"
        moving = [f"{name} = {call}", *(line.replace(call, name) for line in moving)]
    return fixed, moving


def repeated_passes(policy: str, lines: list[str]) -> list[str]:
    """The sides of a pair, "chosen_" and the like, whose logits several lines need; last first."""
    sides = re.findall(rf"{policy}\((\w*)ids\),", "\n".join(lines))
    return [side for side, count in reversed(Counter(sides).items()) if count > 1]


def from_model(entry: Entry, name: str) -> str | None:
    """The line that computes one input from a model's output; None for what is data."""
    if (entry.name, name) in LOOP:
        return LOOP[entry.name, name]
    if entry.family == "diffusion" and (text := of_a_denoiser(entry, name)):
        return text
    if name == "kl":
        return KTO_REFERENCE_POINT
    if name == "divergences":
        return DIVERGENCES
    if name == "entropies":
        return "entropies = token_entropies(model(ids), mask)"
    if name in ("chosen_kl", "rejected_kl"):
        side = name.removesuffix("kl")
        total = ".sum(-1)" if entry.axes(name) == ["batch"] else ""
        return f"{name} = token_kl(model({side}ids), reference({side}ids), {side}mask){total}"
    if name in ("chosen_drift", "rejected_drift"):
        return DRIFT.format(side=name.removesuffix("drift"))
    outputs = "mean_logps|logps|rewards|costs|errors|values"
    parts = re.fullmatch(rf"(ref_|old_)?({'|'.join(SIDES)})?({outputs})", name)
    sampled = name in ("rewards", "first_rewards", "second_rewards")
    if parts is None or (sampled and entry.logps != "none"):
        return None
    policy, side, output = parts[1] or "", parts[2] or "", parts[3]
    policy = "reference" if policy == "ref_" else "model"
    if output == "errors":
        return f"{name} = denoising_errors({policy}, {side}images, noise)"
    shape = ".view(2, 4)  # two lists of four" if entry.axes(name) == ["batch", "k"] else ""
    token = entry.axes(name) == ["batch", "length"]
    if output in ("rewards", "costs") and not token:
        return f"{name} = last_token_rewards({policy}({side}ids), {side}mask){shape}"
    if output == "rewards":
        return f"{name} = {policy}({side}ids)[..., 0]"
    if output == "values" and entry.axes(name) == ["batch"]:
        return f"{name} = {policy}({side}ids)[:, 3, 0]  # yours: a critic's, of the prompt"
    if output == "values":
        return f"{name} = {policy}({side}ids)[..., 0].roll(1, 1)  # before each token"
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
    rows = [name for name in entry.inputs if (entry.name, name) not in LOOP]
    sides = list(dict.fromkeys(side for n in rows for side in SIDES if side in n)) or [""]
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
        lines = [drawn_prompts(entry), *(responses(entry, side) for side in sides)]
    made = {name for side in ("", *SIDES) for name in [f"{side}mask"]}
    needed = [name for name in entry.inputs if from_model(entry, name) is None and name not in made]
    lines += [drawn(entry, name) for name in needed if name != "advantages"]
    if entry.name in BEFORE:
        lines.append(BEFORE[entry.name])
    return [*lines, *advantages(entry)] if "advantages" in needed else lines


def responses(entry: Entry, side: str) -> str:
    """The line that draws the responses of one side."""
    if (entry.name, side) in ROWS:
        return ROWS[entry.name, side]
    whose = WHOSE.get((entry.name, side), "what the policy sampled" if entry.on_policy else "")
    return rows_of(side) + (f": {whose}" if whose else "")


def of_lists(entry: Entry) -> bool:
    """Are its rows lists of four responses?"""
    return "logits" not in entry.inputs and any("k" in entry.axes(name) for name in entry.inputs)


def drawn_prompts(entry: Entry) -> str:
    """The line that draws the prompts: eight, or two of four responses each."""
    groups = "groups" in entry.inputs or (
        "advantages" in entry.inputs and entry.axes("advantages") == ["batch"]
    )
    if of_lists(entry) or groups:
        return "prompts = torch.randint(50, (2, 4)).repeat_interleave(4, 0)  # four responses each"
    return "prompts = torch.randint(50, (8, 4))  # yours"


def advantages(entry: Entry) -> list[str]:
    """The lines from rewards to advantages: of responses, of tokens, or of all words."""
    if "vocabulary" in entry.axes("advantages"):
        return [drawn(entry, "advantages")]
    if "length" in entry.axes("advantages"):
        return [TOKEN_ADVANTAGES]
    scale = ", scale=False" if entry.name == "dr_grpo" else ""
    return [
        *(drawn(entry, name) for name in ("rewards", "groups")),
        f"advantages = group_advantages(rewards, groups{scale})",
    ]


def drawn(entry: Entry, name: str) -> str:
    """The line that makes up one input where there is no data."""
    if (entry.name, name) in DATA:
        return DATA[entry.name, name]
    if (name, *entry.axes(name)) in INPUTS:
        return INPUTS[name, *entry.axes(name)]
    sizes = SIZES | ({"batch": 2} if of_lists(entry) else {})
    lengths = [sizes[axis] for axis in entry.axes(name)]
    shape = ", ".join(map(str, lengths))
    text = kind_of(name).example.format(
        shape=shape or "()",
        size=math.prod(lengths),
        view=f".view({shape})" if len(lengths) > 1 else "",
    )
    if "vocabulary" in entry.axes(name) and name.endswith("logps"):
        text = f"torch.randn({shape}).log_softmax(-1)"
    if name in AHEAD:
        text = f"{AHEAD[name]} + {text}"
    note = NOTES.get((entry.name, name.split("_")[-1]), kind_of(name).note)
    note = MEANING.get((entry.name, name), note)
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
        what = "values" if "values" in entry.inputs else "rewards"
        return f"{MODEL.format(1)}  # yours: ids to {what}"
    return f"{MODEL.format(50)}  # yours: ids to logits"


def step_size(entry: Entry) -> float:
    """Small where beta is large: Diffusion-DPO's is in the thousands."""
    return 1e-4 if entry.family == "diffusion" and entry.logps == "none" else 0.01


def indent(text: str) -> str:
    return textwrap.indent(text, "    ")
