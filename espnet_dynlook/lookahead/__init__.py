"""The theory of lookahead: bands, kinds and latency. Imports torch only."""
