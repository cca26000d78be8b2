"""What is the matter with a run? Rules that read its history and say so in words.

    for finding in diagnose(read("out/trainer_state.json")).findings:
        print(finding.rule.title, finding.evidence)

A rule is a function from a `History` to a sentence of evidence, or None; `@rule` says what it needs
and what to do about it. `minipref diagnose RUN` prints them.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import optimiser, pairs, reference, samples  # noqa: F401  (they file their rules)
from .glossary import GLOSSARY, METRICS, Metric
from .history import Curve, History, from_entries, read
from .rule import RULES, Finding, Rule, rule


@dataclass(frozen=True)
class Diagnosis:
    """findings  faults first
    silent    names of rules that could look and saw nothing
    blind     by name of a rule that could not look: the metrics that it misses
    """

    findings: list[Finding]
    silent: list[str]
    blind: dict[str, list[str]]


def diagnose(history: History) -> Diagnosis:
    """Ask every rule about a run."""
    blind = {name: each.missing(history) for name, each in RULES.items() if each.missing(history)}
    looked = {name: each.look(history) for name, each in RULES.items() if name not in blind}
    findings = [Finding(RULES[name], said) for name, said in looked.items() if said is not None]
    findings.sort(key=lambda finding: not finding.rule.fault)
    return Diagnosis(findings, [name for name, said in looked.items() if said is None], blind)


__all__ = [
    "GLOSSARY",
    "METRICS",
    "RULES",
    "Curve",
    "Diagnosis",
    "Finding",
    "History",
    "Metric",
    "Rule",
    "diagnose",
    "from_entries",
    "read",
    "rule",
]
