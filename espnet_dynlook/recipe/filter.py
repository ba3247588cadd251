"""Remove utterances that are too short, too long or have no transcript.

Command: ``python -m espnet_dynlook.recipe.filter --in_dir dump/raw/org/train
--out_dir dump/raw/train --fs 16k --min_wav_duration 0.1 --max_wav_duration 20``. What
was removed, and why, goes to ``out_dir/removed``.
"""

import argparse
import sys
from pathlib import Path

from espnet_dynlook.recipe.data_dir import (
    DataDir,
    DataError,
    read_data_dir,
    write_tables,
)
from espnet_dynlook.recipe.format_audio import sampling_rate
from espnet_dynlook.recipe.whole_files import whole_folder


def why_removed(
    data: DataDir, rate: int, min_duration: float, max_duration: float
) -> dict[str, str]:
    """Return the reason for each utterance that must go.

    Args:
        data: With ``num_samples``.
        rate: Samples, or frames of features, per second.
        min_duration: Seconds; shorter utterances go.
        max_duration: Seconds; longer utterances go.
    """
    reasons = {}
    for utt in data.wav:
        seconds = data.num_samples[utt] / rate
        if seconds < min_duration:
            reasons[utt] = f"{seconds:.3f} s, under --min_wav_duration {min_duration:g}"
        elif seconds > max_duration:
            reasons[utt] = f"{seconds:.3f} s, over --max_wav_duration {max_duration:g}"
        elif not data.text[utt]:
            reasons[utt] = "empty transcript"
    return reasons


def filter_data_dir(
    in_dir: str | Path,
    out_dir: str | Path,
    rate: int,
    min_duration: float,
    max_duration: float,
) -> dict[str, str]:
    """Write ``out_dir`` without the utterances that ``why_removed`` names.

    Returns:
        The reasons, by utterance.

    Raises:
        DataError: A faulty directory, or nothing would be left.
    """
    data = read_data_dir(in_dir, allow_empty_text=True)
    lost = [utt for utt in data.wav if utt not in data.num_samples]
    if lost:
        raise DataError(
            [f"{in_dir}/{data.lengths_file}: {lost[0]} is missing: run stage 3 again"]
        )
    reasons = why_removed(data, rate, min_duration, max_duration)
    kept = [utt for utt in data.wav if utt not in reasons]
    if not kept:
        utt, reason = next(iter(reasons.items()))
        raise DataError(
            [f"{in_dir}: all {len(reasons)} utterances would go; {utt}: {reason}"]
        )
    result = DataDir(
        wav={utt: data.wav[utt] for utt in kept},
        text={utt: data.text[utt] for utt in kept},
        utt2spk={utt: data.utt2spk[utt] for utt in kept},
        num_samples={utt: data.num_samples[utt] for utt in kept},
        extracted=data.extracted,
    )
    with whole_folder(out_dir) as partial:
        write_tables(partial, result)
        (partial / "removed").write_text(
            "".join(f"{utt} {reason}\n" for utt, reason in sorted(reasons.items())),
            encoding="utf-8",
        )
    return reasons


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Remove utterances by length, and those without a transcript."
    )
    parser.add_argument("--in_dir", required=True)
    parser.add_argument("--out_dir", required=True)
    parser.add_argument(
        "--fs", type=sampling_rate, default=16000, help="samples, or frames, a second"
    )
    parser.add_argument("--min_wav_duration", type=float, default=0.1, help="seconds")
    parser.add_argument("--max_wav_duration", type=float, default=20, help="seconds")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Filter; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        reasons = filter_data_dir(
            args.in_dir,
            args.out_dir,
            args.fs,
            args.min_wav_duration,
            args.max_wav_duration,
        )
    except DataError as error:
        print(f"{len(error.faults)} faults\n{error}", file=sys.stderr)
        return 1
    print(f"{args.out_dir}: {len(reasons)} utterances removed")
    for utt, reason in list(reasons.items())[:20]:
        print(f"  {utt}: {reason}")
    if len(reasons) > 20:
        print(f"  ... all of them are in {args.out_dir}/removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
