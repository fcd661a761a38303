# SPDX-License-Identifier: Apache-2.0
"""Answers, over HTTP, whether a worker host lives and whether it serves; needs neither broker nor Redis.

/live    200 as long as the agent's loop turns, else 503
/ready   200 when the broker has welcomed the agent and a worker is ready, and the host is not stopping, else 503
/        the same and the counters, as JSON
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

from jobwire._errors import SetupError

# The loop turns once a second at least.
_STALE_S = 10.0
_REQUEST_S = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """How a host was when its agent last looked."""

    looked_at: float = dataclasses.field(default_factory=time.monotonic)
    connected: bool = False
    stopping: bool = False
    workers: int = 0
    ready: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    crashes: int = 0


class HealthServer:
    """Serves what `look` answers, from a thread of its own, one request after the other."""

    def __init__(self, address: tuple[str, int], look: Callable[[], Health]) -> None:
        class Handler(BaseHTTPRequestHandler):
            # A peer that sends nothing must not keep the others waiting for long.
            timeout = _REQUEST_S

            def do_GET(self) -> None:
                code, body = _answer(self.path.partition("?")[0], look())
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 - the library's name

            def log_message(self, *arguments: object) -> None:
                """Probes come every few seconds and say nothing."""

        try:
            self._server = HTTPServer(address, Handler)
        except OSError as problem:
            raise SetupError(
                f"cannot listen on {address[0]}:{address[1]}: {problem.strerror}"
            ) from problem
        self.port = int(self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever, name="jobwire-http", daemon=True
        ).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(path: str, health: Health) -> tuple[int, bytes]:
    live = time.monotonic() - health.looked_at < _STALE_S
    ready = live and health.connected and health.ready > 0 and not health.stopping
    state = dataclasses.asdict(health)
    del state["looked_at"]
    body = json.dumps({"live": live, **state}).encode() + b"\n"
    if path == "/live":
        return (200 if live else 503), body
    if path == "/ready":
        return (200 if ready else 503), body
    if path == "/":
        return 200, body
    return 404, b'{"error": "there are /live, /ready and /"}\n'
