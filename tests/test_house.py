"""The rules of the house: who may import whom, how long a file may be, what must not be written."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "minipref"
FLOORS = [
    *("losses", "fused", "data", "model", "feedback", "algorithm"),
    *("evaluation", "course", "papers", "cli"),
]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LONGEST_FILE = 400  # lines; a longer one holds two ideas
READING_PATH = ["model/transformer.py", "losses/pairwise.py", "algorithm/align.py"]


def tracked_files() -> list[Path]:
    """The files of the repository, or those of an unpacked source archive."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in files if path.is_file()]


def imported(source: str, module: str, is_package: bool) -> set[str]:
    """Every module that `source` imports, relative names made absolute, wherever the import is.

    `from minipref.data import rows` counts as `minipref.data.rows` where that is a module.
    """
    package = module if is_package else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                names.add(full if full in MODULES else base)
    return names


def imports_of(module: str) -> set[str]:
    path = MODULES[module]
    return imported(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")


def floor_of(module: str) -> str | None:
    """The folder of a module of ours; None for the root's own modules and for others' packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "minipref" and len(parts) > 1 and parts[1] in FLOORS else None


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some modules that import each other in a ring, or nothing."""
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph.get(module, ())):
            if ring := visit(other, [*trail, module]):
                return ring
        done.add(module)
        return []

    return next((ring for module in sorted(graph) if (ring := visit(module, []))), [])


def test_reader_of_imports_sees_relative_absolute_and_hidden_ones():
    source = (
        "import torch.nn\nfrom . import registry\nfrom ..data.rows import Rows\n"
        "def f():\n    from minipref.data import rows\n"
    )
    found = imported(source, "minipref.losses.pairwise", is_package=False)
    assert found == {"torch.nn", "minipref.losses.registry", "minipref.data.rows"}
    assert imported("from .x import y", "minipref.data", is_package=True) == {"minipref.data.x"}


def test_circle_finder():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_every_folder_has_its_floor():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(FLOORS), f"no floor for {sorted(folders - set(FLOORS))}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_one_way(module):
    floor = floor_of(module)
    for name in imports_of(module):
        other = floor_of(name)
        if other is None:
            continue
        assert floor is not None or module == "minipref.__main__", f"{module} imports {name}"
        if floor is not None:
            assert FLOORS.index(other) <= FLOORS.index(floor), f"{module} reaches up to {name}"


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if floor_of(m) == "losses"])
def test_losses_import_torch_and_themselves_only(module):
    for name in imports_of(module):
        top = name.partition(".")[0]
        allowed = top in {"torch", *sys.stdlib_module_names} or floor_of(name) == "losses"
        assert allowed, f"{module} imports {name}"


def test_no_import_circles():
    ring = circle({module: imports_of(module) & MODULES.keys() for module in MODULES})
    assert not ring, " -> ".join(ring)


def test_importing_minipref_is_light():
    code = (
        "import sys, minipref, minipref.cli; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_no_file_is_a_drawer_and_none_is_too_long():
    for path in tracked_files():
        if path.suffix == ".py":
            assert path.stem not in {"utils", "util", "common", "helpers", "misc"}, path
            if path.is_relative_to(ROOT / "notebooks"):
                continue  # a notebook's budget is counted in cells and words, by its own test
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= LONGEST_FILE, f"{path.relative_to(ROOT)} has {lines} lines: split it"


def lonely_bases(sources: list[str]) -> set[str]:
    """Classes that exist only to be inherited from, and that only once."""
    own: set[str] = set()
    used: set[str] = set()
    bases: list[str] = []
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                own.add(node.name)
                bases += [ast.unparse(base).split(".")[-1] for base in node.bases]
            elif isinstance(node, ast.Call):
                used.add(ast.unparse(node.func).split(".")[-1])
    return {base for base in own - used if bases.count(base) == 1}


def test_no_base_class_with_one_child():
    assert lonely_bases(["class A: ...", "class B(A): ..."]) == {"A"}
    assert lonely_bases(["class A: ...", "class B(A): ...", "A()"]) == set()
    assert not lonely_bases([path.read_text(encoding="utf-8") for path in MODULES.values()])


def test_reading_path_is_short():
    files = [PACKAGE / name for name in READING_PATH]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 900


def test_no_path_of_somebodys_machine():
    tops = [f"/{top}/" for top in ("root", "work")]  # in pieces: this line names no machine either
    places = [*tops, "/home/[a-z]", "/Users/[A-Za-z]", r"C:\\+Users", "/tmp/ipykernel"]
    private = re.compile("|".join(f"(?<![\\w.~]){place}" for place in places))
    for path in tracked_files():
        if path == Path(__file__).resolve():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and weights
        found = private.search(text)
        assert found is None, f"{path.relative_to(ROOT)} names {found[0]!r}"


UNSAFE = {
    "log(sigmoid(x)): use logsigmoid": r"log\(\s*(torch\.)?sigmoid|sigmoid\([^()]*\)\.log\(",
    "log(softmax(x)): use log_softmax": r"log\(\s*(torch\.)?softmax|softmax\([^()]*\)\.log\(",
    "log(1 - exp(x)): use the stable form": r"log\(\s*1(\.0)?\s*-\s*[\w.]*exp\(",
    "log(1 + exp(x)): use softplus": r"log\(\s*1(\.0)?\s*\+\s*[\w.]*exp\(",
}


def unsafe_calls(source: str) -> list[str]:
    """What overflows or loses its digits, with what to write instead."""
    calls = [
        ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)
    ]
    return [
        f"{why}: {call}"
        for call in calls
        for why, pattern in UNSAFE.items()
        if re.match(rf"(torch\.)?({pattern})", call)
    ]


@pytest.mark.parametrize(
    "source",
    [
        *("torch.log(torch.sigmoid(x))", "torch.sigmoid(x).log()", "softmax(x, -1).log()"),
        *("torch.log(1 - torch.exp(x))", "torch.log(1 - x.exp())", "torch.log(1 + torch.exp(x))"),
    ],
)
def test_unsafe_forms_are_seen(source):
    assert len(unsafe_calls(source)) == 1


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if floor_of(m) == "losses"])
def test_losses_use_stable_forms_only(module):
    assert not unsafe_calls(MODULES[module].read_text(encoding="utf-8"))
