"""One training step of dynlook_conformer against ESPnet's conformer, side by side.

Both encoders have equal sizes, weights, masks (lookahead: full, causal_conv: false) and
data. Steps (forward, CTC loss, backward, clipping, Adam) alternate within one run, so
that a busy machine disturbs both alike; the figure is the ratio of the medians. ESPnet
stands with the faster of its attention paths. With --schedulers, encoders that learn
their lookahead stand beside, with a penalty on latency: while masks are soft, and after
the annealing (straight-through). Memory is the peak of a step on a GPU; on a CPU, what
the forward pass keeps for the backward pass.

    python benchmarks/train_step.py                     # 12 x 256, 15 s, float32, bf16
    python benchmarks/train_step.py --blocks 4 --size 64 --steps 20
    python benchmarks/train_step.py --schedulers segment --dtype float32
"""

import argparse
import statistics
import time

import torch

from espnet_dynlook.compat import accepts_keyword, espnet_imports

with espnet_imports():
    import espnet
    from espnet2.asr.ctc import CTC
    from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

    from espnet_dynlook.encoder.conformer import DynlookConformerEncoder

from espnet_dynlook.lookahead.dynamic import SCHEDULERS
from espnet_dynlook.lookahead.penalty import LatencyPenalty

OURS = "dynlook_conformer"
MELS, VOCABULARY, TOKENS_PER_SECOND = 80, 500, 4


class Contender:
    """An encoder with a CTC head, and how to take one training step with it."""

    def __init__(self, encoder, device, dtype):
        self.encoder = encoder.to(device).train()
        self.ctc = CTC(VOCABULARY, encoder.output_size()).to(device)
        self.parameters = [*self.encoder.parameters(), *self.ctc.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters)
        self.device, self.dtype = device, dtype
        learned = getattr(encoder, "scheduler", None) is not None
        self.penalty = LatencyPenalty("relative") if learned else None
        self.times = []

    def loss(self, features, lengths, targets, target_lengths):
        amp = self.dtype is not torch.float32
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=amp):
            hidden, hidden_lengths, _ = self.encoder(features, lengths)
        loss = self.ctc(hidden.float(), hidden_lengths, targets, target_lengths)
        if self.penalty is not None:
            loss = loss + self.penalty(self.encoder.lookahead).loss
        return loss

    def memory(self, data):
        """Return bytes: the peak of a step, or what is kept for the backward pass."""
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            self.step(*data)
            return torch.cuda.max_memory_allocated() - before
        kept = {}

        def keep(tensor):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = self.loss(*data)
        del loss
        return sum(kept.values())

    def step(self, features, lengths, targets, target_lengths):
        started = time.perf_counter()
        loss = self.loss(features, lengths, targets, target_lengths)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 5.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter() - started)
        return loss.item()


def contenders(args, device, dtype):
    """Return the encoders by name; ours first."""
    keys = {
        "output_size": args.size,
        "attention_heads": args.heads,
        "linear_units": args.size * 4,
        "num_blocks": args.blocks,
        "macaron_style": True,
        "rel_pos_type": "latest",
        "cnn_module_kernel": 31,
        "attention_dropout_rate": 0.0,
    }
    encoders = {
        OURS: DynlookConformerEncoder(
            MELS, lookahead="full", causal_conv=False, **keys
        ),
        "conformer": ConformerEncoder(MELS, **keys),
    }
    if accepts_keyword(ConformerEncoder, "use_sdpa"):
        encoders["conformer, use_sdpa"] = ConformerEncoder(MELS, use_sdpa=True, **keys)
    state = encoders["conformer"].state_dict()
    for scheduler in args.schedulers:
        for phase, progress in (("soft", 0.4), ("straight-through", 0.9)):
            encoder = DynlookConformerEncoder(
                MELS,
                lookahead="dynamic",
                lookahead_scheduler=scheduler,
                lookahead_frames=args.frames,
                **keys,
            )
            encoder.set_progress(progress)
            encoders[f"{scheduler}, {phase}"] = encoder
    for encoder in encoders.values():
        # Strict but for the schedulers, which ESPnet's has none of.
        missing, unexpected = encoder.load_state_dict(state, strict=False)
        assert not unexpected
        assert all(key.startswith("scheduler.") for key in missing)
    return {name: Contender(e, device, dtype) for name, e in encoders.items()}


def batch(args, device):
    generator = torch.Generator().manual_seed(0)
    frames = int(args.seconds * 100)
    features = torch.randn(args.batch, frames, MELS, generator=generator)
    tokens = int(args.seconds * TOKENS_PER_SECOND)
    targets = torch.randint(1, VOCABULARY, (args.batch, tokens), generator=generator)
    lengths = torch.full((args.batch,), frames)
    target_lengths = torch.full((args.batch,), tokens)
    return [x.to(device) for x in (features, lengths, targets, target_lengths)]


def measure(args, device, dtype):
    """Print the medians of interleaved steps and the ratio to the faster of ESPnet."""
    teams = contenders(args, device, dtype)
    data = batch(args, device)
    memory = {name: contender.memory(data) for name, contender in teams.items()}
    losses = {}
    for index in range(args.warmup + args.steps):
        if index == args.warmup:
            for contender in teams.values():
                contender.times.clear()
        order = list(teams.items())
        for name, contender in order if index % 2 else reversed(order):
            losses[name] = contender.step(*data)
    medians = {name: statistics.median(c.times) for name, c in teams.items()}
    for name, median in medians.items():
        print(
            f"{dtype}  {name:28s} {median * 1000:9.1f} ms {memory[name] / 2**20:8.0f} "
            f"MiB   loss {losses[name]:.3f}"
        )
    stock = [name for name in teams if name.startswith("conformer")]
    fastest = min(medians[name] for name in stock)
    least = min(memory[name] for name in stock)
    for name in teams:
        if name not in stock:
            print(
                f"{dtype}  {name}: {medians[name] / fastest:.3f} of the time of the "
                f"faster conformer, {memory[name] / least:.3f} of the memory"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0, help="of an utterance")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--schedulers", nargs="*", default=[], choices=SCHEDULERS, help="to measure too"
    )
    parser.add_argument("--frames", type=int, default=9, help="R of the schedulers")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "both"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(
        f"ESPnet {espnet.__version__}, torch {torch.__version__}, "
        f"{device}, {args.blocks} x {args.size}, {args.batch} x {args.seconds:g} s, "
        f"median of {args.steps} interleaved steps"
    )
    for name in ("float32", "bfloat16"):
        if args.dtype in (name, "both", None):
            measure(args, device, getattr(torch, name))


if __name__ == "__main__":
    main()
