"""Building gives the same bytes each time, builds what changed, and never half."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from minipref.course import notebooks

SOURCE = """# %% [markdown]
# # A title
#
# With words.

# %% tags=["check"]
import sys, os
print("one"); sys.stdout.flush(); print("two")
open("left-behind.txt", "w").close()

# %% tags=["figure"]
import matplotlib.pyplot as plt
plt.plot([1, 2], [3, 4])
plt.show()

# %% tags=["solution"]
1 + 1

# %% tags=["exercise", "check"]
print("one"); sys.stdout.flush(); print("two")
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "01_title.py").write_text(SOURCE)
    return tmp_path


def build(folder, **options):
    options = {"source_folder": folder / "src", "out": folder, "progress": False} | options
    return notebooks.build(**options)


@pytest.mark.slow
def test_a_notebook_is_built_to_the_same_bytes_and_only_when_it_changed(folder):
    (path,) = build(folder)
    first = path.read_bytes()
    assert build(folder) == []
    assert build(folder, force=True) == [path]
    assert path.read_bytes() == first
    assert sorted(p.name for p in folder.iterdir()) == ["01_title.ipynb", "src"]

    built = nbformat.read(path, as_version=4)
    nbformat.validate(built)
    assert [cell.metadata for cell in built.cells] == [
        {},
        {"tags": ["check"]},
        {"tags": ["figure", "nbval-ignore-output"]},
        {"tags": ["solution"], "jupyter": {"source_hidden": True}},
        {"tags": ["check", "exercise"]},
    ]
    assert built.cells[1].outputs[0].text == "one\ntwo\n"
    assert built.metadata == notebooks.METADATA
    assert len({cell.id for cell in built.cells}) == 5

    source = folder / "src" / "01_title.py"
    source.write_text(SOURCE.replace("1 + 1", "1 / 0"))
    assert "cell 3" in notebooks.differences(source, path)[0]
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        build(folder)
    assert path.read_bytes() == first  # the failed build left the old one in place


def test_names_find_their_notebooks(folder):
    (folder / "src" / "02_other.py").write_text("# %%\n2\n")
    names = [path.stem for path in notebooks.find([], folder / "src")]
    assert names == ["01_title", "02_other"]
    assert [path.stem for path in notebooks.find(["02"], folder / "src")] == ["02_other"]
    with pytest.raises(ValueError, match="01_title"):
        notebooks.find(["01_titel"], folder / "src")


def test_a_change_anywhere_is_a_difference(folder):
    source, built = folder / "src" / "01_title.py", folder / "01_title.ipynb"
    assert notebooks.differences(source, built) == ["01_title.ipynb is missing"]
    notebook = notebooks.read_source(source)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.execution_count = number
    notebooks.write(notebook, built)
    assert notebooks.differences(source, built) == []
    for changed in [
        SOURCE.replace("With words", "With worlds"),
        SOURCE.replace('["check"]', '["property"]'),
        SOURCE + "\n# %%\n3\n",
    ]:
        source.write_text(changed)
        assert notebooks.differences(source, built)
    source.write_text(SOURCE)
    notebook.cells[2].execution_count = None
    notebooks.write(notebook, built)
    assert "never run" in notebooks.differences(source, built)[0]


def test_the_command_names_the_nearest(capsys, folder):
    assert notebooks.main(["no-such-notebook"]) == 2
    assert "no-such-notebook" in capsys.readouterr().err
