"""A line of the table of flags: what another library calls one of our losses, and how it differs.

`Flag("HALOs", {"loss": "simpo"}, differs="takes gamma / beta", equal="gamma = ...")` reads: HALOs
computes it with that setting; its convention is another; with these settings both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """One loss in one library.

    library   by its usual name, or "official" for the code of the paper's authors
    settings  theirs, by the names they have there, with their defaults where they are numbers
    differs   where the conventions are not ours, in one sentence; "" where they are
    equal     the settings, ours or theirs, that make the two equal; "" where they are already,
              "none" where nothing does
    checked   False where the library's code was not read, and this is what others report of it
    """

    library: str
    settings: Mapping[str, str | float | bool]
    differs: str = ""
    equal: str = ""
    checked: bool = True


READ: dict[str, str] = {
    "HALOs": "ContextualAI/HALOs at 4831988 of 2025-09-30",
    "LLaMA-Factory": "hiyouga/LLaMA-Factory at ff6d4d1 of 2026-08-18, on TRL 0.24 or older",
    "OpenRLHF": "OpenRLHF/OpenRLHF at 3c3be62 of 2026-08-13",
    "Liger": "linkedin/Liger-Kernel at ead96b6 of 2026-08-21",
    "NeMo-Aligner": "NVIDIA/NeMo-Aligner at af2b3bd of 2025-05-16",
    "open-instruct": "allenai/open-instruct at e6c3044 of 2026-08-20",
    "oat": "sail-sg/oat at c1a074c of 2025-10-31",
    "verl": "verl-project/verl at 1dda039 of 2026-08-22",
    "official": "the paper's own repository",
}
"""Which version of a library was read."""

ONE_LENGTH = "responses of one length"
BATCH_MEAN = "takes the mean over the batch's tokens, ours over each response's own first"
