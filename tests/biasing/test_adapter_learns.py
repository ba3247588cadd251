"""An adapter learns, in seconds, to write names as a list spells them."""

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter

SOUNDS = 20  # each is written with either of two letters
LENGTH, SIZE, FRAMES = 4, 64, 2
BLANK = 0


class Spoken:
    """Frames that tell sounds and not letters, and a frozen head that hears both."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        vectors = torch.randn(3 * SOUNDS + 1, SIZE, generator=generator)
        vectors = torch.nn.functional.normalize(vectors, dim=1)
        self.sounds, letters = vectors[:SOUNDS], vectors[SOUNDS:-1]
        rows = self.sounds.repeat_interleave(2, dim=0) + letters
        self.head = torch.cat((vectors[-1:] * 0.1, rows)) * 3  # (1 + 2 S, D)

    def say(self, words):
        """Return outputs of a layer, which knows the word, and of the last, (B, T, D).

        Args:
            words: Letters from 1 (B, LENGTH).
        """
        heard = self.sounds[(words - 1) // 2] * 3  # (B, LENGTH, D)
        last = heard.repeat_interleave(FRAMES, dim=1)
        return [heard.sum(1, keepdim=True).expand_as(last), last]

    def letters(self, last, bias):
        """Return which letter each frame is written with (B, T)."""
        return ((last + bias) @ self.head.T)[..., 1:].argmax(-1) + 1


def draw(number, generator):
    return torch.randint(1, 2 * SOUNDS + 1, (number, LENGTH), generator=generator)


def lists(words, generator, true):
    """Return a shared list of the words and others, and who has which (B, N)."""
    names = torch.cat((words, draw(len(words), generator))).tolist()
    present = torch.rand(len(words), len(names), generator=generator) < 0.5
    own = torch.arange(len(words))
    present[own, own] = true
    return [[name] for name in names], present


def share_right(speech, adapter, words, generator, true):
    hs = speech.say(words)
    names, present = lists(words, generator, true)
    catalog = adapter.encode(names).of(present)
    bias, heads = adapter(hs, catalog)
    attention = catalog.by_name(heads.mean(1))
    right = speech.letters(hs[-1], bias) == words.repeat_interleave(FRAMES, dim=1)
    return right.float().mean().item(), attention


def test_names_never_seen_in_training_are_written_as_in_the_list():
    speech, generator = Spoken(), torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    adapter = ContextualAdapter((1,), True, SIZE, 2 * SOUNDS + 1, 64, 2, 0.0)
    adapter.start_from(speech.head)
    optimizer = torch.optim.Adam(adapter.parameters(), lr=5e-3)
    lengths = torch.full((16,), LENGTH * FRAMES)
    sizes = torch.full((16,), LENGTH)
    test = draw(64, torch.Generator().manual_seed(2))
    before, _ = share_right(speech, adapter, test, generator, True)
    for _ in range(500):
        words = draw(16, generator)
        names, present = lists(words, generator, True)
        present[:5, :16] &= ~torch.eye(16, dtype=torch.bool)[:5]  # 30 % without
        hs = speech.say(words)
        catalog = adapter.encode(names).of(present)
        bias, heads = adapter(hs, catalog)
        log_probs = ((hs[-1] + bias) @ speech.head.T).log_softmax(-1)
        loss = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1), words, lengths, sizes, BLANK, zero_infinity=True
        )
        paths = torch.tensor([ways[0] for ways in catalog.lists[0].paths[:16]])
        said = paths.repeat_interleave(FRAMES, dim=1)[5:, None, :, None]
        right = heads[5:].gather(3, 1 + said.expand(-1, heads.size(1), -1, -1))
        loss = loss - 0.5 * right.clamp(min=1e-6).log().mean()
        loss = loss - 0.5 * heads[:5, ..., 0].clamp(min=1e-6).log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    adapter.eval()
    with torch.no_grad():
        after, attention = share_right(speech, adapter, test, generator, True)
        own = torch.arange(64)
        on_name = attention[own, :, 1 + own].mean()
        without, elsewhere = share_right(speech, adapter, test, generator, False)
    assert before < 0.6  # a letter or the other
    assert after > 0.65 and on_name > 0.3  # among some 64 names
    assert without < after - 0.1  # it is the list that says it
    assert elsewhere[..., 0].mean() > attention[..., 0].mean()
