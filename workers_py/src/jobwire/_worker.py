# SPDX-License-Identifier: Apache-2.0
"""A worker process: `python -m jobwire._worker <descriptor>`, started by the host agent only."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from jobwire._app import App
from jobwire._attempt import Executor
from jobwire._boot import (
    EXIT_INTERRUPTED,
    EXIT_ORPHANED,
    EXIT_RECYCLED,
    EXIT_REFUSED,
    EXIT_SETUP,
    EXIT_SETUP_FAILED,
    FRAMES_PREFIX,
    PROBLEM_PREFIX,
    Boot,
    read_boot,
)
from jobwire._contexts import Contexts
from jobwire._errors import RefusedError, SetupError
from jobwire._exchange import Exchange
from jobwire._explain import one_line, own_traceback
from jobwire._handlers import Bound, Call, Program
from jobwire._kinds import Kind, kind_of, kinds_in, slots_for
from jobwire._load import load_app
from jobwire._logging import configure_worker
from jobwire._loop import MainLoop
from jobwire._parent import end_with_parent
from jobwire._slots import WorkerSlots, WorkerState
from jobwire._slots_loop import SlotsLoop
from jobwire._threads import Threads
from jobwire._transport import Connection
from jobwire._version import __version__
from jobwire._wake import Wake
from jobwire._wire_enums import Role
from jobwire._wire_session import encode_hello
from jobwire._wire_worker import OfferedType
from jobwire._worker_session import Offer, WorkerSession

if TYPE_CHECKING:
    from jobwire._tasks import EventLoop


def main() -> None:
    agent_fd = int(sys.argv[1])
    boot = read_boot(agent_fd)
    _die_with(boot.agent_pid)
    # Only the thread that died: the report of a crash has room for a few lines.
    faulthandler.enable(all_threads=False)
    for stream in (sys.stdout, sys.stderr):
        # A pipe would hold lines back until they are old.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    # Ctrl-C reaches the whole terminal group; the agent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_worker(boot.log_format, boot.worker)
    slots = WorkerSlots(boot.memory_fd)
    slots.state(WorkerState.LOADING)
    try:
        code = _serve(boot, slots, agent_fd)
    except SetupError as problem:
        _give_up(EXIT_SETUP, f"{boot.target}: {problem}")
    except RefusedError as problem:
        _give_up(EXIT_REFUSED, f"the broker at {boot.broker} refuses this worker: {problem}")
    except EOFError:
        os._exit(EXIT_ORPHANED)
    sys.exit(code)


def _serve(boot: Boot, slots: WorkerSlots, agent_fd: int) -> int:
    """Loads the program and serves it to the end; the exit code."""
    with _explaining(EXIT_SETUP, f"{boot.target} cannot be imported"):
        app = load_app(boot.target)
    kinds = {job.name: kind_of(job.options, boot.threads) for job in app.jobs.values()}
    bits = 0
    for each in kinds.values():
        bits |= each
    contexts = Contexts()
    kind = Kind(boot.kind) or (kinds_in(bits) or [Kind.MAIN])[0]
    program = Program(app, contexts.make, lambda name: kinds[name] is kind)
    if not any(each is kind for each in kinds.values()):
        raise SetupError("the program has changed and needs other workers; start it again")
    slots.kinds(bits)
    slots.state(WorkerState.SETTING_UP)
    loop = _event_loop() if program.needs_loop else None
    # Not for good: what it needs may be away for a while, and it is tried again.
    with _explaining(EXIT_SETUP_FAILED, "its setup failed"):
        bound = loop.run(program.set_up_async()) if loop is not None else program.set_up()
    if any(one.options.redact for one in bound):
        slots.redacts()
    slots.open(slots_for(kind, [one.options for one in bound], boot.threads))
    code = _Server(boot, slots, agent_fd, app, kind, bound, contexts, loop).run()
    slots.state(WorkerState.LEAVING)
    if code != EXIT_INTERRUPTED:
        if loop is not None:
            loop.run(program.close_async())
            loop.close()
        else:
            program.close()
    return code


# asyncio and subprocess cost a fresh process more than all the rest of its job may; they come when a job needs them.


def _event_loop() -> EventLoop:
    from jobwire._tasks import EventLoop

    return EventLoop()


class _Server:
    """What a worker is made of, put together for its kind."""

    def __init__(
        self,
        boot: Boot,
        slots: WorkerSlots,
        agent_fd: int,
        app: App,
        kind: Kind,
        bound: list[Bound],
        contexts: Contexts,
        loop: EventLoop | None,
    ) -> None:
        count = len(list(slots))
        hello = encode_hello(
            Role.Worker,
            f"{app.name} jobwire-py/{__version__}",
            bytes.fromhex(boot.host),
            boot.host_name,
            boot.worker,
            os.getpid(),
        )
        max_jobs = 1 if kind is Kind.FRESH else boot.max_jobs
        credit = 1 if kind is Kind.FRESH else max(boot.credit, count)
        offer = Offer(
            boot.queues or app.queues,
            tuple(
                OfferedType(
                    one.name,
                    one.version,
                    one.options.retry,
                    one.options.timeout_ms,
                    one.options.contract,
                    one.options.accepts,
                )
                for one in bound
            ),
            slots=count,
            credit=credit,
        )
        self._log = logging.getLogger("jobwire.worker")
        self._session = WorkerSession(hello, offer, boot.worker, self._log)
        self._wake = Wake()
        self._connection = Connection(boot.broker)
        self._slots = slots
        self._exchange = Exchange(self._connection, self._session, slots, self._wake, agent_fd)
        self._boot = boot
        self._bound = bound
        self._contexts = contexts
        self._loop = loop
        self._max_jobs = max_jobs
        self._kind = kind

    def run(self) -> int:
        """Serves until it is to leave; the exit code."""
        if self._kind in (Kind.MAIN, Kind.FRESH):
            drained, used_up = self._one_by_one()
        else:
            drained, used_up = self._several()
        self._connection.close(1000 if drained else 100)
        if not drained:
            return EXIT_INTERRUPTED
        return EXIT_RECYCLED if used_up else 0

    def _one_by_one(self) -> tuple[bool, bool]:
        (slot,) = self._slots
        self._contexts.slot = slot
        bound = [replace(one, call=self._call(one)) for one in self._bound]
        loop = MainLoop(
            self._exchange, self._slots, bound, self._contexts, self._max_jobs, self._log
        )
        self._listen(loop.terminate)
        return loop.run(), loop.used_up

    def _several(self) -> tuple[bool, bool]:
        bound = self._bound
        if self._kind is Kind.THREADS:
            bound = [replace(one, call=self._call(one)) for one in bound]
        loop = SlotsLoop(
            self._exchange, self._slots, bound, self._contexts, self._max_jobs, self._wake
        )
        executor: Executor
        if self._kind is Kind.ASYNC:
            from jobwire._tasks import Tasks

            assert self._loop is not None
            executor = Tasks(self._loop, lambda: self._session.limits, loop.ended)
        else:
            executor = Threads(len(list(self._slots)), lambda: self._session.limits, loop.ended)
        self._listen(loop.terminate)
        return loop.run(executor), loop.used_up

    def _call(self, one: Bound) -> Call:
        """How a job that is not run on the event loop is called."""
        if one.command is not None:
            from jobwire._exec import CommandCall

            grace_s = self._boot.term_grace_s
            return CommandCall(one.command, self._contexts, lambda: self._session.limits, grace_s)
        if not one.is_async:
            return one.call
        loop = self._loop
        assert loop is not None
        return lambda *arguments: loop.run(one.call(*arguments))

    def _listen(self, terminate: Callable[[], None]) -> None:
        self._wake.on_signals()
        signal.signal(signal.SIGTERM, lambda *_: terminate())
        for slot in self._slots:
            slot.idle()
        self._slots.state(WorkerState.READY)


def _die_with(agent_pid: int) -> None:
    """Has the kernel kill this process when the agent dies, however that comes about."""
    problem = end_with_parent()
    if problem:
        print(
            f"no PR_SET_PDEATHSIG ({os.strerror(problem)}): the pipe alone tells", file=sys.stderr
        )
    if os.getppid() != agent_pid:
        os._exit(EXIT_ORPHANED)


@contextlib.contextmanager
def _explaining(code: int, what: str) -> Iterator[None]:
    """Ends the process with one line about what the program has raised, and with where; the agent shows that once."""
    try:
        yield
    except SetupError:
        raise
    except BaseException as error:  # the program may raise anything
        for line in own_traceback(error).splitlines():
            os.write(2, FRAMES_PREFIX + line.encode("utf-8", "backslashreplace") + b"\n")
        _give_up(code, f"{what}: {one_line(error)}")


def _give_up(code: int, problem: str) -> NoReturn:
    line = problem.replace("\n", " ")
    sys.stderr.flush()
    os.write(2, PROBLEM_PREFIX + line.encode("utf-8", "backslashreplace") + b"\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
