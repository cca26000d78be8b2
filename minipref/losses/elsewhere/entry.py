"""A method whose loss is no function of its own here, and what to take for it.

`Elsewhere("SPIN", "2401.01335", "DPO, the policy's own sample is rejected", "dpo")` reads: what
SPIN minimises is `dpo`; what is new in it is where the pair comes from.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Elsewhere:
    """A name of the field that is not registered.

    name   as the field writes it
    where  its arXiv id, or the paper (of the 119) that names it
    what   what it minimises, in the words of what is here; or why nothing here does
    use    what to take: registered losses, modifiers and helpers of `minipref.losses`, or dotted
           paths, separated by commas; "" where there is nothing
    """

    name: str
    where: str
    what: str
    use: str

    def targets(self) -> list[str]:
        return [target for target in self.use.split(", ") if target]
