"""The transformer: a Llama by its logits, indifferent to padding, caches and later tokens."""

import inspect

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from minipref.data.corpora import CHAT
from minipref.model import transformer
from minipref.model.transformer import Config, Transformer

VOCABULARY = 13
rows_of = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=7), min_size=1, max_size=4
)
seeds = st.integers(0, 2**32 - 1)
configs = st.builds(
    lambda heads, half, layers: Config(VOCABULARY, 2 * heads * half, layers, heads, context=24),
    heads=st.integers(1, 3),
    half=st.integers(1, 4),
    layers=st.integers(1, 3),
)


def model_of(config, seed):
    """Weights far from their small beginnings, norms included, so that a mistake shows."""
    rng = torch.Generator().manual_seed(seed)
    model = Transformer(config, rng)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(15)
            else:
                weight.uniform_(0.5, 1.5, generator=rng)
    return model.requires_grad_(False)


def padded(rows, left):
    """ids and mask (batch, length), `left[i]` of row i's padding on its left."""
    length = max(map(len, rows)) + max(left)
    ids, mask = torch.zeros(len(rows), length, dtype=torch.int64), torch.zeros(len(rows), length)
    for i, (row, start) in enumerate(zip(rows, left, strict=True)):
        ids[i, start : start + len(row)] = torch.tensor(row)
        mask[i, start : start + len(row)] = 1
    return ids, mask.bool()


def close(found, expected):
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


def halves(weight, heads):
    """Rows (2i, 2i + 1) of each head's matrix to rows (i, i + D/2)."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def llama_of(model):
    """The Hugging Face Llama with our weights; it turns the halves (i, i + D/2), we the pairs."""
    transformers = pytest.importorskip("transformers")
    config = model.config
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=config.intermediate,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.context,
            rms_norm_eps=config.epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": config.rotary_base},
            tie_word_embeddings=True,
        )
    ).eval()
    weights = {"model.embed_tokens.weight": model.embedding.weight}
    weights |= {"model.norm.weight": model.norm.weight, "lm_head.weight": model.embedding.weight}
    for i, block in enumerate(model.blocks):
        q, k, v = block.attention.qkv.weight.chunk(3)
        gate, up = block.feed_forward.gate_up.weight.chunk(2)
        layer = {
            "input_layernorm": block.attention_norm.weight,
            "self_attn.q_proj": halves(q, config.heads),
            "self_attn.k_proj": halves(k, config.heads),
            "self_attn.v_proj": v,
            "self_attn.o_proj": block.attention.out.weight,
            "post_attention_layernorm": block.feed_forward_norm.weight,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": block.feed_forward.down.weight,
        }
        weights |= {f"model.layers.{i}.{name}.weight": weight for name, weight in layer.items()}
    llama.load_state_dict(weights)
    return llama.requires_grad_(False)


@pytest.mark.slow  # it imports transformers
@settings(max_examples=15)
@given(config=configs, seed=seeds, rows=rows_of)
def test_logits_are_a_llamas(config, seed, rows):
    model = model_of(config, seed)
    ids, mask = padded(rows, [0] * len(rows))
    assert close(model(ids, mask)[mask], llama_of(model)(ids, mask.long()).logits[mask])


@given(config=configs, seed=seeds, rows=rows_of, draw=st.data())
def test_padding_changes_nothing(config, seed, rows, draw):
    """On the right, on the left, on both sides: a row's logits are those it has alone."""
    model = model_of(config, seed)
    left = draw.draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    logits = model(*padded(rows, left))
    for row, start, found in zip(rows, left, logits, strict=True):
        assert close(found[start : start + len(row)], model(torch.tensor([row]))[0])


@given(config=configs, seed=seeds, rows=rows_of, draw=st.data())
def test_a_cache_changes_nothing(config, seed, rows, draw):
    """Whatever the split of the tokens over calls; without padding, or with it on either side."""
    model = model_of(config, seed)
    rows = rows if draw.draw(st.booleans()) else rows[:1] * 2
    widest = draw.draw(st.sampled_from((0, 0, 5)))
    left = [draw.draw(st.integers(0, widest)) for _ in rows]
    ids, mask = padded(rows, left)
    cuts = draw.draw(st.sets(st.integers(1, ids.shape[1]), max_size=4))
    cuts = sorted(cuts - {ids.shape[1]})
    cache, parts = model.new_cache(len(rows), ids.shape[1]), []
    with torch.no_grad() if draw.draw(st.booleans()) else torch.enable_grad():
        for start, end in zip([0, *cuts], [*cuts, ids.shape[1]], strict=True):
            part = mask[:, start:end]
            parts.append(model(ids[:, start:end], None if part.all() else part, cache))
    assert close(torch.cat(parts, 1)[mask], model(ids, mask)[mask])


@given(config=configs, seed=seeds, rows=rows_of, draw=st.data())
def test_a_cache_without_its_finished_rows(config, seed, rows, draw):
    model = model_of(config, seed)
    ids, mask = padded(rows, [max(map(len, rows)) - len(row) for row in rows])
    going = sorted(draw.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    ids, mask = ids[:, : max(map(len, rows))], mask[:, : max(map(len, rows))]
    token = torch.tensor(draw.draw(st.lists(st.integers(0, 12), min_size=2, max_size=2)))
    cache = model.new_cache(len(rows))
    with torch.no_grad():
        model(ids, mask, cache)
        cache.select(torch.tensor(going))
        stepped = [model(t.expand(len(going), 1), None, cache)[:, 0] for t in token]
    more = torch.cat([ids[going], token.expand(len(going), 2)], 1)
    whole = model(more, nn.functional.pad(mask[going], (0, 2), value=True))
    assert close(torch.stack(stepped, 1), whole[:, -2:])


@given(config=configs, seed=seeds, row=rows_of.map(lambda rows: rows[0]), draw=st.data())
def test_a_token_sees_no_later_one(config, seed, row, draw):
    model = model_of(config, seed)
    place = draw.draw(st.integers(0, len(row) - 1))
    other = list(row)
    other[place] = draw.draw(st.integers(0, VOCABULARY - 1))
    assume(other != row)
    before, after = model(torch.tensor([row, other]))
    assert close(before[:place], after[:place])
    assert not close(before[place], after[place])


@given(config=configs, seed=seeds, rows=rows_of, draw=st.data())
def test_keep_is_selecting_afterwards(config, seed, rows, draw):
    model = model_of(config, seed)
    ids, mask = padded(rows, [draw.draw(st.integers(0, 2)) for _ in rows])
    flags = st.lists(st.booleans(), min_size=mask.numel(), max_size=mask.numel())
    keep = torch.tensor(draw.draw(flags)).view(mask.shape)
    assert close(model.hidden(ids, mask, keep=keep), model.hidden(ids, mask)[keep])


@given(seed=seeds)
def test_weights_come_from_the_generator_alone(seed):
    config, states = Config(VOCABULARY), []
    for _ in range(2):
        torch.rand(3)  # the global generator moves on, and must not matter
        states.append(Transformer(config, torch.Generator().manual_seed(seed)).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = Transformer(config, torch.Generator().manual_seed(seed + 1)).state_dict()
    assert not torch.equal(states[0]["embedding.weight"], other["embedding.weight"])


@given(config=configs, seed=seeds)
def test_a_beginner_is_near_uniform(config, seed):
    model = Transformer(config, torch.Generator().manual_seed(seed))
    entropy = torch.distributions.Categorical(logits=model(torch.arange(9)[None])).entropy()
    assert entropy.min() > 0.98 * torch.tensor(float(VOCABULARY)).log()


@given(config=configs)
def test_parameters_are_counted_by_the_formula(config):
    C, hidden = config.width, config.intermediate
    expected = VOCABULARY * C + config.layers * (4 * C * C + 3 * C * hidden + 2 * C) + C
    assert sum(weight.numel() for weight in Transformer(config).parameters()) == expected
    assert 0 <= hidden - 8 * C / 3 < 8
    assert hidden % 8 == 0


@pytest.mark.parametrize(
    ("width", "heads", "layers", "parameters"), [(32, 2, 2, 25_248), (64, 4, 2, 100_672)]
)
def test_nano_and_small_are_as_small_as_they_say(width, heads, layers, parameters):
    """Beside the embedding."""
    model = Transformer(Config(CHAT.vocabulary_size, width, layers, heads))
    count = sum(weight.numel() for weight in model.parameters())
    assert count - CHAT.vocabulary_size * width == parameters


def test_the_context_ends():
    model = Transformer(Config(VOCABULARY, context=8))
    model(torch.ones(1, 8, dtype=torch.int64))  # as long as it may be
    with pytest.raises(ValueError, match="9 tokens do not fit the context of 8"):
        model(torch.ones(1, 9, dtype=torch.int64))
    with pytest.raises(ValueError, match="9 tokens do not fit the context of 8"):
        model.new_cache(1, 9)
    cache = model.new_cache(1)
    model(torch.ones(1, 8, dtype=torch.int64), None, cache)
    with torch.no_grad(), pytest.raises(ValueError, match="9 tokens do not fit the context of 8"):
        model(torch.ones(1, 1, dtype=torch.int64), None, cache)


@pytest.mark.parametrize("size", ["vocabulary", "width", "layers", "heads", "context"])
def test_sizes_are_checked(size):
    with pytest.raises(ValueError, match="every size must be at least 1"):
        Config(**({"vocabulary": 9} | {size: 0}))


def test_heads_have_an_even_width():
    with pytest.raises(ValueError, match=r"width: expected a multiple of 2 \* heads = 6, got 32"):
        Config(9, width=32, heads=3)


def test_the_file_stays_one_page():
    assert len(inspect.getsource(transformer).splitlines()) < 250


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_run_cached_or_not(dtype):
    model = Transformer(Config(9, 16, 2, 2), torch.Generator().manual_seed(0))
    ids = torch.tensor([[4, 5, 6, 7]])
    with torch.no_grad():
        exact = model(ids)
        model = model.to(dtype)
        cache = model.new_cache(1)
        cached = torch.cat([model(ids[:, :3], None, cache), model(ids[:, 3:], None, cache)], 1)
        assert cached.dtype == model(ids).dtype == dtype
    error = 0.02 if dtype == torch.bfloat16 else 1e-5
    assert (cached.double() - exact.double()).abs().max() < error
