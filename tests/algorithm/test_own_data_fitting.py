"""Which losses learn from which file: as many as can, and a clear word where one cannot."""

import pytest

from minipref.algorithm.own_data.fitting import check_fits, taught_by, why_not
from minipref.algorithm.own_data.parallel import check_shares
from minipref.losses.registry import REGISTRY, get

pytestmark = pytest.mark.slow

CLASSICS = {
    "pairs": ["dpo", "ipo", "simpo", "orpo", "cpo", "hinge", "rdpo", "tdpo2", "kto", "ulma"],
    "points": ["kto", "kto_s", "apo_zero_unpaired", "pointwise_dpo"],
    "rankings": ["pl_dpo", "s_dpo", "rrhf", "knowpat"],
}


@pytest.mark.parametrize("kind", CLASSICS)
def test_the_classics_fit(kind):
    for name in CLASSICS[kind]:
        assert check_fits(name, kind) is get(name)


def test_nothing_fits_that_needs_what_no_file_says():
    for name, missing in (
        ("mdpo", "corrupted_logps"), ("odpo", "more than labels: scores"), ("bco", "shift"),
        ("lipo", "scores"), ("rpo_reverse", "margins"), ("grpo", "does not look at labels"),
        ("sft", "does not look at labels"), ("bradley_terry", "rewards"),
    ):  # fmt: skip
        kind = taught_by(get(name)) or "pairs"
        with pytest.raises(ValueError, match=f"loss {name}: .*{missing}.*can learn: .*"):
            check_fits(name, kind)


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=REGISTRY)
def test_a_loss_fits_one_kind_of_label_at_most(entry):
    kinds = {kind for kind in CLASSICS if why_not(entry, kind) is None}
    assert kinds in (set(), {"pairs"}, {"rankings"}, {"points", "pairs"})
    if entry.family in ("reward", "policy_gradient", "diffusion"):
        assert not kinds


def test_points_are_no_pairs():
    with pytest.raises(ValueError, match=r"it learns from pairs, and the file holds points.*kto"):
        check_fits("dpo", "points")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [({"bta": 0.1}, r"no hyper-parameter 'bta' \(there are: beta\)"), ({"beta": -1.0}, "beta")],
)
def test_hyperparameters_are_tried_before_anything_is_trained(numbers, message):
    with pytest.raises(ValueError, match=message):
        check_fits("dpo", "pairs", numbers)


def test_batches_are_not_shared_where_a_row_needs_the_others():
    for name, why in (("kto", "its kl is measured on"), ("aot", "its rows are compared within")):
        check_shares(get(name), 8, 1)
        with pytest.raises(ValueError, match=f"loss {name}: {why} a whole batch"):
            check_shares(get(name), 8, 2)
    check_shares(get("dpo"), 2, 2)
    with pytest.raises(ValueError, match="batch_size"):
        check_shares(get("dpo"), 1, 2)
