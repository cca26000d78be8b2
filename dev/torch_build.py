"""Which PyTorch to install: the CPU build where there is no NVIDIA GPU to use.

On Linux the default package index serves PyTorch with the CUDA libraries, gigabytes that a laptop
without a GPU downloads for nothing. PyTorch's own index has a CPU build of a tenth of the size.
On macOS and Windows the default index serves a CPU build already. The version is always the one
pinned in ``constraints.txt``; pip's own configuration (mirrors, proxies, certificates, find-links)
stays in force, because pip does all the asking.
"""

import re
import subprocess
import sys
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CONNECT_SECONDS = 5  # how long the CPU index may take to answer
PROBE_SECONDS = 30  # how long the whole question may take, name look-up and redirects included


def pinned_version(constraints: str) -> str:
    """The version of torch that the text of a constraints file pins."""
    pin = re.search(r"^torch==([^\s;#]+)", constraints, flags=re.MULTILINE)
    if pin is None:
        raise ValueError("constraints.txt: expected a line 'torch==VERSION', found none")
    return pin.group(1)


def has_nvidia_gpu() -> bool:
    """True where ``nvidia-smi`` runs and lists a card."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "GPU" in answer.stdout


def wants_cpu_index(platform: str, gpu: bool) -> bool:
    """Only Linux's default build carries CUDA."""
    return platform.startswith("linux") and not gpu


def installed(python: Path, version: str) -> bool:
    """True where this environment already holds ``version``, of whatever build."""
    code = "import importlib.metadata as m; print(m.version('torch'))"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip().partition("+")[0] == version


def local_command(python: Path, version: str) -> list[str]:
    """Take the wheel from a folder that pip is configured to look in, without any network."""
    return [str(python), "-m", "pip", "install", "--no-index", "--no-deps", f"torch=={version}"]


def probe_command(python: Path) -> list[str]:
    """Ask the CPU index what it has. Cheap, and the only request with a short time-out."""
    return [
        *(str(python), "-m", "pip", "index", "versions", "torch", "--index-url", CPU_INDEX),
        *("--timeout", str(CONNECT_SECONDS), "--retries", "0", "--disable-pip-version-check"),
    ]


def cpu_command(python: Path, version: str) -> list[str]:
    """Install the CPU build; its dependencies come with everything else, from the default index."""
    return [
        *(str(python), "-m", "pip", "install", "--no-deps", "--index-url", CPU_INDEX),
        f"torch=={version}+cpu",
    ]


def offers(listing: str, version: str) -> bool:
    """True if the output of ``pip index versions`` names the CPU build of ``version``."""
    return re.search(rf"(?<![\w.]){re.escape(version)}\+cpu(?![\w.])", listing) is not None


def cpu_index_has(python: Path, version: str) -> bool:
    """True if the CPU index answers in time and has the version."""
    try:
        answer = subprocess.run(
            probe_command(python),
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0 and offers(answer.stdout, version)


def install_cpu_build(python: Path, version: str) -> bool:
    """Install the CPU build if it can be had; False leaves torch to the default index."""
    if installed(python, version):
        return True
    local = subprocess.run(local_command(python, version), capture_output=True, check=False)
    if local.returncode == 0:
        print(f"  torch {version} from a local wheel", flush=True)
        return True
    print(f"  no NVIDIA GPU found: asking {CPU_INDEX} for torch {version}+cpu", flush=True)
    if cpu_index_has(python, version):
        return subprocess.run(cpu_command(python, version), check=False).returncode == 0
    print(
        f"  it did not answer within {CONNECT_SECONDS} s, or lacks this version: taking the\n"
        "  default build, which carries CUDA libraries (several GB) that this machine won't use",
        file=sys.stderr,
        flush=True,
    )
    return False
