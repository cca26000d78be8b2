import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.model.checkpoint import load
from minipref.model.fit import Probe, State, fit


class Killed(BaseException):
    """Stands for `kill -9`: nothing may catch it."""


def noisy_regression(seed=0):
    """A state and an update that use everything a run may use: weights, Adam, a stream."""
    model = torch.nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.fill_(0.1)
        model.bias.zero_()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    state = State(seed, {"model": model, "optimizer": optimizer})

    def update(state):
        x = torch.randn(4, 3, generator=state.stream("data"))
        loss = (model(x).squeeze(1) - x.sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    return state, update


def killed_after(update, steps):
    done = 0

    def dying(state):
        nonlocal done
        if done == steps:
            raise Killed
        done += 1
        return update(state)

    return dying


@given(kills=st.lists(st.integers(0, 25), max_size=3), every=st.integers(1, 9))
def test_a_killed_run_ends_in_the_same_bits(kills, every, tmp_path_factory):
    whole, update = noisy_regression()
    fit(whole, update, 20)
    path = tmp_path_factory.mktemp("run") / "checkpoint.safetensors"
    for steps in kills:
        state, update = noisy_regression()
        try:
            fit(state, killed_after(update, steps), 20, checkpoint=path, every=every)
        except Killed:
            continue
    state, update = noisy_regression()
    fit(state, update, 20, checkpoint=path, every=every)
    assert state.history == whole.history
    assert torch.equal(state.parts["model"].weight, whole.parts["model"].weight)


def test_a_finished_run_can_go_on(tmp_path):
    whole, update = noisy_regression()
    fit(whole, update, 20)
    for steps in (7, 20):
        state, update = noisy_regression()
        fit(state, update, steps, checkpoint=tmp_path / "c")
    assert state.history == whole.history


def test_a_probe_sees_the_weights_before_each_update_and_at_the_end():
    state, update = noisy_regression()
    seen = Probe(lambda: {"weight": state.parts["model"].weight[0, 0].item()}, every=4)
    fit(state, update, 10, probes=(seen,))
    asked = {entry["step"]: entry["weight"] for entry in state.history if "weight" in entry}
    assert list(asked) == [0, 4, 8, 10]
    assert asked[0] == pytest.approx(0.1)
    assert asked[10] == state.parts["model"].weight[0, 0].item()


def test_asking_a_probe_changes_nothing():
    plain, update = noisy_regression()
    fit(plain, update, 10)
    asked, update = noisy_regression()
    fit(asked, update, 10, probes=(Probe(lambda: {"x": 1.0}, every=1),))
    assert torch.equal(plain.parts["model"].weight, asked.parts["model"].weight)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    state, update = noisy_regression()

    def diverging(state):
        return update(state) if state.step < 5 else {"loss": float("nan")}

    with pytest.raises(FloatingPointError, match="step 5"):
        fit(state, diverging, 10, checkpoint=tmp_path / "c", every=2)
    assert load(tmp_path / "c")["step"] == 4


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    state, update = noisy_regression(seed=1)
    fit(state, update, 2, checkpoint=tmp_path / "c")
    state, update = noisy_regression(seed=2)
    with pytest.raises(ValueError, match="seed 1"):
        fit(state, update, 4, checkpoint=tmp_path / "c")
    state, update = noisy_regression(seed=1)
    state.parts["critic"] = torch.nn.Linear(1, 1)
    with pytest.raises(ValueError, match="critic"):
        fit(state, update, 4, checkpoint=tmp_path / "c")


def test_streams_are_independent_of_what_else_is_drawn():
    alone, beside = State(3), State(3)
    torch.rand(5, generator=beside.stream("other"))
    mine = torch.rand(4, generator=alone.stream("mine"))
    assert torch.equal(mine, torch.rand(4, generator=beside.stream("mine")))
    assert not torch.equal(mine, torch.rand(4, generator=alone.stream("other")))


@pytest.mark.parametrize(("steps", "every"), [(-1, 1), (1, 0)])
def test_bad_counts_are_refused(steps, every):
    state, update = noisy_regression()
    with pytest.raises(ValueError, match="steps must be"):
        fit(state, update, steps, every=every)
