# SPDX-License-Identifier: Apache-2.0
"""A worker process: `python -m jobwire._worker <descriptor>`, started by the host agent only."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import logging
import os
import signal
import socket
import sys
from typing import NoReturn

from jobwire._boot import (
    EXIT_INTERRUPTED,
    EXIT_ORPHANED,
    EXIT_REFUSED,
    EXIT_SETUP,
    PROBLEM_PREFIX,
    Boot,
    read_boot,
)
from jobwire._contexts import Contexts
from jobwire._errors import HandlerError, RefusedError, SetupError
from jobwire._handlers import Program
from jobwire._job import Execution
from jobwire._load import load_app
from jobwire._logging import configure_worker
from jobwire._loop import WorkerLoop
from jobwire._slots import WorkerSlot, WorkerState
from jobwire._transport import Connection
from jobwire._version import __version__
from jobwire._wire import Role, encode_hello
from jobwire._worker_session import Offer, WorkerSession

_PR_SET_PDEATHSIG = 1


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
    slot = WorkerSlot(boot.slots_fd, boot.slot)
    slot.state(WorkerState.LOADING)
    try:
        drained = _serve(boot, slot, agent_fd)
    except SetupError as problem:
        _give_up(EXIT_SETUP, f"{boot.target}: {problem}")
    except RefusedError as problem:
        _give_up(EXIT_REFUSED, f"the broker at {boot.broker} refuses this worker: {problem}")
    except EOFError:
        os._exit(EXIT_ORPHANED)
    sys.exit(0 if drained else EXIT_INTERRUPTED)


def _serve(boot: Boot, slot: WorkerSlot, agent_fd: int) -> bool:
    log = logging.getLogger("jobwire.worker")
    app = load_app(boot.target)
    contexts = Contexts(slot)
    program = Program(app, contexts.make)
    for job in app.jobs.values():
        if job.options.execution is not Execution.MAIN:
            raise HandlerError(f"job {job.name!r}: {job.options.execution.value} is not served yet")
    slot.state(WorkerState.SETTING_UP)
    bound = program.set_up()
    hello = encode_hello(
        Role.Worker,
        f"{app.name} jobwire-py/{__version__}",
        bytes.fromhex(boot.host),
        boot.host_name,
        boot.worker,
        os.getpid(),
    )
    offer = Offer(
        boot.queues or app.queues,
        tuple((one.name, one.version) for one in bound),
        slots=1,
        credit=boot.credit,
    )
    session = WorkerSession(hello, offer, boot.worker, log)
    connection = Connection(boot.broker)
    loop = WorkerLoop(
        connection=connection,
        session=session,
        slot=slot,
        bound=bound,
        contexts=contexts,
        log=log,
    )
    wake_read, wake_write = socket.socketpair()
    for end in (wake_read, wake_write):
        end.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: loop.terminate())
    slot.state(WorkerState.IDLE)
    drained = loop.run(wake_read.fileno(), lambda: _drain(wake_read), agent_fd)
    connection.close(1000 if drained else 100)
    if drained:
        program.close()
    return drained


def _drain(wake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while wake.recv(4096):
            pass


def _die_with(agent_pid: int) -> None:
    """Has the kernel kill this process when the agent dies, however that comes about."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        problem = os.strerror(ctypes.get_errno())
        print(f"no PR_SET_PDEATHSIG ({problem}): the pipe alone tells", file=sys.stderr)
    if os.getppid() != agent_pid:
        os._exit(EXIT_ORPHANED)


def _give_up(code: int, problem: str) -> NoReturn:
    line = problem.replace("\n", " ")
    sys.stderr.flush()
    os.write(2, PROBLEM_PREFIX + line.encode("utf-8", "backslashreplace") + b"\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
