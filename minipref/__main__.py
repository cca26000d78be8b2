"""``python -m minipref`` is the ``minipref`` command."""

from minipref.cli import main

if __name__ == "__main__":
    main()
