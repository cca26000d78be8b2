"""environment.yml, constraints.txt and pyproject.toml speak of the same packages and versions."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev.environment import ROOT, python_of

TABLES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
PINNED = {canonicalize_name(pin.name) for pin in PINS}
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PIP = next(item["pip"] for item in CONDA["dependencies"] if isinstance(item, dict))
NAMED = [Requirement(line) for line in PIP if not line.startswith("--")]


def required(*extras):
    """The names that pyproject asks for, at its root and in some extras."""
    lines = [*TABLES["dependencies"]]
    for extra in extras:
        lines += TABLES["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_constraints_pin_one_version_for_every_machine():
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in PINS)
    names = [pin.name.lower().replace("_", "-") for pin in PINS]
    assert names == sorted(names)
    seen = {}
    for pin in PINS:
        seen.setdefault(canonicalize_name(pin.name), []).append(pin)
    for name, pins in seen.items():
        assert len(pins) == 1 or all(pin.marker for pin in pins), name


def test_everything_asked_for_is_pinned():
    assert required(*TABLES["optional-dependencies"]) <= PINNED


def test_pins_satisfy_what_pyproject_asks():
    asked = [Requirement(line) for line in TABLES["dependencies"]]
    for extra in TABLES["optional-dependencies"].values():
        asked += [Requirement(line) for line in extra]
    for requirement in asked:
        for pin in PINS:
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name):
                version = str(pin.specifier).removeprefix("==")
                assert requirement.specifier.contains(version), requirement


def test_what_is_installed_here_is_what_is_pinned():
    from importlib.metadata import distributions

    installed = {canonicalize_name(d.name): d.version.partition("+")[0] for d in distributions()}
    for name in ("torch", "numpy", "hypothesis", "pytest", "typer"):
        pin = next(pin for pin in PINS if canonicalize_name(pin.name) == name)
        assert installed[name] == str(pin.specifier).removeprefix("==")


def test_conda_brings_python_and_pip_only():
    names = [item for item in CONDA["dependencies"] if isinstance(item, str)]
    assert CONDA["channels"][0] == "conda-forge"
    assert [re.split("[=<>]", name)[0] for name in names] == ["python", "pip"]


def test_the_pip_section_has_the_pinned_versions():
    for line in NAMED:
        same = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(line.name)]
        assert [str(pin.specifier) for pin in same] == [str(line.specifier)], line
        assert [str(pin.marker) for pin in same] == [str(line.marker)], line


def test_the_pip_section_names_everything_that_pyproject_names():
    names = {canonicalize_name(line.name) for line in NAMED}
    assert names == required("course", "book", "test", "gpu")
    assert "--editable ." in PIP
    assert "--constraint constraints.txt" in PIP


def test_cupy_stays_behind_a_platform_marker():
    cupy = next(line for line in NAMED if line.name.startswith("cupy"))
    assert cupy.marker is not None
    assert not cupy.marker.evaluate({"sys_platform": "darwin"})
    assert cupy.marker.evaluate({"sys_platform": "linux"})


def pip_section(tmp_path, lines):
    path = tmp_path / "requirements.txt"
    path.write_text("\n".join(lines).replace("constraints.txt", str(ROOT / "constraints.txt")))
    return path


@pytest.mark.slow
def test_the_pip_section_agrees_with_itself(tmp_path):
    """pip's resolver accepts it against what setup installed; nothing is downloaded."""
    lines = [line for line in PIP if "cupy" not in line and line != "--editable ."]
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet"]
    answer = subprocess.run(
        [*command, "--requirement", pip_section(tmp_path, lines)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "Would install" not in answer.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("MINIPREF_INSTALL_TESTS"),
    reason="downloads everything again: set MINIPREF_INSTALL_TESTS=1",
)
def test_the_pip_section_installs_into_an_empty_environment(tmp_path):
    lines = [line.replace("--editable .", f"--editable {ROOT}") for line in PIP]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "empty"], check=True)
    python = python_of(tmp_path / "empty")
    install = [python, "-m", "pip", "install", "--quiet", "--requirement"]
    subprocess.run([*install, pip_section(tmp_path, lines)], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    subprocess.run([python, "-m", "minipref", "losses", "--json"], cwd=tmp_path, check=True)
