# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A frozen model with an adapter for names (``model: dynlook_contextual``)."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.draws import CatalogDrawer, DrawConf, split_names
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.fingerprint import fingerprint
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.model.adapting import (
    base_state,
    build_adapter,
    encode_catalog,
    near_names,
)
from espnet_dynlook.model.asr import DynlookASRModel
from espnet_dynlook.model.supervision import Bias, judge
from espnet_dynlook.model.taps import LayerTaps
from espnet_dynlook.search.gru import fast_gru

with espnet_imports():
    from espnet2.torch_utils.device_funcs import force_gatherable

_ADAPTER = "adapter."


class DynlookContextualModel(DynlookASRModel):
    """A trained model, frozen, whose adapter learns to find names of a list.

    The adapter's bias is added to the final output of the encoder, which CTC, the
    attention decoder and the transducer's joint network read. The base stays in
    evaluation mode and out of the checkpoints: these hold the adapter, and the
    fingerprint of the base that it belongs to.

    In training every batch gets a list that is drawn from its transcripts (see
    ``biasing.draws``), or the lists of the data field ``names`` (a data file of type
    ``text`` with ``utterance phrase|phrase``). The loss is that of the base's heads,
    ESPnet's, without intermediate CTC, phones and latency.

    Statistics besides ESPnet's: ``loss_task`` (without the supervision of attention,
    what epochs are compared by), ``loss_attention``, ``attention_recall`` (mean
    attention on the right name where names are), ``no_bias`` (on ``<no-bias>``
    elsewhere).

    Args:
        args: As ESPnet's.
        base_config: ``config.yaml`` of the base's training. Front end, encoder, heads
            and tokens are taken from there, and written into this training's.
        base_model: The base's parameters.
        adapter_layers: Layers, from 1, that the query is made of; None: those with an
            intermediate CTC loss, else those at one and two thirds.
        adapter_use_last: Whether it is also made of the encoder's final output.
        adapter_size: Dimension of attention, over all heads.
        adapter_heads: Heads of attention.
        adapter_dropout: Rate, inside the encoder of names.
        adapter_margin: How far below the base's best path the beginning of a name may
            be, in nats, for a frame to attend to it; None: any distance.
        catalog_size: Names in the list of a batch, at least and at most.
        catalog_without: Share of the utterances whose list has nothing that they say.
        catalog_spans: Share of the names that are spans of tokens, not words.
        catalog_rare: Share of what is said and listed that is chosen for its many
            tokens, as names and rare words have; the rest is chosen blindly.
        catalog_hard: Share of the names that are not said which look or sound like
            what is said.
        catalog_bpe_dropout: Share of the names that are written in other tokens than
            the usual ones.
        catalog_seed: Of the draws.
        attention_weight: Of the loss that supervises attention by a forced alignment
            of the base's CTC, in nats a token as the loss of the text, at the begin and
            at the end of the training; 0: none.
        kwargs: As ESPnet's and ``DynlookASRModel``'s.

    Raises:
        ValueError: a value is out of range, or does not go with the base.
    """

    base_is_frozen = True

    def __init__(
        self,
        *args: Any,
        base_config: str | None = None,
        base_model: str | None = None,
        adapter_layers: Sequence[int] | None = None,
        adapter_use_last: bool = True,
        adapter_size: int = 128,
        adapter_heads: int = 1,
        adapter_dropout: float = 0.1,
        adapter_margin: float | None = None,
        catalog_size: Sequence[int] = DrawConf.sizes,
        catalog_without: float = DrawConf.without,
        catalog_spans: float = DrawConf.spans,
        catalog_rare: float = DrawConf.rare,
        catalog_hard: float = DrawConf.hard,
        catalog_bpe_dropout: float = DrawConf.bpe_dropout,
        catalog_seed: int = DrawConf.seed,
        attention_weight: float | Sequence[float] = (0.5, 0.1),
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.interctc_weight = 0.0  # what the adapter cannot change is no loss of its
        self.latency_penalty = None
        if self.phones is not None:
            self.phones.weight = 0.0
        self.draw_conf = DrawConf(
            catalog_size,
            catalog_without,
            catalog_spans,
            catalog_rare,
            catalog_hard,
            catalog_bpe_dropout,
            catalog_seed,
        )
        self.drawer = CatalogDrawer(self.token_list, self.draw_conf)
        self.attention_weight = _pair(attention_weight)
        if any(self.attention_weight) and self.ctc is None:
            raise ValueError(
                f"attention_weight={attention_weight} needs a CTC head, which says "
                "where names are, and the base has none (ctc_weight: 0): set "
                "attention_weight: 0"
            )
        self.adapter = build_adapter(
            self,
            adapter_layers,
            adapter_use_last,
            adapter_size,
            adapter_heads,
            adapter_dropout,
            adapter_margin,
        )
        layers = self.adapter.layers
        self.taps = (
            LayerTaps(self.encoder, layers, "adapter_layers") if layers else None
        )
        self.epoch, self.progress = 1, 0.0
        self._bias: Bias | None = None
        self._freeze()
        self.register_state_dict_post_hook(_adapter_alone)

    @property
    def trained_part(self) -> torch.nn.Module:
        """What the optimizer gets."""
        return self.adapter

    def set_base(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take the base's parameters; the adapter starts from its CTC head.

        Args:
            state: Of the base; every key of ``base_state`` of this model.
        """
        for name, part in self.named_children():
            if name != "adapter":
                below = name + "."
                part.load_state_dict(
                    {
                        key[len(below) :]: value
                        for key, value in state.items()
                        if key.startswith(below)
                    }
                )
        self.adapter.base.copy_(fingerprint(base_state(self)))
        if self.ctc is not None:
            self.adapter.start_from(self.ctc.ctc_lo.weight)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load the adapter.

        Raises:
            OtherBase: it was trained on another base.
        """
        below = {
            key.removeprefix(_ADAPTER): value
            for key, value in state_dict.items()
            if key.startswith(_ADAPTER)
        }
        return self.adapter.load_state_dict(below, strict=strict, assign=assign)

    def _freeze(self) -> None:
        for name, part in self.named_children():
            if name != "adapter":
                part.eval()
                part.requires_grad_(False)

    def train(self, mode: bool = True) -> "DynlookContextualModel":
        """Switch modes of the adapter; the base stays in evaluation mode."""
        super().train(mode)
        if hasattr(self, "adapter"):
            self._freeze()
        return self

    def set_progress(self, epoch: int, progress: float) -> None:
        """Tell how much of the training is done: the epoch, from 1, and in [0, 1]."""
        self.epoch, self.progress = epoch, progress

    def encode_catalog(self, catalogs: Catalog | Sequence[Catalog]) -> EncodedCatalog:
        """Encode a list for all utterances, or one for each utterance of a batch.

        Args:
            catalogs: With all their segmentations and weights.

        Returns:
            A value for ``biased_by``, to be kept and used for any number of calls.
        """
        return encode_catalog(self.adapter, catalogs, self.token_list)

    @contextlib.contextmanager
    def biased_by(self, catalog: EncodedCatalog, scale: float = 1.0) -> Iterator[Bias]:
        """Encode with a list of names inside a ``with`` block.

        Args:
            catalog: From ``encode_catalog``.
            scale: What the bias is multiplied by.

        Yields:
            What holds the attention of each call after it.
        """
        before, self._bias = self._bias, Bias(catalog, scale)
        try:
            yield self._bias
        finally:
            self._bias = before

    def encode(
        self, speech: torch.Tensor, speech_lengths: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """Encode; inside ``biased_by`` the final output has the bias of the names.

        Without one, or with an empty list, this is what the base gives.

        Args:
            speech: Samples (B, N), or features (B, N, D).
            speech_lengths: (B,).
        """
        with torch.no_grad():
            found, olens = super().encode(speech, speech_lengths)
        hs = self.taps.take() if self.taps is not None else []
        bias = self._bias
        if bias is None:
            return found, olens
        out = found[0] if isinstance(found, tuple) else found
        bias.unbiased, bias.lengths = out, olens
        if not len(bias.catalog):
            bias.heads = out.new_ones(len(out), self.adapter.heads, out.shape[1], 1)
            return found, olens
        assert hs is not None  # in evaluation mode, no layer is dropped
        hs = [h.to(out.dtype) for h in hs] + [out] * self.adapter.use_last
        bias.near = near_names(self, self.adapter, out, bias.catalog)
        added, bias.heads = self.adapter(
            hs, bias.catalog, bias.scale, bias.near, fast_gru
        )
        out = out + added
        return ((out, *found[1:]) if isinstance(found, tuple) else out), olens

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """Compute the loss of a batch under a list of names, statistics, the weight.

        Arguments are those of ``DynlookASRModel``, and ``names`` (B, W): of each
        utterance, the tokens of its names with ``draws.SEPARATOR`` between, -1 at the
        end.
        """
        names = kwargs.pop("names", None)
        kwargs.pop("names_lengths", None)
        pairs = zip(text.tolist(), text_lengths.tolist(), strict=True)
        ids = [row[:length] for row, length in pairs]
        if names is None:
            draw = self.drawer.draw(ids, self.epoch, self.training)
        else:
            draw = self.drawer.fixed(ids, [split_names(row) for row in names.tolist()])
        catalog = self.adapter.encode(draw.names)
        if draw.names:
            catalog = catalog.of(torch.tensor(draw.present))
        with self.biased_by(catalog) as bias:
            loss, stats, weight = super().forward(
                speech, speech_lengths, text, text_lengths, **kwargs
            )
        more: dict[str, Any] = {"loss_task": loss.detach()}
        start, end = self.attention_weight
        if start or end:
            found = judge(bias, draw, ids, self.ctc, self.blank_id)
            # ESPnet's losses are sums over the tokens of an utterance.
            tokens = 1.0 if self.loss_per_token else text_lengths.float().mean()
            share = start + (end - start) * self.progress
            loss = loss + share * tokens * found.loss
            more["loss_attention"] = found.loss.detach()
            more["attention_recall"] = found.recall
            more["no_bias"] = found.no_bias
        if not draw.names:  # so that there is a gradient, of nothing
            loss = loss + 0.0 * sum(p.sum() for p in self.adapter.parameters())
        more["loss"] = loss.detach()
        shaped = {
            key: value.reshape(-1) if isinstance(value, torch.Tensor) else value
            for key, value in more.items()
        }
        return loss, {**stats, **force_gatherable(shaped, loss.device)}, weight


def _pair(weight: float | Sequence[float]) -> tuple[float, float]:
    """Return the weight at the begin and at the end of a training.

    Raises:
        ValueError: it is none.
    """
    pair = (weight, weight) if isinstance(weight, (int, float)) else tuple(weight)
    if len(pair) != 2 or min(pair) < 0:
        raise ValueError(
            f"attention_weight={weight} must be a number from 0, or two: at the begin "
            "and at the end of the training, such as [0.5, 0.1]"
        )
    return float(pair[0]), float(pair[1])


def _adapter_alone(
    module: torch.nn.Module, state: dict[str, Any], prefix: str, metadata: Any
) -> None:
    """Leave the base out of a checkpoint."""
    for key in [key for key in state if key.startswith(prefix)]:
        if not key.startswith(prefix + _ADAPTER):
            del state[key]


def _signature() -> inspect.Signature:
    """Return the parameters of this class and of those above it."""
    own = inspect.signature(DynlookContextualModel.__init__).parameters.values()
    merged = dict(inspect.signature(DynlookASRModel).parameters)
    for parameter in own:
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.name != "self" and not variable:
            merged[parameter.name] = parameter
    return inspect.Signature(list(merged.values()))


DynlookContextualModel.__signature__ = _signature()  # type: ignore[attr-defined]
