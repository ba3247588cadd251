"""Pictures of what an encoder waits for, and of what it gains by it.

Command: ``python -m espnet_dynlook.plots masks|graph|gates|tradeoff|backlog --help``.
Each picture has a file with a drawing function, which takes arrays, and a command.
"""
