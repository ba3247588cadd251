"""A frozen base with an adapter for names."""

import pytest
import torch
from contextual_factory import (
    ENCODERS,
    WORDS,
    adapter_config,
    awake,
    build,
    spoken,
    write_base,
)

from espnet_dynlook.biasing import Catalog
from espnet_dynlook.biasing.tokenizers import WordTokenizer
from espnet_dynlook.model.adapted import AdaptedModel
from espnet_dynlook.search.reach import reached

KINDS = ("ctc", "hybrid", "transducer")


def make(tmp_path, kind="ctc", encoder="conformer", base_conf=(), **model_conf):
    base = write_base(tmp_path / "base", kind, encoder, **dict(base_conf))
    model = build(tmp_path / "adapter", adapter_config(tmp_path / "base", **model_conf))
    return base, model


def words(*phrases):
    class Pieces(WordTokenizer):
        def text2tokens(self, line):
            return [piece for word in line.split() for piece in SPLIT[word]]

        def tokens2text(self, tokens):
            return "".join(tokens).replace("▁", " ").strip()

    return Catalog(phrases, Pieces(WORDS), WORDS)


SPLIT = {"a": ["▁a"], "cab": ["▁cab"], "be": ["▁b", "e"], "bb": ["▁b", "b"]}


@torch.no_grad()  # torch has other kernels where there are gradients
def out_of(model, given):
    found, _ = model.encode(given["speech"], given["speech_lengths"])
    return found[0] if isinstance(found, tuple) else found


@pytest.mark.host
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_adapter_is_its_base_and_learns_alone(tmp_path, kind, encoder):
    from espnet_dynlook.model.adapting import base_state

    base, model = make(tmp_path, kind, encoder)
    given = spoken()
    model.eval()
    with model.biased_by(model.encode_catalog(words("cab", "be"))):
        assert torch.equal(out_of(model, given), out_of(base, given))
    before = {name: value.clone() for name, value in base_state(base).items()}
    _, stats, _ = model.train()(**spoken())
    if kind != "transducer":  # whose decoder drops in training
        torch.testing.assert_close(stats["loss_task"], base(**spoken())[1]["loss"])
    for _ in range(2):  # the first step moves the output alone
        optimizer = torch.optim.SGD(model.trained_part.parameters(), lr=0.5)
        optimizer.zero_grad()
        model(**spoken())[0].sum().backward()
        optimizer.step()
    assert all(p.grad is not None for p in model.adapter.parameters())
    own = {k: v for k, v in model.named_parameters() if not k.startswith("adapter.")}
    assert own and all(p.grad is None and not p.requires_grad for p in own.values())
    after = dict(model.named_parameters()) | dict(model.named_buffers())
    for name, value in before.items():
        assert torch.equal(after[name], value), name


def test_an_empty_list_is_the_base(tmp_path):
    base, model = make(tmp_path)
    awake(model).eval()
    given = spoken()
    with model.biased_by(model.encode_catalog(words())) as bias:
        assert torch.equal(out_of(model, given), out_of(base, given))
    assert torch.equal(bias.attention, torch.ones(*bias.unbiased.shape[:2], 1))
    assert torch.equal(out_of(model, given), out_of(base, given))  # without any


def test_training_never_leaves_evaluation_mode_of_the_base(tmp_path):
    _, model = make(tmp_path)
    model.train()
    assert model.training and model.adapter.training
    for name, part in model.named_modules():
        if name and not name.startswith("adapter"):
            assert not part.training, name


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_reads_the_biased_output(tmp_path, kind):
    _, model = make(tmp_path, kind)
    awake(model).eval()
    _, stats, _ = super(type(model), model).forward(**spoken())
    catalog = model.encode_catalog(words("cab", "be"))
    with torch.no_grad(), model.biased_by(catalog):
        _, biased, _ = super(type(model), model).forward(**spoken())
    heads = {"ctc": ["ctc"], "hybrid": ["ctc", "att"], "transducer": ["transducer"]}
    for head in heads[kind]:
        assert not torch.isclose(stats[f"loss_{head}"], biased[f"loss_{head}"]), head


@pytest.mark.parametrize("margin", [None, 1.0])
def test_an_utterance_alone_is_as_in_a_batch_with_its_own_list(tmp_path, margin):
    _, model = make(tmp_path, encoder="dynlook_conformer", adapter_margin=margin)
    awake(model).eval()
    given = spoken()
    lists = [words("cab", "be", "a"), words("bb")]
    with model.biased_by(model.encode_catalog(lists)):
        together = out_of(model, given)
    for n, own in enumerate(lists):
        length = given["speech_lengths"][n]
        alone = {
            "speech": given["speech"][n : n + 1, :length],
            "speech_lengths": given["speech_lengths"][n : n + 1],
        }
        with model.biased_by(model.encode_catalog(own)):
            one = out_of(model, alone)
        # Frames at the end look ahead to such as see the padding, through the STFT.
        kept = one.size(1) - 8
        torch.testing.assert_close(together[n : n + 1, :kept], one[:, :kept])


def test_names_that_the_base_cannot_have_heard_get_no_attention(tmp_path):
    _, model = make(tmp_path, adapter_margin=1.0)
    awake(model).eval()
    catalog = model.encode_catalog(words("cab", "be", "bb"))
    with model.biased_by(catalog) as bias:
        biased = out_of(model, spoken())
    log_probs = model.ctc.log_softmax(bias.unbiased)
    found, _ = reached(log_probs, catalog, 1.0, model.blank_id)
    near = found.among(catalog.keys.size(1))
    assert near.any() and not near.all()
    assert torch.equal(near, bias.near.among(catalog.keys.size(1)))
    masses = bias.heads[..., 1:].amax(dim=1)
    assert (masses[~near] == 0).all() and (masses[near] > 0).all()
    own = AdaptedModel(model, model.adapter)
    model.encode, plain = super(type(model), model).encode, model.encode
    with own.biased_by(words("cab", "be", "bb")):
        torch.testing.assert_close(out_of(model, spoken()), biased)
    model.encode = plain
    loss, stats, _ = model.train()(**spoken())
    loss.backward()
    assert torch.isfinite(loss) and stats["loss_attention"] < 18  # none is impossible
    assert all(p.grad.isfinite().all() for p in model.adapter.parameters())


def test_duplicates_and_order_of_a_list_do_not_matter(tmp_path):
    _, model = make(tmp_path)
    awake(model).eval()
    outs = []
    for own in (words("cab", "be", "bb"), words("bb", "cab", "be", "cab")):
        with model.biased_by(model.encode_catalog(own), scale=0.7):
            outs.append(out_of(model, spoken()))
    assert torch.equal(*outs)


def test_names_are_attended_to_in_the_tokenizers_own_tokens(tmp_path):
    _, model = make(tmp_path)
    awake(model).eval()
    own = words("be", "bb")
    more = own.with_segmentations({0: [("▁b", "b", "e")], 1: [("▁a", "b")]})
    outs = []
    for catalog in (own, more):
        encoded = model.encode_catalog(catalog)
        assert len(encoded.lists[0]) == 3  # ▁b, ▁b e, ▁b b
        with model.biased_by(encoded):
            outs.append(out_of(model, spoken()))
    assert torch.equal(*outs)


def test_a_catalog_is_cached_until_the_adapter_changes(tmp_path):
    _, model = make(tmp_path)
    awake(model).eval()
    catalog = model.encode_catalog(words("cab"))
    with model.biased_by(catalog):
        first = out_of(model, spoken())
        assert torch.equal(out_of(model, spoken()), first)
    awake(model)
    with model.biased_by(catalog), pytest.raises(ValueError, match="encode it again"):
        out_of(model, spoken())


def test_checkpoints_hold_the_adapter_alone(tmp_path):
    base, model = make(tmp_path, "hybrid")
    state = awake(model).state_dict()
    assert state and all(key.startswith("adapter.") for key in state)
    other = build(tmp_path / "again", adapter_config(tmp_path / "base"))
    other.load_state_dict(state)
    for key, value in other.state_dict().items():
        assert torch.equal(value, state[key]), key
    wrapped = torch.nn.ModuleDict({"module": model}).state_dict()
    assert set(wrapped) == {f"module.{key}" for key in state}
    size = sum(value.numel() for value in base.state_dict().values())
    assert sum(value.numel() for value in state.values()) < size


def test_inference_reads_the_base_again(tmp_path):
    from espnet_dynlook.task import DynlookASRTask

    _, model = make(tmp_path)
    torch.save(awake(model).state_dict(), tmp_path / "adapter" / "model.pth")
    loaded, args = DynlookASRTask.build_model_from_file(
        tmp_path / "adapter" / "config.yaml", tmp_path / "adapter" / "model.pth"
    )
    assert args.encoder == "conformer" and args.token_list == WORDS
    given = spoken()
    outs = []
    for one in (model.eval(), loaded.eval()):
        with one.biased_by(one.encode_catalog(words("cab", "be"))):
            outs.append(out_of(one, given))
    assert torch.equal(*outs)


def test_an_adapter_of_another_base_is_refused(tmp_path):
    from espnet_dynlook.biasing.fingerprint import OtherBase, short
    from espnet_dynlook.training.loading import load_whole_model

    _, model = make(tmp_path)
    torch.save(model.state_dict(), tmp_path / "adapter.pth")
    write_base(tmp_path / "other", seed=3)
    other = build(tmp_path / "on_other", adapter_config(tmp_path / "other"))
    with pytest.raises(OtherBase) as error:
        load_whole_model(other, tmp_path / "adapter.pth")
    for one in (model, other):
        assert short(one.adapter.base) in str(error.value)


def test_embeddings_start_from_the_rows_of_the_ctc_head(tmp_path):
    base, model = make(tmp_path)
    assert torch.equal(model.adapter.names.embedding.weight, base.ctc.ctc_lo.weight)


def test_layers_of_intermediate_ctc_are_read_by_default(tmp_path):
    conf = {"encoder_conf": {"num_blocks": 4, "interctc_layer_idx": [3]}}
    conf["interctc_weight"] = 0.3
    _, model = make(tmp_path, base_conf=conf)
    assert model.adapter.layers == (3,)
    _, stats, _ = model.train()(**spoken())
    assert not any("interctc" in key for key in stats)
    third = make(tmp_path / "b", base_conf={"encoder_conf": {"num_blocks": 6}})[1]
    assert third.adapter.layers == (2, 4)
    one = make(tmp_path / "c", adapter_layers=[1], adapter_use_last=False)[1]
    assert len(one.adapter.norms) == 1
    one.train()(**spoken())[0].backward()


def test_a_phone_head_is_frozen_too_and_no_loss(tmp_path):
    phones = {"phone_ctc_layer": 1, "phone_ctc_weight": 0.5}
    _, model = make(tmp_path, base_conf=phones)
    _, stats, _ = model.train()(**spoken())
    assert "loss_phone" not in stats
    model.eval()
    out_of(model, spoken())
    assert model.phones.log_probs().dim() == 3  # there for other uses


def test_progress_of_a_learned_lookahead_stays(tmp_path):
    from espnet_dynlook.training.progress import tell_progress

    _, model = make(tmp_path, encoder="dynamic")
    before = model.encoder.scheduler.progress.clone()
    tell_progress(model, 3, 0.7)
    assert torch.equal(model.encoder.scheduler.progress, before)
    assert (model.epoch, model.progress) == (3, 0.7)


def test_weight_of_attention_falls(tmp_path):
    _, model = make(tmp_path, attention_weight=[0.5, 0.1])
    model.train()
    for progress, weight in ((0.0, 0.5), (0.5, 0.3), (1.0, 0.1)):
        model.set_progress(1, progress)
        torch.manual_seed(0)
        given = spoken()
        tokens = given["text_lengths"].float().mean()
        _, stats, _ = model(**given)
        torch.testing.assert_close(
            stats["loss"],
            stats["loss_task"] + weight * tokens * stats["loss_attention"],
        )
        assert stats["loss_attention"] > 0
    _, none = make(tmp_path / "b", attention_weight=0)
    assert "loss_attention" not in none.train()(**spoken())[1]


def test_given_lists_stand_in_for_drawn_ones(tmp_path):
    _, model = make(tmp_path)
    model.train()
    names = torch.tensor([[0, 3, 0, 4, 5, 0], [0, -1, -1, -1, -1, -1]])
    with torch.no_grad():
        model.adapter.names.dropout.p = 0.0
    _, stats, _ = model(**spoken(), names=names, names_lengths=torch.tensor([6, 1]))
    assert stats["attention_recall"] > 0  # cab and be are said
    empty = torch.tensor([[0], [0]])
    loss, stats, _ = model(**spoken(), names=empty, names_lengths=torch.tensor([1, 1]))
    torch.testing.assert_close(stats["no_bias"], torch.ones(1))
    loss.sum().backward()  # of nothing


def test_bfloat16_on_a_cpu_trains_the_adapter_in_float32(tmp_path):
    from espnet_dynlook.training.amp import bfloat16_on_cpu

    _, model = make(tmp_path)
    model.train()
    with bfloat16_on_cpu(model):
        loss, _, _ = model(**spoken())
    loss.backward()
    gradients = [p.grad for p in model.adapter.parameters() if p.grad is not None]
    assert gradients
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base_config": "nowhere/config.yaml"}, "cannot be read"),
        ({"base_model": "nowhere.pth"}, "there is no such file here"),
        ({"base_model": None}, "needs model_conf: base_model"),
        ({"adapter_layers": [9]}, r"adapter_layers=\[9\].* 1 .. 2"),
        ({"adapter_heads": 3}, "multiple of"),
        ({"adapter_margin": -2.0}, "adapter_margin=-2.0 must be above 0"),
        ({"catalog_size": [5, 1]}, "catalog_size"),
        ({"attention_weight": [0.5, -1]}, "attention_weight"),
        ({"latency_loss": "relative"}, "latency_loss would do nothing"),
        ({"interctc_weight": 0.3}, "interctc_weight would do nothing"),
        (
            {"phone_ctc_layer": 1, "phone_ctc_weight": 0.3},
            "phone_ctc_layer, phone_ctc_weight would do nothing",
        ),
    ],
)
def test_bad_values_say_what_to_write(tmp_path, changes, message):
    from espnet_dynlook.config import ConfigError

    with pytest.raises(ConfigError, match=message):
        make(tmp_path, **changes)


def test_a_base_without_ctc_has_no_supervision(tmp_path):
    from espnet_dynlook.config import ConfigError

    conf = {"ctc_weight": 0.0}
    with pytest.raises(ConfigError, match="set attention_weight: 0"):
        make(tmp_path, "transducer", base_conf=conf, attention_weight=[0.5, 0.1])
    with pytest.raises(ConfigError, match="set adapter_margin: null"):
        make(tmp_path, "transducer", base_conf=conf, adapter_margin=9.0)
    _, model = make(tmp_path / "b", "transducer", base_conf=conf)
    model.train()(**spoken())[0].sum().backward()


def test_tokens_have_to_be_the_bases(tmp_path):
    from espnet_dynlook.config import ConfigError

    write_base(tmp_path / "base")
    config = {**adapter_config(tmp_path / "base"), "token_list": ["<blank>", "a"]}
    with pytest.raises(ConfigError, match="is not that of the base"):
        build(tmp_path / "adapter", config)


def test_parameters_of_another_configuration_are_refused(tmp_path):
    from espnet_dynlook.training.loading import CheckpointMismatch

    write_base(tmp_path / "base")
    write_base(tmp_path / "wide", encoder_conf={"output_size": 32})
    other = str(tmp_path / "wide" / "model.pth")
    with pytest.raises(CheckpointMismatch, match="base_config and base_model of one"):
        build(tmp_path / "adapter", adapter_config(tmp_path / "base", base_model=other))
