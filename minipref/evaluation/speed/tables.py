"""The report as tables for a terminal: one for the card, one a case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

Plain = Mapping[str, Any]  # what Report.plain gives, or JSON of it
VERDICTS = {"met": "green", "missed": "red", "open": "yellow"}


def tables(report: Plain) -> Iterator[Table]:
    """Tables in the order of the report; their columns stand under each other."""
    yield of_card(report)
    for case in report["cases"]:
        yield of_case(case)


def empty(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.caption_justify, table.caption_style = "left", ""
    table.add_column(heads[0], min_width=15, no_wrap=True)
    for head, width in zip(heads[1:], (7, 16, 7, 9), strict=True):
        table.add_column(head, justify="right", min_width=width, no_wrap=True)
    return table


def of_card(report: Plain) -> Table:
    machine = report["machine"]
    title = f"{machine['device']}, {report['date']}"
    table = empty(title, "ceiling", "ms", "p20 to p80", "rate", "unit")
    for name, found in report["ceilings"].items():
        unit = "TFLOP/s" if "TFLOP/s" in found else "GB/s"
        table.add_row(name, *times(found["ms"]), f"{found[unit]:.4g}", unit)
    table.caption = Text(", ".join(f"{name} {value}" for name, value in machine.items()))
    return table


def of_case(case: Plain) -> Table:
    unit = "TFLOP/s" if case["ceiling"] == "matmul" else "GB/s"
    title = f"{case['name']}: {case['says']}; {case['shape']}"
    heads = ("ms", "p20 to p80", unit, f"of {case['ceiling']}")
    table = empty(title, f"floor {case['floor ms']:.3f} ms", *heads)
    for cell in case["cells"]:
        if "ms" in cell:
            rates = f"{cell[unit]:.4g}", f"{cell['share']:.1%}"
            table.add_row(cell["who"], *times(cell["ms"]), *rates)
        else:
            table.add_row(cell["who"], "", "not measured")
    table.caption = Text("\n").join(notes(case))
    return table


def notes(case: Plain) -> Iterator[Text]:
    """What a reader of the times has to know, and how they stand to the bar."""
    for cell in case["cells"]:
        if "ms" not in cell:
            yield Text(f"{cell['who']}: not measured: {cell['not measured']}")
            continue
        far = [f"{name} by {float(cell['differences'][name]):.1e}" for name in cell["differs in"]]
        if far:
            yield Text(f"{cell['who']}: differs from float64: {', '.join(far)}")
        if cell["leaves out"]:
            yield Text(f"{cell['who']}: without {', '.join(cell['leaves out'])}")
    if case["bar"]:
        why = f" ({case['why']})" if case["why"] else ""
        verdict = (case["verdict"], VERDICTS[case["verdict"]])
        yield Text.assemble(f"bar: {case['bar']}: ", verdict, why)


def times(ms: Plain) -> tuple[str, str]:
    return f"{ms['median']:.3f}", f"{ms['p20']:.3f} to {ms['p80']:.3f}"
