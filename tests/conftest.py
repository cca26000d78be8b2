"""One torch thread a worker, and hypothesis without a clock or a database."""

import os
import sys

import pytest
import torch
from hypothesis import HealthCheck, settings

import minipref.losses  # noqa: F401  (fills the registry)

torch.set_num_threads(1)
settings.register_profile(
    "minipref",
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=int(os.environ.get("MINIPREF_EXAMPLES", "50")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("minipref")


@pytest.hookimpl(tryfirst=True)  # before -m picks
def pytest_collection_modifyitems(items):
    """Ask what is asked of every loss of one a family in `make quick`; of all in `make test`."""
    from minipref.losses.registry import REGISTRY

    first = {entry.family: name for name, entry in reversed(REGISTRY.items())}
    asked = {}
    for item in items:
        given = getattr(item, "callspec", None) and item.callspec.params
        name = given and given.get("name", given.get("loss"))
        if isinstance(name, str) and name in REGISTRY:
            asked.setdefault(item.function, []).append((name, item))
    for cases in asked.values():
        if len({name for name, _ in cases}) > len(first):
            for name, item in cases:
                if name not in first.values():
                    item.add_marker("slow")


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """Cells of notebooks draw, and nobody looks: matplotlib warns from the twentieth figure on."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
