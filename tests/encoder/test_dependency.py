"""The latency that is reported is what perturbing the input shows."""

import math

import pytest
import torch
from factory import INPUT_SIZE, KINDS, PAIRS, make

from espnet_dynlook.compat import espnet_imports

pytestmark = pytest.mark.host


def latest_dependency(function, inputs, num_outputs):
    """Return, for each output frame, the last input that moves it or one before it.

    Outputs leave in order, so an output that is ready waits for those before it.
    """
    inputs = inputs.clone().requires_grad_()
    outputs = function(inputs)
    generator = torch.Generator().manual_seed(9)
    weights = torch.randn(outputs.shape[-1], generator=generator, dtype=outputs.dtype)
    latest = []
    for index in range(num_outputs):
        (gradient,) = torch.autograd.grad(
            outputs[0, index] @ weights, inputs, retain_graph=True
        )
        moved = gradient.flatten(2).abs().sum(2) if gradient.dim() > 2 else gradient
        latest.append(moved[0].nonzero().max().item())
    return torch.tensor(latest).cummax(0).values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("layer", ["conv2d", "conv2d2", "conv2d6", "conv2d8"])
def test_reported_latency_is_the_dependency(name, kind, layer):
    encoder = make(name, input_layer=layer, **KINDS[kind]).double()
    features = torch.randn(1, 120, INPUT_SIZE, dtype=torch.float64)
    lengths = torch.tensor([120])
    olens = encoder(features, lengths)[1].item()
    waits = encoder.lookahead.algorithmic_latency()[0].long()
    latest = latest_dependency(lambda x: encoder(x, lengths)[0], features, olens)
    arithmetic = encoder.arithmetic
    needed = (torch.arange(olens) + waits) * arithmetic.stride + arithmetic.window - 1
    assert latest.tolist() == needed.tolist()


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "full"])
def test_perturbed_input_changes_no_earlier_output(name, kind):
    """Changing what comes later changes nothing that has left, not in one bit."""
    encoder = make(name, **KINDS[kind])
    features = torch.randn(1, 120, INPUT_SIZE)
    before, olens, _ = encoder(features, torch.tensor([120]))
    waits = encoder.lookahead.algorithmic_latency()[0]
    for frame in range(20, 120, 13):
        changed = features.clone()
        changed[:, frame:] += torch.randn_like(changed[:, frame:])
        after = encoder(changed, torch.tensor([120]))[0]
        index = torch.arange(olens.item())
        window = encoder.arithmetic.window
        needed = (index + waits) * encoder.frame_shift + window - 1
        gone = needed < frame
        assert torch.equal(before[0, gone], after[0, gone])
        assert not torch.equal(before[0, ~gone], after[0, ~gone])


@pytest.mark.parametrize("hop_length,win_length", [(160, 400), (128, 512), (80, 240)])
def test_milliseconds_hold_for_samples(hop_length, win_length):
    """From the waveform to the output, with ESPnet's own front end."""
    with espnet_imports():
        from espnet2.asr.frontend.default import DefaultFrontend
    fs = 8000
    frontend = DefaultFrontend(
        fs=fs,
        n_fft=512,
        win_length=win_length,
        hop_length=hop_length,
        n_mels=INPUT_SIZE,
        frontend_conf=None,
    )
    encoder = make(lookahead="chunked", lookahead_frames=2, num_blocks=2).double()
    frontend = frontend.double().eval()
    samples = torch.randn(1, 40 * hop_length, dtype=torch.float64)
    lengths = torch.tensor([samples.shape[1]])

    def run(x):
        return encoder(*frontend(x, lengths))[0]

    num_outputs = run(samples).shape[1]
    latest = latest_dependency(run, samples, num_outputs)
    waits = encoder.lookahead.algorithmic_latency()[0]
    milliseconds = (
        waits * 1000 * encoder.frame_shift * hop_length / fs
        + encoder.constant_ms(hop_length, fs, win_length)
    )
    frame_end = (torch.arange(num_outputs) + 1) * encoder.frame_shift * hop_length
    inner = latest + 1 < samples.shape[1]  # the end of the audio cuts the rest short
    measured = (latest + 1 - frame_end) * 1000 / fs
    assert inner.sum() >= 3
    # A Hann window is zero at its first sample: one sample of slack at its ends.
    torch.testing.assert_close(
        measured[inner].double(), milliseconds[inner].double(), atol=1000 / fs, rtol=0
    )


def test_summary_in_milliseconds():
    encoder = make(lookahead="chunked", lookahead_frames=3)
    latency = encoder.lookahead_ms(hop_length=160, fs=16000, win_length=400)
    # Waits 3, 2, 1, 0 frames of 40 ms; convolutions 3 feature frames of 10 ms; half an
    # analysis window of 25 ms beyond a hop of 10 ms.
    constant = 30 + 12.5 - 10
    assert latency.mean == pytest.approx(60 + constant)
    assert latency.p50 == pytest.approx(60 + constant)
    assert latency.max == pytest.approx(120 + constant)
    assert make(lookahead="causal").lookahead_ms(160, 16000, 400).max == constant
    # Without a window length: that of ESPnet's front end, 512 samples.
    assert make(lookahead="causal").lookahead_ms(160, 16000).max == 30 + 16 - 10
    assert math.isinf(make(lookahead="full").lookahead_ms(160, 16000).mean)
