"""The documents name commands, files and links that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dev.chores import CHORES
from dev.environment import ROOT
from minipref.cli import app

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
COMMANDS = {command.callback.__name__ for command in app.registered_commands} | {
    group.typer_instance.info.name for group in app.registered_groups
}


def code_of(text):
    """What stands in code: fenced blocks and spans."""
    return "\n".join(
        re.findall(r"```.*?\n(.*?)```", text, flags=re.S) + re.findall(r"`([^`\n]+)`", text)
    )


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name):
    code = code_of((ROOT / name).read_text(encoding="utf-8"))
    for target in re.findall(r"^\s*make (?:PYTHON=\S+ )?(\w+)", code, flags=re.M):
        assert target in CHORES, f"{name} speaks of `make {target}`"
    for chore in re.findall(r"python -m dev (\w+)", code):
        assert chore in CHORES, f"{name} speaks of `python -m dev {chore}`"
    for command in re.findall(r"^\s*minipref (\w+)", code, flags=re.M):
        assert command in COMMANDS, f"{name} speaks of `minipref {command}`"


@pytest.mark.parametrize("name", NAMES)
def test_links_and_paths_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    paths = re.findall(
        r"`((?:minipref|tests|dev|notebooks|datasets|kernels|docs)/[\w./-]*\w/?)`", text
    )
    for target in links:
        assert (ROOT / name).parent.joinpath(target).exists(), f"{name} links to {target}"
    for target in paths:
        assert (ROOT / target).exists(), f"{name} names {target}"


def test_the_workflow_calls_what_ci_calls():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert "bash .ci/run" in steps
    assert workflow["jobs"]["everything"]["strategy"]["matrix"]["python"] == [
        "3.11",
        "3.12",
        "3.13",
    ]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in script


def test_the_citation_gives_the_version():
    import minipref

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == minipref.__version__
    assert citation["license"] == "MIT"


def test_every_chore_is_listed_in_the_help():
    command = [sys.executable, "-m", "dev", "--help"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"    {chore}" in answer.stdout for chore in CHORES)
    assert Path(ROOT / "Makefile").is_file()
