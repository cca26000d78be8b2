"""The command line as a user meets it: help, output for programs, and mistakes."""

import json
import re
import sys

import pytest

import minipref
from minipref import cli
from minipref.cli import bench, catalogue, papers, worlds
from minipref.papers.catalogue import declared


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
        assert re.search(rf"^ +{row['name']} ", out, flags=re.MULTILINE)


FLAGS = [[], ["--checked"], ["--from-logits"], ["--test"]]


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_show_prints_a_file_that_compiles(run, flags):
    code, out, err = run("show", "dpo", *flags)
    assert (code, err) == (0, "")
    assert "def dpo(" in out
    compile(out, "dpo.py", "exec")


def test_flags_of_show_add_something(run):
    assert len({run("show", "dpo", *flags)[1] for flags in FLAGS}) == len(FLAGS)


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


def test_papers_for_programs(run):
    code, out, err = run("papers", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)
    names = ["number", "key", "chapter", "kind", "status", "notebook"]
    assert all(list(row) == names for row in rows)
    assert {row["status"] for row in rows} <= set(papers.STATUS)


def test_papers_of_a_chapter(run):
    code, out, _ = run("papers", "--chapter", "dynamics")
    assert code == 0
    assert re.search(r"^106\s+3d-properties\s+dynamics", out, flags=re.MULTILINE)
    assert "robust-dpo" not in out


def test_papers_new_prints_a_row(run):
    code, out, err = run("papers", "new", "my-idea", "--number", "120")
    assert (code, err) == (0, "")
    assert declared(out).key == "my-idea"
    assert declared(out).number == 120
    assert out.startswith('"""120 my-idea: ')
    compile(out, "my_idea.py", "exec")


@pytest.mark.slow
def test_run_says_what_held_and_keeps_it(run, tmp_path):
    arguments = ("run", "106", "--seed", "100", "--scale", "0.1", "--save", str(tmp_path))
    code, out, _ = run(*arguments)
    assert code == 0
    assert "holds" in out or "fails" in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".png"}
    code, out, _ = run(*arguments, "--json", "--control")
    found = json.loads(out.splitlines()[-1])
    assert code == 0
    for name in ("key", "number", "seed", "control", "passed", "status", "measured", "seconds"):
        assert name in found
    assert found["control"]
    assert len(list(tmp_path.iterdir())) == 4


MISTAKES = [
    (["run", "robust-dop"], "robust-dpo"),
    (["papers", "--chapter", "dynamic"], "dynamics"),
    (["papers", "new", "My Paper"], "KEY"),
    (["papers", "new", "robust-dpo"], "already"),
    (["reproduce", "--only", "orpoo"], "orpo"),
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


def test_losses_are_found_by_a_word_and_a_family(run):
    code, out, _ = run("losses", "ties")
    assert code == 0
    assert "davidson" in out
    assert "grpo" not in out
    names = {row["name"] for row in json.loads(run("losses", "--family", "listwise", "--json")[1])}
    assert "plackett_luce" in names
    assert "dpo" not in names
    code, _, err = run("losses", "--family", "pairs")
    assert (code, "did you mean pairwise?" in err) == (2, True)
    code, _, err = run("losses", "qqqq")
    assert (code, "no loss mentions qqqq" in err) == (2, True)


def test_every_family_is_listed(run):
    from minipref.losses.registry import REGISTRY

    assert {entry.family for entry in REGISTRY.values()} == set(catalogue.FAMILIES)
