"""Command lines: training and decoding with the plugin in place."""
