"""report.md: what a run on an own file has come to, in words that a number can be held against."""

from __future__ import annotations

from ...algorithm.own_data.corpus import Corpus
from ...algorithm.own_data.plan import Plan
from ..estimate import Estimate
from .findings import BEFORE, LONGER, SEEN, SHORTER, Findings, Sample

CLEAR = 2.0  # standard errors; less is called nothing

CAN = """\
It can show whether the file is read as you meant it, whether the run is stable at these settings,
which way this loss pushes log-probs, and how much of the preferences stands on the surface of the
texts: length, words, format.

It cannot show which answer is true, helpful or harmless, how well a large model would learn from
this file, or whether the preferences are good. Its answers imitate spelling more than sense."""
OWN_MODEL = """\
It can show whether the file is read as you meant it, whether the run is stable at these settings,
and what this loss did to this model on prompts that it was not trained on.

It cannot show how another model would fare, nor whether the preferences are good. Differences below
two standard errors are nothing."""


def report(plan: Plan, corpus: Corpus, findings: Findings) -> str:
    """The run in Markdown; the same run always gives the same text."""
    tiny = plan.model == "tiny"
    who = "A model that reads bytes" if tiny else "A causal language model"
    parts = [
        f"# {plan.loss} on {plan.data}",
        f"{who}, {findings.parameters:,} parameters, learnt for {plan.supervised_steps} steps from "
        f"the liked responses and for {plan.steps} steps with {plan.loss}, "
        f"{plan.batch_size} records a step at most.",
        CAN if tiny else OWN_MODEL,
        "## What became of the file",
        "\n".join(f"- {line}" for line in file_lines(plan, corpus)),
        "## Held-out accuracy",
        how_counted(corpus),
        accuracy_table(findings.accuracy),
        "\n".join(f"- {line}" for line in verdicts(plan, findings)),
        f"## {len(findings.samples)} held-out prompts, before and after {plan.loss}",
        "The same luck both times, at temperature 0.7.",
        *(one_sample(sample) for sample in findings.samples),
    ]
    return "\n\n".join(parts) + "\n"


def file_lines(plan: Plan, corpus: Corpus) -> list[str]:
    """What was read, skipped and cut."""
    counts = corpus.counts
    lines = [
        f"{counts.records:,} {corpus.kind} were read and "
        + (f"{counts.skipped:,} bad lines skipped" if counts.skipped else "no line was skipped")
    ]
    if counts.skipped:
        lines.append(f"the first bad line: {counts.first_error}")
    held_out = len(corpus.held_out.groups.unique())
    lines.append(
        f"{held_out:,} of them were held out, "
        + ("with prompts that stand nowhere else" if counts.by_prompt else "of the same prompts")
    )
    for what, cut, where in (
        ("prompts", counts.prompts_cut, f"to their last {plan.max_prompt_tokens} tokens"),
        ("responses", counts.responses_cut, f"to their first {plan.max_new_tokens} tokens"),
    ):
        share = f"{cut:,} of {counts.texts:,} {what} were cut {where} ({cut / counts.texts:.0%})"
        lines.append(share if cut else f"no {what[:-1]} was cut")
    if counts.alike:
        lines.append(
            f"{counts.alike:,} records hold responses that are the same once they are cut; "
            "they teach nothing, and count half"
        )
    return lines


def how_counted(corpus: Corpus) -> str:
    match corpus.kind:
        case "pairs":
            what = "P(the chosen response scores higher)"
        case "rankings":
            what = "P(the better of two responses to a prompt scores higher)"
        case _:
            what = "P(a desirable response scores higher than an undesirable one), over all prompts"
    return f"{what}, ties counted half; plus or minus one standard error. Chance is 0.5."


def accuracy_table(accuracy: dict[str, Estimate]) -> str:
    rows = [f"| {who} | {found.value:.3f} ± {found.se:.3f} |" for who, found in accuracy.items()]
    return "\n".join(["| ranked by | accuracy |", "|---|---|", *rows])


def verdicts(plan: Plan, findings: Findings) -> list[str]:
    """The table in words, each with what it takes to be more than chance."""
    accuracy = findings.accuracy
    after, seen = accuracy[findings.score], accuracy[SEEN]
    liked, other = findings.gained["liked"], findings.gained["other"]
    ahead = clearly(Estimate(after.value - 0.5, after.se))
    lines = [f"held-out accuracy of {plan.loss} is {ahead} chance"]
    rule = LONGER if accuracy[LONGER].value >= accuracy[SHORTER].value else SHORTER
    for who, what in ((rule, f"taking {rule}, without any model"), (BEFORE, "the model before")):
        lead = findings.lead[who]
        lines.append(
            f"{what}, has {accuracy[who].value:.3f}: {plan.loss} is {clearly(lead)} that "
            f"({signed(lead)} on the same records)"
        )
    if seen.minus(after).value > CLEAR * max(seen.minus(after).se, 1e-9):
        lines.append(
            f"it knows the records it was trained on better ({seen.value:.3f}): it learnt some of "
            "them by heart"
        )
    lines.append(
        f"{plan.loss} moved held-out liked responses by {signed(liked, 2)} nats and others by "
        f"{signed(other, 2)}"
    )
    if liked.value < -CLEAR * liked.se and liked.value > other.value:
        lines.append(
            "both became less likely and the other ones more so: what many preference losses do "
            "(notebook 05)"
        )
    return lines


def clearly(gap: Estimate) -> str:
    """Above, below, or not to be told from: a difference that is clear, or is not."""
    if abs(gap.value) <= CLEAR * gap.se or gap.value == 0:
        return "not to be told from"
    return "above" if gap.value > 0 else "below"


def signed(found: Estimate, digits: int = 3) -> str:
    return f"{found.value:+.{digits}f} ± {found.se:.{digits}f}"


def one_sample(sample: Sample) -> str:
    """A prompt's end and both answers, as blocks that no text can break out of."""
    end = sample.prompt[-240:]
    asked = end if end == sample.prompt else f"... {end}"
    blocks = {"prompt": asked, "before": sample.before, "after": sample.after}
    return "\n\n".join(f"**{name}**\n\n{block(text)}" for name, text in blocks.items())


def block(text: str) -> str:
    """Indented, with a sign for what cannot be printed."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return "\n".join(f"    {line}" for line in (shown or "(nothing)").split("\n"))
