"""Grading: what a student's process may do, said by the hook and by the kernel."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.course.grading import linux
from minipref.course.grading.sandbox import guarantees, refuse


def test_the_hook_lets_reading_through_and_nothing_else():
    refuse("open", (__file__, "r", 0))
    refuse("import", ("math",))
    for event, arguments in (("open", ("x", "w", 1)), ("socket.connect", ()), ("os.fork", ())):
        with pytest.raises(PermissionError):
            refuse(event, arguments)
    assert len(guarantees()) >= 3


KERNEL = """
import os, resource, socket, sys
from pathlib import Path
from minipref.course.grading import linux
from minipref.resources import PACKAGE, ROOT
canary, source = Path(sys.argv[1]), next((ROOT / "notebooks" / "src").glob("*.py"))
status = open("/proc/self/status")
linux.confine([PACKAGE, Path(sys.prefix)])
for name, act in {
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getpid(), 0),
    "read a neighbour": lambda: canary.read_text(),
    "read solutions": lambda: source.read_text(),
    "write": lambda: canary.write_text("x"),
    "make": lambda: Path(str(canary) + "2").touch(),
    "truncate": lambda: os.truncate(canary, 0),
    "mode": lambda: os.chmod(canary, 0),
    "time": lambda: os.utime(canary),
    "rename": lambda: os.rename(canary, str(canary) + "3"),
    "remove": lambda: os.remove(canary),
    "limits": lambda: resource.setrlimit(resource.RLIMIT_CPU, (9, 9)),
}.items():
    try:
        act()
    except PermissionError:
        continue
    except ValueError as error:
        if "not allowed" in str(error):
            continue
    print("possible:", name)
print([line.split()[1] for line in status if line.startswith(("CapEff", "CapPrm"))])
print("read", len((PACKAGE / "resources.py").read_text()) > 0)
"""


@given(depth=st.integers(0, 3), beside=st.integers(0, 3))
def test_what_is_hidden_is_left_out_and_what_is_beside_it_stays(tmp_path_factory, depth, beside):
    top = tmp_path_factory.mktemp("top")
    hidden = top.joinpath(*"abc"[:depth], "hidden")
    (hidden / "deep").mkdir(parents=True)
    folders = [top, *(top.joinpath(*"abc"[: k + 1]) for k in range(depth))]
    for folder in folders:
        for number in range(beside):
            (folder / f"beside {number}").mkdir()
    rights = dict(linux.without([top, hidden], hidden))
    assert all(rights[folder] == linux.READ_FOLDER for folder in folders)
    open_ = {path for path, right in rights.items() if right & linux.READ_FILE}
    assert len(open_) == beside * len(folders)
    assert not any(path == hidden or path in hidden.parents for path in open_)


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
def test_the_kernel_refuses_without_any_hook(tmp_path):
    if not linux.landlock_version():
        pytest.skip("this kernel has no Landlock")
    canary = tmp_path / "canary"
    canary.write_text("sings")
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, str(canary)], capture_output=True, text=True, check=False
    )
    none = ["0" * 16] * 2
    assert done.stdout == f"{none}\nread True\n", done.stdout + done.stderr
    assert canary.read_text() == "sings"
