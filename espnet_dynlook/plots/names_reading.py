"""Run a model on one utterance with a list of names, for pictures of names."""

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.fingerprint import OtherBase
from espnet_dynlook.biasing.lists import ListError, read_lists
from espnet_dynlook.biasing.tokenizers import build_tokenizer
from espnet_dynlook.model.adapting import encode_catalog, near_names
from espnet_dynlook.model.taps import LayerTaps
from espnet_dynlook.plots.reading import (
    System,
    encode,
    load_systems,
    observe,
    read_speech,
)
from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.utterance import Utterance
from espnet_dynlook.plots.words import read_words, recognised
from espnet_dynlook.search.gru import fast_gru
from espnet_dynlook.training.adapter import load_adapter
from espnet_dynlook.training.loading import CheckpointMismatch


@dataclass(frozen=True)
class Heard:
    """What a model makes of an utterance with a list.

    Attributes:
        shown: The utterance; its words are what is recognised with the list.
        catalog: The list.
        log_probs: Of the tokens, with the adapter's bias (T, V).
        unbiased: Without; None: there is no adapter.
        phones: Of the phone head (T, P); None: there is none.
        attention: Of the adapter, on ``<no-bias>`` and on each name (T, N + 1).
    """

    shown: Utterance
    catalog: Catalog
    log_probs: torch.Tensor
    unbiased: torch.Tensor | None
    phones: torch.Tensor | None
    attention: np.ndarray | None


def add_list(parser: argparse.ArgumentParser, adapter: bool) -> None:
    """Add the options that name a list, and an adapter.

    Args:
        parser: Of a picture.
        adapter: Whether there has to be one.
    """
    group = parser.add_argument_group("names")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--catalog", metavar="FILE", help="names, one a line, for this utterance"
    )
    source.add_argument(
        "--biasing_lists",
        metavar="TSV",
        help="lists of utterances in four columns; that of --utt is taken",
    )
    both = "" if adapter else "; without: the model alone"
    group.add_argument(
        "--adapter_train_config",
        metavar="FILE",
        required=adapter,
        help=f"config.yaml of an adapter's training{both}",
    )
    group.add_argument(
        "--adapter_model_file",
        metavar="FILE",
        required=adapter,
        help="its parameters",
    )
    group.add_argument(
        "--adapter_scale",
        type=float,
        default=1.0,
        metavar="S",
        help="what its bias is multiplied by (default: 1)",
    )


def hear(args: Any) -> Heard:
    """Run the model of a command line on its utterance, with its list.

    Raises:
        PlotError: a file or a value is wrong.
    """
    files = args.asr_model_file
    if len(files) != 1:
        raise PlotError("--asr_model_file: this picture is of one model; give it once")
    [system] = load_systems(args)
    if system.model.ctc is None:
        raise PlotError(f"{files[0]} has no CTC head, in which names could be seen")
    catalog = read_catalog(args, system)
    speech = read_speech(args, system)
    words = None if args.words is None else read_words(args.words, args.utt)
    shown = observe(system, speech, args.text, words)
    heard = run(system, speech, shown, catalog, _adapter(args, system), args)
    if args.words is None and args.text is None:
        model = system.model
        found = recognised(
            heard.log_probs, model.blank_id, model.token_list, shown.frame_seconds
        )
        shown = dataclasses.replace(shown, words=found)
    return dataclasses.replace(heard, shown=shown)


def read_catalog(args: Any, system: System) -> Catalog:
    """Read the list of a command line, in the model's tokens.

    Raises:
        PlotError: it cannot be read, or nothing in it can be used.
    """
    train = system.args
    assert train is not None
    try:
        tokens = list(system.model.token_list)
        tokenizer = build_tokenizer(tokens, train.token_type, train.bpemodel)
        if args.catalog is not None:
            catalog = Catalog.from_file(args.catalog, tokenizer, tokens)
        else:
            lists = read_lists(args.biasing_lists)
            if args.utt not in lists:
                raise PlotError(
                    f"--utt {args.utt} is none of the {len(lists)} utterances of "
                    f"{args.biasing_lists}"
                )
            catalog = Catalog(lists[args.utt].phrases, tokenizer, tokens)
    except (OSError, ListError, ValueError) as error:
        raise PlotError(str(error)) from error
    if not len(catalog):
        raise PlotError(f"the list has no name to show:\n{catalog.report()}")
    return catalog


def _adapter(args: Any, system: System) -> ContextualAdapter | None:
    config, file = args.adapter_train_config, args.adapter_model_file
    if (config is None) != (file is None):
        raise PlotError(
            "--adapter_train_config and --adapter_model_file go together: give both"
        )
    if config is None:
        return getattr(system.model, "adapter", None)
    try:
        return load_adapter(system.model, config, file)
    except (OSError, CheckpointMismatch, OtherBase, ValueError) as error:
        raise PlotError(str(error)) from error


@torch.no_grad()
def run(
    system: System,
    speech: np.ndarray,
    shown: Utterance,
    catalog: Catalog,
    adapter: ContextualAdapter | None,
    args: Any,
) -> Heard:
    """Encode an utterance, with a list where there is an adapter.

    Args:
        system: The model.
        speech: Samples (N,) or features (N, D).
        shown: What is shown of the utterance.
        catalog: The list.
        adapter: Of this model; None: none.
        args: With ``adapter_scale``.
    """
    model = system.model
    taps = None
    if adapter is not None and adapter.layers:
        taps = LayerTaps(model.encoder, adapter.layers, "adapter_layers")
    device = next(model.parameters()).device
    output, frames = encode(model, torch.from_numpy(speech)[None].to(device))
    branch = getattr(model, "phones", None)
    phones = None if branch is None else branch.log_probs()[0, :frames].cpu()
    unbiased = model.ctc.log_softmax(output)[0, :frames].float().cpu()
    log_probs, attention = unbiased, None
    if adapter is not None:
        hs = [] if taps is None else taps.take()
        assert hs is not None  # in evaluation mode, no layer is dropped
        encoded = encode_catalog(adapter, catalog, model.token_list)
        hs = [*hs, *([output] if adapter.use_last else [])]
        near = near_names(model, adapter, output, encoded)
        bias, heads = adapter(hs, encoded, args.adapter_scale, near, fast_gru)
        log_probs = model.ctc.log_softmax(output + bias)[0, :frames].float().cpu()
        attended = encoded.by_name(heads.mean(dim=1))
        attention = attended[0, :frames].float().cpu().numpy()
    return Heard(
        shown,
        catalog,
        log_probs,
        unbiased if adapter is not None else None,
        phones,
        attention,
    )
