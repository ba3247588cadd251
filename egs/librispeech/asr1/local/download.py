#!/usr/bin/env python3
"""Fetch parts of LibriSpeech (openslr.org/12, CC BY 4.0).

Interrupted transfers go on where they stopped. The sums are those that torchaudio
publishes for the same files (torchaudio/datasets/librispeech.py, BSD-2-Clause).
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from espnet_dynlook.recipe.download import DownloadError, download, extract

BASE_URL = "http://www.openslr.org/resources/12/"
SHA256 = dict(
    line.split()
    for line in """
dev-clean 76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3
dev-other 12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365
test-clean 39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23
test-other d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29
train-clean-100 d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2
train-clean-360 146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf
train-other-500 ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2
""".strip().splitlines()
)


def download_parts(
    parts: Iterable[str], downloads: Path, base_url: str = BASE_URL
) -> Path:
    """Fetch and unpack parts of the corpus; what is there already is left alone.

    Args:
        parts: Such as ``train-clean-100``.
        downloads: Archives go there, and ``LibriSpeech/<part>`` below it.
        base_url: Where the archives are, for a mirror.

    Returns:
        ``downloads / "LibriSpeech"``.

    Raises:
        DownloadError: There is no such part, or it could not be fetched.
    """
    wanted = list(dict.fromkeys(parts))
    unknown = [part for part in wanted if part not in SHA256]
    if unknown:
        raise DownloadError(
            f"LibriSpeech has no part {', '.join(unknown)}: choose from "
            f"{', '.join(SHA256)}"
        )
    for part in wanted:
        if not (downloads / "LibriSpeech" / part).is_dir():
            archive = downloads / f"{part}.tar.gz"
            download(f"{base_url}{part}.tar.gz", archive, SHA256[part])
            extract(archive, downloads, f"LibriSpeech/{part}")
    return downloads / "LibriSpeech"


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("downloads", type=Path)
    parser.add_argument("parts", nargs="+", help="such as train-clean-100")
    parser.add_argument("--base_url", default=BASE_URL, help="a mirror")
    args = parser.parse_args(argv)
    try:
        print(download_parts(args.parts, args.downloads, args.base_url))
    except DownloadError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
