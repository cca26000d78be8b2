# Thin names for `python -m dev ...`, which works without make and on Windows too.
# Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
CHORES = setup demo test quick lab notebooks bases reproduce mutants book wheel

.PHONY: help $(CHORES)

help:
	@$(PYTHON) -m dev --help

$(CHORES):
	@$(PYTHON) -m dev $@
