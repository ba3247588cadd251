# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Any of ESPnet's ASR models with an adapter on the output of its encoder."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.encoded import EncodedCatalog
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.model.adapting import encode_catalog, near_names
from espnet_dynlook.model.taps import LayerTaps
from espnet_dynlook.search.gru import fast_gru


class AdaptedModel:
    """Lets a model encode with a list of names, whatever decodes its output.

    Args:
        model: ESPnet's ASR model, whole utterances through its ``encode``.
        adapter: Of this base, in evaluation mode; None: the model's own, of one that
            was trained as ``model: dynlook_contextual``.
        scale: What the bias is multiplied by.

    Attributes:
    Raises:
        ValueError: there is no adapter, or the encoder is none for this one.
    """

    def __init__(
        self, model: Any, adapter: ContextualAdapter | None = None, scale: float = 1.0
    ):
        self.model = model
        self.scale = scale
        # Catalog of the last utterances that had one, attention of every head on what
        # was near.
        self._heard: tuple[EncodedCatalog, torch.Tensor, Near | None] | None = None
        self._own = adapter is None
        found = getattr(model, "adapter", None) if adapter is None else adapter
        if found is None:
            raise ValueError("the model has no adapter: give the files of one")
        self.adapter: ContextualAdapter = found
        layers = self.adapter.layers
        self._taps = None
        if layers and not self._own:
            self._taps = LayerTaps(model.encoder, layers, "adapter_layers")
        # A list that many utterances have is encoded once.
        self._kept: tuple[Catalog, EncodedCatalog] | None = None

    @property
    def attention(self) -> torch.Tensor | None:
        """That of the last utterances that were encoded with names, (B, n, N + 1).

        ``<no-bias>`` first; a mean over the heads. None: there was none.
        """
        if self._heard is None:
            return None
        catalog, heads, near = self._heard
        if near is not None:
            heads = near.spread(heads, catalog.keys.size(1))
        return catalog.by_name(heads.mean(dim=1))

    @contextlib.contextmanager
    def biased_by(self, catalog: Catalog | None) -> Iterator[None]:
        """Let ``model.encode`` add the bias of names inside a ``with`` block.

        Args:
            catalog: None or without entries: what the model itself gives.
        """
        if catalog is None or not len(catalog):
            yield
            return
        encoded = self._encoded(catalog)
        if self._own:
            with self.model.biased_by(encoded, self.scale) as bias:
                yield
            if bias.heads is not None:
                self._heard = encoded, bias.heads, None
            return
        plain = self.model.encode

        def encode(*args: Any, **kwargs: Any) -> tuple[Any, torch.Tensor]:
            found, olens = plain(*args, **kwargs)
            out = found[0] if isinstance(found, tuple) else found
            hs = [] if self._taps is None else self._taps.take()
            assert hs is not None  # in evaluation mode, no layer is dropped
            hs = [h.to(out.dtype) for h in hs] + [out] * self.adapter.use_last
            near = near_names(self.model, self.adapter, out, encoded)
            query, _ = self.adapter.listen(hs, run=fast_gru)
            added, heads = self.adapter.attend(query, encoded, self.scale, near)
            self._heard = encoded, heads, near
            out = out + added
            return ((out, *found[1:]) if isinstance(found, tuple) else out), olens

        self.model.encode = encode
        try:
            yield
        finally:
            # What stood there may be another's substitute, or the class's method.
            self.model.encode = plain

    def _encoded(self, catalog: Catalog) -> EncodedCatalog:
        if self._kept is None or self._kept[0] is not catalog:
            with torch.no_grad():
                encoded = encode_catalog(self.adapter, catalog, self.model.token_list)
            self._kept = catalog, encoded
        return self._kept[1]
