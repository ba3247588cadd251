#!/usr/bin/env python3
"""Fetch AN4 from CMU: NIST Sphere recordings, 64 MB.

An interrupted transfer goes on where it stopped. CMU publishes no sum of the file; the
one inside gzip is checked, and then that every utterance of the transcripts is there.
"""

import argparse
import sys
from pathlib import Path

from espnet_dynlook.recipe.download import DownloadError, download, extract

BASE_URL = "http://www.speech.cs.cmu.edu/databases/an4/"
ARCHIVE = "an4_sphere.tar.gz"


def download_an4(downloads: Path, base_url: str = BASE_URL) -> Path:
    """Fetch and unpack the corpus; what is there already is left alone.

    Args:
        downloads: The archive goes there, and the corpus below it.
        base_url: Where the archive is.

    Returns:
        The folder of the corpus.

    Raises:
        DownloadError: It could not be fetched or unpacked.
    """
    if not (downloads / "an4").is_dir():
        archive = download(f"{base_url}{ARCHIVE}", downloads / ARCHIVE)
        extract(archive, downloads, "an4")
    return downloads / "an4"


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--base_url", default=BASE_URL, help="a mirror")
    args = parser.parse_args(argv)
    try:
        print(download_an4(args.downloads, args.base_url))
    except DownloadError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
