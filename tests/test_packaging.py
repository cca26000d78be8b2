"""A wheel installed somewhere else, in a folder that is never written to, finds what it ships."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from dev.environment import ROOT, python_of

pytestmark = pytest.mark.slow

FIND = """
import os, pathlib, sys
import minipref, minipref.resources as resources
assert pathlib.Path(minipref.__file__).is_relative_to(sys.prefix), minipref.__file__
assert resources.resource("datasets/README.md").is_relative_to(sys.prefix)
assert list(resources.resource("datasets").glob("*.jsonl"))
print(resources.cache_dir())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, ROOT], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """An environment with the wheel in it, which borrows torch and the rest from this one."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = python_of(folder)
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--no-index", "--no-compile", wheel], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    borrowed = Path(own.stdout.strip()) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    return python


def shipped(folder):
    """The files of this checkout that git knows or would add, relative to `folder`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        str(Path(name).relative_to(folder))
        for name in listing.stdout.splitlines()
        if (ROOT / name).is_file()
    }


@pytest.mark.parametrize("folder", ["kernels", "datasets", "results", "notebooks/src"])
def test_the_wheel_holds_every_shipped_file(wheel, folder):
    prefix = f"minipref/_data/{folder}/"
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == shipped(
        folder
    )


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"minipref"}
    assert "minipref/cli/__init__.py" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def run(python, *arguments, cwd, cache):
    environ = {"MINIPREF_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""}
    environ |= {"MPLCONFIGDIR": str(cache), "MPLBACKEND": "agg"}
    return subprocess.run(
        [python, *arguments], cwd=cwd, env=environ, capture_output=True, text=True, check=True
    ).stdout


def test_an_installed_wheel_works_and_writes_nothing_into_itself(elsewhere, tmp_path):
    home = elsewhere.parents[1]
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    found = run(elsewhere, "-c", FIND, cwd=tmp_path, cache=tmp_path / "cache")
    assert Path(found.strip()) == tmp_path / "cache"
    names = run(elsewhere, "-m", "minipref", "losses", "--json", cwd=tmp_path, cache=tmp_path)
    assert '"dpo"' in names
    page = run(
        elsewhere, "-m", "minipref", "data", "sample", "bandit", cwd=tmp_path, cache=tmp_path
    )
    assert page.startswith("bandit")
    run(elsewhere, "-m", "minipref", "data", "make", "data", cwd=tmp_path, cache=tmp_path)
    told = run(elsewhere, "-m", "minipref", "tour", cwd=tmp_path, cache=tmp_path)
    gained = {name: float(told.split(f"\n{name} ")[1].split()[0]) for name in ("base", "DPO")}
    assert gained["DPO"] > gained["base"] + 0.3, told
    assert (tmp_path / "tour.png").stat().st_size > 20_000
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_the_installed_command_stands_on_its_own(elsewhere, tmp_path):
    command = elsewhere.with_name("minipref" + elsewhere.suffix)
    assert run(command, "--version", cwd=tmp_path, cache=tmp_path).startswith("minipref ")
