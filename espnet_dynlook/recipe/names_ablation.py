r"""Decode a set with lists of names: each technique alone, all, an adapter, and both.

Posteriors are computed once an utterance (and once more a list with an adapter), and
every system searches them. Command::

    python -m espnet_dynlook.recipe.names_ablation \
        --data dump/raw/test/wav.scp,speech,sound \
        --lists 100=data/biasing/test.100.0.tsv \
        --lists 100.without=data/biasing/test.100.without.0.tsv,... \
        --asr_train_config exp/asr_x/config.yaml \
        --asr_model_file exp/asr_x/valid.loss.ave.pth \
        --techniques conf/techniques.yaml --output exp/asr_x/ablation.md

Several files of a list are draws of its distractors, which are scored together. With an
adapter, ``--both`` has the techniques that were tuned for it. ``--variants 0 2 4`` adds
all techniques with that many other spellings and pronunciations of an entry.
``--systems techniques both`` decodes these alone, beside the base.
"""

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook import config
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.metrics.biasing import score_biasing
from espnet_dynlook.recipe.biasing_score import System, figures
from espnet_dynlook.recipe.held_out import (
    CTCModel,
    Posteriors,
    add_model_options,
    load_model,
)
from espnet_dynlook.recipe.model_lists import Lists, read_model_lists
from espnet_dynlook.recipe.names_results import BASE, HEADER, row
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.score import versions
from espnet_dynlook.recipe.whole_files import write_atomic
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.effects import check_effects
from espnet_dynlook.search.grapheme_variants import GraphemeVariants
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.training.loading import CheckpointMismatch

#: No technique: what the search finds without names.
NOTHING = Techniques.from_mapping({"boosting": None})


@dataclass(frozen=True)
class Contender:
    """A system that is compared.

    Attributes:
        name: In the table.
        techniques: Of its search.
        scale: Of the adapter; 0: without it.
        named: Whether it is given the lists.
    """

    name: str
    techniques: Techniques
    scale: float = 0.0
    named: bool = True


def contenders(
    techniques: Techniques,
    both: Techniques | None,
    scales: tuple[float, float],
    variants: list[int],
) -> list[Contender]:
    """Return the systems: base, each technique alone, all, the adapter, and both.

    Args:
        techniques: All of them, for the search alone.
        both: For the search beside an adapter; None: there is none.
        scales: Of the adapter alone, and beside techniques.
        variants: Numbers of other forms of an entry to try with all techniques.
    """
    found = [Contender(BASE, NOTHING, named=False)]
    names = [field.name for field in dataclasses.fields(Techniques)]
    on = [name for name in names if getattr(techniques, name) is not None]
    for name in on:
        alone = dataclasses.replace(NOTHING, **{name: getattr(techniques, name)})
        if name == "variants":  # they do nothing alone
            if techniques.boosting is None:
                continue
            alone = dataclasses.replace(alone, boosting=techniques.boosting)
            name = "boosting with variants"
        found.append(Contender(name, alone))
    if len(on) != 1:
        found.append(Contender("techniques", techniques))
    for number in variants:
        given = techniques.variants or GraphemeVariants()
        more = dataclasses.replace(given, number=number) if number else None
        changed = dataclasses.replace(techniques, variants=more)
        found.append(Contender(f"techniques, variants: {number}", changed))
    if both is not None:
        found.append(Contender("adapter", NOTHING, scales[0]))
        found.append(Contender("both", both, scales[1]))
    return found


def chosen(systems: list[Contender], names: list[str] | None) -> list[Contender]:
    """Return the systems of these names, and the base; None: all.

    Raises:
        ConfigError: there is none of a name.
    """
    if names is None:
        return systems
    known = [one.name for one in systems]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise config.ConfigError(
            f"--systems {', '.join(unknown)}: with these files there are "
            f"{', '.join(known)}"
        )
    return [one for one in systems if one.name in (BASE, *names)]


class Ablation:
    """Decodes with every system.

    Args:
        trained: The model, with its adapter if it has one.
        speech: Samples by utterance.
        lm: N-gram of words, or None.
        beam_size: Of the search.
        systems: That are compared.
    """

    def __init__(
        self,
        trained: CTCModel,
        speech: dict[str, Any],
        lm: Any,
        beam_size: int,
        systems: list[Contender],
    ):
        self.trained = trained
        self.speech = speech
        self.systems = systems
        model = trained.model
        self.decoders = [
            BiasedDecoder(
                model.token_list, beam_size, lm, one.techniques, blank=model.blank_id
            )
            for one in systems
        ]
        for decoder in self.decoders:
            decoder.check_phones(model)
        self._plain: dict[str, Posteriors] = {}
        self._base: dict[str, str] = {}

    def posteriors(self, utt: str, scale: float, catalog: Catalog | None) -> Posteriors:
        """Return the posteriors of an utterance; those without adapter are kept."""
        if scale:
            assert self.trained.adapted is not None
            self.trained.adapted.scale = scale
            return self.trained.posteriors(self.speech[utt], catalog)
        if utt not in self._plain:
            self._plain[utt] = self.trained.posteriors(self.speech[utt], None)
        return self._plain[utt]

    def decode(self, lists: Lists) -> list[dict[str, str]]:
        """Return the texts of each system, with one list an utterance."""
        found: list[dict[str, str]] = [{} for _ in self.systems]
        for utt in self.speech:
            tokens = self.trained.model.token_list
            catalog = Catalog(lists[utt].phrases, self.trained.tokenizer, tokens)
            known: dict[float, Posteriors] = {}
            for texts, one, decoder in zip(
                found, self.systems, self.decoders, strict=True
            ):
                if not one.named and utt in self._base:
                    texts[utt] = self._base[utt]
                    continue
                if one.scale not in known:
                    known[one.scale] = self.posteriors(utt, one.scale, catalog)
                log_probs, phones = known[one.scale]
                named = catalog if one.named else None
                texts[utt] = decoder(log_probs, named, phones, 1)[0].text
                if not one.named:
                    self._base[utt] = texts[utt]
        return found

    def __call__(
        self, draws: Iterable[tuple[Lists, Lists]]
    ) -> tuple[list[System], dict[str, int]]:
        """Decode with some draws of a list; return scores, and texts not as base's.

        Args:
            draws: What is decoded with, and what that is scored by.
        """
        systems = [System(one.name, [], []) for one in self.systems]
        changed = dict.fromkeys((one.name for one in self.systems), 0)
        for given, lists in draws:
            texts = self.decode(given)
            base = texts[0]
            for system, found in zip(systems, texts, strict=True):
                system.counts.append(
                    score_biasing(
                        {utt: lists[utt].text for utt in found},
                        found,
                        {utt: (lists[utt].true, lists[utt].phrases) for utt in found},
                    )
                )
                changed[system.name] += sum(found[utt] != base[utt] for utt in base)
        return systems, changed


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Decode a set with lists of names, technique by technique."
    )
    add = parser.add_argument
    add("--data", required=True, help="such as dump/raw/test/wav.scp,speech,sound")
    add(
        *("--lists", "--list"),
        action="append",
        required=True,
        metavar="NAME=FILE[:JUDGE][,FILE...]",
        help="four columns; several files are draws of its distractors; scored by the "
        "lists of JUDGE, such as those of which the file lacks what is said",
    )
    add_model_options(parser)
    add("--techniques", help="YAML file; default: boosting")
    add("--both", help="YAML file of techniques beside the adapter; default: the same")
    add("--adapter_scale", type=float, default=1.0, help="of the adapter alone")
    add("--both_scale", type=float, default=1.0, help="of it beside techniques")
    add("--variants", type=int, nargs="+", default=[], metavar="N")
    add("--systems", nargs="+", metavar="NAME", help="of the table; default: all")
    add("--output", required=True, help="Markdown file of the table")
    add("--json", help="file of all counts and rates")
    return parser


def _techniques(path: str | None) -> Techniques:
    if path is None:
        return Techniques()
    text = Path(path).read_text(encoding="utf-8")
    return Techniques.from_mapping(yaml.safe_load(text))


def ablate(args: argparse.Namespace, command: str) -> str:
    """Decode and score; write the files; return the page.

    Raises:
        ConfigError: files or options that do not go together.
        CheckpointMismatch: model or adapter are of other parameters.
    """
    named: dict[str, list[tuple[str, str]]] = {}
    for argument in args.lists:
        name, _, files = argument.partition("=")
        if not name or not files:
            raise config.ConfigError(f"--lists {name}: write NAME=FILE, as in 100=FILE")
        if name in named:
            raise config.ConfigError(f"--lists {name}: two have this name")
        pairs = (one.partition(":")[::2] for one in files.split(","))
        named[name] = [(given, judge or given) for given, judge in pairs]
    try:
        trained, lm = load_model(args)
        techniques = _techniques(args.techniques)
        both = None
        if trained.adapted is not None:
            both = techniques if args.both is None else _techniques(args.both)
        elif args.both is not None:
            raise config.ConfigError("--both goes with an adapter: give its two files")
        for one in (techniques, *((both,) if both is not None else ())):
            check_effects(one, lm)
        systems = contenders(
            techniques, both, (args.adapter_scale, args.both_scale), args.variants
        )
        systems = chosen(systems, args.systems)
        speech = trained.read(args.data)
        paths = [path for draws in named.values() for pair in draws for path in pair]
        lists = read_model_lists(trained, args.data, speech, paths)
        run = Ablation(trained, speech, lm, args.beam_size, systems)
        rows, content = [], {}
        for name, draws in named.items():
            scored, changed = run((lists[a], lists[b]) for a, b in draws)
            rows += [row(name, one, scored[0]) for one in scored]
            content[name] = {
                one.name: {**figures(one.total), "changed": changed[one.name]}
                for one in scored
            }
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise config.ConfigError(str(error)) from error
    page = markdown_table(HEADER, rows) + f"\n```sh\n{command}\n```\n"
    write_atomic(args.output, page)
    if args.json:
        made = {"lists": content, "command": command, "versions": versions()}
        write_atomic(args.json, json.dumps(made, indent=1) + "\n")
    return page


def main(cmd: list[str] | None = None) -> int:
    """Decode, score and print; return 1 and say what is wrong."""
    given = sys.argv[1:] if cmd is None else cmd
    args = get_parser().parse_args(given)
    command = "python -m espnet_dynlook.recipe.names_ablation " + shlex.join(given)
    try:
        print(ablate(args, command), end="")
    except (config.ConfigError, CheckpointMismatch) as error:
        print(f"names_ablation: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
