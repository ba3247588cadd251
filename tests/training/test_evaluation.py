"""Losses, paths and latencies of utterances: every model, batched as alone."""

import pytest
import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.evaluation import Evaluator, Utterance

with espnet_imports():
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

pytestmark = pytest.mark.host

TOKENS = ["<blank>", "<unk>", "a", "b", "c", "<sos/eos>"]
ENCODER = [
    *("output_size=16", "attention_heads=2", "linear_units=24", "num_blocks=2"),
    *("rel_pos_type=latest", "cnn_module_kernel=5"),
]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return a function that builds a small model of a kind."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.txt"
    tokens.write_text("\n".join(TOKENS))

    def make(*options, lookahead=(), encoder="dynlook_conformer"):
        conf = [x for key in (*ENCODER, *lookahead) for x in ("--encoder_conf", key)]
        command = [
            *("--token_list", str(tokens), "--token_type", "char"),
            *("--normalize", "none", "--frontend_conf", "n_mels=20"),
            *("--encoder", encoder, "--model", "dynlook", *conf, *options),
        ]
        torch.manual_seed(0)
        return DynlookASRTask.build_model(DynlookASRTask.parse(command)).eval()

    return make


def utterances(*lengths, rate=16000):
    generator = torch.Generator().manual_seed(1)
    return [
        Utterance(
            0.1 * torch.randn(int(seconds * rate), generator=generator),
            torch.randint(2, 5, (number,), generator=generator),
        )
        for number, seconds in enumerate(lengths)
    ]


DYNAMIC = ["lookahead=dynamic", "lookahead_frames=3", "scheduler_bias=0.3"]
CTC = ["--model_conf", "ctc_weight=1.0"]
TRANSDUCER = [
    *("--decoder", "transducer", "--decoder_conf", "hidden_size=8"),
    *("--joint_net_conf", "joint_space_size=8", "--model_conf", "ctc_weight=0.3"),
]


def same(a, b):
    """Say whether two evaluations of an utterance agree."""
    assert a.loss == pytest.approx(b.loss, rel=1e-4)
    assert (a.loss_soft is None) == (b.loss_soft is None)
    if a.loss_soft is not None:
        assert a.loss_soft == pytest.approx(b.loss_soft, rel=1e-4)
    assert (a.path.tokens, a.path.frames) == (b.path.tokens, b.path.frames)
    assert torch.equal(a.latencies, b.latencies)


@pytest.mark.parametrize("options", [CTC, TRANSDUCER], ids=["ctc", "transducer"])
@pytest.mark.parametrize(
    "lookahead", [["lookahead=chunked", "lookahead_frames=3"], DYNAMIC], ids=str
)
def test_batched_is_as_alone(build, options, lookahead):
    evaluator = Evaluator(build(*options, lookahead=lookahead))
    given = utterances(0.7, 1.5, 0.9, 1.1)
    together = evaluator(given)
    for one, batched in zip(given, together, strict=True):
        (alone,) = evaluator([one])
        same(alone, batched)


@pytest.mark.parametrize(
    ("options", "statistic"),
    [(CTC, "loss_ctc"), (TRANSDUCER, "loss_transducer")],
    ids=["ctc", "transducer"],
)
def test_loss_is_the_models_own(build, options, statistic):
    model = build(*options, lookahead=DYNAMIC)
    _, one = utterances(0.5, 1.2)
    (found,) = Evaluator(model)([one])
    with torch.no_grad():
        _, stats, _ = model(
            one.speech[None],
            torch.tensor([len(one.speech)]),
            one.tokens[None],
            torch.tensor([len(one.tokens)]),
        )
    assert found.loss == pytest.approx(float(stats[statistic]), rel=1e-4)
    if statistic == "loss_ctc":
        assert found.loss_soft == pytest.approx(float(stats["loss_soft"]), rel=1e-4)


def test_soft_masks_are_measured_for_learned_lookahead_only(build):
    given = utterances(0.5, 1.2)
    learned = Evaluator(build(*CTC, lookahead=DYNAMIC))(given)
    assert learned[1].loss_soft != learned[1].loss
    fixed = Evaluator(build(*CTC), FixedLookahead("chunked", 2, 3))(given)
    assert fixed[1].loss_soft is None


def test_other_kind_leaves_the_model_as_it_was(build):
    model = build(*CTC, lookahead=DYNAMIC)
    given = utterances(0.5, 1.2)
    before = Evaluator(model)(given)
    causal = Evaluator(model, FixedLookahead("causal", 2))(given)
    assert causal[1].latencies.mean() < before[1].latencies.mean()
    for a, b in zip(before, Evaluator(model)(given), strict=True):
        same(a, b)
    assert model.frontend is not None


def test_loss_of_a_transcript_that_does_not_fit_is_infinite(build):
    speech = utterances(0.5)[0].speech
    one = Utterance(speech, torch.full((40,), 2))
    (found,) = Evaluator(build(*CTC), alignment=True)([one])
    assert found.loss == float("inf")
    assert found.spans is None


def test_too_short_utterances_are_none_beside_others(build):
    given = utterances(0.5, 1.0)
    for short in (torch.zeros(10), torch.zeros(600)):
        one = Utterance(short, torch.tensor([2]))
        found = Evaluator(build(*CTC))([given[0], one, given[1]])
        assert [x is None for x in found] == [False, True, False]
    assert Evaluator(build(*CTC))([]) == []


def test_encoder_of_espnet_waits_for_the_end_and_is_never_batched(build, monkeypatch):
    model = build(*CTC, encoder="conformer")
    assert isinstance(model.encoder, ConformerEncoder)
    sizes = []
    encode = model.encode
    monkeypatch.setattr(
        model, "encode", lambda x, n: (sizes.append(len(x)), encode(x, n))[1]
    )
    given = utterances(0.5, 1.2)
    found = Evaluator(model)(given)
    assert sizes == [1, 1]
    assert found[1].latencies[-1] == 0 and found[1].latencies[0] > 1000
    with pytest.raises(ValueError, match="no kind of lookahead"):
        Evaluator(model, FixedLookahead("causal", 2))


def test_user_perceived_latency_needs_a_budget(build):
    given = utterances(0.5, 1.2)
    (_, plain) = Evaluator(build(*CTC))(given)
    assert plain.upl is None
    slow = build(*CTC, "--model_conf", "compute_budget=0.9", lookahead=DYNAMIC)
    (_, found) = Evaluator(slow)(given)
    assert found.upl is not None and found.upl > 0


def test_model_without_ctc_is_refused(build):
    model = build(*TRANSDUCER, "--model_conf", "ctc_weight=0.0")
    Evaluator(model)
    with pytest.raises(ValueError, match="needs a CTC head"):
        Evaluator(model, alignment=True)


@pytest.mark.parametrize("options", [CTC, TRANSDUCER], ids=["ctc", "transducer"])
def test_alignment_is_in_order(build, options):
    *_, one = utterances(0.5, 0.5, 0.5, 1.2)
    (found,) = Evaluator(build(*options, lookahead=DYNAMIC), alignment=True)([one])
    assert [span.token for span in found.spans] == one.tokens.tolist()
    edges = [edge for span in found.spans for edge in (span.start, span.end)]
    assert edges == sorted(edges) and edges[-1] <= len(found.latencies)
