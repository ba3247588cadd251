"""Random lookahead graphs for the tests of this folder."""

import random

import torch


def contiguous(density, batch, frames, ahead, generator):
    """Return a binary band (B, T, R) whose rows see an unbroken run of frames."""
    keep = (torch.rand(batch, frames, ahead, generator=generator) < density).float()
    return keep.cumprod(dim=-1)


def random_graph(seed, *, unbroken=False, soft=False):
    """Return bands (B, T, R) of some layers and ragged lengths.

    Nothing is seen past the end of an utterance, as in the encoders' traces.
    """
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    layers, frames, ahead = rng.randint(1, 4), rng.randint(1, 9), rng.randint(1, 4)
    batch = rng.randint(1, 3)
    lengths = [frames] + [rng.randint(1, frames) for _ in range(batch - 1)]
    column = torch.arange(frames)[:, None] + torch.arange(1, ahead + 1)
    inside = (column < torch.tensor(lengths)[:, None, None]).float()
    bands = []
    for _ in range(layers):
        density = rng.random()
        if unbroken:
            band = contiguous(density, batch, frames, ahead, generator)
        else:
            shape = (batch, frames, ahead)
            band = (torch.rand(shape, generator=generator) < density).float()
        if soft:
            band = torch.rand(batch, frames, ahead, generator=generator).cumprod(-1)
        bands.append(band * inside)
    return tuple(bands), torch.tensor(lengths)
