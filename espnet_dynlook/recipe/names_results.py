r"""Score what was decoded with lists of names: every system and list in one table.

Reads ``FOLDER/base/SET/text`` and ``FOLDER/SYSTEM/SET.LIST.SEED/text``, as stage 17
of a recipe writes them, and the lists ``LISTS/SET.LIST.SEED.tsv``. The seeds of a
list are scored together. Writes ``names.md``, which ``recipe.results`` puts on the page
of the experiment, and ``names.json``. Command::

    python -m espnet_dynlook.recipe.names_results exp/asr_x/names_ctc_beam \
        --lists data/biasing --sets test --names 100 100.without --systems base both \
        --asr_train_config exp/asr_x/config.yaml

Lists are spelled as the tokens of the model are, which its configuration has.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook.biasing.lists import ListError, read_lists, spelled
from espnet_dynlook.biasing.spelling import Spelling
from espnet_dynlook.recipe.biasing_score import (
    FALSE,
    RATIOS,
    System,
    figures,
    read_system,
)
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.score import versions
from espnet_dynlook.recipe.whole_files import write_atomic

BASE = "base"
HEADER = [
    *("list", "system", *(f"{measure} (%)" for measure in RATIOS)),
    *("U-WER - base", "names said", "false insertions per 100"),
]


def read_spelling(train_config: str | None) -> Callable[[str], str]:
    """Return how a model spells; without its configuration, nothing changes.

    Raises:
        DataError: The file is missing, faulty, or has no token list.
    """
    if train_config is None:
        return str
    try:
        found = yaml.safe_load(Path(train_config).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError([f"--asr_train_config {train_config}: {error}"]) from None
    tokens = found.get("token_list") if isinstance(found, dict) else None
    if not isinstance(tokens, list):
        raise DataError(
            [f"--asr_train_config {train_config}: no token_list, as a training writes"]
        )
    return Spelling(map(str, tokens))


def read_scores(
    folder: Path,
    lists: Path,
    dset: str,
    name: str,
    seeds: list[str],
    system: str,
    spelling: Callable[[str], str] = str,
) -> System:
    """Score a system with one kind of list, all its seeds together.

    Args:
        folder: With a folder for each system.
        lists: With the lists.
        dset: Name of the set.
        name: Of the lists, such as ``100`` or ``100.without``.
        seeds: Of their distractors.
        system: Its name; ``base`` was decoded without lists.
        spelling: Of the model.

    Raises:
        DataError: A file is missing or faulty.
        ListError: A file of lists is faulty.
    """
    files = [lists / f"{dset}.{name}.{seed}.tsv" for seed in seeds]
    texts = [folder / system / f"{dset}.{name}.{seed}" / "text" for seed in seeds]
    if system == BASE:
        texts = [folder / BASE / dset / "text"] * len(seeds)
    for paths, stage in ((files, 15), (texts, 17)):
        for path in paths:
            if not path.is_file():
                raise DataError([f"{path} does not exist: run stage {stage}"])
    references = [spelled(read_lists(file), spelling) for file in files]
    argument = f"{system}={','.join(map(str, texts))}"
    advice = "give the model's --asr_train_config"
    return read_system(argument, references, False, advice)


def row(name: str, system: System, base: System | None) -> list[str]:
    """Return the cells of a system with one kind of list."""
    total = system.total
    rates = figures(total)["rates"]
    cells = ["-" if rates[m] is None else f"{100 * rates[m]:.2f}" for m in RATIOS]
    difference = "-"
    if base is not None and base is not system:
        before = figures(base.total)["rates"]["U-WER"]
        if before is not None and rates["U-WER"] is not None:
            difference = f"{100 * (rates['U-WER'] - before):+.2f}"
    said, wrong = str(total.entities.reference), f"{rates[FALSE]:.2f}"
    return [name, system.name, *cells, difference, said, wrong]


def score(args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return the page and the content of the JSON file.

    Raises:
        DataError: A file is missing or faulty.
        ListError: A file of lists is faulty.
    """
    folder, lists = Path(args.folder), Path(args.lists)
    page = [f"\n## {folder.name}\n"]
    content: dict[str, Any] = {"seeds": args.seeds, "sets": {}}
    spelling = read_spelling(args.asr_train_config)
    for dset in args.sets:
        rows, scored = [], content["sets"].setdefault(dset, {})
        for name in args.names:
            systems = [
                read_scores(folder, lists, dset, name, args.seeds, system, spelling)
                for system in args.systems
            ]
            base = next((one for one in systems if one.name == BASE), None)
            rows += [row(name, system, base) for system in systems]
            scored[name] = {one.name: figures(one.total) for one in systems}
        page.append(f"\n{dset}:\n\n" + markdown_table(HEADER, rows))
    page.append(
        "\nList: distractors an utterance beside what is said of the list; without: "
        f"nothing of it is said. Seeds: {', '.join(args.seeds)}.\n"
    )
    content["versions"] = versions()
    if args.command:
        content["command"] = args.command
        page.append(f"\n```sh\n{args.command}\n```\n")
    return "".join(page), content


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Score what was decoded with lists of names."
    )
    parser.add_argument("folder", help="such as exp/asr_x/names_ctc_beam")
    parser.add_argument("--lists", required=True, help="folder of the lists")
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument(
        "--names", nargs="+", required=True, help="lists, such as 100 100.without"
    )
    parser.add_argument("--seeds", nargs="+", default=["0"])
    parser.add_argument("--systems", nargs="+", required=True)
    parser.add_argument(
        "--asr_train_config", help="config.yaml of the model: lists are spelled as it"
    )
    parser.add_argument("--command", help="what made the results, for the page")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Score; return 1 and print what is wrong where something is."""
    args = get_parser().parse_args(cmd)
    try:
        page, content = score(args)
    except (DataError, ListError) as error:
        print(error, file=sys.stderr)
        return 1
    write_atomic(Path(args.folder, "names.md"), page)
    write_atomic(Path(args.folder, "names.json"), json.dumps(content, indent=1) + "\n")
    print(page, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
