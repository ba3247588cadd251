"""Nothing here reaches another machine, and importing the package does nothing."""

import socket
import subprocess
import sys

import pytest

# Collected under the guard: at this moment no fixture of a test is active.
try:
    socket.create_connection(("192.0.2.1", 9), timeout=0.1)
    COLLECTION_IS_GUARDED = False
except AssertionError:
    COLLECTION_IS_GUARDED = True
except OSError:
    COLLECTION_IS_GUARDED = False


def test_collection_is_guarded():
    assert COLLECTION_IS_GUARDED


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_connections_to_other_machines_are_refused(method):
    with socket.socket() as other, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        getattr(other, method)(("192.0.2.1", 9))


def test_names_of_other_machines_are_not_looked_up():
    with pytest.raises(AssertionError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


def test_this_machine_is_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_children_are_guarded():
    done = run("import socket; socket.create_connection(('192.0.2.1', 9), 0.1)")
    assert "AssertionError: a test tried to reach '192.0.2.1'" in done.stderr


def test_import_is_silent_and_light_and_opens_no_socket():
    done = run(
        "import sys\n"
        "events = []\n"
        "sys.addaudithook(lambda event, _: events.append(event))\n"
        "import espnet_dynlook\n"
        "heavy = {'torch', 'espnet', 'espnet2', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sockets = [event for event in events if event.startswith('socket.')]\n"
        "assert not sockets, sockets\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
