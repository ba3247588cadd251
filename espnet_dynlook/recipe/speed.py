"""Speed perturbation: copies of a data directory played faster and slower.

The waveform is resampled, so that pitch changes with tempo, as ``sox speed`` does. Ids
get Kaldi's prefix ``sp0.9-``. Command: ``python -m espnet_dynlook.recipe.speed
--in_dir data/train --out_dir data/train_sp --factors "0.9 1.0 1.1"``.
"""

import argparse
import os
import sys
from fractions import Fraction
from pathlib import Path

from espnet_dynlook.recipe.data_dir import (
    DataDir,
    DataError,
    read_data_dir,
    write_tables,
)
from espnet_dynlook.recipe.format_audio import (
    FORMATS,
    AudioError,
    read_audio,
    resample,
    write_audio,
)
from espnet_dynlook.recipe.whole_files import whole_folder
from espnet_dynlook.recipe.workers import map_in_processes

LIMITS = (0.5, 2.0)


def read_factors(text: str) -> list[str]:
    """Split and check a list of speed factors such as ``0.9 1.0 1.1``."""
    factors = text.split()
    for factor in factors:
        try:
            inside = LIMITS[0] <= float(factor) <= LIMITS[1]
        except ValueError:
            inside = False
        if not inside:
            raise argparse.ArgumentTypeError(
                f"speed factor {factor!r} must be a number from {LIMITS[0]} to "
                f"{LIMITS[1]}"
            )
    if not factors or len({float(f) for f in factors}) != len(factors):
        raise argparse.ArgumentTypeError(f"speed factors {text!r} must be different")
    return factors


def _change_one(utt: str, path: str, factor: str, out: str) -> str:
    """Write one recording at another speed; return the fault or ''."""
    try:
        samples, rate = read_audio(path)
    except AudioError as error:
        return str(error)
    # Playing at `factor` times the speed is reading it as if recorded at that rate.
    ratio = Fraction(factor)
    changed = resample(samples, ratio.numerator, ratio.denominator)
    write_audio(out, changed, rate)
    return ""


def perturb_data_dir(
    in_dir: str | Path,
    out_dir: str | Path,
    factors: list[str],
    audio_format: str = "flac",
    nj: int = 1,
    allow_empty_text: bool = False,
) -> DataDir:
    """Write ``out_dir`` with one copy of ``in_dir`` for each factor, or nothing.

    The factor 1 keeps ids and files. Raises DataError with every fault, OSError where
    it cannot be written.
    """
    data = read_data_dir(in_dir, allow_empty_text)
    result = DataDir({}, {}, {})
    utts, paths, speeds, outs = [], [], [], []
    with whole_folder(out_dir) as partial:
        (partial / "data").mkdir()
        for factor in factors:
            prefix = "" if float(factor) == 1 else f"sp{factor}-"
            for utt, path in data.wav.items():
                new = prefix + utt
                result.text[new] = data.text[utt]
                result.utt2spk[new] = prefix + data.utt2spk[utt]
                result.wav[new] = path
                if prefix:
                    name = f"{new}.{audio_format}"
                    result.wav[new] = os.path.join(out_dir, "data", name)
                    utts.append(utt)
                    paths.append(path)
                    speeds.append(factor)
                    outs.append(str(partial / "data" / name))
        found = list(
            map_in_processes(
                _change_one, utts, paths, speeds, outs, nj=nj, uses_torch=True
            )
        )
        where = Path(in_dir) / "wav.scp"
        faults = [f"{where}: {u}: {f}" for u, f in zip(utts, found, strict=True) if f]
        if faults:
            raise DataError(sorted(set(faults)))
        write_tables(partial, result)
    return result


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Copy a data directory at several speeds."
    )
    parser.add_argument("--in_dir", required=True)
    parser.add_argument("--out_dir", required=True)
    parser.add_argument("--factors", type=read_factors, required=True)
    parser.add_argument("--audio_format", choices=FORMATS, default="flac")
    parser.add_argument(
        "--allow_empty_text", choices=["true", "false"], default="false"
    )
    parser.add_argument("--nj", type=int, default=1, help="number of processes")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Perturb; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        data = perturb_data_dir(
            args.in_dir,
            args.out_dir,
            args.factors,
            args.audio_format,
            args.nj,
            args.allow_empty_text == "true",
        )
    except DataError as error:
        print(f"{len(error.faults)} faults\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{args.out_dir} was not written: {error}", file=sys.stderr)
        return 1
    print(f"{args.out_dir}: {len(data.wav)} utterances, factors {args.factors}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
