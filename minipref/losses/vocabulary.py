"""What an input's name says of it: `ref_chosen_mean_logps` is a log-prob, and no gradient flows.

The last word tells the kind: its type, the numbers it takes, and what stands in for it where there
is no data. The checks, the formulas' tests, the gradient coefficient and the printed training step
all read this one table, so that a new kind of input is a line here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    low, high    the range in which a test draws it: ordinary numbers
    least, most  the range over which a loss has to stay finite
    dtype        float, bool or integer
    trained      may the parameters in training change it?
    example      an expression of a tensor of {shape}, to stand in for data; {size} numbers, and a
                 {view} of them where it has more than one dimension
    note         what to put there instead
    """

    low: float
    high: float
    least: float
    most: float
    dtype: str = "float"
    trained: bool = False
    example: str = "torch.rand({shape})"
    note: str = ""


def flags(note: str) -> Kind:
    return Kind(0, 1, 0, 1, "bool", example="torch.arange({size}){view} % 2 == 0", note=note)


KINDS = {
    # from a model that is trained
    "logps": Kind(-3.0, -1e-3, -1e4, 0.0, trained=True, example="-3 * torch.rand({shape})"),
    "rewards": Kind(-5.0, 5.0, -1e4, 1e4, trained=True, note="what each sampled response earned"),
    "errors": Kind(0.0, 3.0, 0.0, 1e4, trained=True),
    "values": Kind(-5.0, 5.0, -1e4, 1e4, trained=True, note="of a critic"),
    "kernels": Kind(
        -3.0,
        0.0,
        -1e4,
        0.0,
        trained=True,
        example="-3 * torch.rand({shape})",
        note="log k(prompt, response), by a frozen encoder",
    ),
    "divergences": Kind(0.0, 3.0, 0.0, 1e4, trained=True, note="from the reference"),
    "drift": Kind(0.0, 3.0, 0.0, 1e4, trained=True, note="from the reference"),
    "entropies": Kind(0.0, 3.0, 0.0, 20.0, trained=True),
    "logits": Kind(-5.0, 5.0, -1e4, 1e4, trained=True, note="of a head of k outputs"),
    "costs": Kind(-5.0, 5.0, -1e4, 1e4, trained=True, note="how much harm each response does"),
    "deviations": Kind(
        -2.0,
        2.0,
        -20.0,
        20.0,
        trained=True,
        example="-2 * torch.ones({shape})",
        note="of a second head",
    ),
    # said of responses by people, judges, programs or earlier models
    "scores": Kind(0.0, 5.0, 0.0, 1e4, note="of an annotator or a reward model"),
    "returns": Kind(-5.0, 5.0, -1e4, 1e4, note="what was earned from each token on"),
    "advantages": Kind(-3.0, 3.0, -1e4, 1e4),
    "baselines": Kind(-5.0, 5.0, -1e4, 1e4, note="what was to be expected"),
    "margins": Kind(-2.0, 3.0, -1e3, 1e3, note="by how much the chosen is better"),
    "probabilities": Kind(0.05, 0.95, 0.0, 1.0, note="that it is preferred"),
    "shares": Kind(
        0.05, 0.95, 0.0, 1.0, example="torch.rand({shape}).softmax(-1)", note="of the people"
    ),
    "weights": Kind(0.0, 2.0, 0.0, 2.0, example="torch.ones({shape})", note="how much it counts"),
    "signals": Kind(
        -1.0,
        1.0,
        -2.0,
        2.0,
        example="2 * torch.rand({shape}) - 1",
        note="which words were put in, which taken out",
    ),
    "visits": Kind(0.0, 30.0, 0.0, 1e4, example="20 * torch.rand({shape})", note="of the search"),
    "kl": Kind(0.0, 5.0, 0.0, 1e4),
    "shift": Kind(-3.0, 3.0, -1e4, 1e4, example="torch.zeros({shape})", note="`bco_shift`"),
    "ess": Kind(
        0.1,
        1.0,
        0.0,
        1.0,
        example="torch.tensor(0.5)",
        note="effective_sample_size of the replayed tokens",
    ),
    "tokens": Kind(
        1.0,
        9.0,
        1.0,
        512.0,
        example="mask.sum() / len(mask)",
        note="a response, over the whole batch",
    ),
    "replayed": flags("did an earlier policy sample it?"),
    "desirable": flags("was it liked?"),
    "ties": flags("was neither better?"),
    "safe": flags("does it do no harm?"),
    "mask": flags("the response's tokens"),
    # counted
    "lengths": Kind(1, 9, 1, 512, "integer", example="torch.arange(1, 9)", note="in tokens"),
    "groups": Kind(
        0, 3, 0, 3, "integer", example="torch.arange(8) // 4", note="four responses to each prompt"
    ),
}
FIXED = ("ref_", "old_", "teacher_", "weak_")  # models that are not trained
UNKNOWN = Kind(-3.0, 3.0, -1e4, 1e4)


def kind_of(name: str) -> Kind:
    """What is known of an input of that name; any floats for a last word that is not listed."""
    return KINDS.get(name.split("_")[-1], UNKNOWN)


def belongs_to_policy(name: str) -> bool:
    """Is this input something that the parameters in training may change?"""
    return kind_of(name).trained and not name.startswith(FIXED)


def side_of(name: str) -> str:
    """chosen_ or rejected_, where an input speaks of one side of a pair; else nothing."""
    return next((side for side in ("chosen_", "rejected_") if side in name), "")


def other_side(name: str) -> str:
    """The name of the same quantity on the pair's other side."""
    sides = {"chosen": "rejected", "rejected": "chosen"}
    return "_".join(sides.get(word, word) for word in name.split("_"))
