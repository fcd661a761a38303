# SPDX-License-Identifier: Apache-2.0
"""`jobwire worker`: serves the jobs of an app."""

from __future__ import annotations

import argparse
import os
import re

from jobwire._agent import Agent
from jobwire._errors import SetupError
from jobwire._logging import FORMATS, Stderr, configure_agent
from jobwire._names import checked_name
from jobwire._settings import Settings
from jobwire._slots import MAX_SLOTS
from jobwire._spans import milliseconds

_SHIFTS = {"K": 10, "M": 20, "G": 30, "T": 40}
_MAX_CREDIT = 4096
_MAX_WORKERS = 1024


def main(arguments: list[str]) -> int:
    """Serves the jobs of an app with worker processes."""
    parser = argparse.ArgumentParser(
        prog="jobwire worker",
        description="Starts worker processes that run the jobs of an app. SIGTERM or Ctrl-C lets "
        "them finish what runs and gives the rest back; a second one ends them at once.",
    )
    parser.add_argument("app", metavar="module:app", help="the app; ':app' may be left out")
    parser.add_argument(
        "-q",
        "--queue",
        action="append",
        default=[],
        metavar="NAME[,NAME]",
        help="queues to serve (default: those that the app's jobs name)",
    )
    parser.add_argument(
        "-c",
        "--concurrency",
        type=_count(_MAX_WORKERS),
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="worker processes of each kind that the jobs need (default: one per usable core, "
        "here %(default)s)",
    )
    parser.add_argument(
        "--broker",
        default="tcp://127.0.0.1:7701",
        metavar="ENDPOINT",
        help="the broker's worker endpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=_count(MAX_SLOTS),
        default=0,
        metavar="N",
        help="run plain handlers in N threads of each process instead of its main thread, for handlers that wait",
    )
    parser.add_argument(
        "--grace",
        type=_span,
        default="25s",
        metavar="TIME",
        help="how long a running job may go on after SIGTERM (default: %(default)s)",
    )
    parser.add_argument(
        "--term-grace",
        type=_span,
        default="100ms",
        metavar="TIME",
        help="from SIGTERM to SIGKILL for a job that is timed out or cancelled "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--max-jobs",
        type=_count(10**9),
        default=0,
        metavar="N",
        help="replace a worker process after so many jobs",
    )
    parser.add_argument(
        "--max-rss",
        type=_size,
        default=0,
        metavar="SIZE",
        help="replace a worker process, when its job has ended, above so much memory, such as 800M or 2G",
    )
    parser.add_argument(
        "--max-age",
        type=_span,
        default=0.0,
        metavar="TIME",
        help="replace a worker process, when its job has ended, after at most so long",
    )
    parser.add_argument(
        "--burst",
        type=_span,
        nargs="?",
        const=1.0,
        default=0.0,
        metavar="TIME",
        help="leave when the broker has had nothing for any of the workers for so long (1s when not said); "
        "jobs that wait for a delay or a retry are not waited for",
    )
    parser.add_argument(
        "--reload",
        action="store_true",
        help="start the workers again when a Python file below the working directory or $PYTHONPATH changes",
    )
    parser.add_argument(
        "--http",
        type=_address,
        metavar="[HOST]:PORT",
        help="answer /live and /ready there (the loopback interface when no host is named)",
    )
    parser.add_argument(
        "--env-per-slot",
        type=_slot_values,
        action="append",
        default=[],
        metavar="NAME=A,B,..",
        help="set NAME to A in the first process of a kind, to B in the second, and so on in a circle, "
        "as in CUDA_VISIBLE_DEVICES=0,1; JOBWIRE_SLOT is always set, to 0, 1, ..",
    )
    parser.add_argument(
        "--credit",
        type=_count(_MAX_CREDIT),
        default=512,
        metavar="N",
        help="jobs that one worker holds at most, the broker decides below it "
        "(default: %(default)s)",
    )
    parser.add_argument("--log", choices=FORMATS, default="text", help="default: %(default)s")
    given = parser.parse_args(arguments)
    stderr = Stderr()
    configure_agent(given.log, stderr)
    queues = [queue for names in given.queue for queue in names.split(",") if queue]
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    settings = Settings(
        target=given.app,
        broker=given.broker,
        queues=tuple(dict.fromkeys(queues)),
        workers=given.concurrency,
        threads=given.threads,
        credit=given.credit,
        grace_s=given.grace,
        term_grace_s=given.term_grace,
        max_jobs=given.max_jobs,
        max_rss_bytes=given.max_rss,
        max_age_s=given.max_age,
        burst_s=given.burst,
        reload=given.reload,
        source_folders=(os.getcwd(), *(folder for folder in path if folder)),
        http=given.http,
        slot_env=dict(given.env_per_slot),
        log_format=given.log,
    )
    try:
        for queue in queues:
            checked_name("queue", queue)
        agent = Agent(settings, stderr)
    except SetupError as problem:
        parser.error(str(problem))
    return agent.run()


def _span(text: str) -> float:
    """Seconds of a span such as 25s, 100ms, 1h30m; a bare number is seconds."""
    try:
        return milliseconds(float(text) if text.replace(".", "", 1).isdigit() else text) / 1000
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 25s, 100ms or 2m"
        ) from None


def _size(text: str) -> int:
    """Bytes of a size such as 800M or 2G."""
    found = re.match(r"(\d+)([KMGT])i?B?\Z", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 800M or 2G")
    return int(found[1]) << _SHIFTS[found[2]]


def _address(text: str) -> tuple[str, int]:
    """Where to listen; without a host, only for programs on this machine."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form :PORT or HOST:PORT")
    return host or "127.0.0.1", int(port)


def _slot_values(text: str) -> tuple[str, tuple[str, ...]]:
    name, sign, values = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=A,B,..")
    return name, tuple(values.split(","))


class _count:  # noqa: N801 - argparse shows its name
    """A whole number from 1 to `most`."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= self._most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {self._most}")
        return int(text)
