"""Dynamic lookahead and contextual biasing for ESPnet.

Importing this package imports neither torch nor ESPnet and touches no network.
"""

__version__ = "0.1.0"
