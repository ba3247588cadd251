"""A training is long enough for epochs with rounded masks, or is refused."""

import re

import pytest
import yaml
from test_adapter_training import arguments

from espnet_dynlook.config import ConfigError
from espnet_dynlook.lookahead.dynamic import DynamicLookahead
from espnet_dynlook.training.annealing import LookaheadNotLearned, check_annealing
from espnet_dynlook.training.loading import safe_load


def refused(anneal, max_epoch):
    """Return what is said against a training; None: nothing."""
    try:
        check_annealing(anneal, max_epoch)
    except LookaheadNotLearned as error:
        return str(error)
    return None


def test_refused_is_what_has_no_whole_epoch_with_rounded_masks():
    for max_epoch in range(1, 41):
        for anneal in (0, 0.01, 0.33, 0.5, 2 / 3, 0.7, 0.75, 0.8, 0.9, 0.975, 1.0):
            scheduler = DynamicLookahead(4, 1, 2, anneal=anneal, hidden=2)
            scheduler.set_progress((max_epoch - 1) / max_epoch)
            assert (refused(anneal, max_epoch) is None) == scheduler.annealed, (
                anneal,
                max_epoch,
            )


def test_what_is_recommended_works_and_is_the_nearest():
    for max_epoch in range(1, 41):
        for anneal in (0.33, 0.5, 0.7, 0.8, 0.9, 0.99, 1.0):
            said = refused(anneal, max_epoch)
            if said is None:
                continue
            assert f"scheduler_anneal={anneal} with max_epoch={max_epoch}:" in said
            most = float(re.search(r"scheduler_anneal: (\S+) at most", said)[1])
            assert refused(most, max_epoch) is None
            assert refused(round(most + 0.01, 2), max_epoch)
            least = re.search(r"max_epoch: (\d+)$", said)
            assert (least is None) == (anneal == 1.0)
            if least is not None:
                assert refused(anneal, int(least[1])) is None
                assert refused(anneal, int(least[1]) - 1)


DYNAMIC = ("--encoder_conf", "lookahead=dynamic")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--max_epoch", "1"), "scheduler_anneal: 0 at most, or max_epoch: 5"),
        (("--max_epoch", "4"), "scheduler_anneal: 0.75 at most, or max_epoch: 5"),
        (
            ("--max_epoch", "9", "--encoder_conf", "scheduler_anneal=1.0"),
            "scheduler_anneal: 0.88 at most",
        ),
    ],
)
def test_too_short_a_training_is_refused_before_anything_is_written(
    corpus, tmp_path, options, hint
):
    from espnet_dynlook.bin import asr_train

    args = corpus.train_args(tmp_path / "exp", *DYNAMIC, *options)
    with pytest.raises(ConfigError, match=f"encoder_conf: scheduler_anneal=.*{hint}$"):
        asr_train.main(args)
    assert not (tmp_path / "exp").exists()


def test_who_calls_the_trainer_is_told_too(corpus, tmp_path):
    from espnet_dynlook.task import DynlookASRTask

    args = DynlookASRTask.parse(
        corpus.train_args(tmp_path / "exp", *DYNAMIC, "--max_epoch", "5")
    )
    args.max_epoch = 4
    with pytest.raises(LookaheadNotLearned, match="max_epoch: 5"):
        DynlookASRTask.main(args=args)
    assert not (tmp_path / "exp" / "checkpoint.pth").exists()


def test_statistics_fixed_kinds_and_longer_trainings_are_let_be(corpus, tmp_path):
    from espnet_dynlook.task import DynlookASRTask

    for options in (
        (*DYNAMIC, "--max_epoch", "5"),
        (*DYNAMIC, "--max_epoch", "1", "--encoder_conf", "scheduler_anneal=0"),
        (*DYNAMIC, "--max_epoch", "1", "--collect_stats", "true"),
        ("--max_epoch", "1", "--encoder_conf", "scheduler_anneal=1.0"),
    ):
        DynlookASRTask.parse(corpus.train_args(tmp_path / "exp", *options))


def test_adapter_of_a_learned_lookahead_needs_no_annealing(corpus, tmp_path):
    """Its base has had its own training, and is not trained any more."""
    from espnet_dynlook.bin import asr_train

    base = tmp_path / "base"
    rounded = ("--encoder_conf", "scheduler_anneal=0", "--max_epoch", "1")
    asr_train.main(corpus.train_args(base, *DYNAMIC, *rounded))
    config = yaml.safe_load((base / "config.yaml").read_text(encoding="utf-8"))
    config["encoder_conf"]["scheduler_anneal"] = 0.8
    (base / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    asr_train.main(arguments(corpus, base, tmp_path, "--max_epoch", "1"))
    assert safe_load(tmp_path / "exp" / "checkpoint.pth")["reporter"]["epoch"] == 1
