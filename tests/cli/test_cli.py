"""The command line as a user meets it: help, output for programs, and mistakes."""

import json
import re
import sys

import pytest

import minipref
from minipref import cli
from minipref.cli import bench, catalogue, worlds


def call(monkeypatch, capsys, *arguments):
    """Run ``minipref ARGUMENTS``: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["minipref", *arguments])
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    out, err = capsys.readouterr()
    return stopped.value.code or 0, out, err


@pytest.fixture
def run(monkeypatch, capsys):
    monkeypatch.delenv("MINIPREF_DEBUG", raising=False)
    return lambda *arguments: call(monkeypatch, capsys, *arguments)


def test_version(run):
    assert run("--version") == (0, f"minipref {minipref.__version__}\n", "")


def test_help_teaches(run):
    code, out, _ = run("--help")
    assert code == 0
    for word in ("tour", "losses", "show", "data", "bench", "course", "First time here?"):
        assert word in out


def commands():
    for command in cli.app.registered_commands:
        yield (command.callback.__name__,)
    for group in cli.app.registered_groups:
        for command in group.typer_instance.registered_commands:
            yield (group.typer_instance.info.name, command.callback.__name__)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_has_help(run, command):
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Usage: minipref " + " ".join(command) in out


def test_losses_for_programs(run):
    code, out, err = run("losses", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert all(
        list(row) == ["name", "family", "inputs", "logps", "reference", "paper"] for row in rows
    )
    dpo = next(row for row in rows if row["name"] == "dpo")
    assert dpo["inputs"] == [
        *("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps")
    ]
    assert (dpo["family"], dpo["logps"], dpo["reference"]) == ("pairwise", "sum", True)


def test_losses_for_people_names_every_one(run):
    code, out, _ = run("losses")
    assert code == 0
    for row in catalogue.catalogue():
        assert re.search(rf"^{row['name']}\s+{row['family']}", out, flags=re.MULTILINE)


FLAGS = [[], ["--checked"], ["--from-logits"]]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_show_prints_a_file_that_compiles(run, flags):
    code, out, err = run("show", "dpo", *flags)
    assert (code, err) == (0, "")
    assert "def dpo(" in out
    compile(out, "dpo.py", "exec")


def test_flags_of_show_add_something(run):
    plain, checked, logits = (run("show", "dpo", *flags)[1] for flags in FLAGS)
    assert len({plain, checked, logits}) == 3


@pytest.mark.parametrize("world", worlds.WORLDS)
def test_a_page_for_every_world(run, world):
    code, out, err = run("data", "sample", world)
    assert (code, err) == (0, "")
    assert out.startswith(world)
    assert "reward" in out
    assert "exact" in out


def test_data_make_writes_what_is_shipped(run, tmp_path):
    code, out, _ = run("data", "make", str(tmp_path / "new"))
    assert code == 0
    assert len(out.splitlines()) == len(list((tmp_path / "new").iterdir()))


MISTAKES = [
    (["losess"], "losses"),
    (["show", "dop"], "dpo"),
    (["show"], "LOSS"),
    (["data", "sample", "reasn"], "reason"),
    (["data", "make", str(__file__)], "File exists"),
    (["bench"], "--cpu"),
    (["bench", "--cpu", "dop"], "dpo"),
    (["losses", "--jsn"], "--json"),
    (["tour", "--seed", "one"], "--seed"),
]


@pytest.mark.parametrize(("arguments", "word"), MISTAKES, ids=lambda value: str(value)[:30])
def test_a_mistake_is_one_message_and_exit_code_2(run, arguments, word):
    code, _, err = run(*arguments)
    assert code == 2
    assert word in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("MINIPREF_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["minipref", "data", "sample", "nowhere"])
    with pytest.raises(ValueError, match="no world called 'nowhere'"):
        cli.main()


def test_a_missing_package_names_what_brings_it():
    error = ModuleNotFoundError("No module named 'jupytext'", name="jupytext")
    assert cli.message(error) == (
        "this needs the package 'jupytext': pip install 'minipref[course]' brings it"
    )
    assert cli.message(ValueError("beta: expected")) == "beta: expected"
    assert cli.message(ValueError()) == "ValueError"


def test_benchmarks_run_and_a_failing_one_is_named(run, tmp_path, monkeypatch):
    (tmp_path / "bench_good.py").write_text("")
    (tmp_path / "bench_bad.py").write_text("raise SystemExit(1)")
    monkeypatch.setattr(bench, "resource", lambda name: tmp_path)
    assert run("bench", "--cpu", "good")[0] == 0
    code, _, err = run("bench", "--cpu")
    assert (code, err) == (2, "minipref: these benchmarks did not finish: bad\n")
