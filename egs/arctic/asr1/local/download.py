#!/usr/bin/env python3
"""Fetch CMU ARCTIC voices from festvox.org, about 100 MB each.

Interrupted transfers go on where they stopped. The sums are those that torchaudio
publishes for the same files (torchaudio/datasets/cmuarctic.py, BSD-2-Clause).
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from espnet_dynlook.recipe.download import DownloadError, download, extract

BASE_URL = "http://festvox.org/cmu_arctic/packed/"
DEFAULT_VOICES = ["bdl", "slt"]
SHA256 = {
    "aew": "645cb33c0f0b2ce41384fdd8d3db2c3f5fc15c1e688baeb74d2e08cab18ab406",
    "ahw": "024664adeb892809d646a3efd043625b46b5bfa3e6189b3500b2d0d59dfab06c",
    "aup": "2c55bc3050caa996758869126ad10cf42e1441212111db034b3a45189c18b6fc",
    "awb": "d74a950c9739a65f7bfc4dfa6187f2730fa03de5b8eb3f2da97a51b74df64d3c",
    "axb": "dd65c3d2907d1ee52f86e44f578319159e60f4bf722a9142be01161d84e330ff",
    "bdl": "26b91aaf48b2799b2956792b4632c2f926cd0542f402b5452d5adecb60942904",
    "clb": "3f16dc3f3b97955ea22623efb33b444341013fc660677b2e170efdcc959fa7c6",
    "eey": "8a0ee4e5acbd4b2f61a4fb947c1730ab3adcc9dc50b195981d99391d29928e8a",
    "fem": "3fcff629412b57233589cdb058f730594a62c4f3a75c20de14afe06621ef45e2",
    "gka": "dc82e7967cbd5eddbed33074b0699128dbd4482b41711916d58103707e38c67f",
    "jmk": "3a37c0e1dfc91e734fdbc88b562d9e2ebca621772402cdc693bbc9b09b211d73",
    "ksp": "8029cafce8296f9bed3022c44ef1e7953332b6bf6943c14b929f468122532717",
    "ljm": "b23993765cbf2b9e7bbc3c85b6c56eaf292ac81ee4bb887b638a24d104f921a0",
    "lnh": "4faf34d71aa7112813252fb20c5433e2fdd9a9de55a00701ffcbf05f24a5991a",
    "rms": "c6dc11235629c58441c071a7ba8a2d067903dfefbaabc4056d87da35b72ecda4",
    "rxr": "1fa4271c393e5998d200e56c102ff46fcfea169aaa2148ad9e9469616fbfdd9b",
    "slp": "54345ed55e45c23d419e9a823eef427f1cc93c83a710735ec667d068c916abf1",
    "slt": "7c173297916acf3cc7fcab2713be4c60b27312316765a90934651d367226b4ea",
}


def download_voices(
    voices: Iterable[str], downloads: Path, base_url: str = BASE_URL
) -> Path:
    """Fetch and unpack voices; what is there already is left alone.

    Args:
        voices: Such as ``bdl``.
        downloads: Archives go there, and unpacked voices below it.
        base_url: Where the archives are.

    Returns:
        The folder that holds exactly these voices, each unpacked.

    Raises:
        DownloadError: There is no such voice, or it could not be fetched.
    """
    names = sorted(set(voices))
    unknown = [name for name in names if name not in SHA256]
    if unknown:
        raise DownloadError(
            f"no CMU ARCTIC voice {', '.join(unknown)}: choose from "
            f"{', '.join(sorted(SHA256))}"
        )
    folder = downloads / ("arctic_" + "_".join(names))
    for name in names:
        packed = f"cmu_us_{name}_arctic"
        archive = downloads / f"{packed}.tar.bz2"
        if not (folder / packed).is_dir():
            download(f"{base_url}{packed}.tar.bz2", archive, SHA256[name])
            extract(archive, folder, packed)
    return folder


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("downloads", type=Path)
    parser.add_argument("--voices", nargs="+", default=DEFAULT_VOICES)
    parser.add_argument("--base_url", default=BASE_URL, help="a mirror")
    args = parser.parse_args(argv)
    try:
        print(download_voices(args.voices, args.downloads, args.base_url))
    except DownloadError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
