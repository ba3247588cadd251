# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Recognise speech with a trained model: files, or what comes in live.

::

    dynlook transcribe --model exp/packed.zip speech.flac --format srt
    dynlook transcribe --model exp/packed.zip speech.flac --names names.txt
    arecord -f S16_LE -r 16000 -c 1 | dynlook stream --model exp/packed.zip -
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile

from espnet_dynlook.bin.captions import FORMATS, written
from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.bin.names_options import add_options, names_of, options_of
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.streaming.endpoint import Endpoint
from espnet_dynlook.streaming.transcript import Result

PACKET_MS = 160


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        prog="dynlook", description="Recognise speech with a trained model."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    files = commands.add_parser("transcribe", help="sound files")
    files.add_argument("audio", nargs="+", metavar="FILE", help="of any rate, mono")
    files.add_argument("--format", choices=FORMATS, default="text")
    live = commands.add_parser("stream", help="speech as it comes in")
    live.add_argument(
        "audio",
        nargs="?",
        default="-",
        metavar="FILE",
        help="a sound file at the model's rate, or -: raw samples on standard input, "
        "16 bit, little-endian, mono, at the model's rate",
    )
    live.add_argument(
        "--packet_ms", type=int, default=PACKET_MS, help="taken in at a time"
    )
    live.add_argument(
        "--endpoint_ms",
        type=float,
        help="cut into utterances, a line each, where so long nothing is said",
    )
    for command in (files, live):
        command.add_argument("--model", metavar="ZIP", help="packed model")
        command.add_argument("--asr_train_config", help="or its configuration")
        command.add_argument("--asr_model_file", help="and its checkpoint")
        command.add_argument(
            "--beam",
            type=int,
            help="1: greedy; if left out 1, or 50 where names, a language model or "
            "techniques need a search",
        )
        command.add_argument("--device", default="cpu")
        command.add_argument("--dtype", default="float32")
        command.add_argument("--threads", type=int)
        command.add_argument("--wait", type=float, help="0 to 1, of many latencies")
        add_options(command)
    return parser


def recognizer_of(args: argparse.Namespace) -> Recognizer:
    """Load the model that the arguments name.

    Raises:
        ConfigError: they name none, or two.
    """
    options: dict[str, Any] = {
        key: getattr(args, key) for key in ("device", "dtype", "threads", "wait")
    }
    files = (args.asr_train_config, args.asr_model_file)
    if (args.model is None) == (None in files) or (args.model and any(files)):
        raise ConfigError(
            "give --model ZIP, or --asr_train_config with --asr_model_file"
        )
    options |= options_of(args)
    try:
        if args.model is not None:
            return Recognizer.from_zip(args.model, **options)
        return Recognizer.from_files(*files, **options)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error


def transcribe(args: argparse.Namespace, out: IO[str]) -> None:
    """Write what is said in files, in their order."""
    recognizer = recognizer_of(args)
    if args.format in ("srt", "vtt") and len(args.audio) > 1:
        raise ConfigError(f"--format {args.format} takes one file, not several")
    try:
        audio = [Path(name) for name in args.audio]
        results = recognizer.transcribe_all(audio, names_of(args, recognizer))
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    for name, result in zip(args.audio, results, strict=True):
        out.write(written(result, name, args.format))


def packets(source: str, fs: int, size: int, stdin: IO[bytes]) -> Iterator[np.ndarray]:
    """Give out packets of samples in +-1.

    Args:
        source: A sound file, or -.
        fs: Rate of the model.
        size: Samples in a packet.
        stdin: Where raw samples come from.

    Raises:
        ConfigError: the file has another rate or several channels.
    """
    if source == "-":
        left = b""
        while data := stdin.read(2 * size):
            data = left + data
            whole = len(data) // 2 * 2
            left = data[whole:]
            yield np.frombuffer(data[:whole], "<i2").astype(np.float32) / 32768
        return
    with soundfile.SoundFile(source) as file:
        if file.samplerate != fs or file.channels != 1:
            raise ConfigError(
                f"{source} has {file.samplerate} Hz and {file.channels} channels, and "
                f"streams are {fs} Hz, mono: convert it, or use dynlook transcribe"
            )
        yield from file.blocks(size, dtype="float32")


def stream(args: argparse.Namespace, out: IO[str], stdin: IO[bytes]) -> None:
    """Write what is said while it is said, and at the end the whole."""
    recognizer = recognizer_of(args)
    if args.packet_ms < 1:
        raise ConfigError(f"--packet_ms {args.packet_ms} must be at least 1")
    size = max(1, recognizer.fs * args.packet_ms // 1000)
    try:
        names = names_of(args, recognizer)
        live, shown = recognizer.stream(endpoint_of(args), names), ""
    except ValueError as error:
        raise ConfigError(str(error)) from error
    broken: Exception | None = None

    def write(result: Result) -> None:
        if args.endpoint_ms is not None and not result.text:
            return  # nothing was said there
        out.write(("\r\x1b[K" if shown else "") + result.text + "\n")
        out.flush()

    try:
        for packet in packets(args.audio, recognizer.fs, size, stdin):
            partial = live.push(packet)
            for result in partial.ended:
                write(result)
                shown = ""
            if out.isatty() and (text := partial.text) != shown:
                out.write("\r\x1b[K" + text[-120:])
                out.flush()
                shown = text
    except (soundfile.LibsndfileError, OSError) as error:
        broken = error
    except KeyboardInterrupt:  # the usual way to end a microphone
        pass
    last = live.finish()
    # Of a microphone that is gone, what it heard; of a file that is none, nothing.
    if broken is None or (last.text and not isinstance(broken, BrokenPipeError)):
        for result in (*last.ended, last):
            write(result)
            shown = ""
    if broken is not None:
        raise ConfigError(f"{args.audio}: {broken}") from broken


def endpoint_of(args: argparse.Namespace) -> Endpoint | None:
    """Return where the arguments cut streams.

    Raises:
        ConfigError: the time is out of range.
    """
    if args.endpoint_ms is None:
        return None
    try:
        return Endpoint(silence_ms=args.endpoint_ms)
    except ValueError as error:
        raise ConfigError(f"--endpoint_ms: {error}") from None


def main(cmd: Sequence[str] | None = None) -> None:
    """Recognise.

    Args:
        cmd: Arguments as on the command line; None: those of this process.

    Raises:
        ConfigError: an argument, the model or a file is wrong.
    """
    args = get_parser().parse_args(sys.argv[1:] if cmd is None else cmd)
    if args.command == "transcribe":
        transcribe(args, sys.stdout)
    else:
        stream(args, sys.stdout, sys.stdin.buffer)


def program() -> None:
    """Recognise, and say in one line what the user can put right."""
    with in_one_line("dynlook"):
        main()


if __name__ == "__main__":
    program()
