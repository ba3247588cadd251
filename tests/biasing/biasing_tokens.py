"""Token lists and tokenizers for tests of names."""

import io

import sentencepiece

from espnet_dynlook.biasing.tokenizers import CharTokenizer, SentencepieceTokenizer

UPPER = ["<blank>", "<unk>", "<space>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "<sos/eos>"]
LOWER = [token if token[0] == "<" else token.lower() for token in UPPER]
CASED = [*UPPER[:-1], *LOWER[3:-2], "<sos/eos>"]

TEXT = [
    "THE CAT SAT ON THE MAT AND LOOKED AT THE OTHER CAT",
    "PHILIP STEELS WENT TO NEW YORK WITH HIS BROTHER JOHN",
    "SHE SELLS SEA SHELLS ON THE SEA SHORE AND BUYS BREAD",
    "QUICK BROWN FOXES JUMP OVER THE LAZY DOG'S BACK",
    "ANOTHER YORKSHIRE MORNING AND NOTHING NEW UNDER THE SUN",
]


def chars(token_list=UPPER):
    return CharTokenizer(token_list)


def pieces(folder, kind="unigram"):
    """Train a small sentencepiece model and return its tokenizer."""
    path = folder / f"{kind}.model"
    if not path.exists():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT * 4),
            model_writer=model,
            vocab_size=60,
            model_type=kind,
            minloglevel=2,
        )
        path.write_bytes(model.getvalue())
    return SentencepieceTokenizer(None, path)
