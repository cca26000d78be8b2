"""Preference learning on somebody's own file: `minipref train`."""
