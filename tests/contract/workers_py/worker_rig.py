# SPDX-License-Identifier: Apache-2.0
"""A broker that a test plays, and a real `jobwire worker` in front of it.

The broker's messages are built and read with the generated code, so it does not share the worker's own reading.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import zmq
from jobwire.wire import (
    CancelLease,
    Dispatch,
    DispatchExtra,
    Goodbye,
    HandBack,
    Header,
    Heartbeat,
    Hello,
    JobError,
    Limits,
    Message,
    Progress,
    Ready,
    Recall,
    Refused,
    ResultAck,
    Results,
    Revoke,
    Welcome,
    WorkerDown,
)
from jobwire.wire.Body import Body
from jobwire.wire.Code import Code
from jobwire.wire.DispatchHead import CreateDispatchHead
from jobwire.wire.Encoding import Encoding
from jobwire.wire.Id import CreateId, Id
from jobwire.wire.LeaseRefusal import CreateLeaseRefusal
from jobwire.wire.Role import Role

HERE = Path(__file__).resolve().parent
DEADLINE_S = 20.0


# ------------------------------------------------------------------ reading


def raw_id(found: Any) -> bytes:
    return bytes(found.Bytes())


@dataclass(frozen=True)
class LeaseSeen:
    token: bytes
    job: bytes
    worker: int
    started_ms: int
    attempt: int
    finished: bool


@dataclass(frozen=True)
class ResultSeen:
    peer: bytes
    sequence: int
    token: bytes
    job: bytes
    payload: bytes
    run_us: int
    started_ms: int
    retry_delay_ms: int
    outcome: int
    encoding: int


@dataclass(frozen=True)
class DownSeen:
    worker: int
    end: int
    pid: int
    signal: int
    exit_code: int
    running: list[LeaseSeen]
    rss_bytes: int
    log_tail: str


@dataclass(frozen=True)
class BeatSeen:
    sequence: int
    workers: list[int]
    running: list[LeaseSeen]


@dataclass(frozen=True)
class ProgressSeen:
    role: int
    token: bytes
    value: float
    message: bytes


@dataclass
class Peer:
    """One session, from its Hello on."""

    route: bytes
    role: int
    client: str
    host: bytes
    worker: int
    pid: int
    protocol: int
    queues: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    slots: int = 0
    credit: int = 0
    held: list[LeaseSeen] = field(default_factory=list)
    ready: bool = False
    goodbye: bool = False


def leases(count: int, get: Callable[[int], Any]) -> list[LeaseSeen]:
    found = [get(i) for i in range(count)]
    return [
        LeaseSeen(
            raw_id(one.Token(Id())),
            raw_id(one.Job(Id())),
            one.Worker(),
            one.StartedMs(),
            one.Attempt(),
            bool(one.Finished()),
        )
        for one in found
    ]


def body_of(envelope: bytes) -> tuple[int, Callable[[Any], Any]]:
    assert Message.Message.MessageBufferHasIdentifier(envelope, 0), "the identifier is not JW01"
    message = Message.Message.GetRootAs(envelope, 0)
    table = message.Body()

    def read(kind: Any) -> Any:
        made = kind()
        made.Init(table.Bytes, table.Pos)
        return made

    return message.BodyType(), read


def read_error(buffer: bytes) -> Any:
    assert JobError.JobError.JobErrorBufferHasIdentifier(buffer, 0)
    return JobError.JobError.GetRootAs(buffer, 0)


# ------------------------------------------------------------------ writing


def finish(builder: Any, kind: int, body: int) -> bytes:
    Message.Start(builder)
    Message.AddBodyType(builder, kind)
    Message.AddBody(builder, body)
    builder.Finish(Message.End(builder), b"JW01")
    return bytes(builder.Output())


def ids_vector(builder: Any, start: Callable[[Any, int], Any], ids: Sequence[bytes]) -> int:
    start(builder, len(ids))
    for one in reversed(ids):
        CreateId(builder, one)
    return int(builder.EndVector())


def welcome(broker: bytes, session: int, heartbeat_ms: int) -> bytes:
    builder = flatbuffers.Builder(256)
    version = builder.CreateString("test")
    Limits.Start(builder)
    Limits.AddMaxPayloadBytes(builder, 1 << 20)
    Limits.AddMaxJobsPerMessage(builder, 1024)
    Limits.AddMaxErrorBytes(builder, 16384)
    Limits.AddMaxMessageBytes(builder, 34603008)
    Limits.AddSessionTimeoutMs(builder, 30000)
    Limits.AddHeartbeatMs(builder, heartbeat_ms)
    limits = Limits.End(builder)
    Welcome.Start(builder)
    Welcome.AddProtocol(builder, 1)
    Welcome.AddBroker(builder, CreateId(builder, broker))
    Welcome.AddEpoch(builder, 1)
    Welcome.AddSession(builder, session)
    Welcome.AddDurability(builder, 3)
    Welcome.AddLimits(builder, limits)
    Welcome.AddVersion(builder, version)
    return finish(builder, Body.Welcome, Welcome.End(builder))


def refused(code: int, text: str = "") -> bytes:
    builder = flatbuffers.Builder(128)
    text_at = builder.CreateString(text)
    Refused.Start(builder)
    Refused.AddCode(builder, code)
    Refused.AddMessage(builder, text_at)
    return finish(builder, Body.Refused, Refused.End(builder))


def heartbeat(sequence: int) -> bytes:
    builder = flatbuffers.Builder(64)
    Heartbeat.Start(builder)
    Heartbeat.AddSequence(builder, sequence)
    return finish(builder, Body.Heartbeat, Heartbeat.End(builder))


def ack(through: int, stale: Sequence[bytes] = ()) -> bytes:
    builder = flatbuffers.Builder(128)
    ResultAck.StartRefusedVector(builder, len(stale))
    for token in reversed(stale):
        CreateLeaseRefusal(builder, token, Code.StaleLease)
    stale_at = builder.EndVector()
    ResultAck.Start(builder)
    ResultAck.AddThrough(builder, through)
    ResultAck.AddRefused(builder, stale_at)
    return finish(builder, Body.ResultAck, ResultAck.End(builder))


def recall(tokens: Sequence[bytes]) -> bytes:
    builder = flatbuffers.Builder(128)
    at = ids_vector(builder, Recall.StartTokensVector, tokens)
    Recall.Start(builder)
    Recall.AddTokens(builder, at)
    return finish(builder, Body.Recall, Recall.End(builder))


def revoke(tokens: Sequence[bytes]) -> bytes:
    builder = flatbuffers.Builder(128)
    at = ids_vector(builder, Revoke.StartTokensVector, tokens)
    Revoke.Start(builder)
    Revoke.AddTokens(builder, at)
    return finish(builder, Body.Revoke, Revoke.End(builder))


def cancel_lease(token: bytes, worker: int, grace_ms: int) -> bytes:
    builder = flatbuffers.Builder(128)
    CancelLease.Start(builder)
    CancelLease.AddToken(builder, CreateId(builder, token))
    CancelLease.AddWorker(builder, worker)
    CancelLease.AddGraceMs(builder, grace_ms)
    return finish(builder, Body.CancelLease, CancelLease.End(builder))


@dataclass(frozen=True)
class Order:
    """One job to send to a worker."""

    type: str
    payload: bytes = b""
    encoding: int = Encoding.Bytes
    timeout_ms: int = 60_000
    attempt: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    token: bytes = field(default_factory=lambda: os.urandom(16))
    job: bytes = field(default_factory=lambda: uuid.uuid4().bytes)


def dispatch(orders: Sequence[Order], types: Sequence[str]) -> list[bytes]:
    builder = flatbuffers.Builder(1024)
    blob = b""
    places = []
    for order in orders:
        places.append(len(blob))
        blob += order.payload
    extras = []
    for order in orders:
        if order.headers:
            headers = []
            for key, value in order.headers:
                key_at, value_at = builder.CreateString(key), builder.CreateString(value)
                Header.Start(builder)
                Header.AddKey(builder, key_at)
                Header.AddValue(builder, value_at)
                headers.append(Header.End(builder))
            DispatchExtra.StartHeadersVector(builder, len(headers))
            for one in reversed(headers):
                builder.PrependUOffsetTRelative(one)
            headers_at = builder.EndVector()
            DispatchExtra.Start(builder)
            DispatchExtra.AddHeaders(builder, headers_at)
            extras.append(DispatchExtra.End(builder))
    extras_at = 0
    if extras:
        Dispatch.StartExtrasVector(builder, len(extras))
        for one in reversed(extras):
            builder.PrependUOffsetTRelative(one)
        extras_at = builder.EndVector()
    Dispatch.StartHeadsVector(builder, len(orders))
    extra = len(extras)
    for order, place in reversed(list(zip(orders, places, strict=True))):
        CreateDispatchHead(
            builder,
            order.token,
            order.job,
            place,
            len(order.payload),
            order.timeout_ms,
            types.index(order.type),
            order.attempt,
            order.encoding,
            4,
            extra if order.headers else 0,
        )
        extra -= 1 if order.headers else 0
    heads_at = builder.EndVector()
    Dispatch.Start(builder)
    Dispatch.AddHeads(builder, heads_at)
    if extras_at:
        Dispatch.AddExtras(builder, extras_at)
    envelope = finish(builder, Body.Dispatch, Dispatch.End(builder))
    return [envelope, blob] if blob else [envelope]


# ------------------------------------------------------------------ the broker


class FakeBroker:
    """Greets, echoes heartbeats and acknowledges results by itself; the rest is the test's."""

    def __init__(self, heartbeat_ms: int = 200) -> None:
        self._context = zmq.Context()
        self._heartbeat_ms = heartbeat_ms
        self._bind("tcp://127.0.0.1:*")
        self.endpoint = self.router.getsockopt_string(zmq.LAST_ENDPOINT)
        self.acknowledges = True
        self.greets = True
        self.forget()

    def _bind(self, endpoint: str) -> None:
        self.router = self._context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.router.bind(endpoint)

    def forget(self) -> None:
        """Begins a new life: sessions are gone, what was seen stays."""
        self.id = os.urandom(16)
        self.sessions: dict[bytes, Peer] = {}
        if not hasattr(self, "peers"):
            self.greeting: list[bytes] = []
            self.peers: list[Peer] = []
            self.results: list[ResultSeen] = []
            self.handed_back: list[bytes] = []
            self.downs: list[DownSeen] = []
            self.beats: list[BeatSeen] = []
            self.progress: list[ProgressSeen] = []

    def stop(self) -> None:
        """As if the process had been killed."""
        self.router.close()

    def start_again(self) -> None:
        self.forget()
        self.until("the port to be free again", self._try_bind)

    def _try_bind(self) -> bool:
        try:
            self._bind(self.endpoint)
        except zmq.ZMQError:
            self.router.close()
            return False
        return True

    def close(self) -> None:
        self.router.close()
        self._context.term()

    # What a test says.

    def send(self, peer: Peer, *frames: bytes) -> None:
        self.router.send_multipart([peer.route, *frames])

    def dispatch(self, peer: Peer, *orders: Order) -> tuple[Order, ...]:
        self.send(peer, *dispatch(orders, peer.types))
        return orders

    # What a test waits for.

    def until(self, what: str, condition: Callable[[], Any], seconds: float = DEADLINE_S) -> Any:
        """Plays the broker until `condition` gives something; fails with `what` after the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds} s for {what}; {self._seen()}"
            if not self.router.closed and self.router.poll(min(20, left * 1000)):
                self._take(self.router.recv_multipart())
            elif self.router.closed:
                time.sleep(0.01)

    def worker(self, number: int | None = None) -> Peer:
        """A worker of the present sessions that is ready: the first, or that of a number."""
        found: Peer = self.until(
            f"worker {number or 'any'} to be ready",
            lambda: next(
                (
                    peer
                    for peer in self.sessions.values()
                    if peer.role == Role.Worker
                    and peer.ready
                    and not peer.goodbye
                    and number in (None, peer.worker)
                ),
                None,
            ),
        )
        return found

    def worker_for(self, kind: str, besides: Sequence[int] = ()) -> Peer:
        """A worker that serves the type and is none of those numbers."""
        found: Peer = self.until(
            f"a worker for {kind}",
            lambda: next(
                (
                    peer
                    for peer in self.sessions.values()
                    if kind in peer.types and not peer.goodbye and peer.worker not in besides
                ),
                None,
            ),
        )
        return found

    def agent(self) -> Peer:
        found: Peer = self.until(
            "the agent",
            lambda: next((p for p in self.sessions.values() if p.role == Role.Agent), None),
        )
        return found

    def result(self, order: Order) -> ResultSeen:
        found: ResultSeen = self.until(
            f"the result of a {order.type}",
            lambda: next((one for one in self.results if one.token == order.token), None),
        )
        return found

    def down(self, worker: int) -> DownSeen:
        found: DownSeen = self.until(
            f"WorkerDown of worker {worker}",
            lambda: next((one for one in self.downs if one.worker == worker), None),
        )
        return found

    def running(self, order: Order) -> LeaseSeen:
        """The lease, once a heartbeat names it as running."""
        found: LeaseSeen = self.until(
            f"a heartbeat that names the running {order.type}",
            lambda: next(
                (
                    lease
                    for beat in self.beats
                    for lease in beat.running
                    if lease.token == order.token
                ),
                None,
            ),
        )
        return found

    def _seen(self) -> str:
        peers = [(p.role, p.worker, p.ready, p.goodbye) for p in self.sessions.values()]
        return (
            f"sessions (role, worker, ready, goodbye) {peers}, {len(self.results)} results, "
            f"{len(self.handed_back)} handed back, downs {self.downs}, {len(self.beats)} beats"
        )

    # What comes in.

    def _take(self, frames: list[bytes]) -> None:
        route, envelope, *rest = frames
        assert len(rest) <= 1
        kind, read = body_of(envelope)
        if kind == Body.Hello:
            self._hello(route, read(Hello.Hello))
            return
        peer = self.sessions.get(route)
        if peer is None:
            self.answer(route, refused(Code.HelloFirst))
            return
        if kind == Body.Ready:
            ready = read(Ready.Ready)
            peer.queues = [ready.Queues(i).decode() for i in range(ready.QueuesLength())]
            peer.types = [ready.Types(i).Name().decode() for i in range(ready.TypesLength())]
            peer.slots, peer.credit = ready.Slots(), ready.Credit()
            peer.held = leases(ready.HeldLength(), ready.Held)
            peer.ready = True
        elif kind == Body.Results:
            self._results(peer, read(Results.Results), rest[0] if rest else b"")
        elif kind == Body.HandBack:
            back = read(HandBack.HandBack)
            self.handed_back += [raw_id(back.Tokens(i)) for i in range(back.TokensLength())]
        elif kind == Body.Heartbeat:
            beat = read(Heartbeat.Heartbeat)
            workers = [beat.Workers(i) for i in range(beat.WorkersLength())]
            running = leases(beat.RunningLength(), beat.Running)
            self.beats.append(BeatSeen(beat.Sequence(), workers, running))
            self.answer(route, heartbeat(beat.Sequence()))
        elif kind == Body.WorkerDown:
            down = read(WorkerDown.WorkerDown)
            self.downs.append(
                DownSeen(
                    down.Worker(),
                    down.End(),
                    down.Pid(),
                    down.Signal(),
                    down.ExitCode(),
                    leases(down.RunningLength(), down.Running),
                    down.RssBytes(),
                    down.LogTail().decode(),
                )
            )
        elif kind == Body.Progress:
            told = read(Progress.Progress)
            for i in range(told.HeadsLength()):
                head = told.Heads(i)
                at, size = head.MessageOffset(), head.MessageSize()
                message = rest[0][at : at + size] if size else b""
                self.progress.append(
                    ProgressSeen(peer.role, raw_id(head.Token(Id())), head.Value(), message)
                )
        elif kind == Body.Goodbye:
            read(Goodbye.Goodbye)
            peer.goodbye = True
        else:
            raise AssertionError(f"body {kind} has no business here")

    def _hello(self, route: bytes, hello: Any) -> None:
        self.greeting.append(route)
        if not self.greets:
            return
        peer = Peer(
            route,
            hello.Role(),
            hello.Client().decode(),
            raw_id(hello.Host()),
            hello.Worker(),
            hello.Pid(),
            hello.Protocol(),
        )
        self.peers.append(peer)
        self.sessions[route] = peer
        self.answer(route, welcome(self.id, len(self.peers), self._heartbeat_ms))

    def _results(self, peer: Peer, results: Any, blob: bytes) -> None:
        for i in range(results.HeadsLength()):
            head = results.Heads(i)
            at = head.PayloadOffset()
            assert at + head.PayloadSize() <= len(blob), "a result lies outside the blob"
            self.results.append(
                ResultSeen(
                    peer.route,
                    results.Sequence(),
                    raw_id(head.Token(Id())),
                    raw_id(head.Job(Id())),
                    blob[at : at + head.PayloadSize()],
                    head.RunUs(),
                    head.StartedMs(),
                    head.RetryDelayMs(),
                    head.Outcome(),
                    head.Encoding(),
                )
            )
        if self.acknowledges:
            self.answer(peer.route, ack(results.Sequence()))

    def answer(self, route: bytes, envelope: bytes) -> None:
        try:
            self.router.send_multipart([route, envelope])
        except zmq.ZMQError:
            # The peer has died in the meantime.
            self.sessions.pop(route, None)


# ------------------------------------------------------------------ the real thing


class Host:
    """A real `jobwire worker` process."""

    def __init__(
        self,
        broker: FakeBroker,
        log: Path,
        arguments: Sequence[str],
        target: str,
        stderr: int | None,
        cwd: Path = HERE,
    ) -> None:
        self.broker = broker
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "jobwire._cli",
                    "worker",
                    target,
                    "--broker",
                    broker.endpoint,
                    *arguments,
                ],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream if stderr is None else stderr,
            )

    def log(self) -> str:
        return self._log.read_text()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Waits until it has ended."""
        self.broker.until("the agent to end", lambda: self.process.poll() is not None)
        code: int = self.process.returncode
        return code

    def worker_pids(self) -> set[int]:
        return {peer.pid for peer in self.broker.peers if peer.role == Role.Worker}

    def wait_for_log(self, text: str) -> None:
        self.broker.until(f"{text!r} in the log", lambda: text in self.log())


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and unburied does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@contextmanager
def hosted(
    broker: FakeBroker,
    log: Path,
    *arguments: str,
    target: str = "worker_jobs:app",
    stderr: int | None = None,
    cwd: Path = HERE,
) -> Iterator[Host]:
    """A host that is gone afterwards, its workers included."""
    host = Host(broker, log, arguments, target, stderr, cwd)
    try:
        yield host
    finally:
        if host.process.poll() is None:
            host.process.kill()
        host.process.wait()
        broker.until("all workers to be gone", lambda: not any(map(is_alive, host.worker_pids())))
