"""What a preference file really says, before anybody trains on it.

    found = inspect(Reader("pairs.jsonl"), max_length=512)
    for verdict in verdicts(found): print(verdict.text)

One reading in constant memory, without torch. Read `sightings.py` for what comes twice, `faults.py`
for what teaches nothing, `lengths.py` for what is cut off, `rules.py` for what a model can learn
without reading.
"""

from .findings import Inspection, inspect
from .verdicts import Verdict, verdicts

__all__ = ["Inspection", "Verdict", "inspect", "verdicts"]
