"""The chores of this repository, one command each: ``python -m dev test``.

Everything here runs on a bare Python (standard library only, Windows too): it makes the ``.venv``
that everything else runs in. The Makefile holds the same names for those who like to type make.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (this is where an older Python gets told)
    sys.exit(
        "minipref needs Python 3.11 or newer; this is {}.{}. With another one installed:\n"
        "  make PYTHON=python3.12 demo    or    python3.12 -m dev demo".format(*sys.version_info)
    )
