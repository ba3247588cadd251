"""The theory of lookahead: bands, kinds, schedulers, latency. Imports torch only."""

from espnet_dynlook.lookahead.closing import close_band
from espnet_dynlook.lookahead.compute import user_perceived_latency
from espnet_dynlook.lookahead.latency import algorithmic_latency

__all__ = ["algorithmic_latency", "close_band", "user_perceived_latency"]
