"""Make ``.venv`` from ``pyproject.toml`` at the versions of ``constraints.txt``.

Four sizes, each holding the one before: ``run`` (what ``minipref tour`` needs), ``course`` (with
JupyterLab), ``book`` (with Sphinx) and ``test`` (with everything CI runs). A stamp remembers what
was installed, so that asking again costs a moment when nothing changed.
"""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from dev import torch_build

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "minipref-setup.json"
SIZES: dict[str, list[str]] = {
    "run": [],
    "course": ["course"],
    "book": ["course", "book"],
    "test": ["course", "book", "test"],
}


def python_of(environment: Path, system: str = os.name) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if system == "nt" else "bin/python")


def digest(pyproject: str, constraints: str, machine: str) -> str:
    """What the environment is made from: the packaging tables, the pins and the interpreter.

    The ``[tool.*]`` tables are left out, so that a new lint rule does not reinstall anything.
    """
    tables = tomllib.loads(pyproject)
    packaging = {name: tables.get(name) for name in ("build-system", "project")}
    text = json.dumps([packaging, constraints, machine], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def current_digest() -> str:
    """The digest of this checkout on this interpreter."""
    return digest(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        (ROOT / "constraints.txt").read_text(encoding="utf-8"),
        f"{sys.platform} {sys.version_info[:2]} {VENV}",
    )


def is_ready(size: str, stamp: Path, expected: str, python: Path) -> bool:
    """True if ``stamp`` says that ``size`` or a larger one was installed from the same files."""
    try:
        done = json.loads(stamp.read_text(encoding="utf-8"))
        order = list(SIZES)
        enough = order.index(done["size"]) >= order.index(size)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return enough and done.get("digest") == expected and python.exists()


def requirement(extras: list[str]) -> str:
    """This checkout as pip takes it: ``.[course,test]``."""
    return f".[{','.join(extras)}]" if extras else "."


def make_venv(python: Path) -> None:
    """Make ``.venv`` afresh unless one of this Python version stands there and runs."""
    wanted = f"{sys.version_info[0]}.{sys.version_info[1]}"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if found.stdout.strip() == wanted:
            return
    except OSError:
        pass  # none there, or its interpreter is gone
    try:
        venv.create(VENV, clear=True, with_pip=True)
    except (subprocess.CalledProcessError, SystemExit) as error:
        raise SystemExit(
            f"could not make {VENV.name} ({error}). On Debian and Ubuntu this needs one package:\n"
            f"  sudo apt install python{wanted}-venv"
        ) from error


def setup(size: str = "test") -> Path:
    """Make the environment if it is not ready, and return its interpreter."""
    python, expected = python_of(VENV), current_digest()
    if is_ready(size, STAMP, expected, python):
        return python
    print(f"[1/3] .venv for Python {sys.version_info[0]}.{sys.version_info[1]}", flush=True)
    make_venv(python)
    STAMP.unlink(missing_ok=True)

    print("[2/3] PyTorch", flush=True)
    version = torch_build.pinned_version((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    gpu = torch_build.has_nvidia_gpu()
    if torch_build.wants_cpu_index(sys.platform, gpu):
        torch_build.install_cpu_build(python, version)

    extras = SIZES[size] + (["gpu"] if gpu else [])
    print(f"[3/3] minipref {requirement(extras)} at the versions of constraints.txt", flush=True)
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    install += ["--constraint", "constraints.txt", "--editable", requirement(extras)]
    if subprocess.run(install, cwd=ROOT, check=False).returncode != 0:
        raise SystemExit("pip could not install minipref; its last lines above say why")
    if not torch_build.installed(python, version):
        raise SystemExit(f"torch {version} was to be installed and another version is there")
    STAMP.write_text(json.dumps({"size": size, "digest": expected}), encoding="utf-8")
    return python
