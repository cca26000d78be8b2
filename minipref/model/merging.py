"""Arithmetic on weights: the sum of several policies, each with a coefficient of its own.

Averaging, extrapolation and task vectors are one formula, theta = sum_i c_i theta_i, with different
coefficients. Where they sum to 1 a policy combined with itself stays what it was.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def combine(models: Sequence[Model], coefficients: Sequence[float]) -> Model:
    """A new model with the parameters theta = sum_i coefficients_i theta_i.

    Every parameter takes part, norms and embeddings too, and one that is tied takes part once. Half
    precision is summed in float32. Buffers, which nobody trains, are those of the first model.

    Args:
        models: of one architecture; none is changed.
        coefficients: one a model, any finite numbers. One that is 0 leaves its model out.

    Raises: ValueError where the numbers of models and coefficients differ, or two models do not
        have the same parameters.
    """
    if not models or len(models) != len(coefficients):
        raise ValueError(
            f"coefficients: expected one for each of {len(models)} models (at least one), "
            f"got {len(coefficients)}"
        )
    if not bool(torch.tensor(coefficients, dtype=torch.float64).isfinite().all()):
        raise ValueError(f"coefficients: expected finite numbers, got {list(coefficients)}")
    named = [dict(model.named_parameters()) for model in models]
    shapes = [{name: tuple(weight.shape) for name, weight in part.items()} for part in named]
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            differ = sorted(set(shape.items()) ^ set(shapes[0].items()))
            raise ValueError(f"models: model {number} differs from the first in {differ[0][0]}")
    mixed = copy.deepcopy(models[0])
    for name, weight in mixed.named_parameters():
        wide = torch.promote_types(weight.dtype, torch.float32)
        total = torch.zeros_like(weight, dtype=wide)
        for part, coefficient in zip(named, coefficients, strict=True):
            if coefficient != 0:  # 0 * inf is no number
                total += coefficient * part[name].to(wide)
        weight.copy_(total)
    return mixed
