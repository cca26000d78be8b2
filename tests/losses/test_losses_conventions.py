"""What other libraries call our losses, and what is said of the names that are not registered."""

import importlib
import re
from pathlib import Path

import pytest

import minipref.losses as losses
from minipref.losses import modifiers
from minipref.losses.conventions import CLASHES, FLAGS, MODIFIED, READ
from minipref.losses.elsewhere import ALIASES, ELSEWHERE, GROUPS
from minipref.losses.modifiers import desensitised, length_normalised, weighted, with_nll
from minipref.losses.registry import REGISTRY, entry_of

LIST = Path(__file__).with_name("names_of_the_field.txt")
SMALL_LIBRARIES = {"PaddleNLP", "ms-swift", "diffusers", "AWR"}  # reported, not read
ARXIV = re.compile(r"\d{4}\.\d{5}")


def plain(name):
    """As a loss would be called: Dr. GRPO is dr_grpo."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("+", " plus ")).strip("_")


def named():
    """The names of the committed list."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [line.partition(": ")[0] for line in lines if line and not line.startswith("#")]


def exists(target):
    """A registered loss, a modifier, a helper, or a dotted path in minipref."""
    if target in REGISTRY or hasattr(modifiers, target) or hasattr(losses, target):
        return True
    try:
        importlib.import_module(target)
    except ModuleNotFoundError:
        module, _, name = target.rpartition(".")
        return bool(module) and hasattr(importlib.import_module(module), name)
    return True


def test_what_exists_is_told_from_what_does_not():
    there = "dpo weighted gae minipref.feedback.kept.Best minipref.algorithm.direct.comparison"
    assert all(map(exists, there.split()))
    assert not any(map(exists, ["no_such_loss", "minipref.feedback.kept.Worst"]))


def test_every_loss_of_the_field_is_registered_or_listed_with_a_reason():
    names = named()
    assert len(names) == len(set(names)) > 250
    missing = [
        name
        for name in names
        if plain(name) not in REGISTRY and name not in ALIASES and name not in ELSEWHERE
    ]
    assert not missing


def test_every_loss_listed_elsewhere_is_named_by_the_field():
    names = set(named())
    assert not [name for name in ELSEWHERE if name not in names and "(" not in name]


def test_an_alias_is_of_a_registered_loss_and_no_loss_itself():
    assert not set(ALIASES.values()) - REGISTRY.keys()
    assert not [name for name, ours in ALIASES.items() if plain(name) in REGISTRY.keys() - {ours}]
    assert not ALIASES.keys() & ELSEWHERE.keys()


def test_what_is_listed_elsewhere_is_listed_once_and_says_why():
    assert len(ELSEWHERE) == sum(map(len, GROUPS.values()))
    for entry in ELSEWHERE.values():
        assert plain(entry.name) not in REGISTRY, entry.name
        assert len(entry.what) > 10, entry.name
        assert ARXIV.fullmatch(entry.where) or re.fullmatch(r"paper \d{3}", entry.where), entry.name


@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_what_to_use_instead_exists(name):
    missing = [target for target in ELSEWHERE[name].targets() if not exists(target)]
    assert not missing, name


def test_little_of_the_field_is_absent():
    assert sum(not entry.use for entry in ELSEWHERE.values()) <= 10


def test_flags_are_of_registered_losses_or_of_modified_ones():
    made = [length_normalised, lambda f: desensitised(f, 0.5), weighted, lambda f: with_nll(f, 1.0)]
    assert {entry_of(modifier(losses.dpo)).name for modifier in made} == MODIFIED.keys()
    assert not FLAGS.keys() - MODIFIED.keys() - REGISTRY.keys()


def test_flags_say_what_differs_and_what_makes_both_equal():
    for name, flags in FLAGS.items():
        assert len({(flag.library, str(flag.settings)) for flag in flags}) == len(flags), name
        for flag in flags:
            assert flag.library in READ or not flag.checked, (name, flag.library)
            assert flag.library in READ.keys() | SMALL_LIBRARIES
            assert flag.settings or flag.differs, name
            assert flag.equal != "none" or flag.differs, f"{name}: equal by nothing, but why?"


def test_no_clashing_name_is_registered_bare_but_those_that_are_settled():
    for clash in CLASHES:
        assert (plain(clash.name) in REGISTRY) == clash.bare, clash.name
        assert all(exists(ours) for _, ours in clash.meanings if ours), clash.name
        if clash.bare:
            assert plain(clash.name) in [ours for _, ours in clash.meanings]
    assert len({clash.name for clash in CLASHES}) == len(CLASHES)


def test_the_clashes_that_everybody_trips_over_are_there():
    wanted = "APO ASFT CPO DDPO FPO GPO GRPO IPO IRPO LPO MaPO MPO OPO P3O PRO rDPO RPO SDPO SPA"
    assert not {*wanted.split(), "SPO", "TPO", "VPO", "XPO"} - {clash.name for clash in CLASHES}
