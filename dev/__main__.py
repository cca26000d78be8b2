"""``python -m dev COMMAND``: parse the command line, make the environment, run the chore."""

import argparse
import sys

from dev import chores


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dev", description="The chores of this repository."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, chore in chores.CHORES.items():
        commands.add_parser(name, help=(chore.__doc__ or "").splitlines()[0], add_help=False)
    known, rest = parser.parse_known_args()
    return chores.CHORES[known.command](rest)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
