"""The bandit's exact figures against sums written out, Monte Carlo and the theory."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minipref.data.bandit import Bandit
from minipref.data.batch import Batch
from minipref.data.streams import dice, stream

sizes = st.tuples(st.integers(1, 4), st.integers(2, 6))
seeds = st.integers(0, 1000)
betas = st.floats(0.05, 5.0)


@st.composite
def tables(draw, rows: int, columns: int) -> torch.Tensor:
    """A policy: logits from the draw, softmax over responses."""
    logits = draw(st.lists(st.floats(-6, 6), min_size=rows * columns, max_size=rows * columns))
    return torch.tensor(logits, dtype=torch.float64).view(rows, columns).softmax(1)


@given(st.data(), sizes, seeds, betas)
def test_the_optimum_beats_every_policy_by_beta_times_their_distance(data, size, seed, beta):
    bandit = Bandit(*size, seed)
    reference = data.draw(tables(*size))
    policy = data.draw(tables(*size))
    best = bandit.optimum(beta, reference)
    gap = bandit.objective(best, beta, reference) - bandit.objective(policy, beta, reference)
    assert gap == pytest.approx(beta * bandit.kl(policy, best), abs=1e-8, rel=1e-8)
    assert gap >= -1e-9


@given(st.data(), sizes, seeds, betas)
def test_the_optimum_is_the_reference_tilted_by_the_reward(data, size, seed, beta):
    bandit = Bandit(*size, seed)
    reference = data.draw(tables(*size))
    implicit = beta * (bandit.optimum(beta, reference) / reference).log()
    spread = (implicit - bandit.rewards).std(1, unbiased=False)  # equal up to beta log Z(x)
    assert float(spread.max()) < 1e-9


@given(st.data(), sizes, seeds)
def test_figures_equal_the_sums_written_out(data, size, seed):
    bandit = Bandit(*size, seed)
    policy, other = data.draw(tables(*size)), data.draw(tables(*size))
    prompts, responses = size
    p, q, r = policy.tolist(), other.tolist(), bandit.rewards.tolist()
    reward = kl = wins = 0.0
    for x in range(prompts):
        for a in range(responses):
            reward += p[x][a] * r[x][a] / prompts
            kl += p[x][a] * math.log(p[x][a] / q[x][a]) / prompts
            for b in range(responses):
                win = 0.5 if a == b else float(r[x][a] > r[x][b])
                wins += p[x][a] * q[x][b] * win / prompts
    assert bandit.expected_reward(policy) == pytest.approx(reward, abs=1e-12)
    assert bandit.kl(policy, other) == pytest.approx(kl, abs=1e-12)
    assert bandit.win_rate(policy, other) == pytest.approx(wins, abs=1e-12)
    assert bandit.objective(policy, 0.3, other) == pytest.approx(reward - 0.3 * kl, abs=1e-12)


@given(st.data(), sizes, seeds)
def test_win_rates_of_two_policies_add_up_to_one(data, size, seed):
    bandit = Bandit(*size, seed)
    policy, other = data.draw(tables(*size)), data.draw(tables(*size))
    assert bandit.win_rate(policy, other) + bandit.win_rate(other, policy) == pytest.approx(1)
    assert bandit.win_rate(policy, policy) == pytest.approx(0.5)


@given(st.data(), sizes, seeds)
def test_a_preference_table_decides_the_win_rate(data, size, seed):
    bandit = Bandit(*size, seed)
    policy, other = data.draw(tables(*size)), data.draw(tables(*size))
    certain = bandit.preference(
        lambda x, a, b: (1 + math.copysign(1, d) if (d := gap(bandit, x, a, b)) else 1) / 2
    )
    assert certain.shape == (*size, size[1])
    assert bandit.win_rate(policy, other, certain) == bandit.win_rate(policy, other)
    indifferent = bandit.preference(lambda x, a, b: 0.5)
    assert bandit.win_rate(policy, other, indifferent) == pytest.approx(0.5)


def gap(bandit, prompt, a, b):
    return bandit.reward(prompt, a) - bandit.reward(prompt, b)


@given(sizes, seeds, st.integers(1, 5))
def test_rewards_are_linear_in_the_features(size, seed, dimension):
    linear = Bandit(*size, seed, dimension=dimension)
    assert linear.features.shape == (*size, dimension)
    torch.testing.assert_close(linear.features @ linear.theta, linear.rewards)
    table = Bandit(*size, seed)
    assert table.features.shape == (*size, size[0] * size[1])
    torch.testing.assert_close(table.features @ table.theta, table.rewards)
    again = Bandit.linear(linear.features, linear.theta)
    assert torch.equal(again.rewards, linear.rewards)
    assert torch.equal(again.theta, linear.theta)


@given(sizes, seeds)
def test_texts_ids_and_rewards_agree(size, seed):
    bandit = Bandit(*size, seed)
    for prompt in bandit.all_prompts:
        assert bandit.encode_prompt(prompt) == [int(prompt.text.removeprefix("p"))]
        for index, response in enumerate(bandit.responses()):
            assert bandit.encode_response(response) == [index]
            assert bandit.decode_response([index]) == response
            assert bandit.reward(prompt, response) == float(bandit.rewards[prompt.index, index])
            assert all(0 <= score <= 1 for score in bandit.scores(prompt, response).values())
    best = bandit.responses()[int(bandit.rewards[0].argmax())]
    assert bandit.scores(bandit.all_prompts[0], best) == {"best": 1.0, "relative": 1.0}


def test_the_bandit_fills_a_batch_without_padding():
    bandit = Bandit(4, 6)
    prompts = bandit.prompts(5, dice(0, "test"))
    batch = Batch.of(bandit, prompts, ["r0", "r3", "r5", "r1", "r2"], torch.arange(5))
    assert batch.rows.ids.tolist() == [
        [p.index, r] for p, r in zip(prompts, [0, 3, 5, 1, 2], strict=True)
    ]
    assert batch.rows.attention_mask.all()
    assert batch.rows.completion_mask.tolist() == [[False, True]] * 5


def test_expected_reward_agrees_with_samples():
    bandit = Bandit(3, 5, seed=1)
    policy = bandit.optimum(0.7)
    draws = torch.multinomial(policy, 20_000, True, generator=stream(0, "test/bandit"))
    sampled = bandit.rewards.gather(1, draws)  # (prompts, draws)
    error = float(sampled.std(1).square().mean().div(3 * 20_000).sqrt())
    assert abs(float(sampled.mean()) - bandit.expected_reward(policy)) < 4 * error


def test_limits_of_the_optimum():
    bandit = Bandit(3, 5, seed=2)
    greedy = torch.nn.functional.one_hot(bandit.rewards.argmax(1), 5).double()
    torch.testing.assert_close(bandit.optimum(1e-4), greedy)
    torch.testing.assert_close(bandit.optimum(1e9), bandit.uniform())
    reference = torch.tensor([[0.0, 0.5, 0.5, 0.0, 0.0]] * 3)
    assert bool((bandit.optimum(0.1, reference)[:, [0, 3, 4]] == 0).all())  # no support, no mass
    assert bandit.kl(bandit.uniform(), reference) == math.inf
    assert bandit.kl(reference, bandit.uniform()) == pytest.approx(math.log(2.5))


def test_seeds_and_hardness():
    one, same, other = Bandit(4, 6, 1), Bandit(4, 6, 1), Bandit(4, 6, 2)
    assert torch.equal(one.rewards, same.rewards)
    assert not torch.equal(one.rewards, other.rewards)
    assert one.rewards.dtype == torch.float64
    close = Bandit.of(torch.tensor([[0.0, 5.0, 5.0], [0.0, 5.0, 0.0]]))
    assert [p.hardness for p in close.all_prompts] == pytest.approx([0.5, 1 / (1 + math.exp(5))])
    assert close.win_rate(
        torch.tensor([[0.0, 1.0, 0.0]] * 2), torch.tensor([[0.0, 0.0, 1.0]] * 2)
    ) == pytest.approx(0.75)  # a tie and a win


def test_the_page_says_what_is_exact():
    page = Bandit().page()
    assert page.count("->") == 10
    assert "exact" in page
    assert "features" in Bandit(dimension=3).page()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: Bandit(0, 6), "prompts, responses: expected at least 1 and 2, got 0 and 6"),
        (lambda b: Bandit.of(torch.zeros(3)), "rewards: expected finite"),
        (lambda b: Bandit.of(torch.tensor([[0.0, math.nan]])), "not finite"),
        (lambda b: Bandit.linear(torch.zeros(2, 3, 4), torch.zeros(3)), "features, theta"),
        (lambda b: b.optimum(0.0), "beta: expected a positive number, got 0"),
        (lambda b: b.optimum(math.nan), "beta"),
        (lambda b: b.expected_reward(torch.ones(4, 6)), "policy: .* sum to 1"),
        (lambda b: b.expected_reward(torch.ones(6, 4) / 4), r"policy: expected .*\(4, 6\)"),
        (lambda b: b.kl(b.uniform(), b.uniform() - 1), "reference"),
        (lambda b: b.win_rate(b.uniform(), torch.zeros(4, 6)), "other"),
        (lambda b: b.encode_response("r6"), "'r6' is not among the 6 responses"),
        (lambda b: b.encode_response("3"), 'expected "r0"'),
        (lambda b: b.encode_response("r-1"), 'expected "r0"'),
        (lambda b: b.decode_response([6]), "ids"),
        (lambda b: b.decode_response([1, 2]), "ids"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Bandit())
