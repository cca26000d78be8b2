"""How the environment is made: which PyTorch is asked for, when nothing needs doing, what fails."""

import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from dev import chores, environment, torch_build

PYTHON = Path(sys.executable)
ROOT = environment.ROOT


def test_the_pinned_torch_is_read_from_constraints():
    assert torch_build.pinned_version("numpy==2\ntorch==2.13.0\n") == "2.13.0"
    assert torch_build.pinned_version("torch==2.13.0 ; sys_platform == 'linux'\n") == "2.13.0"
    with pytest.raises(ValueError, match="torch==VERSION"):
        torch_build.pinned_version("pytorch-lightning==2\n#torch==1\n")


@pytest.mark.parametrize(
    ("platform", "gpu", "expected"),
    [("linux", False, True), ("linux", True, False), ("win32", False, False), ("darwin", 0, False)],
)
def test_only_linux_without_a_gpu_asks_the_cpu_index(platform, gpu, expected):
    assert torch_build.wants_cpu_index(platform, gpu) is expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'GPU 0: NVIDIA H200'", True),
        ("echo 'No devices were found'", False),
        ("echo 'GPU 0'; exit 9", False),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nvidia-smi is a shell script")
def test_a_gpu_is_one_that_nvidia_smi_lists(tmp_path, monkeypatch, script, expected):
    stand_in = tmp_path / "nvidia-smi"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert torch_build.has_nvidia_gpu() is expected


def test_no_nvidia_smi_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert torch_build.has_nvidia_gpu() is False


def test_the_commands_for_the_cpu_build():
    version = "2.13.0"
    cpu = torch_build.cpu_command(Path("py"), version)
    assert cpu[:4] == ["py", "-m", "pip", "install"]
    assert cpu[-3:] == ["--index-url", torch_build.CPU_INDEX, "torch==2.13.0+cpu"]
    assert "--no-deps" in cpu
    assert "--timeout" not in cpu  # a slow download is not given up
    probe = torch_build.probe_command(Path("py"))
    assert probe[:6] == ["py", "-m", "pip", "index", "versions", "torch"]
    assert probe[probe.index("--index-url") + 1] == torch_build.CPU_INDEX
    assert int(probe[probe.index("--timeout") + 1]) <= 10
    assert probe[probe.index("--retries") + 1] == "0"
    local = torch_build.local_command(Path("py"), version)
    assert "--no-index" in local
    assert local[-1] == "torch==2.13.0"


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("Available versions: 2.13.0+cpu, 2.12.1+cpu", True),
        ("torch (2.13.0+cpu)", True),
        ("Available versions: 2.13.0, 2.12.1+cpu", False),
        ("Available versions: 12.13.0+cpu", False),
        ("Available versions: 2.13.0+cpu.cxx11", False),
        ("Available versions: 2.13.0+cu130", False),
        ("", False),
    ],
)
def test_an_index_offers_the_exact_build_or_it_does_not(listing, expected):
    assert torch_build.offers(listing, "2.13.0") is expected


@pytest.fixture
def plain_pip(monkeypatch):
    """pip without any configuration of this machine."""
    for name in list(os.environ):
        if name.lower().startswith("pip_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def silent_index(monkeypatch, plain_pip):
    """An index on this machine that accepts a connection and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/whl/cpu"
        monkeypatch.setattr(torch_build, "CPU_INDEX", address)
        monkeypatch.setattr(torch_build, "CONNECT_SECONDS", 1)
        yield


class Index(http.server.SimpleHTTPRequestHandler):
    """A folder of wheels as a package index."""

    def log_message(self, *_):
        pass


@pytest.fixture
def answering_index(monkeypatch, plain_pip, tmp_path):
    """An index on this machine with an empty package that calls itself torch's CPU build."""
    shelf = tmp_path / "shelf" / "whl" / "cpu" / "torch"
    shelf.mkdir(parents=True)
    with zipfile.ZipFile(shelf / "torch-9.9.9+cpu-py3-none-any.whl", "w") as wheel:
        info = "torch-9.9.9+cpu.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9+cpu\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    handler = functools.partial(Index, directory=tmp_path / "shelf")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/whl/cpu"
        monkeypatch.setattr(torch_build, "CPU_INDEX", address)
        yield
        server.shutdown()


@pytest.mark.slow
def test_the_cpu_build_is_installed_from_an_index_that_answers(answering_index, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = environment.python_of(tmp_path / "venv")
    assert not torch_build.installed(python, "9.9.9")
    assert torch_build.cpu_index_has(python, "9.9.9")
    assert not torch_build.cpu_index_has(python, "9.9.8")
    assert torch_build.install_cpu_build(python, "9.9.9")
    assert torch_build.installed(python, "9.9.9")
    assert not torch_build.installed(python, "9.9.8")


@pytest.mark.slow
def test_an_index_that_does_not_answer_is_left_after_the_time_out(silent_index):
    assert torch_build.cpu_index_has(PYTHON, "2.13.0") is False


@pytest.mark.slow
def test_a_whole_question_has_a_limit_too(silent_index, monkeypatch):
    monkeypatch.setattr(torch_build, "CONNECT_SECONDS", 60)
    monkeypatch.setattr(torch_build, "PROBE_SECONDS", 2)
    assert torch_build.cpu_index_has(PYTHON, "2.13.0") is False


def script_answers(monkeypatch, answers):
    """Record what would be run; each command answers with the first matching word's exit code."""
    asked = []

    def answer(command, **_):
        text = " ".join(map(str, command))
        asked.append(text)
        code, out = next((a for word, a in answers.items() if word in text), (1, ""))
        return subprocess.CompletedProcess(command, code, out, "")

    monkeypatch.setattr(torch_build.subprocess, "run", answer)
    return asked


def test_torch_that_is_there_is_left_alone(monkeypatch):
    asked = script_answers(monkeypatch, {"metadata": (0, "2.13.0+cpu\n")})
    assert torch_build.install_cpu_build(PYTHON, "2.13.0")
    assert len(asked) == 1


def test_a_local_wheel_comes_before_the_network(monkeypatch):
    asked = script_answers(monkeypatch, {"metadata": (1, ""), "--no-index": (0, "")})
    assert torch_build.install_cpu_build(PYTHON, "2.13.0")
    assert not any(torch_build.CPU_INDEX in text for text in asked)


def test_the_cpu_index_is_used_when_it_answers(monkeypatch):
    listing = (0, "Available versions: 2.13.0+cpu")
    asked = script_answers(monkeypatch, {"index versions": listing, "+cpu": (0, "")})
    assert torch_build.install_cpu_build(PYTHON, "2.13.0")
    assert asked[-1].endswith("torch==2.13.0+cpu")


def test_otherwise_torch_is_left_to_the_default_index(monkeypatch, capsys):
    asked = script_answers(monkeypatch, {})
    assert not torch_build.install_cpu_build(PYTHON, "2.13.0")
    assert "install" not in asked[-1]
    assert "default build" in capsys.readouterr().err


def test_lint_rules_do_not_reinstall_but_pins_do():
    project = '[project]\nname = "x"\n'
    same = environment.digest(project + "[tool.ruff]\nline-length = 99\n", "a==1", "linux")
    assert same == environment.digest(project, "a==1", "linux")
    assert same != environment.digest(project, "a==2", "linux")
    assert same != environment.digest(project, "a==1", "darwin")
    assert same != environment.digest('[project]\nname = "y"\n', "a==1", "linux")


@pytest.mark.parametrize("installed", environment.SIZES)
@pytest.mark.parametrize("wanted", environment.SIZES)
def test_a_larger_environment_serves_a_smaller_wish(tmp_path, installed, wanted):
    stamp = tmp_path / "stamp.json"
    stamp.write_text(json.dumps({"size": installed, "digest": "d"}))
    order = list(environment.SIZES)
    ready = environment.is_ready(wanted, stamp, "d", PYTHON)
    assert ready is (order.index(installed) >= order.index(wanted))
    assert not environment.is_ready(wanted, stamp, "other", PYTHON)
    assert not environment.is_ready(wanted, stamp, "d", tmp_path / "no-python")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"size": "huge", "digest": "d"}', "{}"])
def test_a_spoilt_stamp_counts_for_nothing(tmp_path, text):
    stamp = tmp_path / "stamp.json"
    assert not environment.is_ready("run", stamp, "d", PYTHON)
    stamp.write_text(text)
    assert not environment.is_ready("run", stamp, "d", PYTHON)


def test_interpreters_and_requirements():
    assert environment.python_of(Path("v"), "nt") == Path("v/Scripts/python.exe")
    assert environment.python_of(Path("v"), "posix") == Path("v/bin/python")
    assert environment.requirement([]) == "."
    assert environment.requirement(["course", "gpu"]) == ".[course,gpu]"


def test_an_older_python_is_told(tmp_path):
    code = "import sys; sys.version_info = (3, 9, 1); import dev"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "needs Python 3.11 or newer; this is 3.9" in answer.stderr


def test_every_make_target_is_a_chore_and_the_other_way_round():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    line = next(line for line in makefile.splitlines() if line.startswith("CHORES ="))
    assert line.removeprefix("CHORES =").split() == list(chores.CHORES)
    assert all(chore.__doc__ for chore in chores.CHORES.values())


def test_a_failing_step_fails_the_whole(capsys):
    failed = []
    chores.step(failed, "good", PYTHON, "-c", "pass")
    chores.step(failed, "bad", PYTHON, "-c", "raise SystemExit(3)")
    assert failed == ["bad"]
    assert chores.verdict(failed) == 1
    assert chores.verdict([]) == 0
    assert "failed: bad" in capsys.readouterr().out


@pytest.fixture
def made(monkeypatch):
    """Record the environments that would be made."""
    calls = []
    monkeypatch.setattr(environment.venv, "create", lambda *a, **options: calls.append(options))
    return calls


def test_an_environment_that_runs_is_kept(made):
    environment.make_venv(PYTHON)
    assert made == []


def test_one_without_its_interpreter_is_made_afresh(made, tmp_path):
    environment.make_venv(tmp_path / "gone")
    assert made == [{"clear": True, "with_pip": True}]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for Python is a shell script")
def test_one_of_another_version_is_made_afresh(made, tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\necho 3.9\n")
    (tmp_path / "python").chmod(0o755)
    environment.make_venv(tmp_path / "python")
    assert len(made) == 1


def test_a_debian_without_venv_names_the_package(monkeypatch, tmp_path):
    def create(*_, **__):
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(environment.venv, "create", create)
    with pytest.raises(SystemExit, match=r"sudo apt install python3\.\d+-venv"):
        environment.make_venv(tmp_path / "gone")


def test_an_unknown_size_names_the_known_ones():
    with pytest.raises(
        SystemExit, match="expected one of run, course, book, test, got 'everything'"
    ):
        chores.make_environment(["everything"])
