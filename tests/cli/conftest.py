"""The command line, called in this process."""

import sys

import pytest

from minipref import cli


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
