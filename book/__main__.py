"""``python -m book [OUT]``: gather the pages, let Sphinx build them; any warning fails it."""

import sys
from pathlib import Path

from book.build import OUT, build

if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if sys.argv[1:] else OUT))
