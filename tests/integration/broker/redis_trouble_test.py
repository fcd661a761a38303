# SPDX-License-Identifier: Apache-2.0
"""jobwired and a Redis that is not as it should be: which code it ends with, and what its last line says."""

from __future__ import annotations

import resource
import signal
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.broker.jobwired_test import one_line, run
from integration.system.raw_peer import RawPeer, as_id, new_id
from rig import Process, Rig, build_dir, free_port, sanitized, until

FREE = "tcp://127.0.0.1:*"
ANYWHERE = ("--listen", FREE, "--listen-workers", FREE)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig") as made:
        yield made


def submit(peer: RawPeer, payload: bytes = b"") -> str:
    job = {"id": as_id(new_id()), "queue": "q", "type": "t", "encoding": "Bytes", "payload_size": len(payload)}  # fmt: skip
    kind, receipts = peer.ask("Submit", payload, request=1, jobs=[job])
    assert kind == "Receipts", receipts
    return str(receipts["heads"][0]["code"])


def last_line(broker: Process) -> str:
    return broker.tail(1).splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--maxmemory-policy", "allkeys-lru"], "is allkeys-lru, set it to noeviction"),
        (["--requirepass", "sesame"], "refuses us: NOAUTH"),
    ],
)
def test_redis_that_is_set_wrongly_is_refused_in_one_line(
    rig: Rig, options: list[str], says: str
) -> None:
    rig.start_redis(aof="no", options=options)
    line = one_line(run(*ANYWHERE, "--redis", rig.redis_url))
    assert says in line
    assert rig.redis_url in line


def test_cluster_node_is_refused_in_one_line(rig: Rig) -> None:
    ports = ["--port", str(free_port()), "--cluster-port", str(free_port())]
    rig.start_redis(aof="no", options=["--cluster-enabled", "yes", "--bind", "127.0.0.1", *ports])
    line = one_line(run(*ANYWHERE, "--redis", rig.redis_url))
    assert "is a cluster node; only standalone Redis is supported" in line


def test_wrong_password_is_refused_in_one_line_that_does_not_show_it(rig: Rig) -> None:
    port = str(free_port())
    rig.start_redis(aof="no", options=["--port", port, "--bind", "127.0.0.1", "--requirepass", "sesame"])  # fmt: skip
    line = one_line(run(*ANYWHERE, "--redis", f"redis://:swordfish@127.0.0.1:{port}"))
    assert "refuses us: WRONGPASS" in line
    assert "swordfish" not in line
    assert "sesame" not in line


def test_redis_that_is_too_old_is_refused_in_one_line() -> None:
    with OldRedis() as port:
        line = one_line(run(*ANYWHERE, "--redis", f"redis://127.0.0.1:{port}"))
    assert "is version 5.0.14; 6.2 or later is needed" in line


def test_second_broker_ends_the_first_with_code_3(rig: Rig, tmp_path: Path) -> None:
    rig.start_redis(aof="no")
    first = rig.start_broker()
    second = Process(
        "second",
        [build_dir() / "bin/jobwired", *ANYWHERE, "--redis", rig.redis_url, "--ready-file", tmp_path / "ready"],
        rig.folder,
    )  # fmt: skip
    try:
        until("the second to serve", (tmp_path / "ready").exists)
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            peer.send("Submit", request=1, jobs=[{"id": as_id(new_id()), "queue": "q", "type": "t", "encoding": "Bytes"}])  # fmt: skip
            assert first.popen.wait(20) == 3, first.tail()
        assert "stopped: shard 0 was taken over by another broker, epoch 2" in last_line(first)
        assert rig.redis_cli("--scan", "--pattern", "jw:{0}:job:*") == ""
        assert second.alive()
    finally:
        second.stop()


def test_flushed_redis_ends_the_broker_with_code_4(rig: Rig) -> None:
    rig.start_redis(aof="no")
    broker = rig.start_broker()
    with RawPeer(rig.producers) as peer:
        peer.hello("Producer")
        assert submit(peer) == "Unspecified"
        rig.redis_cli("FLUSHALL")
        peer.send("Submit", request=1, jobs=[{"id": as_id(new_id()), "queue": "q", "type": "t", "encoding": "Bytes"}])  # fmt: skip
        assert broker.popen.wait(20) == 4, broker.tail()
    assert "stopped: the key jw:{0}:epoch is gone: redis was flushed" in last_line(broker)
    assert rig.redis_cli("DBSIZE") == "0"


def test_redis_that_comes_back_empty_ends_the_broker_with_code_4(rig: Rig) -> None:
    rig.start_redis(aof="no")
    # A first life: only of a Redis that was empty before is everything still in memory.
    rig.start_broker().stop()
    broker = rig.start_broker()
    with RawPeer(rig.producers) as peer:
        peer.hello("Producer")
        assert submit(peer) == "Unspecified"
    assert rig.redis is not None
    rig.redis.kill()
    rig.start_redis(aof="no")
    assert broker.popen.wait(20) == 4, broker.tail()
    assert "it is empty, or another database" in last_line(broker)
    assert rig.redis_cli("DBSIZE") == "0"


def test_memory_limit_that_is_too_little_to_start_is_refused_in_one_line(rig: Rig) -> None:
    rig.start_redis(aof="no")
    line = one_line(run(*ANYWHERE, "--redis", rig.redis_url, "--memory-limit", "1MiB"))
    assert "memory-limit 1048576 is too little" in line


@pytest.mark.skipif(sanitized(), reason="a sanitizer's own address space is beyond any limit")
@pytest.mark.timeout(180)
def test_memory_limit_ends_the_broker_and_what_was_receipted_is_there(rig: Rig) -> None:
    rig.start_redis(aof="no")
    refusal = one_line(run(*ANYWHERE, "--redis", rig.redis_url, "--memory-limit", "1MiB"))
    used = int(refusal.split(": ")[-1].split()[0])
    limit = (used + 256) << 20
    # Bounds that are far beyond the limit, so that only the limit holds.
    rig.options = ["--memory-limit", str(limit), "--window-bytes", "8GiB", "--max-unstored-bytes", "8GiB"]  # fmt: skip
    broker = rig.start_broker()
    assert resource.prlimit(broker.pid, resource.RLIMIT_AS) == (limit, limit)
    assert rig.redis is not None
    with RawPeer(rig.producers) as peer:
        peer.hello("Producer")
        assert submit(peer, b"kept") == "Unspecified"
        rig.redis.popen.send_signal(signal.SIGSTOP)
        payload = bytes(16 << 20)
        for _ in range(40):
            job = {"id": as_id(new_id()), "queue": "q", "type": "t", "encoding": "Bytes", "payload_size": len(payload)}  # fmt: skip
            peer.send("Submit", payload, request=1, jobs=[job])
        code = broker.popen.wait(60)
    rig.redis.popen.send_signal(signal.SIGCONT)
    # Where libzmq meets the limit first, it aborts.
    assert code in (1, -signal.SIGABRT), broker.tail()
    assert "out of memory" in last_line(broker).lower()
    rig.options = []
    rig.start_broker()
    assert rig.ended("q", "queued") >= 1


class OldRedis:
    """Answers the broker's first questions as Redis 5 does."""

    def __init__(self) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                questions = b""
                while b"appendfsync" not in questions:
                    questions += self.request.recv(65536)
                told = b"redis_version:5.0.14\r\nrun_id:0\r\n"
                self.request.sendall((b"$%d\r\n%s\r\n" % (len(told), told)) * 4 + b"*0\r\n")
                self.request.recv(1)

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
