"""What a student's process may do: compute for a while, in some memory, and nothing else.

Three fences stand behind each other. An audit hook refuses files, sockets and processes and says
so in words; it holds on every system against Python, but not against machine code. Limits of the
operating system (POSIX) bound time, memory and files. On Linux the kernel itself refuses (`linux`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...resources import PACKAGE, ROOT
from . import linux


@dataclass(frozen=True)
class Limits:
    """What one exercise of one student may take.

    cpu_seconds: of the student's process. wall_seconds: of student and check together.
    memory: bytes, on top of what Python and torch hold before a cell runs.
    """

    cpu_seconds: int = 30
    wall_seconds: float = 180.0
    memory: int = 2 << 30


REFUSED = (  # audit events by their beginning
    *("socket.", "subprocess.", "ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function"),
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile", "pty."),
    *("os.kill", "os.remove", "os.rename", "os.rmdir", "os.mkdir"),
    *("os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr"),
    *("os.removexattr", "os.chflags", "os.lockf", "os.putenv", "signal.pthread_kill", "syslog."),
    *("shutil.", "tempfile.", "ftplib.", "http.", "urllib.", "smtplib.", "webbrowser.", "winreg."),
    *("msvcrt.", "_winapi.", "resource.setrlimit", "resource.prlimit", "mmap."),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def enter(folder: str, channel: int, limits: Limits) -> None:
    """Confine this process to an empty folder, for good; no file stays open but `channel`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "HOME": folder}
    sys.dont_write_bytecode = True
    if os.name == "posix":
        silence(channel)
        limit(limits)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (for good)
    if sys.platform == "linux":
        linux.confine(readable())
    sys.addaudithook(refuse)


def silence(channel: int) -> None:
    """Standard streams lead nowhere, and no other file than the channel is open."""
    void = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(void, stream)
    os.closerange(3, channel)
    os.closerange(channel + 1, 1 << 16)


def limit(limits: Limits) -> None:
    """The operating system's own limits. Those that a system does not know are passed over."""
    import resource

    wanted = {
        "RLIMIT_CPU": (limits.cpu_seconds, limits.cpu_seconds + 1),  # a signal, then the end
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_NPROC": (0, 0),
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_NOFILE": (64, 64),
    }
    for name, values in wanted.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), values)
    limit_memory(limits.memory)


def limit_memory(more: int) -> None:
    """At most `more` bytes from here on; on Linux only, where what is taken already is known."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (linux.address_space() + more,) * 2)


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """The audit hook. Raises PermissionError for what an answer has no need of."""
    if event == "open" and len(arguments) == 3:
        path, _, flags = arguments
        if flags & WRITING and path != os.devnull:
            raise PermissionError("a submission may not write files")
    elif event.startswith(REFUSED):
        raise PermissionError(f"a submission may not use {event}")


def readable() -> list[Path]:
    """What a student's process may read: Python, its packages, and ours without the notebooks."""
    homes = {Path(sys.prefix), Path(sys.base_prefix), PACKAGE, ROOT / "kernels", ROOT / "datasets"}
    homes |= {Path(path).resolve() for path in sys.path if "site-packages" in path}
    return sorted({home.resolve() for home in homes if home.exists()})


def guarantees() -> list[str]:
    """What holds on this machine, a line each, and what does not."""
    lines = ["each answer runs in a process of its own; verdicts are made in another one"]
    if sys.platform == "linux":
        return lines + linux.guarantees()
    if os.name == "posix":
        lines.append("processor time is limited by the system; memory may not be (macOS)")
    else:
        lines.append("wall-clock time is limited; processor time and memory are not (Windows)")
    return [*lines, "files and network are refused inside Python only, not by the system"]
