#!/usr/bin/env python3
"""Fetch VoxPopuli's transcribed English part (CC0).

The annotations and one archive of recordings for each year from 2009 to 2020 come from
Meta's server, to the places where Meta's own scripts put them. Archives hold whole
debates in all languages, take several GB each, and are removed once they are unpacked.
Interrupted transfers go on where they stopped, and years that are there are left alone.
The publisher gives no check sums: sizes are checked, and archives as they are unpacked.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from voxpopuli import annotations

from espnet_dynlook.recipe.download import DownloadError, download, extract

BASE_URL = "https://dl.fbaipublicfiles.com/voxpopuli"
YEARS = tuple(str(year) for year in range(2009, 2021))


def check_years(years: Iterable[str]) -> list[str]:
    """Return the years in order, each once.

    Raises:
        DownloadError: There is no such year.
    """
    wanted = sorted(set(years))
    unknown = [year for year in wanted if year not in YEARS]
    if unknown:
        raise DownloadError(
            f"VoxPopuli has no year {', '.join(unknown)}: choose from "
            f"{YEARS[0]} to {YEARS[-1]}"
        )
    return wanted


def download_voxpopuli(
    root: Path,
    years: Iterable[str] = YEARS,
    accented: bool = False,
    base_url: str = BASE_URL,
) -> Path:
    """Fetch annotations and recordings; what is there already is left alone.

    Args:
        root: Where Meta's layout begins.
        years: Such as ``2019``.
        accented: Whether to fetch the annotations of the accented test set too.
        base_url: Where the files are, for a mirror.

    Returns:
        ``root``.

    Raises:
        DownloadError: There is no such year, or something could not be fetched.
    """
    wanted = check_years(years)
    base_url = base_url.rstrip("/")
    for kind in (False, True) if accented else (False,):
        target = annotations(root, kind)
        download(f"{base_url}/annotations/asr/{target.name}", target)
    audios = root / "raw_audios"
    for year in wanted:
        if not (audios / "original" / year).is_dir():
            archive = audios / f"original_{year}.tar"
            download(f"{base_url}/audios/{archive.name}", archive)
            extract(archive, audios, f"original/{year}")
            archive.unlink()
    return root


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("years", nargs="*", default=YEARS, help="default: all")
    parser.add_argument("--accented", action="store_true")
    parser.add_argument("--base_url", default=BASE_URL, help="a mirror")
    args = parser.parse_args(argv)
    try:
        print(download_voxpopuli(args.root, args.years, args.accented, args.base_url))
    except DownloadError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
