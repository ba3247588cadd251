"""Streaming encoders side by side: seconds of computing for a second of audio.

One run, one thread, random weights, features of 10 ms. Every encoder has its own
streams, which go on from stretch to stretch; stretches alternate between the encoders,
so that a busy machine disturbs all alike; the figure is the median over the stretches.
Beside ours: ESPnet's contextual_block_conformer with its default block, hop and
look-ahead, torchaudio's Emformer (a Transformer without convolution, so with about half
the work a layer), and our own offline pass of the same encoder over utterances of 15 s.

    python benchmarks/streaming.py                      # 12 x 256, 160 and 640 ms
    python benchmarks/streaming.py --blocks 4 --size 64 --rounds 3
"""

import argparse
import statistics
import time

import torch
import torchaudio

from espnet_dynlook.compat import espnet_imports

with espnet_imports():
    import espnet
    from espnet2.asr.encoder.contextual_block_conformer_encoder import (
        ContextualBlockConformerEncoder,
    )

    from espnet_dynlook.encoder.conformer import DynlookConformerEncoder
    from espnet_dynlook.encoder.transformer import DynlookTransformerEncoder

MELS = 80
FRAMES_PER_SECOND = 100
OFFLINE_SECONDS = 15
#: What may be seen of the past in one layer, in frames of 40 ms, by all but the
#: contextual blocks, which have a way of their own.
LEFT_CONTEXT = 64
#: Frames of 40 ms in a chunk, and in one as long as a contextual block's hop.
CHUNK, LONG_CHUNK = 4, 16
#: Frames of 40 ms of torchaudio's right context.
RIGHT_CONTEXT = 1


class Ours:
    """An encoder of this plugin over several streams."""

    def __init__(self, encoder, streams):
        self.encoder, self.streams = encoder.eval(), streams
        self.state = self.encoder.initial_state(streams)

    def push(self, feats):
        self.state = self.encoder.step(self.state, feats)[2]


class Offline:
    """The offline pass, whole utterances."""

    streams = 1

    def __init__(self, encoder):
        self.encoder = encoder.eval()

    def push(self, feats):
        self.encoder(feats, torch.tensor([feats.shape[1]]))


class ContextualBlock:
    """ESPnet's streaming Conformer."""

    streams = 1

    def __init__(self, encoder):
        self.encoder, self.state = encoder.eval(), None

    def push(self, feats):
        lengths = torch.tensor([feats.shape[1]])
        self.state = self.encoder(
            feats, lengths, self.state, is_final=False, infer_mode=True
        )[2]


class Emformer:
    """torchaudio's Emformer behind a linear layer over four stacked frames."""

    streams = 1

    def __init__(self, args, packet):
        self.embed = torch.nn.Linear(4 * MELS, args.size)
        self.segment, right = packet // 4, RIGHT_CONTEXT
        self.encoder = torchaudio.models.Emformer(
            args.size,
            args.heads,
            4 * args.size,
            args.blocks,
            self.segment,
            left_context_length=LEFT_CONTEXT,
            right_context_length=right,
        ).eval()
        self.ahead, self.state = torch.zeros(1, right, args.size), None

    def push(self, feats):
        x = self.embed(feats.unflatten(1, (-1, 4)).flatten(2))
        both = torch.cat((self.ahead, x), dim=1)
        self.ahead = both[:, self.segment :]
        lengths = torch.tensor([both.shape[1]])
        self.state = self.encoder.infer(both, lengths, self.state)[2]


def ours(args, kind, encoder=DynlookConformerEncoder, streams=1, **keys):
    """Return streams of our encoder; one that learned is neither shut nor open."""
    keys = {"lookahead": kind, "left_context": LEFT_CONTEXT, **keys}
    if encoder is DynlookConformerEncoder:
        keys |= {"macaron_style": True, "cnn_module_kernel": 31}
        keys |= {"rel_pos_type": "latest"}
    made = encoder(
        MELS,
        output_size=args.size,
        attention_heads=args.heads,
        linear_units=4 * args.size,
        num_blocks=args.blocks,
        **keys,
    )
    return Ours(made, streams)


def contenders(args, packet):
    """Return the encoders by name, for packets of so many features."""
    chunk = {"lookahead_frames": CHUNK - 1}
    long = {"lookahead_frames": LONG_CHUNK - 1}
    learned = {"lookahead_frames": 2 * CHUNK - 1, "scheduler_bias": 0.5}
    found = {
        "causal": ours(args, "causal"),
        "chunked": ours(args, "chunked", **chunk),
        "chunked, 640 ms": ours(args, "chunked", **long),
        "dynamic, segment": ours(args, "dynamic", **learned),
        "chunked, transformer": ours(
            args, "chunked", DynlookTransformerEncoder, **chunk
        ),
        f"chunked, {args.streams} streams": ours(
            args, "chunked", streams=args.streams, **chunk
        ),
        f"dynamic, {args.streams} streams": ours(
            args, "dynamic", streams=args.streams, **learned
        ),
        "emformer": Emformer(args, packet),
        "contextual_block_conformer": ContextualBlock(
            ContextualBlockConformerEncoder(
                MELS,
                output_size=args.size,
                attention_heads=args.heads,
                linear_units=4 * args.size,
                num_blocks=args.blocks,
                macaron_style=True,
                use_cnn_module=True,
                cnn_module_kernel=31,
                ctx_pos_enc=True,
            )
        ),
        "chunked, offline": Offline(ours(args, "chunked", **chunk).encoder),
    }
    return {k: v for k, v in found.items() if not args.only or k in args.only}


def seconds_for_a_second(one, packet, stretch):
    """Return the time of one stretch for a second of its audio (all its streams)."""
    if isinstance(one, Offline):
        packet = stretch = OFFLINE_SECONDS * FRAMES_PER_SECOND
    feats = torch.randn(one.streams, stretch, MELS)
    started = time.perf_counter()
    for begin in range(0, stretch, packet):
        one.push(feats[:, begin : begin + packet])
    spent = time.perf_counter() - started
    return spent * FRAMES_PER_SECOND / (stretch * one.streams)


def measure(args, packet_ms):
    """Return the figures of every encoder: median, least and most."""
    packet = packet_ms * FRAMES_PER_SECOND // 1000
    torch.manual_seed(0)
    found = contenders(args, packet)
    stretch = max(1, round(args.seconds * FRAMES_PER_SECOND / packet)) * packet
    times = {name: [] for name in found}
    with torch.inference_mode():
        for one in found.values():  # fill what is kept of the past
            seconds_for_a_second(one, packet, stretch)
        for _ in range(args.rounds):
            for name, one in found.items():
                times[name].append(seconds_for_a_second(one, packet, stretch))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--packets", type=int, nargs="+", default=[160, 640])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.12, help="of a stretch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="+", help="names of encoders")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{args.blocks} x {args.size}, left context {LEFT_CONTEXT}, one thread, "
        f"ESPnet {espnet.__version__}, torch {torch.__version__}"
    )
    for packet_ms in args.packets:
        times = measure(args, packet_ms)
        medians = {name: statistics.median(t) for name, t in times.items()}
        print(f"\npackets of {packet_ms} ms: seconds for a second of audio (range)")
        for name, t in times.items():
            against = [
                f"{medians[name] / medians[other]:.2f} of {other}"
                for other in ("contextual_block_conformer", "chunked, offline")
                if other in medians and other != name
            ]
            print(
                f"{name:28} {medians[name]:.4f} ({min(t):.4f} to {max(t):.4f})  "
                + ", ".join(against)
            )


if __name__ == "__main__":
    main()
