"""Refuse connections to other machines; every python that a test starts loads this."""

import os
import sys

LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", os.uname().nodename)


def refuse(event, arguments):
    """Stop what would reach another machine; an audit hook of this process."""
    if event in ("socket.connect", "socket.sendto"):  # connect_ex has the first too
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""  # or a path
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if isinstance(host, str) and host not in LOCAL:
        raise AssertionError(f"a test tried to reach {host!r}")


sys.addaudithook(refuse)
