"""Every rule on every run of the clinic: what it has to see, and nothing else.

The runs are real training (`clinic_ours.py`, `clinic_trl.py`), stored by `clinic_runs.py`.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipref.evaluation.diagnosis import METRICS, RULES, diagnose, from_entries, read, rule
from minipref.evaluation.diagnosis.reference import has_reference
from minipref.resources import resource

EXPECTED = {
    "dpo-well": (),
    "dpo-shibboleth": (),
    "dpo-coin": (),
    "simpo-well": (),
    "ipo-well": (),
    "kto-well": (),
    "rloo-well": (),
    "trl-dpo-well": (),
    "trl-dpo-sparse-logs": (),
    "trl-ipo-well": (),
    "trl-kto-well": (),
    "trl-simpo-well": (),
    "trl-orpo-well": (),
    "trl-grpo-well": (),
    "dpo-rate-too-small": ("loss-pinned",),
    "dpo-rate-too-large": ("rate-too-high",),
    "dpo-falling": ("chosen-falls",),
    "dpo-length": ("length-shortcut",),
    "dpo-empty-masks": ("no-gradient",),
    "dpo-live-reference": ("reference-moves",),
    "dpo-swapped": ("labels-flipped",),
    "ipo-sums": ("ipo-on-sums",),
    "kto-one": ("kto-alone",),
    "rloo-hacking": ("kl-explodes",),
    "trl-dpo-dropout": ("unequal-at-start",),
    "trl-dpo-falling": ("chosen-falls",),
    "trl-dpo-length": ("length-shortcut",),
    "trl-dpo-rate-too-small": ("loss-pinned",),
    "trl-dpo-rate-too-large": ("rate-too-high",),
    "trl-orpo-nan": ("not-finite",),
    "trl-grpo-clipped": ("all-clipped",),
    "trl-grpo-no-variance": ("zero-variance-groups",),
    "trl-grpo-collapse": ("zero-variance-groups", "entropy-collapse"),
    "trl-grpo-length": ("hits-the-limit",),
}
LOOKALIKE = {  # the run that is most easily taken for that illness, and has another or none
    "loss-pinned": "dpo-coin",
    "reference-moves": "dpo-rate-too-small",
    "unequal-at-start": "trl-simpo-well",
    "no-gradient": "trl-grpo-no-variance",
    "not-finite": "trl-orpo-well",
    "rate-too-high": "trl-dpo-falling",
    "chosen-falls": "trl-dpo-rate-too-large",
    "length-shortcut": "dpo-shibboleth",
    "labels-flipped": "dpo-live-reference",
    "ipo-on-sums": "trl-ipo-well",
    "kto-alone": "trl-kto-well",
    "all-clipped": "trl-grpo-well",
    "zero-variance-groups": "trl-grpo-length",
    "kl-explodes": "rloo-well",
    "entropy-collapse": "trl-grpo-length",
    "hits-the-limit": "trl-grpo-well",
}


def history(name):
    return read(resource(f"datasets/histories/{name}.json"))


def found(seen):
    return {finding.rule.name for finding in diagnose(seen).findings}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_rule_on_every_run(name):
    assert found(history(name)) == set(EXPECTED[name])


def test_every_stored_run_is_in_the_matrix():
    stored = {path.stem for path in resource("datasets/histories").glob("*.json")}
    assert stored == EXPECTED.keys()


def test_every_rule_has_an_ill_run_and_a_lookalike():
    assert {name for names in EXPECTED.values() for name in names} == RULES.keys()
    assert LOOKALIKE.keys() == RULES.keys()
    for name, run in LOOKALIKE.items():
        assert name not in EXPECTED[run]
        assert not RULES[name].missing(history(run)), f"{name} is not asked about {run}"


def test_evidence_names_numbers_of_the_run():
    for name, rules in EXPECTED.items():
        for finding in diagnose(history(name)).findings:
            assert finding.rule.name in rules
            assert any(char.isdigit() for char in finding.evidence), finding.evidence
            assert finding.evidence[0].islower()


def test_faults_come_first():
    seen = history("trl-grpo-collapse")
    assert all(finding.rule.fault for finding in diagnose(seen).findings)
    both = dict(history("dpo-falling").curves) | {"kl": seen["loss"]}
    both["frac_reward_zero_std"] = seen["frac_reward_zero_std"]
    faults = [f.rule.fault for f in diagnose(type(seen)(both)).findings]
    assert faults == [True, False]


def test_a_rule_needs_names_of_the_glossary():
    with pytest.raises(ValueError, match="no-such-metric is not in the glossary"):
        rule("x", needs=("no-such-metric",), why="", cure="", see="")
    with pytest.raises(ValueError, match="already"):
        rule("x", needs=(), why="", cure="", see="")(RULES["loss-pinned"].look)
    for each in RULES.values():
        assert set(each.needs) <= METRICS.keys()


NUMBERS = st.floats(-1e4, 1e4) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])


@given(
    names=st.lists(st.sampled_from(sorted(METRICS)), min_size=1, unique=True),
    values=st.lists(NUMBERS, min_size=1, max_size=12),
    start=st.integers(0, 50),
    writer=st.sampled_from(["minipref", "trl"]),
)
def test_no_history_breaks_a_rule(names, values, start, writer):
    """Constant, short, sparse, infinite: a rule says something or nothing, but never fails."""
    entries = [{"step": start + i} | dict.fromkeys(names, x) for i, x in enumerate(values)]
    seen = diagnose(from_entries(entries, writer))
    assert len(seen.findings) + len(seen.silent) + len(seen.blind) == len(RULES)
    finite = all(map(math.isfinite, values))
    assert ("not-finite" in {f.rule.name for f in seen.findings}) == (not finite)


def flat(steps, **metrics):
    """The same entry every step, names with / written as __."""
    named = {name.replace("__", "/"): value for name, value in metrics.items()}
    return [{"step": i} | named for i in range(steps)]


STILL = {"rewards__margins": 0.0, "logps__chosen": -30.0, "logps__rejected": -30.0}


@given(gap=st.floats(-2e-3, 2e-3), margin=st.floats(-4e-3, 4e-3), steps=st.integers(12, 60))
def test_pinned_means_log_two_and_no_margin(gap, margin, steps):
    entries = flat(steps, **{**STILL, "loss": math.log(2) + gap, "rewards__margins": margin})
    assert "loss-pinned" in found(from_entries(entries))
    other = flat(steps, **{**STILL, "loss": 0.6 + gap, "rewards__margins": margin})
    assert "loss-pinned" not in found(from_entries(other))
    assert "loss-pinned" not in found(from_entries(entries[:8]))  # too early to say


@given(share=st.floats(0.31, 1.0), other=st.floats(0.0, 0.29))
def test_clipped_is_judged_where_there_is_a_ratio(share, other):
    """Every second update is the first on its batch, with a ratio of 1: nothing to clip."""
    entries = flat(20, clip_ratio__region_mean=share)
    for entry in entries[::2]:
        entry["clip_ratio/region_mean"] = 0.0
    assert found(from_entries(entries)) == {"all-clipped"}
    assert not found(from_entries(flat(20, clip_ratio__region_mean=other)))


@given(share=st.floats(0.61, 1.0))
def test_shares_are_judged_in_the_last_half(share):
    for name in ("frac_reward_zero_std", "completions/clipped_ratio"):
        entries = flat(20, **{name: 0.0})
        for entry in entries[10:]:
            entry[name] = share
        assert len(found(from_entries(entries))) == 1
        assert not found(from_entries(flat(20, **{name: 0.4})))
        late = [entry | {name: share if entry["step"] < 10 else 0.0} for entry in entries]
        assert not found(from_entries(late))  # it has passed


@given(kl=st.floats(1.1, 19.0))
def test_kl_has_another_unit_in_trl(kl):
    """A few nats a response are near, a few nats a token are far."""
    entries = [{"step": i, "reward": 0.1 * i, "kl": kl} for i in range(20)]
    assert not found(from_entries(entries))
    assert found(from_entries(entries, "trl")) == {"kl-explodes"}
    falling = [entry | {"reward": -entry["reward"]} for entry in entries]
    assert not found(from_entries(falling, "trl"))


@given(step=st.integers(0, 100))
def test_the_start_is_asked_for(step):
    """Rewards that are not 0 are wrong before the first update and right after it."""
    rewards = {"rewards/chosen": -0.03, "rewards/rejected": 0.02}
    entries = [
        {"step": step + i, "logps/chosen": -30.0 - i % 2, **rewards, "rewards/chosen": 0.3 * i - 1}
        for i in range(8)
    ]
    assert ("unequal-at-start" in found(from_entries(entries))) == (step == 0)
    assert ("unequal-at-start" in found(from_entries(entries, "trl"))) == (step == 1)


@given(beta=st.floats(0.01, 5), logps=st.lists(st.floats(-200, -1), min_size=3, max_size=9))
def test_a_reward_that_is_beta_times_log_prob_has_no_reference(beta, logps):
    entries = [
        {"step": i, "logps/chosen": x, "rewards/chosen": beta * x} for i, x in enumerate(logps)
    ]
    assert not has_reference(from_entries(entries))
    entries[-1]["rewards/chosen"] += 0.1 * beta * abs(logps[-1])
    assert has_reference(from_entries(entries))


@given(held_out=st.floats(0, 0.39), train=st.floats(0.61, 1))
def test_flipped_held_out_labels_are_seen(held_out, train):
    for name in ("held_out/accuracy", "eval_rewards/accuracies"):
        entries = flat(20, rewards__margins=1.0, rewards__accuracies=train, **{name: held_out})
        assert found(from_entries(entries)) == {"labels-flipped"}
        entries = flat(20, rewards__margins=1.0, rewards__accuracies=train, **{name: 0.55})
        assert not found(from_entries(entries))


@given(ratio=st.floats(1.6, 5.0), step=st.integers(0, 60))
def test_lengths_speak_for_themselves_where_they_are_logged(ratio, step):
    common = {"logps__chosen": -30.0, "logps__rejected": -30.0, "rewards__accuracies": 0.5}
    entries = flat(80, **common, lengths__chosen=10.0, lengths__rejected=10.0 * ratio)
    for entry in entries[step:]:
        entry["rewards/accuracies"] = 1.0
    assert found(from_entries(entries)) == ({"length-shortcut"} if step <= 40 else set())
    for entry in entries:
        entry["lengths/rejected"] = 11.0
    assert not found(from_entries(entries))


def test_kto_with_one_row_is_told_by_trl_itself():
    entries = flat(10, kl=0.3, rewards__chosen=0.1)
    assert found(from_entries(entries, "trl", batch_size=1)) == {"kto-alone"}
    assert not found(from_entries(entries, "trl", batch_size=2))
    assert found(from_entries(entries)) == {"kto-alone"}  # unknown: told by the numbers
    assert not found(from_entries(entries[:4]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("dpo_well", "dpo_coin", "ipo_well", "kto_well", "dpo_falling", "dpo_length"),
        *("dpo_swapped", "dpo_live_reference", "dpo_rate_too_large", "ipo_sums", "kto_one"),
    ],
)
def test_another_seed_is_told_as_well(name):
    """The thresholds were set on seed 0."""
    import clinic_ours

    seen = from_entries(getattr(clinic_ours, name)(21))
    assert found(seen) == set(EXPECTED[name.replace("_", "-")])


@given(first=st.integers(0, 9), later=st.integers(1, 9))
def test_the_first_number_that_broke_is_named(first, later):
    entries = flat(20, loss=0.5, grad_norm=1.0)
    entries[first]["grad_norm"] = math.inf
    entries[first + later]["loss"] = math.nan
    (finding,) = diagnose(from_entries(entries)).findings
    assert finding.evidence.startswith(f"grad_norm is inf at step {first}, the first of 2 metrics")
    assert ("just before" in finding.evidence) == (first > 0)


def test_perfect_for_a_moment_is_no_shortcut():
    common = {"logps__chosen": -30.0, "logps__rejected": -10.0, "rewards__accuracies": 0.8}
    entries = flat(40, **common)
    entries[3]["rewards/accuracies"] = 1.0
    assert not found(from_entries(entries))


@given(peak=st.floats(1.0, 3.9))
def test_a_loss_that_rises_calmly_is_not_the_rate(peak):
    """Over-fitting to noise, or a harder part of the data: without bursts of the gradient."""
    entries = flat(20, loss=0.7, grad_norm=1.0, rewards__margins=0.1)
    for entry in entries[10:]:
        entry["loss"] = 0.9
    entries[12]["grad_norm"] = peak
    assert not found(from_entries(entries))
    entries[12]["grad_norm"] = 20.0
    assert found(from_entries(entries)) == {"rate-too-high"}
