"""`minipref diagnose`, and docs/metrics.md: one table behind both."""

import json
import re
import subprocess
import sys

import pytest

from minipref import cli
from minipref.course import pages
from minipref.evaluation.diagnosis import GLOSSARY, METRICS, RULES
from minipref.resources import ROOT, resource

TRL_OWN = re.compile(r"metrics\[(?:mode\]\[)?f?\"(?:\{prefix\})?([\w/]+)\"\]")


@pytest.fixture
def diagnose(monkeypatch, capsys):
    """Run ``minipref diagnose ARGUMENTS``: exit code, stdout, stderr."""
    monkeypatch.delenv("MINIPREF_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["minipref", "diagnose", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return stopped.value.code or 0, out, err

    return run


def stored(name):
    return resource(f"datasets/histories/{name}.json")


def test_says_what_why_and_what_to_do(diagnose):
    code, out, err = diagnose(stored("trl-dpo-dropout"))
    assert (code, err) == (1, "")
    rule = RULES["unequal-at-start"]
    text = " ".join(out.split())
    for said in (rule.title, "seen:", "-0.0339", rule.why, rule.cure, rule.see):
        assert said in text
    assert "40 steps" in out


def test_what_is_no_fault_is_no_failure(diagnose):
    code, out, _ = diagnose(stored("dpo-falling"))
    assert code == 0
    assert "not a bug" in " ".join(out.split())
    code, out, _ = diagnose(stored("dpo-well"))
    assert code == 0
    assert "nothing found" in out


def test_says_which_rules_could_not_look(diagnose, tmp_path):
    path = tmp_path / "history.json"
    path.write_text(json.dumps([{"step": i, "loss": 0.5, "grad_norm": 1.0} for i in range(9)]))
    _, out, _ = diagnose(tmp_path)
    assert "loss-pinned could not look: no rewards/margins" in out
    assert "all-clipped" not in out  # it is about another kind of run


def test_json_is_what_people_read(diagnose):
    code, out, _ = diagnose(stored("trl-grpo-collapse"), "--json")
    found = json.loads(out)
    assert code == 1
    assert [each["rule"] for each in found["findings"]] == [
        "zero-variance-groups",
        "entropy-collapse",
    ]
    assert found["writer"] == "trl"
    assert len(found["findings"]) + len(found["silent"]) + len(found["blind"]) == len(RULES)
    assert all(each["evidence"] and each["fault"] for each in found["findings"])


def test_a_mistake_is_one_line(diagnose, tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        code, out, err = diagnose(path)
        assert (code, out) == (2, "")
        assert err.startswith("minipref: ")
        assert len(err.splitlines()) == 1
        assert str(path) in err


def test_json_needs_no_torch():
    code = (
        "import sys; from minipref.evaluation.diagnosis import diagnose, read\n"
        f"diagnose(read({str(stored('dpo-well'))!r})); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "False"


def test_the_page_is_what_the_table_says():
    """Where this fails: `python -m minipref.course.pages` writes it."""
    page = (ROOT / pages.METRICS_PAGE).read_text(encoding="utf-8")
    assert page == pages.metrics_page()
    for name in (*METRICS, *RULES):
        assert f"`{name}`" in page


def test_the_glossary_names_each_metric_once_and_says_all_of_it():
    every = [metric for metrics in GLOSSARY.values() for metric in metrics]
    for names in ([m.name for m in every], [m.trl for m in every]):
        given = [name for name in names if name]
        assert len(given) == len(set(given))
    for metric in every:
        assert metric.name or metric.trl
        assert metric.unit
        assert metric.what
        assert metric.healthy


def test_names_of_trl_are_those_that_its_trainers_log():
    """Read from the trainers that are installed; eval_ and what transformers logs are apart."""
    trl = pytest.importorskip("trl")
    folder = type(ROOT)(trl.__file__).parent
    source = "".join(
        path.read_text(encoding="utf-8") for path in folder.rglob("*_trainer.py") if path.is_file()
    )
    logged = set(TRL_OWN.findall(source)) | {"loss", "eval_loss", "grad_norm", "learning_rate"}
    for metric in METRICS.values():
        if metric.trl:
            assert metric.trl.removeprefix("eval_") in logged or metric.trl in logged, metric.trl
