"""Make the token list, and the BPE model where one is needed.

The layout is ESPnet's: ``<blank>``, ``<unk>``, the units, ``<sos/eos>``. Command:
``python -m espnet_dynlook.recipe.tokens --text dump/raw/train/text
--out_dir data/en_token_list/bpe_unigram500 --token_type bpe --nbpe 500``. Texts given
with ``--check_text`` must be covered by the list.
"""

import argparse
import collections
import io
import sys
from collections.abc import Callable
from pathlib import Path

from espnet_dynlook.recipe.cleaner import clean_texts
from espnet_dynlook.recipe.data_dir import DataError, read_text
from espnet_dynlook.recipe.whole_files import whole_folder

BLANK, UNK, SOS_EOS, SPACE = "<blank>", "<unk>", "<sos/eos>", "<space>"


def characters(line: str, symbols: list[str]) -> list[str]:
    """Split into characters, ``<space>``, and whole non-linguistic symbols."""
    units, i = [], 0
    while i < len(line):
        symbol = next((s for s in symbols if line.startswith(s, i)), line[i])
        units.append(SPACE if symbol == " " else symbol)
        i += len(symbol)
    return units


def count_units(
    lines: list[str], split: Callable[[str], list[str]], size: int | None
) -> list[str]:
    """Return the units by falling frequency, at most ``size`` of them."""
    counts = collections.Counter(unit for line in lines for unit in split(line))
    ranked = sorted(counts, key=lambda unit: (-counts[unit], unit))
    return ranked[:size]


def train_bpe(lines: list[str], args: argparse.Namespace) -> bytes:
    """Train a sentencepiece model and return its file's content.

    Raises:
        DataError: The text cannot give that many pieces.
    """
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=args.nbpe,
            model_type=args.bpemode,
            character_coverage=args.bpe_char_cover,
            input_sentence_size=args.bpe_input_sentence_size,
            user_defined_symbols=[s for s in args.bpe_nlsyms.split(",") if s],
            num_threads=1,  # the same pieces on every machine
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).split("] ")[-1].strip()
        raise DataError(
            [f"{args.text}: --nbpe {args.nbpe} is impossible for this text: {reason}"]
        ) from None
    return model.getvalue()


def bpe_pieces(model: bytes) -> list[str]:
    """Return the pieces of a model in its order, without <unk>, <s> and </s>."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [
        processor.id_to_piece(i)
        for i in range(processor.get_piece_size())
        if not (processor.is_unknown(i) or processor.is_control(i))
    ]


def bpe_unknown(model: bytes) -> Callable[[str], list[str]]:
    """Return a function that lists the parts of a line that no piece covers."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def unknown(line: str) -> list[str]:
        encoded = processor.encode(line, out_type="immutable_proto")
        return [
            piece.surface for piece in encoded.pieces if processor.is_unknown(piece.id)
        ]

    return unknown


def check_texts(
    paths: list[str],
    unknown: Callable[[str], list[str]],
    where: str,
    cleaner: str = "none",
) -> list[str]:
    """Return a fault for each line that, cleaned, the token list does not cover."""
    faults = []
    for path in paths:
        lines = clean_texts(read_text(path), cleaner)
        for number, (utt, line) in enumerate(lines.items(), 1):
            parts = unknown(line)
            if parts:
                shown = ", ".join(
                    f"{p!r} (U+{ord(p):04X})" if len(p) == 1 else repr(p)
                    for p in sorted(set(parts))
                )
                faults.append(
                    f"{path}:{number}: {utt} has what is not in {where}: {shown}; "
                    "change the transcript in local/data.sh, or make the list from a "
                    "text that has it (--bpe_train_text)"
                )
    return faults


def make_tokens(args: argparse.Namespace) -> tuple[int, list[str]]:
    """Write ``tokens.txt`` (and ``bpe.model``) whole.

    Returns:
        The number of tokens and warnings, one a line of a checked text that is not
        covered though the options allow it (words, or a coverage under 1).

    Raises:
        DataError: A faulty text, an impossible size, or a text not covered.
    """
    # Training sees what the cleaner gives, so that is what has to have tokens.
    texts = clean_texts(read_text(args.text), args.cleaner)
    lines = [line for line in texts.values() if line]
    if not lines:
        raise DataError([f"{args.text}: no transcript in it"])
    symbols: list[str] = []
    if args.nlsyms_txt != "none":
        symbols = Path(args.nlsyms_txt).read_text(encoding="utf-8").split()
    model, strict = None, True
    if args.token_type == "bpe":
        model = train_bpe(lines, args)
        units = bpe_pieces(model)
        unknown = bpe_unknown(model)
        strict = args.bpe_char_cover >= 1
    else:
        size = None

        def split(line: str) -> list[str]:
            if args.token_type == "char":
                return characters(line, symbols)
            return line.split()

        if args.token_type == "word":
            size, strict = args.word_vocab_size, False
        units = count_units(lines, split, size)
        known = set(units)

        def unknown(line: str) -> list[str]:
            return [unit for unit in split(line) if unit not in known]

    tokens_file = Path(args.out_dir) / "tokens.txt"
    faults = check_texts(args.check_text, unknown, str(tokens_file), args.cleaner)
    if faults and strict:
        raise DataError(faults)
    tokens = [BLANK, UNK, *units, SOS_EOS]
    with whole_folder(args.out_dir) as partial:
        (partial / "tokens.txt").write_text(
            "".join(f"{token}\n" for token in tokens), encoding="utf-8"
        )
        if model is not None:
            (partial / "bpe.model").write_bytes(model)
    return len(tokens), faults


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Make the list of tokens.")
    parser.add_argument("--text", required=True, help="Kaldi text to learn from")
    parser.add_argument("--out_dir", required=True)
    parser.add_argument("--token_type", choices=["bpe", "char", "word"], default="bpe")
    parser.add_argument("--nbpe", type=int, default=500)
    parser.add_argument("--bpemode", choices=["unigram", "bpe"], default="unigram")
    parser.add_argument("--bpe_nlsyms", default="", help="symbols, comma between")
    parser.add_argument("--bpe_char_cover", type=float, default=1.0)
    parser.add_argument("--bpe_input_sentence_size", type=int, default=100_000_000)
    parser.add_argument("--word_vocab_size", type=int, default=10_000)
    parser.add_argument("--nlsyms_txt", default="none", help="one symbol a line")
    parser.add_argument("--cleaner", default="none", help="ESPnet's text cleaner")
    parser.add_argument(
        "--check_text", action="append", default=[], help="text to be covered"
    )
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Make the list; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        size, warnings = make_tokens(args)
    except DataError as error:
        print(f"{len(error.faults)} faults\n{error}", file=sys.stderr)
        return 1
    if warnings:
        print(f"{len(warnings)} lines have <unk>, the first: {warnings[0]}")
    print(f"{args.out_dir}/tokens.txt: {size} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
