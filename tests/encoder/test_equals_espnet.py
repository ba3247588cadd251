"""With everything visible and stock weights, the outputs are ESPnet's."""

import pytest
import torch
from factory import (
    ABSOLUTE,
    CONFORMER,
    INPUT_SIZE,
    PAIRS,
    SMALL,
    parameters_of,
    randomize,
)

pytestmark = pytest.mark.host

OFFLINE = {"lookahead": "full", "causal_conv": False}
CASES = [
    ("conformer", {**CONFORMER, "input_layer": layer, **positions})
    for layer in ("conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "linear", None)
    for positions in ({}, ABSOLUTE)
] + [
    ("conformer", {**CONFORMER, **keys})
    for keys in (
        {"zero_triu": True},
        {"normalize_before": False},
        {"concat_after": True},
        {"macaron_style": False},
        {"use_cnn_module": False},
        {"activation_type": "relu"},
        {**ABSOLUTE, "pos_enc_layer_type": "scaled_abs_pos"},
        {**ABSOLUTE, "qk_norm": True},
        {"interctc_layer_idx": [1, 2]},
    )
]
CASES += [
    ("transformer", {**SMALL, **keys})
    for keys in (
        *({"input_layer": f"conv2d{n}"} for n in ("", "1", "2", "6", "8")),
        {"input_layer": "conv1d2"},
        {"input_layer": "linear"},
        {"input_layer": None},
        {"input_layer": "wav2vec"},
        {"normalize_before": False},
        {"concat_after": True},
        {"qk_norm": True},
        {"interctc_layer_idx": [2]},
    )
]


def describe(value):
    return (
        value
        if isinstance(value, str)
        else ",".join(f"{k}={v}" for k, v in value.items() if k not in SMALL)
    )


@pytest.mark.parametrize(("name", "keys"), CASES, ids=describe)
def test_output_equals_espnet(name, keys):
    espnet_class, our_class = PAIRS[name]
    size = (
        SMALL["output_size"]
        if keys.get("input_layer", "") in (None, "wav2vec")
        else INPUT_SIZE
    )
    torch.manual_seed(3)
    stock = espnet_class(size, use_flash_attn=False, **keys)
    torch.manual_seed(3)
    ours = our_class(size, **keys, **OFFLINE)
    assert list(stock.state_dict()) == list(ours.state_dict())
    for key, value in stock.state_dict().items():
        assert torch.equal(value, ours.state_dict()[key]), f"initial value of {key}"
    randomize(stock)
    ours.load_state_dict(stock.state_dict())
    stock.eval(), ours.eval()
    features = torch.randn(1, 61, size)
    lengths = torch.tensor([61])
    expected, expected_lengths, _ = stock(features, lengths)
    result, result_lengths, _ = ours(features, lengths)
    assert torch.equal(expected_lengths, result_lengths)
    if "interctc_layer_idx" in keys:
        expected, expected_inner = expected
        result, inner = result
        assert [i for i, _ in inner] == [i for i, _ in expected_inner]
        for (_, a), (_, b) in zip(expected_inner, inner, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(expected, result, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_training_gradients_equal_espnet(name):
    base = CONFORMER if name == "conformer" else SMALL
    keys = {**base, "dropout_rate": 0.0, "positional_dropout_rate": 0.0}
    espnet_class, our_class = PAIRS[name]
    stock = espnet_class(INPUT_SIZE, use_flash_attn=False, **keys)
    ours = our_class(INPUT_SIZE, **keys, **OFFLINE)
    ours.load_state_dict(stock.state_dict())
    features, lengths = torch.randn(2, 40, INPUT_SIZE), torch.tensor([40, 40])
    for encoder in (stock, ours):
        encoder.train()(features, lengths)[0].square().mean().backward()
    for (key, a), b in zip(stock.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-3, msg=key)


@pytest.mark.parametrize("name", PAIRS)
def test_every_key_of_espnet_is_accepted(name):
    """use_sdpa came with 202611; the union of both versions must be accepted."""
    espnet_class, our_class = PAIRS[name]
    missing = {*parameters_of(espnet_class), "use_sdpa"} - {*parameters_of(our_class)}
    assert not missing


@pytest.mark.parametrize("name", PAIRS)
def test_return_all_hs_equals_espnet(name):
    base = CONFORMER if name == "conformer" else SMALL
    espnet_class, our_class = PAIRS[name]
    stock = espnet_class(INPUT_SIZE, use_flash_attn=False, **base).eval()
    ours = our_class(INPUT_SIZE, **base, **OFFLINE).eval()
    ours.load_state_dict(stock.state_dict())
    arguments = (torch.randn(1, 40, INPUT_SIZE), torch.tensor([40]))
    expected = stock(*arguments, return_all_hs=True)[0][1]
    result = ours(*arguments, return_all_hs=True)[0][1]
    assert len(expected) == len(result) == base["num_blocks"]
    for a, b in zip(expected, result, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
