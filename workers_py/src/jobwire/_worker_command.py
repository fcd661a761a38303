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
from jobwire._supervisor import Settings

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
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
        help="worker processes (default: one per usable core, here %(default)s)",
    )
    parser.add_argument(
        "--broker",
        default="tcp://127.0.0.1:7701",
        metavar="ENDPOINT",
        help="the broker's worker endpoint (default: %(default)s)",
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
    settings = Settings(
        target=given.app,
        broker=given.broker,
        queues=tuple(dict.fromkeys(queues)),
        workers=given.concurrency,
        credit=given.credit,
        grace_s=given.grace,
        term_grace_s=given.term_grace,
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
    """Seconds of a span such as 25s, 100ms, 2m; a bare number is seconds."""
    found = _SPAN.match(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 25s, 100ms or 2m")
    return float(found[1]) * _UNITS[found[2] or "s"]


class _count:  # noqa: N801 - argparse shows its name
    """A whole number from 1 to `most`."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= self._most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {self._most}")
        return int(text)
