"""A simulated pair whose nodes have a real server each, and a real network between them that can be cut."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from tests.postgres_site import loopback_pair
from xcat_ha.testing import Answer, Call, SimulatedHost, SimulatedSite, Site

PLACES = {"mna": "127.0.1.21", "mnb": "127.0.1.22"}
"""Where the nodes' servers listen."""


class Relay:
    """Stands between the nodes: listens at a node's address and passes on to its server, coming from the other node's address."""

    def __init__(self, address: str, port: int, target: str, source: str) -> None:
        self._place, self._target, self._source = (address, port), (target, port), source
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()

    def up(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(self._place)
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        with self._lock:
            doomed, self._open = self._open, []
            if self._listener is not None:
                doomed.append(self._listener)
                self._listener = None
        for one in doomed:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=10, source_address=(self._source, 0))
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                if self._listener is not listener:  # cut while it was being connected
                    near.close()
                    far.close()
                    return
                self._open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    @staticmethod
    def _pass(left: socket.socket, right: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := left.recv(65536):
                right.sendall(data)
        for one in (left, right):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class RelayedSite(SimulatedSite):
    """Each node's server listens at an address of its own (127.0.1.x); the nodes know each other by that of a relay (127.0.0.x)."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="rly-"))
        self._directory.chmod(0o755)
        self._relays: list[Relay] = []
        self._made = 0
        super().__init__(loopback_pair(), self._directory)
        self.port = _free_port()
        for host in self.simulated.hosts.values():
            host.handle("openssl", _openssl)

    def _connect(self) -> None:
        """The servers are there: the network between them is switched on."""
        self._relays = [Relay(node.address, self.port, PLACES[node.id], self.pair.other(node.id).address) for node in self.pair.nodes]

    def _open_tree(self, name: str) -> None:
        for above in (self.host(name).root, self.host(name).root.parent):
            above.chmod(0o755)  # the server reads its files there

    def _join(self) -> None:
        for relay in self._relays:
            relay.up()

    def cut_link(self) -> None:
        super().cut_link()
        for relay in self._relays:
            relay.down()

    def fresh_link(self) -> None:
        """The network is whole again."""
        self.simulated.linked = True
        self._join()


def _openssl(host: SimulatedHost, call: Call) -> Answer:
    del host
    done = subprocess.run(["/usr/bin/openssl", *call.words], capture_output=True, text=True, check=False, timeout=60)
    return Answer(done.returncode, done.stdout, done.stderr)


def _free_port() -> int:
    for _ in range(50):
        with contextlib.ExitStack() as stack:
            trial = stack.enter_context(socket.socket())
            trial.bind(("127.0.1.21", 0))
            port: int = trial.getsockname()[1]
            try:
                for address in ("127.0.1.22", "127.0.0.21", "127.0.0.22"):
                    stack.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
            return port
    raise OSError("no port is free on four loopback addresses")


def keep_cfgloc(site: Site, node_id: str, text: str) -> None:
    """As xCAT keeps it: root's alone."""
    path = site.path(node_id, "/etc/xcat/cfgloc")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
