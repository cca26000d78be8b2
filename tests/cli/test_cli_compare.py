"""`minipref compare`: what it prints, what it reads, and what it says of a mistake."""

import json
import re
import sys

import pytest
import torch
from safetensors.torch import save_file

from minipref import cli
from minipref.cli import comparing
from minipref.evaluation.peers import PEERS

pytest.importorskip("trl")
pytestmark = pytest.mark.slow  # TRL takes seconds to import

PAIRS = {
    "chosen_logps": [-12.5, -20.0],
    "rejected_logps": [-14.0, -18.5],
    "ref_chosen_logps": [-13.0, -19.0],
    "ref_rejected_logps": [-13.5, -19.5],
}


@pytest.fixture
def compare(monkeypatch, capsys):
    """Run ``minipref compare ARGUMENTS``: exit code, stdout, stderr."""
    monkeypatch.delenv("MINIPREF_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["minipref", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return stopped.value.code or 0, out, err

    return run


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_prints_ours_theirs_and_the_settings(compare):
    code, out, err = compare("dpo", "--with", "trl", "--set", "beta=0.2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("dpo beside TRL 1.")
    assert [line.split()[0] for line in lines[3:8]] == ["1", "2", "3", "4", "batch"]
    assert "settings:    DPOConfig(loss_type='sigmoid', beta=0.2)" in out
    assert "gradient by chosen_logps: largest difference" in out
    assert "✓ equal (values and gradients)" in out


@pytest.mark.parametrize("name", PEERS["trl"].names())
def test_every_loss_of_the_table_is_equal_on_the_built_in_batch(compare, name):
    code, out, err = compare(name, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [found["loss"], found["with"]] == [name, "trl"]
    for comparison in found["found"]:
        assert comparison["equal"]
        assert len(comparison["rows"]) in (0, comparing.ROWS)


def test_two_trainers_of_one_loss_are_both_shown(compare):
    _, out, _ = compare("simpo")
    assert "CPOTrainer" in out
    assert "TPOTrainer" in out
    assert "simpo_gamma=1.0" in out
    assert "conventions: TRL adds CPO's likelihood term unless cpo_alpha is 0" in out


def test_a_choice_picks_its_settings(compare):
    _, out, _ = compare("f_dpo", "--set", "divergence=alpha", "--set", "alpha=0.25", "--json")
    (found,) = json.loads(out)["found"]
    assert found["settings"]["f_divergence_type"] == "alpha_divergence"
    assert found["settings"]["f_alpha_divergence_coef"] == 0.75


def test_a_loss_of_the_whole_batch_has_no_rows(compare):
    _, out, _ = compare("rloo", "--json")
    (found,) = json.loads(out)["found"]
    assert found["rows"] == []
    assert found["compares"] == "gradients"
    assert found["batch"]["ours"] != pytest.approx(found["batch"]["theirs"])


def test_one_batch_in_three_formats(compare, file, tmp_path):
    rows = [dict(zip(PAIRS, values, strict=True)) for values in zip(*PAIRS.values(), strict=True)]
    tensors = {name: torch.tensor(x, dtype=torch.float64) for name, x in PAIRS.items()}
    save_file(tensors, tmp_path / "pairs.safetensors")
    paths = [
        file("pairs.json", PAIRS),
        file("pairs.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n"),
        tmp_path / "pairs.safetensors",
    ]
    texts = [compare("dpo", "--batch", path, "--json") for path in paths]
    assert texts[0] == texts[1] == texts[2]
    (found,) = json.loads(texts[0][1])["found"]
    margin = torch.tensor([0.1 * (0.5 + 0.5), 0.1 * (-1.0 - 1.0)])
    assert found["batch"]["theirs"] == pytest.approx(
        float(torch.nn.functional.softplus(-margin).mean())
    )


def test_inputs_that_are_no_numbers_of_rows(compare, file):
    rows = [
        {"logps": -4.0, "ref_logps": -5.0, "desirable": 1, "kl": 0.5},
        {"logps": -6.0, "ref_logps": -5.0, "desirable": 0, "kl": 0.5},
    ]
    code, out, _ = compare("kto", "--batch", file("a.jsonl", "\n".join(map(json.dumps, rows))))
    assert code == 0
    assert "equal" in out
    rows[1]["kl"] = 0.7
    code, _, err = compare("kto", "--batch", file("b.jsonl", "\n".join(map(json.dumps, rows))))
    assert code == 2
    assert "b.jsonl: kl: expected one number for the whole batch" in err


def test_different_is_exit_code_1(compare, file):
    """CPO's likelihood: TRL averages tokens, so that a long response counts for more."""
    lengths = {"chosen_logps": [-6.0, -2.0], "rejected_logps": [-6.0, -4.0]}
    batch = lengths | {"chosen_mean_logps": [-1.0, -2.0]}  # of 6 tokens and of 1
    code, out, _ = compare("cpo", "--batch", file("cpo.json", batch))
    assert code == 1
    assert "✗ different" in out
    assert "mean over the batch's tokens" in " ".join(out.split())


def broken(**changes):
    return {k: v for k, v in (PAIRS | changes).items() if v is not None}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (broken(chosen_logps=None), "chosen_logps is missing; dpo takes chosen_logps, rejected"),
        (broken(chosn_logps=[1.0]), "no input of dpo in .*called 'chosn_logps'; did you mean chos"),
        (broken(chosen_logps=["a", "b"]), r"chosen_logps: expected numbers of shape \(batch\)"),
        (broken(chosen_logps=[[-1.0]]), r"chosen_logps: expected shape \(batch\), got \(1, 1\)"),
        (broken(rejected_logps=[-1.0]), "dpo: rejected_logps: batch is 1, but chosen_logps has 2"),
        (broken(chosen_logps=[float("nan"), -1.0]), "dpo: chosen_logps holds nan or inf"),
        ([1, 2], "expected an object, got list"),
    ],
)
def test_errors_of_a_batch_name_the_field(compare, file, batch, message):
    code, out, err = compare("dpo", "--batch", file("batch.json", batch))
    assert (code, out) == (2, "")
    assert re.search(message, err)


def test_errors_of_lines_name_the_line(compare, file):
    good = json.dumps({name: x[0] for name, x in PAIRS.items()})
    for text, message in [
        (f"{good}\n{{\n", "lines.jsonl:2: not JSON"),
        (f'{good}\n{{"chosen_logps": -1}}\n', "lines.jsonl:2: ref_chosen_logps is on some lines"),
        ("\n", "lines.jsonl: expected an object a line"),
    ]:
        code, _, err = compare("dpo", "--batch", file("lines.jsonl", text))
        assert code == 2
        assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dpoo"], "no loss called 'dpoo'; did you mean dpo?"),
        (["dpo", "--with", "tlr"], "no library called 'tlr'; did you mean trl?"),
        (["dpo", "--set", "bta=1"], "no hyper-parameter of dpo called 'bta'; did you mean beta?"),
        (["dpo", "--set", "beta=-1"], "dpo: beta: expected a number in (0, inf), got -1.0"),
        (["cispo", "--set", "clip_low=0.5"], "cispo: TRL computes it at clip_low=1.0 alone"),
        (["nash_md"], "TRL had a NashMDTrainer and has it no longer"),
        (["lr_dpo"], "TRL has it not; oat has it as len_reg_alpha"),
        (["lipo"], "TRL has no such loss (`minipref show lipo` is ours)"),
        (["dpo", "--batch", "no.json"], "there is no file no.json"),
    ],
)
def test_a_mistake_is_one_message(compare, arguments, message):
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_file_of_another_kind(compare, file, tmp_path):
    assert "ends in .json, .jsonl" in compare("dpo", "--batch", file("batch.csv", "a,b"))[2]
    assert "is not a safetensors file" in compare("dpo", "--batch", file("x.safetensors", "a"))[2]


def test_without_trl_one_line_says_what_to_install(compare, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    code, _, err = compare("dpo")
    assert (code, err) == (2, "minipref: TRL is not installed: pip install 'trl>=1.16'\n")
