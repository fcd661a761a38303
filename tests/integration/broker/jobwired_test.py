# SPDX-License-Identifier: Apache-2.0
"""jobwired as a process: what it says and how it ends when something around it is wrong, and when it is told to stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Rig, build_dir, until

JOBWIRED = build_dir() / "bin/jobwired"


def run(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, which must be near."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JOBWIRE_")}
    return subprocess.run(
        [str(JOBWIRED), *map(str, arguments)],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env={**clean, **(env or {})},
    )  # fmt: skip


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that it ended with, and code 2."""
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("jobwired: ")
    return lines[0]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path / "rig") as made:
        yield made


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_taken_port_is_one_line_that_names_its_owner(tmp_path: Path, taken: str) -> None:
    line = one_line(run("--listen", taken, "--data-dir", tmp_path / "data"))
    assert f"cannot listen on {taken}: the port is taken by pid {os.getpid()}" in line
    assert not (tmp_path / "data").exists()


def test_second_broker_on_the_same_data_is_refused(rig: Rig) -> None:
    rig.start_broker()
    free = "tcp://127.0.0.1:*"
    line = one_line(run("--listen", free, "--listen-workers", free, "--data-dir", rig.data))
    assert str(rig.data) in line


def test_data_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    free = "tcp://127.0.0.1:*"
    line = one_line(run("--listen", free, "--listen-workers", free, "--data-dir", file / "data"))
    assert str(file) in line


def test_wrong_key_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "jobwire.toml"
    file.write_text('aof = "no"\nkeep-finised = "5m"\n')
    assert one_line(run("--config", file)).endswith(
        f"{file}:2: no option keep-finised; did you mean keep-finished?"
    )


def test_check_config_prints_what_counts_and_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "jobwire.toml"
    file.write_text('aof = "no"\ntimeout = "1m"\n')
    done = run("--check-config", "--config", file, "--timeout", "2m", env={"JOBWIRE_SHARD": "s7"})
    assert done.returncode == 0, done.stderr
    lines = {line.split(" = ")[0]: line for line in done.stdout.splitlines() if " = " in line}
    assert lines["aof"].split() == ["aof", "=", '"no"', "#", "file"]
    assert lines["timeout"].split() == ["timeout", "=", '"2m"', "#", "flag"]
    assert lines["shard"].split() == ["shard", "=", '"s7"', "#", "environment"]
    assert lines["listen"].endswith("# default")
    assert run("--check-config", "--timeout", "never").returncode == 2


def test_help_and_version_end_with_0() -> None:
    assert "--listen-workers" in run("--help").stdout
    assert run("--version").stdout.startswith("jobwired ")


def test_sigterm_ends_it_cleanly_with_its_redis(rig: Rig) -> None:
    broker = rig.start_broker()
    ready = json.loads((rig.folder / "ready.json").read_text())
    assert ready["pid"] == broker.pid
    assert ready["listen"] == rig.producers
    assert ready["listen_workers"] == rig.workers
    assert ready["redis"] == f"unix://{rig.data}/redis.sock"
    redis = int(rig.redis_cli("INFO", "server").split("process_id:")[1].split()[0])
    begun = time.monotonic()
    assert broker.stop() == 0, broker.tail()
    assert time.monotonic() - begun < 10
    assert not (rig.folder / "ready.json").exists()
    assert not Path(f"/proc/{redis}").exists()


def test_ports_that_the_kernel_chose_are_in_the_ready_file(rig: Rig) -> None:
    rig.producers = rig.workers = "tcp://127.0.0.1:*"
    rig.start_broker()
    ready = json.loads((rig.folder / "ready.json").read_text())
    ports = {int(ready[door].rsplit(":", 1)[1]) for door in ("listen", "listen_workers")}
    assert len(ports) == 2
    for port in ports:
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_redis_that_is_not_there_is_waited_for(rig: Rig) -> None:
    rig.redis_url = f"unix://{rig.folder}/redis.sock"
    broker = rig.start_broker(wait=False)
    until("the broker to say that it waits", lambda: "waiting for the store" in broker.tail())
    assert not (rig.folder / "ready.json").exists()
    rig.start_redis()
    until("the broker to be ready", (rig.folder / "ready.json").exists)
    assert broker.tail(1000).count("waiting for the store") <= 6
    assert broker.stop() == 0


def test_sigterm_while_redis_is_away_ends_it(rig: Rig) -> None:
    rig.redis_url = f"unix://{rig.folder}/redis.sock"
    broker = rig.start_broker(wait=False)
    until("the broker to say that it waits", lambda: "waiting for the store" in broker.tail())
    assert broker.stop(10) == 0, broker.tail()


def test_nonsense_on_the_port_is_refused_and_the_broker_goes_on(rig: Rig) -> None:
    broker = rig.start_broker()
    port = int(rig.producers.rsplit(":", 1)[1])
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(500), os.urandom(5000)):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.settimeout(10)
            connection.sendall(words)
            try:
                while connection.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert broker.alive()
    broker.popen.send_signal(signal.SIGINT)
    assert broker.popen.wait(20) == 0, broker.tail()
