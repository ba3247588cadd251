"""How long an encoder takes with an adapter, by the length of the list of names.

Encoder and adapter have random weights, which take the time that others take. Every
round encodes the same speech for every list, and times the encoder and what the adapter
does behind it, one after the other: a busy machine slows both alike. The figure is the
median over the rounds of both together over the encoder. With ``--margin`` the base's
CTC head is asked, too; what it says is made up, a token in every third frame and blanks
between. Lists are encoded before, once, as in use; how long that takes stands beside.
The time is that of the thread on the processor.

    python benchmarks/adapter.py                    # dynlook_conformer, 12 x 256, 15 s
    python benchmarks/adapter.py --margin 20        # of what the base may have heard
    python benchmarks/adapter.py --blocks 4 --size 96 --seconds 4 --names 0 100
"""

import argparse
import random
import statistics
import time

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.gru import fast_gru
from espnet_dynlook.search.reach import reached

with espnet_imports():
    from espnet_dynlook.encoder.conformer import DynlookConformerEncoder

from espnet_dynlook.model.adapting import default_layers
from espnet_dynlook.model.taps import LayerTaps

MELS, VOCABULARY = 80, 500


def build(args):
    """Return an encoder, an adapter for it, and what reads its layers."""
    torch.manual_seed(args.seed)
    encoder = DynlookConformerEncoder(
        MELS,
        output_size=args.size,
        attention_heads=args.heads,
        linear_units=4 * args.size,
        num_blocks=args.blocks,
        macaron_style=True,
        rel_pos_type="latest",
        lookahead=args.lookahead,
        lookahead_frames=args.frames,
    ).eval()
    layers = default_layers(encoder)
    adapter = ContextualAdapter(
        layers,
        True,
        args.size,
        VOCABULARY,
        args.adapter_size,
        margin=args.margin,
    ).eval()
    return encoder, adapter, LayerTaps(encoder, layers, "adapter_layers")


def lists(sizes, seed):
    """Return names of 2 to 6 tokens, the longer lists with those of the shorter."""
    draw = random.Random(seed)
    names = [
        [[draw.randrange(1, VOCABULARY - 1) for _ in range(draw.randint(2, 6))]]
        for _ in range(max(sizes))
    ]
    return [names[:size] for size in sizes]


def heard(frames, seed):
    """Return made-up log-probabilities (1, n, V), a token in every third frame."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, frames, VOCABULARY, generator=generator)
    logits[..., 0] += 9.0  # the blank
    said = torch.randint(
        1, VOCABULARY, (len(range(0, frames, 3)),), generator=generator
    )
    logits[0, range(0, frames, 3), said] += 12.0
    return logits.log_softmax(dim=-1)


def timed(action):
    started = time.thread_time()
    found = action()
    return time.thread_time() - started, found


@torch.no_grad()
def main(cmd=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, nargs="+", default=[0, 100, 1000, 10000])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--adapter_size", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0, help="of speech")
    parser.add_argument("--lookahead", default="chunked")
    parser.add_argument("--frames", type=int, default=7, help="lookahead_frames")
    parser.add_argument("--margin", type=float, help="nats, as adapter_margin")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(cmd)
    torch.set_num_threads(1)
    encoder, adapter, taps = build(args)
    ctc = torch.nn.Linear(args.size, VOCABULARY)
    speech = torch.randn(1, int(100 * args.seconds), MELS)
    lengths = torch.tensor([speech.size(1)])
    posteriors = heard(encoder(speech, lengths)[0].size(1), args.seed)
    encoded = [
        timed(lambda n=n: adapter.encode(n)) for n in lists(args.names, args.seed)
    ]

    def bias(out, catalog):
        near = None
        if args.margin is not None:
            ctc(out).log_softmax(dim=-1)
            near, _ = reached(posteriors, catalog, args.margin)
        query, _ = adapter.listen([*taps.take(), out], run=fast_gru)
        return out + adapter.attend(query, catalog, near=near)[0]

    alone, added = [], [[] for _ in encoded]
    for number in range(args.rounds + 1):
        for (_, catalog), own in zip(encoded, added, strict=True):
            encoder_took, (out, *_) = timed(lambda: encoder(speech, lengths))
            took, _ = timed(lambda o=out, c=catalog: bias(o, c))
            if number:  # the first round warms up
                alone.append(encoder_took)
                own.append((took, 1.0 + took / encoder_took))
    print("| names | list, once (ms) | adapter (ms) | as without adapter |")
    print("|---:|---:|---:|---:|")
    print(
        f"| no adapter | | (encoder: {1000 * statistics.median(alone):.1f}) | 1.000 |"
    )
    for names, (once, _), own in zip(args.names, encoded, added, strict=True):
        took, ratio = (statistics.median(of) for of in zip(*own, strict=True))
        print(f"| {names} | {1000 * once:.1f} | {1000 * took:.1f} | {ratio:.3f} |")


if __name__ == "__main__":
    main()
