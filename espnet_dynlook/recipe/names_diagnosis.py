r"""Say why names are found or not: what posteriors, pruning and attention make of them.

Every name that is said is placed by forced alignment of the transcript. Command::

    python -m espnet_dynlook.recipe.names_diagnosis \
        --data dump/raw/test/wav.scp,speech,sound --lists data/biasing/test.100.0.tsv \
        --asr_train_config exp/asr_x/config.yaml \
        --asr_model_file exp/asr_x/valid.loss.ave.pth --output exp/asr_x/diagnosis.md
"""

import argparse
import contextlib
import json
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_dynlook import config
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.lists import BiasingList
from espnet_dynlook.metrics.biasing import PhraseFinder
from espnet_dynlook.metrics.wer import count_errors
from espnet_dynlook.recipe.held_out import CTCModel, add_model_options, load_model
from espnet_dynlook.recipe.model_lists import read_model_lists
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.whole_files import write_atomic
from espnet_dynlook.search.alignment import align
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.explain_facts import token_facts
from espnet_dynlook.search.spoken_units import SpokenUnits
from espnet_dynlook.search.spotting import Spotted, spot
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.word_sounds import heard_phones
from espnet_dynlook.training.loading import CheckpointMismatch

#: Nats below the best path within which a search might still find a name.
MARGINS = (5.0, 10.0, 20.0)
#: Frames to either side of where the transcript has a name that it may be in.
SLACK = 3


@dataclass
class Place:
    """A name that is said.

    Attributes:
        entry: Its number in the list.
        start: First frame.
        end: Frame after the last.
    """

    entry: int
    start: int
    end: int


@dataclass
class Tally:
    """What posteriors make of names.

    Attributes:
        margins: Of each name, how far its best path is below the best path of all.
        followed: Of each token of a name, whether the search follows it.
        wrong: Errors of the best path's tokens in the frames of names.
        tokens: Of the names.
        phones_wrong: Errors of the best path's phones there.
        phones: Of the names.
    """

    margins: list[float] = field(default_factory=list)
    followed: list[bool] = field(default_factory=list)
    wrong: int = 0
    tokens: int = 0
    phones_wrong: int = 0
    phones: int = 0

    def cells(self) -> list[str]:
        """Return a row of the table, without the name of the system."""
        near = [sum(m >= -limit for m in self.margins) for limit in MARGINS]
        return [
            *(_percent(number, len(self.margins)) for number in near),
            _percent(sum(self.followed), len(self.followed)),
            _percent(self.wrong, self.tokens),
            _percent(self.phones_wrong, self.phones),
        ]


HEADER = [
    "posteriors",
    *(f"names within {limit:g} nats (%)" for limit in MARGINS),
    *("tokens that are followed (%)", "token errors (%)", "phone errors (%)"),
]


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


@dataclass
class Attention:
    """Where an adapter attends.

    Attributes:
        on_name: Mass on a name in each frame of it.
        first: Whether it gets more than every other name there.
        no_bias: Mass of ``<no-bias>`` in frames without a name of the list.
    """

    on_name: list[float] = field(default_factory=list)
    first: list[bool] = field(default_factory=list)
    no_bias: list[float] = field(default_factory=list)

    def means(self) -> dict[str, float | None]:
        """Return the means over frames."""
        return {
            "mass on the name in its frames": _mean(self.on_name),
            "frames of a name in which it is the first": _mean(self.first),
            "mass of <no-bias> in other frames": _mean(self.no_bias),
        }


def _mean(values: list[Any]) -> float | None:
    return sum(values) / len(values) if values else None


class Diagnosis:
    """Goes through utterances with their lists.

    Args:
        trained: The model, with its adapter if it has one.
        decoder: Whose pruning is looked at.
        scale: Of the adapter.

    Attributes:
        tallies: Of the base, and with the adapter.
        attention: Of the adapter.
        unplaced: Names of utterances that are too short for their transcript, or that
            the tokens cannot write.
    """

    def __init__(self, trained: CTCModel, decoder: BiasedDecoder, scale: float):
        self.trained = trained
        self.decoder = decoder
        self.tallies = {"base": Tally()}
        self.attention = Attention()
        self.unplaced = 0
        if trained.adapted is not None:
            trained.adapted.scale = scale
            self.tallies["adapter"] = Tally()

    def __call__(self, speech: torch.Tensor, one: BiasingList) -> None:
        """Look at an utterance."""
        model = self.trained.model
        catalog = Catalog(one.phrases, self.trained.tokenizer, model.token_list)
        log_probs, phones = self.trained.posteriors(speech, None)
        places = self.places(one, catalog, log_probs)
        self.count("base", log_probs, phones, catalog, places)
        adapted = self.trained.adapted
        if adapted is not None and len(catalog):
            biased, phones = self.trained.posteriors(speech, catalog)
            self.count("adapter", biased, phones, catalog, places)
            assert adapted.attention is not None
            self.attend(adapted.attention[0, : len(biased)], places)

    def places(
        self, one: BiasingList, catalog: Catalog, log_probs: torch.Tensor
    ) -> list[Place]:
        """Return where the names of the list are said."""
        said = one.text.split()
        spans = PhraseFinder(one.true)(said)
        entries = {entry.text: n for n, entry in enumerate(catalog.entries)}
        model, words = self.trained.model, self.decoder.search.words
        tokens = [
            model.token_list.index(token) if token in model.token_list else -1
            for token in self.trained.tokenizer.text2tokens(one.text)
        ]
        aligned = []
        if -1 not in tokens:
            with contextlib.suppress(ValueError):  # fewer frames than tokens
                aligned = align(log_probs, tokens, model.blank_id)
        of_words = words.places(tokens) if aligned else []
        found = []
        for first, end in spans:
            entry = entries.get(" ".join(said[first:end]))
            if entry is None or len(of_words) != len(said):
                self.unplaced += 1
                continue
            start = aligned[of_words[first][0]].start
            found.append(Place(entry, start, aligned[of_words[end - 1][1] - 1].end))
        return found

    def count(
        self,
        system: str,
        log_probs: torch.Tensor,
        phones: torch.Tensor | None,
        catalog: Catalog,
        places: list[Place],
    ) -> None:
        """Count what posteriors make of the names of an utterance."""
        tally, blank = self.tallies[system], self.trained.model.blank_id
        paths = catalog.token_ids(self.trained.model.token_list)
        units = SpokenUnits(catalog, self.decoder.phone_list)
        for place in places:
            start, end = max(place.start - SLACK, 0), place.end + SLACK
            rows = log_probs[start:end]
            best = _nearest(rows, paths[place.entry], blank)
            tally.margins.append(-math.inf if best is None else best.margin)
            if best is not None:
                facts = token_facts(self.decoder, rows, best, 1.0, None)
                tally.followed += [not fact.pruned for fact in facts]
                tally.wrong += _errors(rows, best, blank)
                tally.tokens += len(best.labels)
            if phones is not None:
                rows = phones[start:end]
                best = _nearest(rows, units.entry(place.entry), blank)
                if best is not None:
                    tally.phones_wrong += _errors(rows, best, blank)
                    tally.phones += len(best.labels)

    def attend(self, attention: torch.Tensor, places: list[Place]) -> None:
        """Count where the adapter attends, (T, N + 1)."""
        names, free = attention[:, 1:], torch.ones(len(attention), dtype=torch.bool)
        for place in places:
            rows = names[place.start : place.end]
            self.attention.on_name += rows[:, place.entry].tolist()
            self.attention.first += (rows.argmax(dim=1) == place.entry).tolist()
            free[max(place.start - SLACK, 0) : place.end + SLACK] = False
        self.attention.no_bias += attention[free, 0].tolist()


def _nearest(
    rows: torch.Tensor, paths: Iterable[Sequence[int]], blank: int
) -> Spotted | None:
    """Return where that of some paths is which fits best; None: in no place."""
    fits = [one for one in (spot(rows, path, blank) for path in paths) if one]
    return max(fits, key=lambda one: one.margin, default=None)


def _errors(rows: torch.Tensor, place: Spotted, blank: int) -> int:
    """Return how many labels the best path has wrong in a name's frames."""
    heard = heard_phones(rows[place.start : place.end], blank)
    labels = [str(label) for label in place.labels]
    return count_errors(labels, [str(label) for label, _ in heard]).errors


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Say why names are found or not.")
    add = parser.add_argument
    add("--data", required=True, help="such as dump/raw/test/wav.scp,speech,sound")
    add("--lists", required=True, help="four columns, with what is said")
    add_model_options(parser)
    add("--techniques", help="YAML file: boosting says what pruning spares")
    add("--adapter_scale", type=float, default=1.0)
    add("--output", required=True, help="Markdown file")
    add("--json", help="the same for programs")
    return parser


def diagnose(args: argparse.Namespace, command: str) -> str:
    """Look at a set; write the files; return the page.

    Raises:
        ConfigError: files or options that do not go together.
        CheckpointMismatch: model or adapter are of other parameters.
    """
    try:
        trained, _ = load_model(args)
        techniques = Techniques()
        if args.techniques:
            text = Path(args.techniques).read_text(encoding="utf-8")
            techniques = Techniques.from_mapping(yaml.safe_load(text))
        model, boosting = trained.model, Techniques(boosting=techniques.boosting)
        decoder = BiasedDecoder(
            model.token_list, args.beam_size, None, boosting, blank=model.blank_id
        )
        speech = trained.read(args.data)
        lists = read_model_lists(trained, args.data, speech, [args.lists])[args.lists]
        run = Diagnosis(trained, decoder, args.adapter_scale)
        for utt, samples in speech.items():
            run(samples, lists[utt])
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise config.ConfigError(str(error)) from error
    rows = [[name, *tally.cells()] for name, tally in run.tallies.items()]
    names = len(run.tallies["base"].margins)
    page = f"{names} names said; {run.unplaced} more could not be placed.\n\n"
    page += markdown_table(HEADER, rows)
    means = run.attention.means()
    if "adapter" in run.tallies:
        shown = [[k, "-" if v is None else f"{v:.3f}"] for k, v in means.items()]
        page += "\n" + markdown_table(["attention of the adapter", "mean"], shown)
    page += f"\n```sh\n{command}\n```\n"
    write_atomic(args.output, page)
    if args.json:
        content = {
            "names": names,
            "unplaced": run.unplaced,
            "posteriors": {
                name: dict(zip(HEADER[1:], tally.cells(), strict=True))
                for name, tally in run.tallies.items()
            },
            "attention": means,
            "command": command,
        }
        write_atomic(args.json, json.dumps(content, indent=1) + "\n")
    return page


def main(cmd: list[str] | None = None) -> int:
    """Look, and print; return 1 and say what is wrong."""
    given = sys.argv[1:] if cmd is None else cmd
    args = get_parser().parse_args(given)
    command = "python -m espnet_dynlook.recipe.names_diagnosis " + shlex.join(given)
    try:
        print(diagnose(args, command), end="")
    except (config.ConfigError, CheckpointMismatch) as error:
        print(f"names_diagnosis: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
