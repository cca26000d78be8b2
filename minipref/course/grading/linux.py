"""Linux refuses by itself: Landlock for files, seccomp for everything that is not computing.

Neither needs a privilege, and neither can be undone by the process that has asked for it. System
calls are numbered by architecture; on others than the two below only Landlock stands.
Sources: landlock(7), seccomp(2), capabilities(7) of the Linux manual.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...resources import ROOT

NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2  # of prctl
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, audit number
ABSENT = -1
REFUSED = {  # system calls: (x86_64, aarch64)
    "network": [(41, 198), (53, 199), (42, 203), (49, 200)],  # socket, socketpair, connect, bind
    "processes": [(56, 220), (57, ABSENT), (58, ABSENT), (435, 435), (59, 221), (322, 281)],
    "signals": [(62, 129), (200, 130), (234, 131), (129, 138), (297, 240), (424, 424)],
    "others' memory": [(101, 117), (310, 270), (311, 271), (434, 434), (438, 438)],
    "modes and owners": [
        *((90, ABSENT), (91, 52), (268, 53), (452, 452), (92, ABSENT), (93, 55), (94, ABSENT)),
        *((260, 54), (132, ABSENT), (235, ABSENT), (261, ABSENT), (280, 88), (76, 45)),
        *((188, 5), (189, 6), (190, 7), (197, 14), (198, 15), (199, 16)),
    ],
    "name spaces": [(165, 40), (166, 39), (272, 97), (308, 268), (161, 51), (155, 41)],
    "other doors": [(425, 425), (321, 280), (298, 241), (323, 282), (250, 219), (248, 217)],
    "what outlives": [(29, 194), (68, 186), (64, 190), (240, 180)],  # shared memory, queues
    "limits": [(160, 164), (302, 261), (141, 140), (203, 122), (144, 119), (126, 91)],
}
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT, CAPSET = 444, 445, 446, {0: 126, 1: 91}
READ_FILE, READ_FOLDER = 1 << 2, 1 << 3
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # version: how many rights over files it knows
SYSTEM = (
    *("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts"),
    *("/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)


def confine(readable: Iterable[Path]) -> None:
    """From here on this process reads only these folders, writes nowhere, starts nothing."""
    call = ctypes.CDLL(None, use_errno=True)
    drop_capabilities(call)
    if call.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl: no new privileges")
    if landlock_version():
        restrict_files(call, [*readable, *map(Path, SYSTEM)])
    if platform.machine() in ARCHITECTURES:
        restrict_calls(call)


def drop_capabilities(call: ctypes.CDLL) -> None:
    """Give up what root may do; without the right to raise limits again, they hold for root too."""
    if platform.machine() in ARCHITECTURES:
        column = ARCHITECTURES[platform.machine()][0]
        call.syscall(CAPSET[column], struct.pack("II", 0x20080522, 0), bytes(24))


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    call = ctypes.CDLL(None, use_errno=True)
    return max(0, call.syscall(LANDLOCK_CREATE, None, 0, 1))


def restrict_files(call: ctypes.CDLL, readable: Iterable[Path]) -> None:
    """Landlock: every right over files is refused but that of reading below these paths."""
    known = RIGHTS[min(landlock_version(), max(RIGHTS))]
    rules = call.syscall(LANDLOCK_CREATE, struct.pack("Q", (1 << known) - 1), 8, 0)
    if rules < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for path, rights in without(readable, ROOT / "notebooks"):
        with contextlib.suppress(OSError):  # a folder that this system does not have
            place = os.open(path, os.O_PATH)
            rights &= READ_FILE | READ_FOLDER if path.is_dir() else READ_FILE
            call.syscall(LANDLOCK_ADD, rules, 1, struct.pack("=Qi", rights, place), 0)
            os.close(place)
    if call.syscall(LANDLOCK_RESTRICT, rules, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(rules)


def without(paths: Iterable[Path], hidden: Path) -> Iterator[tuple[Path, int]]:
    """Paths with their rights, such that nothing below `hidden` can be read.

    A folder above it can only be listed; the files and folders beside it are named one by one.
    """
    for path in paths:
        if path == hidden:
            continue
        if path in hidden.parents:
            yield path, READ_FOLDER
            yield from without(sorted(path.iterdir()), hidden)
        else:
            yield path, READ_FILE | READ_FOLDER


def restrict_calls(call: ctypes.CDLL) -> None:
    """seccomp: the refused system calls fail with "operation not permitted"."""
    column, architecture = ARCHITECTURES[platform.machine()]
    numbers = [pair[column] for pairs in REFUSED.values() for pair in pairs]
    program = filter_program([number for number in numbers if number != ABSENT], architecture)
    text = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(text))
    if call.prctl(SECCOMP, FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl: seccomp")


def filter_program(numbers: list[int], architecture: int) -> bytes:
    """A Berkeley packet filter over (number, architecture): end, refuse, or allow.

    An instruction is (code, jump if true, jump if false, operand).
    """
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    end, refused, allowed = 0x80000000, 0x00050000 | 1, 0x7FFF0000
    steps = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, end), (load, 0, 0, 0)]
    steps += [(at_least, 0, 1, 0x40000000), (give, 0, 0, refused)]  # the other ABI of x86
    for number in numbers:
        steps += [(equal, 0, 1, number), (give, 0, 0, refused)]
    return b"".join(struct.pack("HBBI", *step) for step in [*steps, (give, 0, 0, allowed)])


def address_space() -> int:
    """Bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def guarantees() -> list[str]:
    """What holds on this machine, a line each."""
    files = "kept by the kernel (Landlock)" if landlock_version() else "kept inside Python only"
    known = platform.machine() in ARCHITECTURES
    calls = "kept by the kernel (seccomp)" if known else "kept inside Python only"
    return [
        "processor time and memory are limited by the kernel",
        f"no writing anywhere, no reading of notebooks or other submissions: {files}",
        f"no network, no new process, no signal: {calls}",
    ]
