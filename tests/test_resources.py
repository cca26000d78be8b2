"""Shipped files are found, caches go where the user wants, and mistakes are named."""

import pytest

from minipref import resources


def test_a_shipped_file_is_found():
    text = resources.resource("datasets/README.md").read_text(encoding="utf-8")
    assert text.startswith("# Data sets")


def test_a_missing_one_names_its_neighbours():
    with pytest.raises(FileNotFoundError, match=r"'datasets/READMY.md' \(did you mean README.md"):
        resources.resource("datasets/READMY.md")
    with pytest.raises(FileNotFoundError, match=r"'datasetz/README.md' \(did you mean datasets"):
        resources.resource("datasetz/README.md")
    with pytest.raises(FileNotFoundError, match=r"'datasets/qqqqqqq'$"):
        resources.resource("datasets/qqqqqqq")


@pytest.mark.parametrize("name", ["../secrets", "datasets/../../x", "/etc/hostname"])
def test_no_way_out(name):
    with pytest.raises(ValueError, match="name: expected a path"):
        resources.resource(name)


def test_cache_honours_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path / "deep" / "cache"))
    assert resources.cache_dir() == tmp_path / "deep" / "cache"
    assert resources.cache_dir().is_dir()


def test_cache_without_the_variable_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIPREF_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(resources.sys, "platform", "linux")
    assert resources.cache_dir() == tmp_path / "minipref"


def test_where_each_system_keeps_caches(monkeypatch):
    monkeypatch.setenv("LOCALAPPDATA", "L")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert resources.user_cache("win32").startswith("L")
    assert resources.user_cache("darwin") == "~/Library/Caches/minipref"
    assert resources.user_cache("linux").replace("\\", "/") == "~/.cache/minipref"


def test_a_cache_that_cannot_be_made_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIPREF_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="set MINIPREF_CACHE"):
        resources.cache_dir()
