"""Options that several pictures share: models, and an utterance for them."""

import argparse


def add_models(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the options that name one or several models."""
    group = parser.add_argument_group("models")
    group.add_argument(
        "--asr_model_file",
        action="append",
        required=required,
        metavar="FILE",
        help="trained model; again for another beside it",
    )
    group.add_argument(
        "--asr_train_config",
        action="append",
        metavar="FILE",
        help="its configuration, once a model; without: config.yaml beside the model",
    )
    group.add_argument(
        "--name",
        action="append",
        metavar="TEXT",
        help="what to call it, once a model; without: the name of its folder",
    )
    group.add_argument(
        "--wait",
        action="append",
        type=float,
        metavar="W",
        help="how much it waits, from 0 to 1, once a model: for models that learned a "
        "range of latencies (latency_weight: [lo, hi])",
    )


def add_utterance(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the options that name one utterance, and its words."""
    group = parser.add_argument_group("utterance")
    source = group.add_mutually_exclusive_group(required=required)
    source.add_argument(
        "--audio",
        metavar="FILE",
        help="a recording; or a .npy file of features (frames, dims), for a model "
        "without front end",
    )
    source.add_argument(
        "--data",
        metavar="PATH,TYPE",
        help="one utterance (--utt) of a file as ESPnet reads it, such as "
        "dump/raw/test/wav.scp,sound or feats.scp,kaldi_ark",
    )
    group.add_argument("--utt", metavar="KEY", help="the utterance in --data, --words")
    words = group.add_mutually_exclusive_group()
    words.add_argument(
        "--text",
        help="its transcript, which the model's CTC aligns with the audio; without: "
        "what the model recognises, at the frames where it does",
    )
    words.add_argument(
        "--words",
        metavar="CTM",
        help="its words with their times instead: `utterance channel start duration "
        "word` lines, in seconds",
    )
