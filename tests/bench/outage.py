# SPDX-License-Identifier: Apache-2.0
"""`ops/dev/bench outage`: Redis is frozen under load: when intake stops, how the broker grows, when work flows again."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from delays import resident_bytes  # noqa: E402
from integration.system.raw_peer import RawPeer, as_id, new_id  # noqa: E402
from report import write_report  # noqa: E402
from rig import Rig, until  # noqa: E402

MIB = 1 << 20


class Probe:
    """One job after another, each of them told when it is taken or refused."""

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.sent: dict[bytes, float] = {}
        self.told: list[tuple[float, float, str]] = []  # sent, answered, code

    def step(self) -> None:
        job = new_id()
        self.sent[job] = time.monotonic()
        payload = bytes(8192)
        spec = {
            "id": as_id(job),
            "queue": "probe",
            "type": "t",
            "encoding": "Bytes",
            "payload_size": len(payload),
        }
        self.peer.send("Submit", payload, request=1, jobs=[spec])
        while self.peer.socket.poll(20):
            _, receipts = self.peer.receive()
            for head in receipts["heads"]:
                at = self.sent.pop(bytes(head["id"]["bytes"]))
                self.told.append((at, time.monotonic(), head["code"]))

    def first(self, codes: set[str], since: float) -> float | None:
        """Seconds from then to the first such answer to a job that was sent after it."""
        times = [heard for sent, heard, code in self.told if code in codes and sent >= since]
        return round(min(times) - since, 2) if times else None


def one_run(aof: str, arguments: argparse.Namespace) -> dict[str, Any]:
    options = ["--log-level", "warning", "--max-unstored-bytes", f"{arguments.bound_mib}MiB"]
    with (
        tempfile.TemporaryDirectory(prefix="jobwire-bench-") as folder,
        Rig(Path(folder), options=options) as rig,
    ):
        rig.start_redis(aof=aof)
        broker = rig.start_broker()
        host = rig.start_host(f"{HERE / 'noop_app.py'}:app", concurrency=2)
        until("the workers", lambda: len(rig.worker_pids(host)) == 2)
        load = rig.campaign("--jobs", str(arguments.jobs), "--timeout", "400", name="load")
        with RawPeer(rig.producers) as peer:
            peer.hello("Producer")
            probe = Probe(peer)
            # Until the batches that are kept in memory have reached their bound.
            warm = time.monotonic() + 12
            while time.monotonic() < warm:
                probe.step()
            if load.popen.poll() is not None:
                raise RuntimeError("the load has ended before the frost: give --jobs more")
            before = resident_bytes(broker)
            assert rig.redis is not None
            rig.redis.popen.send_signal(signal.SIGSTOP)
            frozen = time.monotonic()
            floods = [
                rig.campaign(
                    "--jobs", "20000", "--payload-bytes", "4096", "--submit-only", "--queue", "flood", "--timeout", "400", name=f"flood{n}"
                )
                for n in range(3)
            ]  # fmt: skip
            most = before
            while time.monotonic() < frozen + arguments.seconds:
                probe.step()
                most = max(most, resident_bytes(broker))
            rig.redis.popen.send_signal(signal.SIGCONT)
            thawed = time.monotonic()
            done = succeeded(rig)
            until("a probe to be taken", lambda: _taken(probe, thawed), 60, 0)
            until("work to flow", lambda: succeeded(rig) > done + 1_000, 60, 0.005)
            flowing = time.monotonic() - thawed
        flooded = [flood.finish(400) for flood in floods]
        result = load.finish(400)
    return {
        "frozen_s": arguments.seconds,
        "bound_mib": arguments.bound_mib,
        "grown_mib": round((most - before) / MIB, 1),
        "first_refusal_s": probe.first({"WindowFull", "StoreUnavailable"}, frozen),
        "first_store_unavailable_s": probe.first({"StoreUnavailable"}, frozen),
        "taken_again_s": probe.first({"Unspecified"}, thawed),
        "flows_again_s": round(flowing, 2),
        "jobs": arguments.jobs,
        "succeeded": result["ends"].get("Succeeded", 0),
        "flood": sum(flood["submitted"] for flood in flooded),
        "flood_receipted": sum(flood["submitted"] for flood in flooded if flood["code"] == 0),
    }  # fmt: skip


def _taken(probe: Probe, since: float) -> bool:
    probe.step()
    return probe.first({"Unspecified"}, since) is not None


def succeeded(rig: Rig) -> int:
    """Jobs that have succeeded, as Redis counts them."""
    return int(rig.redis_cli("HGET", "jw:{0}:queue:bench", "succeeded") or 0)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="ops/dev/bench outage", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--aof", choices=["no", "everysec", "always"], default="everysec", help="%(default)s"
    )
    parser.add_argument("--seconds", type=int, default=30, help="of the frost (%(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=1_500_000, help="that run meanwhile (%(default)s)"
    )
    parser.add_argument(
        "--bound-mib", type=int, default=64, help="--max-unstored-bytes of the broker (%(default)s)"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    arguments = parser.parse_args()
    found = one_run(arguments.aof, arguments)
    print(json.dumps(found))
    write_report(arguments.json, "outage", outage=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
