"""The whole of `minipref train`: a file in, a folder with a model, its history and a report out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from ...algorithm.own_data import parallel
from ...algorithm.own_data.corpus import Corpus, corpus_of, read
from ...algorithm.own_data.encoding import Bytes, Cut, Tokenized, templated
from ...algorithm.own_data.fitting import KINDS, check_fits, taught_by
from ...algorithm.own_data.plan import (
    HISTORY,
    HUGGING_FACE,
    PREFERENCE,
    REPORT,
    SUPERVISED,
    SUPERVISED_HISTORY,
    TINY,
    Plan,
    begin,
    digest,
)
from ...algorithm.own_data.run import tiny, train
from ...data.records import Record
from ...data.vocabulary import ByteVocabulary
from ...losses.registry import get
from ...model.checkpoint import load, save, write_atomically
from ...model.fit import Metrics
from ...model.policy import Policy
from .findings import Findings, measured, on_the_way
from .report import report

Tell = Callable[[str], None]


def experiment(
    plan: Plan,
    data: Path,
    folder: Path,
    *,
    model: Path | None = None,
    resume: bool = False,
    every: int = 25,
    tell: Tell = lambda news: None,
    progress: bool = False,
) -> tuple[Corpus, Findings] | None:
    """Run a plan, or go on with it, and write what came of it; None in a process that only helps.

    Args:
        plan: without the file's and the model's content, which are looked up here.
        data, model: where they are.
        folder: gets plan.json, checkpoints, history.json, report.md and the model.
        every: steps between two checkpoints.
        tell, progress: how the user hears of it.

    Raises: ValueError for a file, a loss, a plan or a folder that does not do.
    """
    get(plan.loss)  # a wrong name is said before a long file is read
    records, skipped, error = read(data, skip_bad=plan.skip_bad)
    entry = check_fits(plan.loss, kind := KINDS[type(records[0])], plan.hyperparameters)
    tell(f"{len(records):,} {kind} in {data.name}, {skipped:,} bad lines skipped")
    plan = replace(plan, data=data.name, data_sha256=digest(data))
    if model is not None:
        plan = replace(plan, model=digest(model))
    policy, encoder, records, keep = model_of(plan, model, records)
    corpus = corpus_of(
        records,
        encoder,
        share=plan.held_out,
        seed=plan.seed,
        as_points=kind == "pairs" and taught_by(entry) == "points",
        skipped=(skipped, error),
    )
    first = parallel.is_first()
    if first:
        begin(plan, folder, resume=resume)
    parallel.wait()
    try:
        trained = train(
            plan,
            policy,
            corpus,
            folder,
            every=every,
            measure=on_the_way(plan, corpus),
            progress=progress and first,
        )
    except (FloatingPointError, ValueError) as error:
        raise ValueError(f"{error}{stopped(folder) if first else ''}") from error
    if not first:
        return None
    tell("measuring on what was held out")
    write_history(folder / SUPERVISED_HISTORY, trained.supervised_history)
    write_history(folder / HISTORY, trained.history)
    found = measured(plan, corpus, trained)
    keep(folder)
    write_atomically(folder / REPORT, report(plan, corpus, found).encode())
    return corpus, found


def model_of(
    plan: Plan, model: Path | None, records: list[Record]
) -> tuple[Policy, Cut, list[Record], Callable[[Path], None]]:
    """The policy, how it reads, the records as it reads them, and how it is kept.

    Raises: ValueError for a folder without a model, or one with a shorter context.
    """
    sizes = plan.max_prompt_tokens, plan.max_new_tokens
    if model is None:
        encoder = Bytes(ByteVocabulary(), *sizes)
        small = tiny(plan, encoder.vocabulary_size)

        def keep_tiny(folder: Path) -> None:
            save(folder / TINY, {"config": asdict(small.config), "weights": small.state_dict()})

        return small, encoder, records, keep_tiny
    from ...model.huggingface import load_folder, save_folder

    policy, tokenizer = load_folder(model)
    context = getattr(policy.model.config, "max_position_embeddings", None)
    if context is not None and plan.max_length > context:
        raise ValueError(f"max_length: the model reads at most {context}, got {plan.max_length}")
    in_template = bool(tokenizer.chat_template) and not isinstance(records[0].prompt, str)
    if in_template:
        records = templated(records, tokenizer)

    def keep_folder(folder: Path) -> None:
        save_folder(folder / HUGGING_FACE, policy, tokenizer)

    return policy, Tokenized(tokenizer, *sizes, in_template), records, keep_folder


def stopped(folder: Path) -> str:
    """What to say of a run that broke, whose history is kept for `minipref diagnose`."""
    for checkpoint, history in ((PREFERENCE, HISTORY), (SUPERVISED, SUPERVISED_HISTORY)):
        if (folder / checkpoint).exists():
            write_history(folder / history, load(folder / checkpoint)["history"])
            return f"; {folder / history} has what led to it, and a smaller learning rate may help"
    return ""


def write_history(path: Path, history: list[Metrics]) -> None:
    """A list of steps, each with its metrics."""
    write_atomically(path, (json.dumps(history) + "\n").encode())
