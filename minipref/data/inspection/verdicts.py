"""What was found, in sentences: what is wrong, what to beware of, what is as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from .faults import FAULTS

SURE = 3  # of `z`, from which a rule is not a coin
WORTH = 0.05  # accuracy above a coin's from which a rule is a warning
STRONG = 0.1  # the same, where it decides
COMPARED = {
    "pairs": "pairs",
    "rankings": "rankings (best against worst)",
    "points": "draws of a desirable and an undesirable answer",
}
Plain = dict[str, Any]


class Verdict(NamedTuple):
    """A sentence, and how bad it is."""

    level: Literal["wrong", "beware", "fine"]
    text: str


def verdicts(found: Plain) -> list[Verdict]:
    """All that there is to say, the worst first; `found` is what `Inspection.plain` returned."""
    every = [
        *_of_skipped(found),
        *_of_faults(found),
        *_of_repeats(found),
        *_of_truncation(found),
        *_of_labels(found),
        *_of_rules(found),
    ]
    order = ("wrong", "beware", "fine")
    return sorted(every, key=lambda verdict: order.index(verdict.level))


def _of_skipped(found: Plain) -> Iterator[Verdict]:
    if found.get("skipped"):
        yield Verdict(
            "wrong",
            f"{found['skipped']} bad lines were skipped; the first: {found['first_error']}",
        )


def _of_faults(found: Plain) -> Iterator[Verdict]:
    for name, meaning in FAULTS.items():
        if name in found["faults"]:
            seen = found["faults"][name]
            yield Verdict(
                "wrong",
                f"{name} in {_share(seen['records'], found)}, first in record {seen['first']}: "
                f"{meaning}",
            )
    if not found["faults"]:
        yield Verdict(
            "fine", "no side is empty, none equals the other, none answers another prompt"
        )


def _of_repeats(found: Plain) -> Iterator[Verdict]:
    kind = found["kind"]
    records, prompts = found["repeats"]["records"], found["repeats"]["prompts"]
    about = _about(records)
    if records["contradicted"]:
        opposite = "with the other label" if kind == "points" else "with the sides swapped"
        yield Verdict(
            "wrong",
            f"contradictions: {about}{_share(records['contradicted'], found)} with the same again "
            f"{opposite}; whatever a model says, it is wrong on some of them",
        )
    odds = records["collision_odds"]
    if records["repeated"]:
        yield Verdict(
            "beware",
            f"duplicates: {about}{_share(records['repeated'], found)} besides the first of each, "
            f"{records['most']} of one at most; they weigh more, and may be in train and in test",
        )
    else:
        yield Verdict(
            "fine",
            f"no two {kind} are the same (odds of {odds:.0e} that two different ones look alike)",
        )
    if prompts["repeated"]:
        each = found["records"] / max(prompts["distinct"], 1)
        errors = f", and errors may be {each**0.5:.2g} times as large" if each >= 1.1 else ""
        yield Verdict(
            "beware" if errors else "fine",
            f"different prompts: {_about(prompts)}{prompts['distinct']} for {found['records']} "
            f"{kind}, one of them {prompts['most']} times; split train and test by prompt{errors}",
        )


def _of_truncation(found: Plain) -> Iterator[Verdict]:
    cut = found["truncation"]
    if cut is None:
        return
    at = f"at {cut['max_length']} tokens"
    if not cut["cut"]:
        yield Verdict("fine", f"{at} no answer loses its end")
        return
    at += " (the end of a row is cut)"
    if cut["swallowed"]:
        yield Verdict(
            "wrong",
            f"{at} the prompt alone fills the row in {_share(cut['swallowed'], found)}: no token "
            "of an answer is left to learn from",
        )
    if cut["identical"]:
        yield Verdict(
            "wrong",
            f"{at} both sides become the same text in {_share(cut['identical'], found)}: the "
            "loss stays at its value for equal sides, log 2 for DPO",
        )
    sides = ", ".join(
        f"{side} in {cut['cut'].get(side, 0) / of:.1%}"
        for side, of in zip(found["sides"], found["by_side"], strict=True)
        if of
    )
    lost = cut["tokens_lost"] / cut["tokens"]
    yield Verdict(
        "beware",
        f"{at} answers lose their end ({sides}), {lost:.1%} of their tokens: those do not learn "
        "to stop",
    )


def _of_labels(found: Plain) -> Iterator[Verdict]:
    if found["kind"] != "points":
        return
    desirable = found["by_side"][0] / found["records"]
    if desirable in (0.0, 1.0):
        yield Verdict("wrong", "all points have the same label: there is nothing to prefer")
    elif not 3 / 7 <= desirable <= 4 / 7:
        yield Verdict(
            "beware",
            f"{desirable:.1%} of the points are desirable: KTO wants weights that bring the ratio "
            "of both sides' sums between 1:1 and 4:3 (Ethayarajh et al., 2024)",
        )


def _of_rules(found: Plain) -> Iterator[Verdict]:
    pairs = COMPARED[found["kind"]]
    best = 0.5
    for rule in found["rules"]:
        if abs(rule["z"]) < SURE:
            continue
        name, accuracy = winner(rule)
        best = max(best, accuracy)
        decided = rule["decided"]
        when_decided = 0.5 + (accuracy - 0.5) / decided  # undecided ones count half in `accuracy`
        wins = f"{name} wins in {when_decided:.0%}"
        wins += (
            f" of {pairs}" if decided > 0.995 else f" of the {decided:.0%} of {pairs} it decides"
        )
        scores = f"a model can score {accuracy:.2f} by that alone (standard error {rule['se']:.3f})"
        strong = accuracy - 0.5 >= WORTH or when_decided - 0.5 >= STRONG
        yield Verdict("beware" if strong else "fine", f"{wins}: {scores}")
    if best == 0.5:
        yield Verdict("fine", "no dumb rule tells the sides apart")
    elif best - 0.5 >= WORTH:
        yield Verdict(
            "beware",
            f"judge an accuracy on such data by {best:.2f}, the best dumb rule's, not by 0.50",
        )


def winner(rule: Plain) -> tuple[str, float]:
    """A rule or its opposite, whichever is right more often, and its accuracy."""
    if rule["accuracy"] >= 0.5:
        return rule["rule"], rule["accuracy"]
    return rule["opposite"], 1 - rule["accuracy"]


def _share(count: int, found: Plain) -> str:
    """Say how many, in numbers and as a share."""
    kind = found["kind"] if count != 1 else found["kind"].removesuffix("s")
    return f"{count} {kind} ({count / found['records']:.1%})"


def _about(repeats: Plain) -> str:
    """Say that a count is an estimate, where it is one."""
    if repeats["one_in"] == 1:
        return ""
    return f"about (from one in {repeats['one_in']} of the keys) "
