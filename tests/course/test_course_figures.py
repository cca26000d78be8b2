"""Figures for slides: as large as the slide allows, the same shape, the same bytes."""

import io
import math
import re

import matplotlib.pyplot as plt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient.exceptions import CellExecutionError

from minipref.course import figures
from minipref.course.figures import SLIDE, draw, fitted_pdf, fitted_svg, lessons
from minipref.course.notebooks import find

POINTS = [72 * side for side in SLIDE]
inches = st.floats(1.0, 20.0)


def saved(suffix, width, height):
    fig = plt.figure(figsize=(width, height), layout="none")  # lines alone: letters take long
    fig.add_artist(plt.Line2D([0, 1], [1, 0]))
    stream = io.BytesIO()
    fig.savefig(stream, format=suffix)
    plt.close(fig)
    return stream.getvalue()


def fills(width, height, before):
    """The size touches the slide's edge, stays on it, and keeps its shape."""
    assert width <= POINTS[0] + 0.01
    assert height <= POINTS[1] + 0.01
    assert math.isclose(width, POINTS[0], abs_tol=0.01) or math.isclose(
        height, POINTS[1], abs_tol=0.01
    )
    assert math.isclose(width / height, before[0] / before[1], rel_tol=1e-3)


@settings(max_examples=20)
@given(width=inches, height=inches)
def test_an_svg_fills_the_slide(width, height):
    text = saved("svg", width, height).decode()
    larger = fitted_svg(text)
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt" viewBox="([^"]+)"', larger)
    fills(float(size[1]), float(size[2]), (width, height))
    assert f'viewBox="{size[3]}"' in text
    rest = re.compile(r'width="[\d.]+pt" height="[\d.]+pt"')
    assert rest.sub("", larger, count=1) == rest.sub("", text, count=1)


def objects(data):
    """{number: text of the object} by a PDF's tables, the last one first."""
    found, at = {}, int(re.findall(rb"startxref\n(\d+)\n%%EOF\n", data)[-1])
    while True:
        trailer = data.index(b"trailer", at)
        lines = iter(data[at:trailer].splitlines()[1:])
        for line in lines:
            first, count = map(int, line.split())
            for number in range(first, first + count):
                offset, _, kind = next(lines).split()
                if kind == b"n" and number not in found:
                    text = data[int(offset) : data.index(b"endobj", int(offset))]
                    assert text.startswith(b"%d 0 obj" % number)
                    found[number] = text
        before = re.search(rb"/Prev (\d+)", data[trailer : data.index(b"startxref", trailer)])
        if before is None:
            return found
        at = int(before[1])


@settings(max_examples=20)
@given(width=inches, height=inches)
def test_a_pdf_fills_the_slide(width, height):
    data = saved("pdf", width, height)
    larger = fitted_pdf(data)
    assert larger.startswith(data)
    before, after = objects(data), objects(larger)
    (page,) = [number for number, text in after.items() if b"/Type /Page " in text]
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", after[page])
    fills(float(box[1]), float(box[2]), (width, height))
    first, old = map(int, re.search(rb"/Contents \[ (\d+) 0 R (\d+) 0 R \]", after[page]).groups())
    assert first not in before
    assert after.keys() == before.keys() | {first}
    assert {n for n in before if before[n] != after[n]} == {page}
    assert b"/Contents %d 0 R" % old in before[page]
    length, stream = re.search(
        rb"/Length (\d+) >>\nstream\n([^\n]*\n)endstream", after[first]
    ).groups()
    assert int(length) == len(stream)
    times = float(stream.split()[0])
    assert stream.split() == [b"%.6f" % times, b"0", b"0", b"%.6f" % times, b"0", b"0", b"cm"]
    assert math.isclose(times * 72 * width, float(box[1]), rel_tol=1e-4)
    size = int(re.findall(rb"/Size (\d+)", larger)[-1])
    assert size == max(after) + 1


@pytest.mark.parametrize("broken", ["", "<svg>"])
def test_what_is_no_figure_of_matplotlib_is_refused(broken):
    with pytest.raises(ValueError, match="SVG"):
        fitted_svg(broken)
    with pytest.raises(ValueError, match="PDF"):
        fitted_pdf(broken.encode())


def test_lessons_end_at_their_last_figure():
    found = lessons()
    assert [lesson.number for lesson in found] == [source.stem[:2] for source in find(())]
    for lesson in found:
        first, *_, last = lesson.notebook.cells
        assert first.source.endswith("prepare()")
        assert figures.shows_figure(last)
        assert lesson.cells == sum(c.cell_type == "code" for c in lesson.notebook.cells)
    assert [lesson.number for lesson in lessons(["05", "01"])] == ["01", "05"]
    with pytest.raises(ValueError, match="no notebook called '77'"):
        lessons(["77"])


SOURCE = """# %% [markdown]
# # 01 · Two figures?

# %% tags=["figure"]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.0, 2.0))
ax.plot([0, 1])
assert fig.get_figwidth() == 0.85 * 6.0
plt.show()

# %% tags=["figure"]
fig = plt.figure(figsize=(4.0, 4.0), layout="none")
assert fig.get_figwidth() == 4.0
fig.add_axes((0.1, 0.1, 0.8, 0.8)).plot([1, 0])
plt.show()

# %%
raise SystemError("never needed")
"""


@pytest.mark.slow
def test_drawing_gives_each_figure_twice_and_the_same_bytes(tmp_path):
    (tmp_path / "01_two.py").write_text(SOURCE, encoding="utf-8")
    cells = []
    for folder in ("a", "b"):
        (lesson,) = lessons(source_folder=tmp_path)
        paths = draw(lesson, tmp_path / folder, lambda: cells.append(1))
    assert [path.name for path in paths] == ["01-1.svg", "01-1.pdf", "01-2.svg", "01-2.pdf"]
    assert len(cells) == 2 * lesson.cells == 6
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
        assert path.read_bytes()[:5] in (b"<?xml", b"%PDF-")


def test_a_cell_that_fails_is_reported_and_nothing_is_written(tmp_path, monkeypatch):
    def fails(notebook, progress):
        raise CellExecutionError("a traceback", "RuntimeError", "there is no compiler")

    (tmp_path / "13_no.py").write_text(SOURCE, encoding="utf-8")
    (lesson,) = lessons(source_folder=tmp_path)
    monkeypatch.setattr(figures, "execute", fails)
    with pytest.raises(ValueError, match=r"^notebook 13: RuntimeError: there is no compiler$"):
        draw(lesson, tmp_path / "out")
    assert not (tmp_path / "out").exists()
