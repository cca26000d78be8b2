"""Every loss, worked out once on paper; the tables stand in hand_*.py."""

import importlib
from pathlib import Path

import pytest
import torch

from minipref.losses.registry import REGISTRY
from minipref.losses.vocabulary import kind_of

TABLES = sorted(path.stem for path in Path(__file__).parent.glob("hand_*.py"))
BY_HAND = [row for table in TABLES for row in importlib.import_module(table).BY_HAND]
DTYPES = {"bool": torch.bool, "integer": torch.int64, "float": torch.float64}


@pytest.mark.parametrize(("name", "columns", "numbers", "expected"), BY_HAND)
def test_value_by_hand(name, columns, numbers, expected):
    columns = {key: torch.tensor(x, dtype=DTYPES[kind_of(key).dtype]) for key, x in columns.items()}
    loss = REGISTRY[name].function(**columns, **numbers)
    torch.testing.assert_close(loss, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", REGISTRY)
def test_there_is_a_hand_value(name):
    assert name in {row[0] for row in BY_HAND}
