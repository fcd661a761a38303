# SPDX-License-Identifier: Apache-2.0
"""One connection to the broker: the only module that touches ZeroMQ.

A connection comes and goes by itself; `Link` events say so. Nothing is queued for a broker that is not there: `send`
answers False, and the message stays with the caller.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct
from typing import NamedTuple

import zmq

from jobwire._errors import SetupError

__all__ = ["Connection", "Link", "Woken"]

# One message may fill a limit that is not known before Welcome; this only stops nonsense.
_MAX_FRAME = 1 << 30

# The first frame of a monitor's event: its number, and a value. zmq.utils.monitor would bring asyncio with it.
_EVENT = Struct("=HI")


class Link(Enum):
    UP = 1
    DOWN = 2


class Woken(NamedTuple):
    """Why `wait` returned: a message is there, the link changed, or watched descriptors are ready."""

    message: bool
    link: bool
    descriptors: tuple[int, ...]


class Connection:
    """A DEALER socket with its monitor. Used by one thread at a time, behind a lock if need be."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context(io_threads=1)
        self._socket = zmq.Socket(self._context, zmq.DEALER)
        socket = self._socket
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.HANDSHAKE_IVL, 3000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        socket.setsockopt(zmq.HEARTBEAT_TTL, 15000)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
        socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 10)
        socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        socket.setsockopt(zmq.MAXMSGSIZE, _MAX_FRAME)
        self._monitor = socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._poller = zmq.Poller()
        self._poller.register(self._monitor, zmq.POLLIN)
        self._poller.register(socket, zmq.POLLIN)
        self._wants = zmq.POLLIN
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as problem:
            self.close(0)
            raise SetupError(f"cannot connect to {endpoint!r}: {problem}") from problem

    def watch(self, descriptor: int) -> None:
        """Lets `wait` return when the descriptor is readable."""
        self._poller.register(descriptor, zmq.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)

    def wait(self, timeout_ms: int | None, sending: bool) -> Woken:
        """Waits for something to do; `sending` asks to be woken when a message can be sent."""
        wants = zmq.POLLIN | zmq.POLLOUT if sending else zmq.POLLIN
        if wants != self._wants:
            self._poller.register(self._socket, wants)
            self._wants = wants
        message = link = False
        descriptors = []
        for what, events in self._poller.poll(timeout_ms):
            if what is self._socket:
                message = bool(events & zmq.POLLIN)
            elif what is self._monitor:
                link = True
            elif isinstance(what, int):
                descriptors.append(what)
        return Woken(message, link, tuple(descriptors))

    def link_changes(self) -> list[Link]:
        """What became of the connection since the last call, oldest first."""
        changes = []
        while self._monitor.poll(0):
            event, _ = _EVENT.unpack(self._monitor.recv_multipart()[0])
            changes.append(Link.UP if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else Link.DOWN)
        return changes

    def receive(self) -> list[bytes] | None:
        """The next message, or None."""
        try:
            return self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None

    def send(self, frames: list[bytes]) -> bool:
        """Hands a message to the connection; False when there is none, or its window is full."""
        try:
            self._socket.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def close(self, linger_ms: int) -> None:
        """Ends the connection; what was sent may still leave within `linger_ms`."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close(linger_ms)
        # Waits for what lingers.
        self._context.term()
