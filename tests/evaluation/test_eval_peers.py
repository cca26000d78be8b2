"""Our losses and TRL's own code: values and gradients, and what would be wrong without the mapping.

Each line of the table is tried on drawn inputs and hyper-parameters. Each difference that it names
is shown to be one: leave the mapping out, and the two are no longer equal.
"""

import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minipref.course.suite.cases import drawn
from minipref.data.streams import stream
from minipref.evaluation.peers import (
    PEERS,
    compared,
    consistent,
    one_model,
    stand_ins,
    trl_pairs,
    trl_responses,
)
from minipref.losses import dpo
from minipref.losses.modifiers import smoothed, with_nll, wpo_weights
from minipref.losses.registry import REGISTRY, entry_of
from minipref.losses.vocabulary import kind_of

pytest.importorskip("trl")
pytestmark = pytest.mark.slow  # TRL takes seconds to import

TRL = PEERS["trl"]
SIDES = ("chosen", "rejected")


def title(comparison):
    given_by = "-".join(map(str, comparison.given.values()))
    trainer = comparison.trainer.split()[-1].removesuffix("Trainer")
    return "-".join(filter(None, [comparison.entry.name, given_by, trainer]))


BY_TITLE = {title(comparison): comparison for comparison in TRL.comparisons}


def tensors(shape, low, high, dtype):
    count = torch.Size(shape).numel()
    numbers = st.lists(st.floats(low, high), min_size=count, max_size=count)
    return numbers.map(lambda values: torch.tensor(values, dtype=dtype).reshape(shape))


@st.composite
def groups_of(draw, batch):
    """(batch,) integers, each at least twice, in any order."""
    count = draw(st.integers(1, batch // 2))
    return torch.tensor([i % count for i in draw(st.permutations(range(batch)))])


@st.composite
def inputs(draw, entry):
    """{name: tensor}: ordinary numbers, as one model could give them."""
    batch, length = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    sizes = {"batch": batch, "length": length, "vocabulary": 3}
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    made = {}
    for name in entry.inputs:
        kind, shape = kind_of(name), [sizes[axis] for axis in entry.axes(name)]
        flags = st.lists(st.booleans(), min_size=batch, max_size=batch)
        if name.endswith("mask"):
            row = st.lists(st.booleans(), min_size=length, max_size=length).filter(any)
            made[name] = torch.tensor([draw(row) for _ in range(batch)])
        elif name == "groups":
            made[name] = draw(groups_of(batch))
        elif kind.dtype == "bool":
            made[name] = torch.tensor(draw(flags))
        else:
            made[name] = draw(tensors(shape, kind.low, kind.high, dtype))
            if "vocabulary" in entry.axes(name):
                made[name] = made[name].log_softmax(-1)
    return consistent(made)


def number_in(text):
    """A hyper-parameter anywhere in its range, at most 3 above the lower end."""
    if text[0] == "{":
        return st.sampled_from(text[1:-1].split(", "))
    low, high = (float(end) for end in text[1:-1].split(","))
    return st.floats(low if text[0] == "[" else low + 0.01, min(high - 0.01, low + 3))


def without_ties(x):
    """Are the margins that AOT sorts all different?"""
    for prefix in ("", "ref_"):
        sides = (x[f"{prefix}chosen_logps"], x[f"{prefix}rejected_logps"])
        for margin in (
            sides[0] - sides[1],
            *(x[f"{s}_logps"] - x[f"ref_{s}_logps"] for s in SIDES),
        ):
            if bool((margin.sort().values.diff() < 1e-3).any()):
                return False
    return True


@pytest.mark.parametrize("comparison", TRL.comparisons, ids=title)
@settings(max_examples=25)
@given(data=st.data())
def test_values_and_gradients_are_those_of_trl(comparison, data):
    x = data.draw(inputs(comparison.entry))
    assume("aot" not in comparison.entry.name or without_ties(x))
    ranges = comparison.entry.ranges
    numbers = {name: data.draw(number_in(text)) for name, text in ranges.items()}
    found = compared(comparison, x, numbers)
    assert found.gradient_gap < 1e-5
    assert found.gap < 1e-5 or not comparison.values
    assert found.gradients
    assert comparison.equal(found)


def ordinary(comparison):
    """Fixed inputs, twelve rows, no two responses alike."""
    entry = comparison.entry
    return consistent(drawn(entry, stream(0, f"test/{entry.name}")))


def without(name):
    """TRL's call that never sees this input of ours."""
    return lambda call: lambda x, s: call({key: v for key, v in x.items() if key != name}, s)


def at_level_of_responses(call):
    return lambda x, s: call(dict(x) | {"advantages": x["advantages"].mean(-1)}, s)


def as_sums(x):
    """What IPO and its like would be given by who sums: TRL's responses have 3 and 2 tokens."""
    return {
        name: v * trl_pairs.TOKENS["chosen" if "chosen" in name else "rejected"]
        for name, v in x.items()
    }


TOO_FEW = {"over": "rows"}
# What a user might take for granted, for each difference that the table names.
NAIVE = {
    "cdpo-DPO": {
        "fixed": {"loss_type": "sigmoid"},
        "mapped": {"beta": "beta", "label_smoothing": "label_smoothing"},
    },
    "ipo-DPO": {"through": as_sums},
    "length_normalised_dpo-DPO": {"through": as_sums},
    "f_dpo-alpha-DPO": {"mapped": {"beta": "beta", "f_alpha_divergence_coef": "alpha / 2"}},
    "weighted_dpo-DPO": {"fixed": {"loss_type": "sigmoid"}},
    "simpo-CPO": {"fixed": {"loss_type": "simpo", "cpo_alpha": 1.0}},
    "simpo-TPO": {"fixed": {"loss_type": "tpo-l", "tpo_alpha": 1.0}},
    "alphapo-CPO": {"mapped": {"beta": "beta", "simpo_gamma": "gamma"}},
    "dro-A2PO": {"scale": "1"},
    "bradley_terry_margin-Reward": {"theirs": without("margins")(trl_responses.reward)},
    "dapo-GRPO": {"theirs": without("tokens")(trl_responses.grpo)},
    "cispo-1.0-GRPO": {"mapped": {"epsilon_high": "clip_high"}},
    "gspo-GRPO": {
        "mapped": {},
        "fixed": {
            "loss_type": "grpo",
            "importance_sampling_level": "sequence",
            "beta": 0.0,
            "epsilon": 0.2,
            "epsilon_high": 0.2,
        },
    },
    "ppo_clip-GRPO": {"theirs": at_level_of_responses(trl_responses.grpo)},
    "rloo-RLOO": {"values": True},
    "sft-SFT": TOO_FEW,
    "gkd-GKD": TOO_FEW,
    "forward_kl-GKD": TOO_FEW,
    "minillm-GKD": TOO_FEW,
}


@pytest.mark.parametrize("name", NAIVE)
def test_without_the_mapping_the_two_are_not_equal(name):
    comparison, x = BY_TITLE[name], ordinary(BY_TITLE[name])
    assert comparison.equal(compared(comparison, x, {}))
    naive = replace(comparison, **NAIVE[name])
    assert not naive.equal(compared(naive, x, {}))


def of_lengths(x):
    """The chosen responses of 1, 2, 3, ... tokens."""
    tokens = 1.0 + torch.arange(len(x["chosen_logps"]))
    return dict(x) | {"chosen_mean_logps": x["chosen_logps"] / tokens}


def tied_margins(x):
    """All pairs have one margin and all chosen one log-ratio; the reference tells them apart."""
    return dict(x) | {
        "chosen_logps": x["ref_chosen_logps"] - 1,
        "rejected_logps": x["ref_chosen_logps"] - 2,
    }


def below_zero(x):
    return dict(x) | {"kl": torch.tensor(-2.0)}


# Inputs on which no setting of TRL's is ours: the table's sentence says why.
BEYOND = {
    "cpo-CPO": of_lengths,
    "cpo-TPO": of_lengths,
    "dpo_with_nll-DPO": of_lengths,
    "kto-KTO": below_zero,
    "aot-DPO": tied_margins,
    "aot_unpaired-DPO": tied_margins,
    "smoothed_aot-DPO": tied_margins,
}


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_what_the_sentence_allows_the_two_are_not_equal(name):
    comparison, x = BY_TITLE[name], ordinary(BY_TITLE[name])
    assert comparison.equal(compared(comparison, x, {}))
    assert not comparison.equal(compared(comparison, BEYOND[name](x), {}))


def test_lengths_matter_to_the_likelihood_alone():
    for name in ("dpo_with_nll-DPO", "cpo-CPO"):
        comparison, x = BY_TITLE[name], of_lengths(ordinary(BY_TITLE[name]))
        assert comparison.equal(compared(comparison, x, {"alpha": 0.0}))


def test_orpo_trains_the_prompt_in_trl(monkeypatch):
    comparison = BY_TITLE["orpo-ORPO"]
    x = ordinary(comparison)
    assert comparison.equal(compared(comparison, x, {}))
    response_only = trl_pairs.logits_of_pairs

    def with_a_prompt(given_inputs):
        """The first token of each response belongs to the prompt, and is hard to guess."""
        model, batch = response_only(given_inputs)
        model.logps = torch.cat([model.logps[:, :1] - 9, model.logps[:, 1:]], dim=1)
        for side in SIDES:
            batch[f"{side}_labels"][:, 1] = -100
        return model, batch

    monkeypatch.setattr(trl_pairs, "logits_of_pairs", with_a_prompt)
    found = compared(comparison, x, {})
    assert found.theirs - found.ours == pytest.approx(9 / 3, abs=1e-5)


def test_a_distribution_goes_through_a_softmax_again():
    comparison = BY_TITLE["gkd-GKD"]
    free = replace(comparison, through=one_model.tied)
    found = compared(free, ordinary(comparison), {})
    assert found.gap < 1e-6
    assert found.gradient_gap > 1e-3


def test_every_difference_is_pinned():
    named = {title(comparison) for comparison in TRL.comparisons if comparison.difference}
    assert named == {*NAIVE, *BEYOND, "orpo-ORPO"}


def test_titles_are_unique_and_the_table_is_about_losses_of_ours():
    assert len(BY_TITLE) == len(TRL.comparisons)
    modified = {"smoothed_aot", "length_normalised_dpo", "desensitised_dpo", "weighted_dpo"}
    assert set(TRL.names()) - set(REGISTRY) == modified | {"dpo_with_nll"}
    assert set(TRL.absent) <= set(REGISTRY) - set(TRL.names())


@given(data=st.data())
@settings(max_examples=10)
def test_wpo_weights_are_those_that_trl_computes(data):
    """TRL's own weights of tokens, from what a model says, are `wpo_weights` of both sides."""
    logps = data.draw(tensors((4, 3), -3.0, -1e-3, torch.float64))
    squares = data.draw(tensors((4, 3), -3.0, 0.0, torch.float64))
    reference = data.draw(tensors((4, 3), -3.0, -1e-3, torch.float64))
    mask = torch.ones(4, 3, dtype=torch.bool)
    trainer = stand_ins.untrained(
        stand_ins.trainer_class("trainer.dpo_trainer:DPOTrainer"),
        precompute_ref_logps=False,
        ref_model=stand_ins.GivenLogps(reference),
        beta=0.3,
        label_smoothing=0.0,
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        use_weighting=True,
        ld_alpha=None,
        f_divergence_type="reverse_kl",
    )
    model = stand_ins.GivenLogps(logps, squares)
    theirs = trainer._compute_loss(model, stand_ins.token_ids(mask), return_outputs=False)
    weights = wpo_weights(logps, squares, mask)
    sums, ref_sums = logps.sum(-1), reference.sum(-1)
    rows = dpo(sums[:2], sums[2:], ref_sums[:2], ref_sums[2:], beta=0.3)
    assert float(theirs) == pytest.approx(float((weights[:2] * weights[2:] * rows).mean()))


def test_a_sum_over_a_mean_is_a_count():
    sums, means = torch.tensor([-6.0, -5.0]), torch.tensor([-2.0, -5.0])
    assert one_model.lengths(sums, means).tolist() == [3, 1]
    with pytest.raises(ValueError, match=r"mean_logps: .* sum of -6 in row 0"):
        one_model.lengths(sums, torch.tensor([-4.0, -5.0]))


def test_a_modifier_with_a_number_of_its_own_is_the_modifier():
    entry = next(c.entry for c in TRL.of("dpo_with_nll"))
    x = drawn(entry, stream(0, "test/nll"))
    assert torch.equal(entry.function(**x, beta=0.2, alpha=0.7), with_nll(dpo, 0.7)(**x, beta=0.2))
    assert entry.hyperparameters == {"beta": 0.1, "alpha": 1.0}
    assert entry_of(smoothed(dpo, 0.1)).hyperparameters == {"beta": 0.1}


def test_without_trl_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    comparison = BY_TITLE["dpo-DPO"]
    with pytest.raises(ImportError, match=r"^TRL is not installed: pip install 'trl>=1.16'$"):
        compared(comparison, ordinary(comparison), {})


def test_a_trl_without_that_trainer_says_so():
    with pytest.raises(ImportError, match=r"this TRL has no NashMDTrainer: pip install"):
        stand_ins.trainer_class("experimental.nash_md:NashMDTrainer")
