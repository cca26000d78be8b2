"""`minipref show --kernel`: a kernel to copy."""

import re
import sys

import pytest

from minipref.cli.catalogue import print_python
from minipref.fused.printed import PRINTED, printed


@pytest.mark.parametrize("name", PRINTED)
def test_what_is_piped_is_the_file(run, name):
    assert run("show", name, "--kernel") == (0, printed(name), "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["token_logps"],
            "is a kernel, not a loss: minipref show token_logps --kernel",
        ),
        (["dpo", "--kernel"], "there is no kernel called 'dpo' (there is token_logps"),
        (["token_logps", "--kernel", "--test"], "--kernel: expected no other option"),
        (["token_logps", "--kernel", "--checked"], "--kernel: expected no other option"),
        (["token_logps", "--kernel", "--from-logits"], "--kernel: expected no other option"),
    ],
)
def test_a_mistake_says_what_there_is(run, arguments, words):
    code, out, err = run("show", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_a_terminal_gets_colours_and_the_same_text(monkeypatch, capsys):
    text = printed("token_logps")
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "40"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_python(text)
    out = capsys.readouterr().out
    assert re.sub(r"\x1b\[[\d;]*m", "", out) == text
    assert out.count("\x1b[") > 1000
