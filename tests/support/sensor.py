"""A sensor on a TCP port, good or hostile."""

import socket
import threading
import time

import numpy as np
from eqedge.firmware_bridge.packets import Hello
from eqedge.firmware_bridge.virtual import VirtualSensor

from .broker import PATIENCE_SECONDS


class Sensor:
    """Deliver a packet every few milliseconds, to one caller after another, until it is frozen.

    Args:
        opening: What it sends to a caller before it greets: takes the greeting, yields bytes.
        spoil: What it sends in place of a packet.

    Attributes:
        url: Where it listens.
        calls: How often it was called.
        frozen: While set, it is silent and keeps the connection.
    """

    def __init__(self, opening=lambda greeting: (), spoil=lambda packet: packet):
        self.frozen = threading.Event()
        self.calls = 0
        self._opening, self._spoil = opening, spoil
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        """Serve callers until it is closed."""
        rng = np.random.default_rng(22)
        sensor = VirtualSensor(Hello("live", "test", 100.0, ("HHE", "HHN", "HHZ")), 25)
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            with connection:
                try:
                    greeting = sensor.greet()
                    for data in self._opening(greeting):
                        connection.sendall(data)
                    connection.sendall(greeting)
                    while not self._over.is_set():
                        if not self.frozen.is_set():
                            connection.sendall(self._spoil(sensor.push(self.counts(rng))))
                        elif connection.recv(4096) == b"":
                            break
                        time.sleep(0.005)
                except OSError:
                    continue

    def counts(self, rng):
        """Return the counts of one packet."""
        return rng.integers(-99, 99, (25, 3)).astype(np.int32)

    def __enter__(self):
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Hang up."""
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_SECONDS)
