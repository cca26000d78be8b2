"""How Sphinx builds the book: `python -m book` gathers the pages first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import minipref  # noqa: E402
from book import mathml  # noqa: E402
from book.docstrings import to_rst  # noqa: E402

project = "minipref"
author = "the minipref authors"
release = minipref.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]
html_title = "minipref"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses to file://
html_math_renderer = "mathml"

nb_execution_mode = "off"  # the stored outputs are the book's, and a test keeps them right
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_ref_domains = ["std"]  # a link to `ladder` is not one to a module of that name
templates_path = ["templates"]
suppress_warnings = ["ref.python"]  # an Entry of losses and one of papers: no link, no harm

add_module_names = False
toc_object_entries = False
python_maximum_signature_line_length = 80
autodoc_inherit_docstrings = False  # torch writes its own another way
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_mock_imports = ["cupy", "trl", "transformers"]
autodoc_default_options = {"members": True, "ignore-module-all": True}


def translate(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """autodoc's hook: the docstring's lines, changed in place."""
    lines[:] = to_rst("\n".join(lines)).splitlines()


def without_folders(app: Sphinx, page: nodes.document) -> None:
    """A link to a folder of the repository stays as its text: a book has no folders."""
    here = Path(page["source"]).parent
    for link in list(page.findall(addnodes.pending_xref)):
        if (here / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", translate)
    app.connect("doctree-read", without_folders)
    app.add_html_math_renderer("mathml", (mathml.inline, None), (mathml.block, None))
