"""``minipref train`` as a user meets it: a file in, a model and a report out, and mistakes."""

import gzip
import json
import subprocess
import sys

import pytest
import torch

from minipref.algorithm.own_data.plan import PLAN, REPORT, TINY
from minipref.data.jsonl import write
from minipref.data.records import Pair, Point, Ranking, points
from minipref.data.streams import dice
from minipref.model.checkpoint import load

pytestmark = pytest.mark.slow

PAIRS = [Pair(f"What is {i}?", f"It is {i}, surely.", f"Who knows {i}") for i in range(24)]
SHORT = ("--steps", "4", "--supervised-steps", "4", "--batch-size", "4", "--max-length", "32")


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    write(path, PAIRS)
    return path


def train(run, data, out, *more, loss="dpo"):
    return run("train", "--data", str(data), "--loss", loss, "--out", str(out), *SHORT, *more)


def test_a_run_leaves_a_model_its_history_and_a_report(run, pairs, tmp_path):
    code, printed, _ = train(run, pairs, tmp_path / "run")
    assert code == 0
    assert "24 pairs in pairs.jsonl" in printed
    assert "after dpo: implicit reward" in printed
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [entry["step"] for entry in history] == [0, 1, 2, 3, 4]
    assert abs(history[0]["loss"] - 0.6931) < 1e-3  # the supervised model is the reference
    assert {"rewards/margins", "logps/chosen", "held_out/accuracy"} <= history[0].keys()
    assert history[0]["held_out/accuracy"] == 0.5  # every implicit reward is 0: all are ties
    supervised = json.loads((tmp_path / "run" / "supervised.json").read_text())
    assert supervised[-1]["loss"] < supervised[0]["loss"]
    saved = load(tmp_path / "run" / TINY)
    assert saved["config"]["context"] == 32
    report = (tmp_path / "run" / REPORT).read_text()
    for words in (
        "It cannot show which answer is true",
        "24 pairs were read and no line was skipped",
        "3 of them were held out, with prompts that stand nowhere else",
        "no prompt was cut",
        "to their first 16 tokens",
        "| the longer text | 1.000 ± 0.000 |",
        "before and after dpo",
    ):
        assert words in report


@pytest.mark.parametrize(
    ("loss", "records"),
    [
        ("simpo", PAIRS),
        ("kto", PAIRS),
        ("kto", [point for pair in PAIRS for point in points(pair)]),
        ("pl_dpo", [Ranking(p.prompt, (p.chosen, p.rejected, "")) for p in PAIRS]),
    ],
)
def test_every_kind_of_file_has_its_losses(run, tmp_path, loss, records):
    write(tmp_path / "data.jsonl.gz", records)
    code, out, err = train(run, tmp_path / "data.jsonl.gz", tmp_path / "run", loss=loss)
    assert code == 0, err
    assert f"after {loss}" in out


def test_skipped_lines_are_counted_in_the_report(run, pairs, tmp_path):
    pairs.write_bytes(b'{"prompt": 1}\n' + pairs.read_bytes() + b"oh\n")
    code, out, _ = train(run, pairs, tmp_path / "run", "--skip-bad")
    assert code == 0
    assert "2 bad lines skipped" in out
    report = (tmp_path / "run" / REPORT).read_text()
    assert "2 bad lines skipped" in report
    assert "line 1" in report


def test_resume_goes_on_with_the_same_plan_alone(run, pairs, tmp_path):
    out = tmp_path / "run"
    assert train(run, pairs, out)[0] == 0
    report = (out / REPORT).read_bytes()
    code, _, err = train(run, pairs, out)
    assert (code, err.count("\n")) == (2, 1)
    assert "--resume goes on with it" in err
    (out / REPORT).unlink()
    assert train(run, pairs, out, "--resume")[0] == 0
    assert (out / REPORT).read_bytes() == report
    for more, told in (
        (("--seed", "1"), "seed was 0 and is 1"),
        (("--set", "beta=0.2"), "hyperparameters was {} and is {'beta': 0.2}"),
    ):
        code, _, err = train(run, pairs, out, "--resume", *more)
        assert code == 2
        assert told in err
    assert "loss was 'dpo' and is 'ipo'" in train(run, pairs, out, "--resume", loss="ipo")[2]
    pairs.write_bytes(pairs.read_bytes().replace(b"surely", b"perhaps"))
    assert "data_sha256 was" in train(run, pairs, out, "--resume")[2]


def test_a_loss_that_is_not_finite_says_what_to_do_and_leaves_its_history(run, pairs, tmp_path):
    wild = ("--learning-rate", "1e30", "--save-every", "1")
    code, _, err = train(run, pairs, tmp_path / "run", *wild)
    assert code == 2
    assert "holds nan or inf; " in err
    assert "history.json has what led to it, and a smaller learning rate may help" in err
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history[0]["step"] == 0
    assert len(history) < 4


# ---- mistakes ---------------------------------------------------------------------------------


def spoilt(draw):
    """A good file with one mistake in it: its bytes, and the line that has to be named if any."""
    lines = [
        json.dumps({"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected}).encode()
        for p in PAIRS
    ]
    place = draw.randrange(len(lines))
    line = json.loads(lines[place])
    field = draw.choice(sorted(line))
    value = draw.choice([None, 1, 2.5, True, [], [1], {}, {"a": "b"}, ["text"]])
    half = lines[place][: draw.randrange(1, len(lines[place]))]
    within = draw.randrange(2, len(lines[place]) - 2)
    options = {
        "a wrong type": json.dumps({**line, field: value}).encode(),
        "a field less": json.dumps({k: v for k, v in line.items() if k != field}).encode(),
        "half a line": half,
        "not an object": draw.choice([b"[]", b"3", b'"text"', b"null", b"true"]),
        "not JSON": draw.choice([b"hello", b"{'prompt': 1}", b"{,}", b"}{", b"\x00", b"prompt,a"]),
        "not UTF-8": lines[place][:within] + bytes([draw.randrange(0x80, 0xC0)]) + b'"}',
        "half a character": json.dumps({**line, field: "\ud800"}).encode(),
        "not finite": json.dumps({**line, "score": float(draw.choice(["nan", "inf"]))}).encode(),
        "twice": lines[place][:-1] + f', "{field}": "again"}}'.encode(),
        "nested": b'{"prompt": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "a long number": b'{"prompt": ' + b"9" * 5000 + b"}",
        "two on a line": lines[place] + lines[place],
    }
    whole = {
        "damaged gzip": gzip.compress(b"\n".join(lines))[: draw.randrange(20, 100)],
        "UTF-16": b"\n".join(lines).decode().encode("utf-16"),
        "nothing": draw.choice([b"", b"\n\n", b"  \n"]),
        "one record": lines[place],
        "a picture": b"\x89PNG\r\n\x1a\n" + draw.randbytes(60),
        "kinds mixed": b"\n".join([*lines, b'{"prompt": "a", "completion": "b", "label": true}']),
    }
    kind = draw.choice([*options, *whole])
    if kind in whole:
        return kind, whole[kind], None
    if options[kind] == lines[place]:
        return spoilt(draw)
    if place == 0 and kind in ("a field less", "a wrong type"):  # then it is of another format
        place, lines = 1, [lines[1], *lines]
    lines[place] = options[kind]
    return kind, b"\n".join(lines), place + 1


@pytest.mark.slow
def test_two_hundred_malformed_files(run, tmp_path):
    kinds = set()
    for number in range(200):
        kind, content, line = spoilt(dice(number, "malformed"))
        path, out = tmp_path / f"{number}.jsonl", tmp_path / f"{number}"
        path.write_bytes(content)
        code, _, err = train(run, path, out)
        assert code == 2, (number, kind)
        assert err.startswith("minipref: "), (number, kind)
        assert err.count("\n") == 1, (number, kind, err)
        assert len(err) < 500, (number, kind, err)
        if line is not None:
            assert f"{path}, line {line}" in err, (number, kind, err)
        assert not out.exists(), (number, kind)
        kinds.add(kind)
    assert len(kinds) == 18


def alone(*arguments):
    command = [sys.executable, "-m", "minipref", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_mistake_shows_no_traceback_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "a", "chosen": 3, "rejected": "b"}\n')
    answer = alone("train", "--data", path, "--loss", "dpo", "--out", tmp_path / "run")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"minipref: {path}, line 1, field 'chosen'")
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("more", "loss", "told"),
    [
        ((), "dop", "did you mean"),
        ((), "odpo", "more than labels: scores"),
        ((), "pl_dpo", "it learns from rankings, and the file holds pairs"),
        (("--set", "beta=-1"), "dpo", "beta"),
        (("--set", "bta=1"), "dpo", "no hyper-parameter 'bta'"),
        (("--set", "beta"), "dpo", "expected NAME=VALUE"),
        (("--learning-rate", "0"), "dpo", "learning_rate: expected a positive number"),
        (("--max-length", "3"), "dpo", "max_length: expected at least 16"),
        (("--held-out", "2"), "dpo", "held_out: expected a share"),
        (("--model", "nowhere"), "dpo", "nowhere is no folder of a model"),
    ],
)
def test_a_users_mistake_is_one_line(run, pairs, tmp_path, more, loss, told):
    code, _, err = train(run, pairs, tmp_path / "run", *more, loss=loss)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there(run, tmp_path):
    code, _, err = train(run, tmp_path / "no.jsonl", tmp_path / "run")
    assert (code, err.count("\n")) == (2, 1)
    assert "no.jsonl" in err


# ---- several processes ------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_are_one_within_rounding(run, pairs, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert train(run, pairs, tmp_path / "one", "--batch-size", "5")[0] == 0
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = ["--data", str(pairs), "--loss", "dpo", "--out", str(tmp_path / "two"), *SHORT]
    answer = subprocess.run(
        [*torchrun, "-m", "minipref", "train", *arguments, "--batch-size", "5"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.count("24 pairs in pairs.jsonl") == 1  # the first process alone speaks
    one, two = (load(tmp_path / name / TINY)["weights"] for name in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], rtol=1e-4, atol=2e-5) for name in one)
    histories = [
        json.loads((tmp_path / name / "history.json").read_text()) for name in ("one", "two")
    ]
    for ours, theirs in zip(*histories, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(ours[key] == pytest.approx(theirs[key], rel=1e-3, abs=1e-4) for key in ours)
    assert json.loads((tmp_path / "two" / PLAN).read_text())["processes"] == 2
    assert not [path for path in (tmp_path / "two").iterdir() if path.name.startswith(".")]


def test_points_need_both_labels(run, tmp_path):
    write(tmp_path / "p.jsonl", [Point(str(i), "a", True) for i in range(20)])
    code, _, err = train(run, tmp_path / "p.jsonl", tmp_path / "run", loss="kto")
    assert code == 2
    assert "all labels are the same" in err
