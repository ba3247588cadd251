"""Run models on one utterance and keep what the pictures show."""

import argparse
import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio.functional

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.config import ConfigError
from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.model.waiting import set_wait
from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.utterance import Utterance, Word, from_trace
from espnet_dynlook.plots.words import aligned, read_words, recognised
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.latency import frame_latencies, time_to_end
from espnet_dynlook.training.loading import CheckpointMismatch

with espnet_imports():
    from espnet2.train.dataset import DATA_TYPES


@dataclass(frozen=True)
class System:
    """A trained model.

    Attributes:
        name: What to call it.
        model: In evaluation mode.
        args: Of its training; None where no transcript has to be aligned.
    """

    name: str
    model: Any
    args: argparse.Namespace | None = None

    @property
    def timing(self) -> FrontendTiming:
        """How its front end cuts time."""
        return FrontendTiming(self.model)


def load_systems(args: Any) -> list[System]:
    """Load the models of a command line (``options.add_models``).

    Raises:
        PlotError: a file is missing or does not fit, or the options differ in number.
    """
    files = args.asr_model_file
    for key in ("asr_train_config", "name", "wait"):
        given = getattr(args, key)
        if given is not None and len(given) != len(files):
            raise PlotError(
                f"--{key} is given {len(given)} times for {len(files)} models: give it "
                "once a model, in their order, or not at all"
            )
    configs = args.asr_train_config or [None] * len(files)
    names = args.name or [Path(file).absolute().parent.name for file in files]
    systems = [load_system(*one) for one in zip(configs, files, names, strict=True)]
    for system, wait in zip(systems, args.wait or (), strict=bool(args.wait)):
        try:
            set_wait(system.model, wait)
        except ValueError as error:
            raise PlotError(f"--wait: {error}") from error
    return systems


def load_system(config: str | None, file: str, name: str) -> System:
    """Load one model.

    Args:
        config: ``config.yaml``; None: the one beside the model.
        file: Parameters.
        name: What to call it.

    Raises:
        PlotError: a file is missing or does not fit.
    """
    if not Path(file).is_file():
        raise PlotError(f"--asr_model_file {file}: the file does not exist")
    try:
        model, train_args = DynlookASRTask.build_model_from_file(config, file)
    except (CheckpointMismatch, ConfigError) as error:
        raise PlotError(f"{file}: {error}") from error
    system = System(name, model.eval(), train_args)
    if system.timing.warning is not None:
        logging.warning(f"{name}: {system.timing.warning}")
    return system


def read_speech(args: Any, system: System) -> np.ndarray:
    """Read the utterance of a command line (``options.add_utterance``).

    Returns:
        Samples (N,) at the rate of the model's front end, or features (N, D).

    Raises:
        PlotError: it cannot be read or is not what the model takes.
    """
    if args.data is not None:
        speech = _from_data(args.data, args.utt)
    elif args.audio.endswith(".npy"):
        try:
            speech = np.load(args.audio)
        except (OSError, ValueError) as error:
            raise PlotError(f"--audio {args.audio}: {error}") from error
    else:
        speech = _from_recording(args.audio, system.timing.fs)
    frontend = system.model.frontend
    taken = {1: frontend is not None, 2: frontend is None}
    taken[2] |= getattr(frontend, "takes_features", False)
    if not taken.get(speech.ndim):
        names = {1: "samples of one channel", 2: "features (frames, dims)"}
        what = " or ".join(names[n] for n, own in taken.items() if own)
        raise PlotError(
            f"the utterance has shape {speech.shape}, and {system.name} takes {what}"
        )
    # A centred STFT reflects half a window at each end, and fails on less.
    if len(speech) <= system.timing.padding:
        raise PlotError(
            f"the utterance has {len(speech)} samples and is too short for the front "
            f"end of {system.name}, which needs more than {system.timing.padding}"
        )
    return speech.astype(np.float32)


def _from_recording(path: str, fs: int) -> np.ndarray:
    try:
        speech, rate = soundfile.read(path, dtype="float32")
    except (OSError, soundfile.LibsndfileError) as error:
        raise PlotError(f"--audio {path}: {error}") from error
    if rate != fs and speech.ndim == 1:
        tensor = torchaudio.functional.resample(torch.from_numpy(speech), rate, fs)
        return tensor.numpy()
    return speech


def _from_data(data: str, key: str | None) -> np.ndarray:
    path, comma, kind = data.rpartition(",")
    if not comma or kind not in DATA_TYPES:
        raise PlotError(
            f"--data {data} must be PATH,TYPE, with one of the types "
            f"{', '.join(sorted(DATA_TYPES))}"
        )
    if not Path(path).is_file():
        raise PlotError(f"--data {path}: the file does not exist")
    reader = DATA_TYPES[kind]["func"](path)
    if key is None or key not in reader:
        some = ", ".join(sorted(reader)[:3])
        raise PlotError(f"--utt {key} is not in {path}, which has {some}, …")
    value = reader[key]
    return np.asarray(value[1] if isinstance(value, tuple) else value)


@contextlib.contextmanager
def _masks(encoder: Any, soft: bool) -> Iterator[None]:
    """Use the soft masks of training, where asked for."""
    if not soft:
        yield
        return
    if (
        not hasattr(encoder, "soft_masks")
        or getattr(encoder, "scheduler", None) is None
    ):
        raise PlotError(
            "--soft: the masks of this model are fixed, only those of lookahead: "
            "dynamic have soft ones; leave it out"
        )
    with encoder.soft_masks():
        yield


@contextlib.contextmanager
def _full_context(encoder: Any) -> Iterator[None]:
    """See the whole utterance, where the encoder can be told to."""
    override = getattr(encoder, "override", None)
    if override is None:
        yield
        return
    with override(FixedLookahead("full", len(encoder.encoders))):
        yield


def encode(model: Any, speech: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return the encoder's output (1, T, D) and T."""
    output, lengths = model.encode(
        speech, torch.tensor([speech.shape[1]], device=speech.device)
    )
    output = output[0] if isinstance(output, tuple) else output
    return output, int(lengths[0])


@torch.no_grad()
def observe(
    system: System,
    speech: np.ndarray,
    text: str | None = None,
    words: tuple[Word, ...] | None = None,
    soft: bool = False,
) -> Utterance:
    """Run a model on an utterance.

    Args:
        system: The model.
        speech: Samples (N,) or features (N, D).
        text: Transcript, to be aligned; None: show what is recognised.
        words: Words with their times, instead.
        soft: Use the soft masks of training.

    Raises:
        PlotError: the model has no soft masks, or the transcript does not fit.
    """
    model = system.model
    device = next(model.parameters()).device
    batch = torch.from_numpy(speech)[None].to(device)
    lengths = torch.tensor([batch.shape[1]], device=device)
    with _masks(model.encoder, soft):
        try:
            output, frames = encode(model, batch)
        except Exception as error:
            if type(error).__name__ != "TooShortUttError":
                raise
            raise PlotError(f"the utterance {error.args[0]}") from error
    features, _ = model._extract_feats(batch, lengths)
    shown = _read_trace(system, features[0], frames)
    if words is None:
        found, source = _words_of(system, batch, output, frames, shown, text)
    else:
        found, source = words, "given"
    return dataclasses.replace(shown, words=found, words_from=source)


def _read_trace(system: System, features: torch.Tensor, frames: int) -> Utterance:
    """Keep what the encoder's last forward pass looked at.

    Args:
        system: Whose model has just encoded.
        features: (N, F) of the utterance.
        frames: T of the utterance.
    """
    encoder, timing = system.model.encoder, system.timing
    feature_seconds = timing.hop_length / timing.fs
    found = frame_latencies(encoder, timing)
    constant = 0.0
    if hasattr(encoder, "frame_shift"):
        frame_seconds = timing.frame_ms(encoder) / 1000
        constant = timing.constant_ms(encoder)
    else:  # ESPnet's own encoders do not say
        frame_seconds = len(features) * feature_seconds / max(frames, 1)
    if found is None:
        latency = time_to_end(frames, frames * frame_seconds)
    else:
        latency = found[0][0, :frames]
    shown = from_trace(system.name, encoder, features, frame_seconds, latency)
    return dataclasses.replace(
        shown,
        feature_seconds=feature_seconds,
        log_mel=hasattr(system.model.frontend, "logmel"),
        constant_ms=constant,
    )


def _words_of(
    system: System,
    batch: torch.Tensor,
    output: torch.Tensor,
    frames: int,
    shown: Utterance,
    text: str | None,
) -> tuple[tuple[Word, ...], str]:
    model = system.model
    if getattr(model, "ctc", None) is None:
        if text is not None:
            raise PlotError(
                f"--text: {system.name} has no CTC to align it with; give --words"
            )
        return (), ""
    if text is None:
        log_probs = model.ctc.log_softmax(output)[0, :frames].cpu()
        found = recognised(
            log_probs, model.blank_id, model.token_list, shown.frame_seconds
        )
        return found, "recognised"
    preprocess = DynlookASRTask.build_preprocess_fn(system.args, False)
    token_ids = preprocess("utterance", {"text": text})["text"].tolist()
    # Where a word is must not depend on how long the model waits for it.
    with _full_context(model.encoder):
        output, frames = encode(model, batch)
    log_probs = model.ctc.log_softmax(output)[0, :frames].cpu()
    found = aligned(
        log_probs, token_ids, model.blank_id, model.token_list, shown.frame_seconds
    )
    return found, "aligned"


def read_utterances(args: Any) -> list[Utterance]:
    """Run the models of a command line on its utterance.

    Raises:
        PlotError: a file or a value is wrong.
    """
    systems = load_systems(args)
    words = None if args.words is None else read_words(args.words, args.utt)
    soft = getattr(args, "soft", False)
    return [
        observe(system, read_speech(args, system), args.text, words, soft)
        for system in systems
    ]
