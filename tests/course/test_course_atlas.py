"""The atlas's figures: everything is on them, nothing overlaps, and files come out the same."""

import functools
import string

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from minipref.course import style
from minipref.course.pictures import atlas, atlas_poster, layers, printing, reductions
from minipref.evaluation.atlas import view
from minipref.losses.reductions import REDUCTIONS, Reduction
from minipref.losses.registry import REGISTRY, get

pytestmark = pytest.mark.slow

FAMILIES = {name: entry.family for name, entry in REGISTRY.items()}


@functools.cache
def seen(name):
    return view(get(name))


@pytest.fixture(autouse=True)
def _look():
    with plt.style.context(style.STYLE):
        yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def test_a_page_says_what_the_loss_does():
    figure = atlas.page([seen("orpo")])
    words = "\n".join(texts(figure))
    for expected in ("orpo  (lambda 0.1)", "never rests", "raises the chosen", "pulls both back"):
        assert expected in words


def test_figures_of_the_notebook_build():
    views = [seen(name) for name in ("dpo", "ipo", "lr_dpo", "orpo", "apo_down")]
    atlas.margins(views)
    atlas.planes(views)
    atlas.paths(views, "alike")
    atlas.at_equal_kl({"dpo": (0.2, 0.1), "orpo": (0.3, 0.2)}, 0.1, start=0.1)


def test_every_loss_handed_to_the_poster_is_named_on_it():
    views = [seen(name) for name in ("dpo", "ipo", "lr_dpo", "orpo", "apo_down")]
    found = texts(atlas_poster.poster(views, {"aot": "its rows look at each other"}))
    for page in views:
        mark = atlas.MARKS[page.verdict.chosen][1]
        assert f"{mark} {page.name}" in found
    assert {page.group for page in views} == atlas_poster.GROUPS.keys()
    assert any("here as dpo" in text for text in found)
    assert any("aot (its rows look at each other)" in text for text in found)


# ---- the layout of a graph ----------------------------------------------------------------------


@st.composite
def graphs(draw):
    boxes = draw(st.lists(st.sampled_from(string.ascii_letters), min_size=1, unique=True))
    heights = {box: draw(st.floats(1, 5)) for box in boxes}
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    return heights, draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []


@settings(max_examples=40)
@given(graph=graphs(), gap=st.floats(0.1, 2))
def test_boxes_stand_apart_and_arrows_run_to_the_right(graph, gap):
    heights, edges = graph
    page = sum(heights.values()) + gap * (len(heights) + len(edges) * len(heights))
    layout = layers.lay_out(heights, edges, page, gap)
    column = {box: x for x, boxes in enumerate(layout.columns) for box in boxes}
    assert heights.keys() <= column.keys()
    for source, target in edges:
        way = layout.ways[source, target]
        assert (way[0], way[-1]) == (source, target)
        assert [column[box] for box in way] == list(range(column[source], column[target] + 1))
    for boxes in layout.columns:
        bottom = -gap
        for box in boxes:
            assert layout.tops[box] >= bottom + gap - 1e-6
            bottom = layout.tops[box] + heights.get(box, 0.0)
        assert bottom <= page + 1e-6


def test_what_cannot_be_laid_out():
    sizes = {"a": 1.0, "b": 1.0}
    with pytest.raises(ValueError, match="circle"):
        layers.lay_out(sizes, [("a", "b"), ("b", "a")], 10, 1)
    with pytest.raises(ValueError, match="page"):
        layers.lay_out(sizes, [], 2.5, 1)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=8), st.data())
def test_settle_leaves_what_already_fits(wanted, data):
    sizes = [data.draw(st.floats(0.1, 3)) for _ in wanted]
    apart, y = [], 0.0
    for size in sizes:
        apart.append(y + size / 2 + 1)
        y += size + 2
    assert layers.settle(apart, sizes, y, 1.0) == pytest.approx(apart)
    found = layers.settle(wanted, sizes, y, 1.0)
    room = [(sizes[i] + sizes[i + 1]) / 2 + 1 for i in range(len(sizes) - 1)]
    assert all(b - a >= r - 1e-6 for a, b, r in zip(found, found[1:], room, strict=False))


# ---- which loss becomes which -------------------------------------------------------------------


def test_the_graph_holds_the_whole_table_and_nothing_else():
    boxes, arrows = reductions.boxes(REDUCTIONS)
    names = [loss for box in boxes.values() for loss, _ in box.lines if loss]
    assert sorted(names) == sorted({n for row in REDUCTIONS for n in (row.loss, row.becomes)})
    holder = {loss: key for key, box in boxes.items() for loss, _ in box.lines if loss}
    assert {(holder[row.loss], row.becomes) for row in REDUCTIONS} == set(arrows)
    said = {key: " ".join(text for _, text in box.lines) for key, box in boxes.items()}
    for row in REDUCTIONS:
        assert " ".join(row.when.split()) in said[holder[row.loss]]


def test_no_line_of_the_graph_leaves_its_box():
    figure = reductions.reductions(REDUCTIONS, FAMILIES)
    figure.canvas.draw()
    (ax,) = figure.axes
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, Rectangle)]
    frames = [box for box in boxes if box.height > 0]
    for text in ax.texts:
        line = text.get_window_extent()
        inside = [b for b in frames if b.x0 <= line.x0 <= b.x1 and b.y0 <= line.y0 <= b.y1]
        assert inside, text.get_text()
        assert line.x1 <= max(box.x1 for box in inside) + 1, text.get_text()


def test_a_circle_in_the_table_is_an_error():
    table = [Reduction("dpo", "ipo", "never"), Reduction("ipo", "dpo", "never")]
    with pytest.raises(ValueError, match="circle"):
        reductions.reductions(table, FAMILIES)


@pytest.mark.parametrize("suffix", sorted(printing.UNDATED))
def test_the_same_bytes_twice(tmp_path, suffix):
    files = [tmp_path / f"{number}{suffix}" for number in (1, 2)]
    for path in files:
        printing.save(reductions.reductions(REDUCTIONS[:9], FAMILIES, size=(8, 5)), path, dpi=50)
    assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.raises(ValueError, match="gif"):
        printing.save(plt.figure(), tmp_path / "a.gif")
