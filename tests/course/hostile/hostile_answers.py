"""Submissions that cheat or break things: what stands in the answer's cell, and what is said of it.

Each is a `my_dpo` cell of the tiny course in `tiny_course.py`. In a text, OTHERS is the folder of
the submissions and CANARY a file that has to stay as it is.
"""

WRONG = "\ndef my_dpo(*logps, beta=0.1):\n    return 0 * logps[0]\n"


def when_called(body: str) -> str:
    """An answer that does its harm when it is called."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def my_dpo(*logps, beta=0.1):\n{lines}\n    return 0 * logps[0]\n"


REFUSED = "may not use|may not write"
HOSTILE = {  # name: (source, what its reason says)
    # that never end, or end too soon
    "loops": ("while True:\n    pass" + WRONG, "2 seconds of processor time"),
    "loops_when_called": (when_called("while True:\n    pass"), "2 seconds of processor time"),
    "ignores_the_signal": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass"
        + WRONG,
        "2 seconds of processor time",
    ),
    "exits": ("import sys\nsys.exit()" + WRONG, "SystemExit"),
    "exits_with_success": (when_called("import sys\nsys.exit(0)"), "SystemExit"),
    "ends_its_process": ("import os\nos._exit(0)" + WRONG, "ended its process instead"),
    "ends_when_called": (when_called("import os\nos._exit(0)"), "ended its process instead"),
    "crashes": ("import ctypes\nctypes.string_at(0)" + WRONG, "signal 11"),
    "recurses": (when_called("return my_dpo(*logps)"), "RecursionError"),
    # that tamper with the check
    "overwrites_the_check": (
        "import minipref.course.checks as checks\n"
        "checks.check_loss = check_loss = lambda *a, **k: 'right'" + WRONG,
        "no gradient|does not use",
    ),
    "overwrites_torch": (
        "torch.allclose = torch.equal = lambda *a, **k: True" + WRONG,
        "no gradient|does not use",
    ),
    "overwrites_the_truth": (
        "from minipref.losses import registry\n"
        "registry.REGISTRY.clear()\n"
        "registry.get = lambda name: None" + WRONG,
        "no gradient|does not use",
    ),
    "overwrites_builtins": (
        "import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.abs = lambda x: 0"
        + WRONG,
        ".",
    ),
    "prints_a_verdict": (
        "import os, sys\n"
        'print(\'{"kind": "right", "reason": ""}\', flush=True)\n'
        "for fd in range(1, 64):\n"
        "    try:\n"
        '        os.write(fd, b\'{"kind": "right", "reason": ""}\')\n'
        "    except OSError:\n"
        "        pass" + WRONG,
        ".",
    ),
    "sends_a_pickle": (
        "import gc, pickle\n"
        "class Evil:\n"
        "    def __reduce__(self):\n"
        "        return print, ('pwned',)\n"
        "for thing in gc.get_objects():\n"
        "    if type(thing).__name__ == 'Connection':\n"
        "        thing.send_bytes(pickle.dumps(Evil()))" + WRONG,
        "not a frame",
    ),
    "answers_with_other_names": (
        "import minipref.course.grading.worker as worker\n"
        "honest = worker.pack\n"
        "def pack(tree, functions=None):\n"
        "    if 'answers' in tree:\n"
        "        tree['answers']['check_loss'] = lambda *args, **settings: 'right'\n"
        "    return honest(tree, functions)\n"
        "worker.pack = pack" + WRONG,
        "other answers came",
    ),
    "gives_nan": (when_called("return logps[0] * float('nan')"), "nan"),
    "answers_for_itself": (
        "import gc\n"
        "from minipref.course.grading.wire import pack\n"
        "for thing in gc.get_objects():\n"
        "    if type(thing).__name__ == 'Connection':\n"
        "        thing.send_bytes(pack({'kind': 'right', 'reason': ''}))" + WRONG,
        "no answers came",
    ),
    "raises_what_a_test_skips": (
        when_called("import unittest\nraise unittest.SkipTest"),
        "SkipTest",
    ),
    "raises_what_cannot_be_read": (
        when_called(
            "class Odd(BaseException):\n    def __str__(self):\n        raise self\nraise Odd"
        ),
        "Odd",
    ),
    "equals_everything": (
        when_called("class Yes:\n    def __eq__(self, other):\n        return True\nreturn Yes()"),
        "a Yes cannot be handed in",
    ),
    "is_a_lying_tensor": (
        "class Liar(torch.Tensor):\n"
        "    @classmethod\n"
        "    def __torch_function__(cls, function, types, args=(), kwargs=None):\n"
        "        return True\n"
        "def my_dpo(*logps, beta=0.1):\n"
        "    return torch.zeros(32).as_subclass(Liar)\n",
        ".",
    ),
    "changes_its_inputs": (
        when_called("for x in logps:\n    x.data.zero_()"),
        "changes the tensors",
    ),
    # that take too much
    "allocates": ("hog = bytearray(1 << 40)" + WRONG + "my_dpo.hog = hog", "MemoryError"),
    "allocates_tensors": (when_called("torch.zeros(1 << 36)"), "allocate"),
    "grows": (
        # bytes, not bytearray: pages nobody touches cost no processor time, which is limited too
        "hog = []\nwhile True:\n    hog.append(bytes(1 << 26))\nmy_dpo = hog",
        "MemoryError",
    ),
    "returns_too_much": (when_called("return torch.zeros(1 << 25)"), "larger than 16 MiB"),
    "shouts": ("for _ in range(100):\n    print('x' * 10**6)" + WRONG, "no gradient|does not use"),
    "nests": ("my_dpo = []\nfor _ in range(100_000):\n    my_dpo = [my_dpo]", "an answer"),
    # that reach outside
    "forks": ("import os\nwhile True:\n    os.fork()\nmy_dpo = 1", REFUSED),
    "starts_a_program": ("import os\nmy_dpo = os.system('touch CANARY')", REFUSED),
    "starts_a_process": (
        "import subprocess\nmy_dpo = subprocess.run(['rm', '-rf', 'OTHERS'])",
        REFUSED,
    ),
    "kills": ("import os\nos.kill(os.getppid(), 9)\nmy_dpo = 1", REFUSED),
    "calls_home": (
        "import socket\nmy_dpo = socket.create_connection(('127.0.0.1', 9), 1)",
        REFUSED,
    ),
    "writes": ("open('CANARY', 'w').write('x')\nmy_dpo = 1", REFUSED),
    "writes_here": ("open('big', 'wb').write(bytes(10))\nmy_dpo = 1", REFUSED),
    "deletes": ("import shutil\nshutil.rmtree('OTHERS')\nmy_dpo = 1", REFUSED),
    "renames": ("import os\nos.replace('CANARY', 'gone')\nmy_dpo = 1", REFUSED),
    "calls_c": ("import ctypes\nctypes.CDLL(None).unlink(b'CANARY')\nmy_dpo = 1", REFUSED),
    "reads_a_secret": ("import os\nmy_dpo = os.environ['CLASS_SECRET']", "KeyError"),
    # that try the instructor
    "writes_markup": (
        "raise ValueError('</td><script>alert(1)</script> | [x](http://x) \\n# 10 of 10 points')"
        + WRONG,
        "ValueError",
    ),
    "is_no_python": ("def my_dpo(:\n", "no cell makes my_dpo; code cell 5 is not Python"),
    "is_not_there": ("", "no cell makes my_dpo"),
}
LINUX_ONLY = {  # what only the kernel refuses
    "reads_the_solutions": (
        "from minipref.resources import ROOT\n"
        "file = next(iter((ROOT / 'notebooks' / 'src').glob('04*.py')))\n"
        "my_dpo = file.read_text()",
        "PermissionError|StopIteration",
    ),
    "reads_a_neighbour": ("my_dpo = open('OTHERS/honest/01_tiny.ipynb').read()", "PermissionError"),
    "reads_memory": ("my_dpo = open('/proc/1/environ').read()", "PermissionError"),
}
