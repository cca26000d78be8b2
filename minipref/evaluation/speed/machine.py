"""Which card, which driver, which versions: without them a time says nothing."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

import minipref

from ...fused import in_torch
from ...fused.backends import backend

PACKAGES = ("cupy", "triton", "liger-kernel", "trl", "flash-attn", "quack-kernels")


def card() -> torch.device:
    """The GPU that torch uses. Raises: ValueError where there is none."""
    if not torch.cuda.is_available() or torch.version.hip is not None:
        raise ValueError(
            "--gpu measures an NVIDIA GPU, and torch "
            f"{torch.__version__} sees none here: nothing was measured"
        )
    return torch.device("cuda", torch.cuda.current_device())


def described(device: torch.device) -> dict[str, str]:
    """Hardware, driver and versions by name; "not installed" of a package that is not."""
    found = {
        "minipref": minipref.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        found = {
            "device": torch.cuda.get_device_name(device),
            "memory": f"{torch.cuda.get_device_properties(device).total_memory / 2**30:.0f} GiB",
            **smi(device),
            "cuda": str(torch.version.cuda),
        } | found
    else:
        found = {"device": platform.processor() or platform.machine()} | found
    return (
        found
        | {"minipref runs": computed_by(device)}
        | {package: installed(package) for package in PACKAGES}
    )


def computed_by(device: torch.device) -> str:
    """What the fused functions compute with on this device."""
    ours = backend(torch.zeros(1, device=device))
    return "plain torch" if ours is in_torch else "its CUDA kernels"


def installed(package: str) -> str:
    """The version of a package; CuPy comes under several names."""
    names = ["cupy-cuda13x", "cupy-cuda12x", "cupy"] if package == "cupy" else [package]
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed"


def smi(device: torch.device) -> dict[str, str]:
    """Driver, power limit and highest clock, as nvidia-smi says; "unknown" without it."""
    asked = {"driver": "driver_version", "power limit": "power.limit", "clock": "clocks.max.sm"}
    unknown = dict.fromkeys(asked, "unknown")
    command = shutil.which("nvidia-smi")
    if command is None:
        return unknown
    card = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    query = [f"--query-gpu={','.join(asked.values())}", "--format=csv,noheader", f"--id={card}"]
    answer = subprocess.run([command, *query], capture_output=True, text=True, check=False)
    values = [value.strip() for value in answer.stdout.split(",")]
    matches = answer.returncode == 0 and len(values) == len(asked)
    return dict(zip(asked, values, strict=True)) if matches else unknown


def cache_size(device: torch.device) -> int:
    """Bytes of the second-level cache; 0 on a CPU, where only tests measure."""
    if device.type != "cuda":
        return 0
    return torch.cuda.get_device_properties(device).L2_cache_size


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken on a card."""
    return torch.cuda.mem_get_info(device)[0]
