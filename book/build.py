"""Gather the pages into one folder, as they lie in the repository, and run Sphinx on it.

The pages keep their places to each other, so that a link which works between files works between
pages too. Sphinx reads again only what changed since the last time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.cmd.build import build_main
from sphinx.ext.apidoc import main as apidoc

from book.catalogue import catalogue_page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = ROOT / "build" / "book"
GATHERED = [
    *("README.md", "CONTRIBUTING.md", "RESULTS.md", "LICENSE", "CITATION.cff"),
    *("notebooks/*.ipynb", "docs/**/*", "results/*.png", "datasets/README.md"),
    "kernels/**/*",
]
API = "api"  # the folder of the library's pages
NOT_API = ["cli", "__main__.py", "papers/template", "fused/template"]  # not meant to be imported


def gather(source: Path) -> None:
    """Make `source` hold the book's pages and what they show, and nothing from an earlier time."""
    wanted = {path.relative_to(HERE): path for path in HERE.glob("*.md")}
    wanted |= {
        path.relative_to(ROOT): path
        for pattern in GATHERED
        for path in ROOT.glob(pattern)
        if path.is_file()
    }
    catalogue = source / "catalogue.md"
    for stale in source.rglob("*"):
        relative = stale.relative_to(source)
        made = stale == catalogue or relative.parts[0] == API
        if stale.is_file() and relative not in wanted and not made:
            stale.unlink()
    for relative, path in wanted.items():
        target = source / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)  # with its time of change, by which Sphinx knows what is new
    text = catalogue_page()
    if not catalogue.exists() or catalogue.read_text(encoding="utf-8") != text:
        catalogue.write_text(text, encoding="utf-8")


def name_modules(source: Path) -> None:
    """Leave a page for every package of the library, which autodoc then fills."""
    package = ROOT / "minipref"
    options = ["-q", "--force", "--remove-old", "--no-toc", "--module-first"]
    options += ["--templatedir", str(HERE / "templates"), "--output-dir", str(source / API)]
    code = apidoc([*options, str(package), *(str(package / name) for name in NOT_API)])
    if code != 0:
        raise OSError(f"sphinx-apidoc failed on {package} with exit code {code}")


def build(out: Path = OUT) -> int:
    """Write the book into `out`; Sphinx's exit code, which is not 0 after any warning."""
    source = out.with_name(out.name + "-source")
    gather(source)
    name_modules(source)
    trees = out.with_name(out.name + "-trees")
    quiet = ["--quiet", "--fail-on-warning", "--doctree-dir", str(trees)]
    code = build_main([*quiet, "--conf-dir", str(HERE), str(source), str(out)])
    if code == 0:
        print(out / "index.html")
    return code
