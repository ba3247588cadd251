"""Bring the recordings of a data directory to one format: mono, one rate, 16 bit.

Recordings that are in that format already are left where they are. Command:
``python -m espnet_dynlook.recipe.format_audio --in_dir data/train
--out_dir dump/raw/org/train --fs 16k --audio_format flac``.
"""

import argparse
import functools
import io
import os
import sys
from pathlib import Path

import numpy as np
import soundfile

from espnet_dynlook.recipe.data_dir import (
    DataDir,
    DataError,
    read_data_dir,
    write_tables,
)
from espnet_dynlook.recipe.whole_files import whole_folder
from espnet_dynlook.recipe.workers import map_in_processes

FORMATS = ("flac", "wav")


class AudioError(Exception):
    """A recording that cannot be used; says which, why and what to do."""


def sampling_rate(value: str) -> int:
    """Read a sampling rate in Hz, such as ``16000``, ``16k`` or ``22.05k``."""
    text = value.strip().lower()
    factor = 1000 if text.endswith("k") else 1
    try:
        rate = round(float(text.removesuffix("k")) * factor)
    except ValueError:
        rate = 0
    if rate <= 0:
        raise argparse.ArgumentTypeError(
            f"sampling rate {value!r} must be a number of Hz, such as 16000 or 16k"
        )
    return rate


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Round samples (N,) in the range of int16, clipping peaks, never wrapping."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def read_audio(path: str) -> tuple[np.ndarray, int]:
    """Read a mono recording.

    Returns:
        Samples (N,) as int16, and the sampling rate in Hz.

    Raises:
        AudioError: The file cannot be read, is truncated, is empty, has more than one
            channel, or has samples that are NaN or infinite.
    """
    try:
        with soundfile.SoundFile(path) as audio:
            if audio.channels != 1:
                raise AudioError(
                    f"{path} has {audio.channels} channels: it must be mono; choose "
                    "or mix the channels in local/data.sh"
                )
            frames, rate = audio.frames, audio.samplerate
            if audio.subtype in ("FLOAT", "DOUBLE"):
                # libsndfile does not scale these to integers: they would be silence.
                wave = audio.read(dtype="float64")
                odd = np.flatnonzero(~np.isfinite(wave))
                if len(odd):
                    raise AudioError(
                        f"{path} has {len(odd)} samples that are no numbers (NaN or "
                        f"infinite), the first is sample {odd[0]}: make it again"
                    )
                samples = to_int16(wave * 32768)
            else:
                samples = audio.read(dtype="int16")
    except (soundfile.LibsndfileError, OSError) as error:
        reason = str(error).rstrip(".")
        raise AudioError(
            f"{path} cannot be read, it may be truncated or no audio file: {reason}"
        ) from None
    if len(samples) != frames:
        raise AudioError(
            f"{path} is truncated: its header says {frames} samples, it holds "
            f"{len(samples)}"
        )
    if not len(samples):
        raise AudioError(f"{path} is empty: no samples in it")
    return samples, rate


@functools.lru_cache(maxsize=8)
def _resampler(from_rate: int, to_rate: int):
    import torchaudio

    return torchaudio.transforms.Resample(from_rate, to_rate)


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Resample int16 samples (N,) from one rate (Hz) to another, clipping peaks."""
    import torch

    wave = torch.from_numpy(samples.astype(np.float32))
    with torch.no_grad():
        out = _resampler(from_rate, to_rate)(wave).numpy()
    return to_int16(out)


def write_audio(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write int16 samples (N,) as 16 bit audio; the format is the path's suffix.

    Raises:
        OSError: It cannot be written, for instance since the disk is full.
    """
    path = Path(path)
    # libsndfile does not report every failed write, so it writes to memory.
    encoded = io.BytesIO()
    kind = path.suffix.removeprefix(".").upper()
    soundfile.write(encoded, samples, rate, subtype="PCM_16", format=kind)
    path.write_bytes(encoded.getvalue())


def _is_formatted(path: str, audio_format: str) -> bool:
    info = soundfile.info(path)
    return info.format.lower() == audio_format and info.subtype == "PCM_16"


def _format_one(
    utt: str, path: str, audio_dir: str, rate: int, audio_format: str, resampling: bool
) -> tuple[str, str | None, int, str]:
    """Return the utterance, its new file's name or None, its samples, the fault."""
    try:
        samples, file_rate = read_audio(path)
        if file_rate != rate and not resampling:
            raise AudioError(
                f"{path} is sampled at {file_rate} Hz and the recipe at {rate} Hz: "
                f"ask for resampling with --resample true, or set --fs {file_rate}"
            )
        if file_rate == rate and _is_formatted(path, audio_format):
            return utt, None, len(samples), ""
        if file_rate != rate:
            samples = resample(samples, file_rate, rate)
        name = f"{utt}.{audio_format}"
        write_audio(os.path.join(audio_dir, name), samples, rate)
    except AudioError as error:
        return utt, None, 0, str(error)
    return utt, name, len(samples), ""


def format_data_dir(
    in_dir: str | Path,
    out_dir: str | Path,
    rate: int,
    audio_format: str = "flac",
    resampling: bool = False,
    nj: int = 1,
    allow_empty_text: bool = False,
) -> DataDir:
    """Write ``out_dir`` with every recording in one format, or nothing.

    Args:
        in_dir: Data directory to read.
        out_dir: Data directory to write; new audio goes to ``out_dir/data``.
        rate: Sampling rate in Hz.
        audio_format: ``flac`` or ``wav``.
        resampling: Whether recordings of another rate are resampled.
        nj: Number of processes.
        allow_empty_text: Whether an empty transcript is accepted.

    Raises:
        DataError: With every fault of the directory and of its recordings.
        OSError: It cannot be written, for instance since the disk is full.
    """
    data = read_data_dir(in_dir, allow_empty_text)
    if data.extracted:
        raise DataError(
            [
                f"{in_dir} has features (feats.scp) and no recordings (wav.scp): set "
                "--feats_type extracted"
            ]
        )
    faults, wav, lengths = [], {}, {}
    with whole_folder(out_dir) as partial:
        audio_dir = partial / "data"
        audio_dir.mkdir()
        work = functools.partial(
            _format_one,
            audio_dir=str(audio_dir),
            rate=rate,
            audio_format=audio_format,
            resampling=resampling,
        )
        utts = sorted(data.wav)
        paths = [data.wav[utt] for utt in utts]
        for utt, name, samples, fault in map_in_processes(
            work, utts, paths, nj=min(nj, len(utts)), uses_torch=resampling
        ):
            if fault:
                faults.append(f"{Path(in_dir) / 'wav.scp'}: {utt}: {fault}")
                continue
            wav[utt] = str(Path(out_dir) / "data" / name) if name else data.wav[utt]
            lengths[utt] = samples
        if faults:
            raise DataError(faults)
        result = DataDir(wav, data.text, data.utt2spk, lengths)
        write_tables(partial, result)
        if not any(audio_dir.iterdir()):
            audio_dir.rmdir()
        (partial / "audio_format").write_text(f"{audio_format}\n", encoding="utf-8")
    return result


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        description="Bring the recordings of a data directory to one format."
    )
    parser.add_argument("--in_dir", required=True)
    parser.add_argument("--out_dir", required=True)
    parser.add_argument("--fs", type=sampling_rate, default=16000, help="rate, in Hz")
    parser.add_argument("--audio_format", choices=FORMATS, default="flac")
    parser.add_argument("--resample", choices=["true", "false"], default="false")
    parser.add_argument(
        "--allow_empty_text", choices=["true", "false"], default="false"
    )
    parser.add_argument("--nj", type=int, default=1, help="number of processes")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Format; return 1 and print every fault where there is one."""
    args = get_parser().parse_args(cmd)
    try:
        data = format_data_dir(
            args.in_dir,
            args.out_dir,
            args.fs,
            args.audio_format,
            args.resample == "true",
            args.nj,
            args.allow_empty_text == "true",
        )
    except DataError as error:
        print(f"{len(error.faults)} faults\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{args.out_dir} was not written: {error}", file=sys.stderr)
        return 1
    hours = sum(data.num_samples.values()) / args.fs / 3600
    print(f"{args.out_dir}: {len(data.wav)} utterances, {hours:.2f} h")
    return 0


if __name__ == "__main__":
    sys.exit(main())
