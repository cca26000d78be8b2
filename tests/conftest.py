"""One torch thread a worker, and hypothesis without a clock or a database."""

import os

import torch
from hypothesis import HealthCheck, settings

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
