# SPDX-License-Identifier: Apache-2.0
"""What a host says about itself: figures on the terminal, the steps of its end, changed sources, kinds of workers."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from jobwire._errors import SetupError
from jobwire._figures import Figures
from jobwire._job import Execution, JobOptions
from jobwire._kinds import Kind, kind_of, kinds_in, slots_for
from jobwire._logging import Stderr
from jobwire._sources import Sources
from jobwire._stopping import Stopping
from jobwire._totals import Totals

BUSY = Totals(started=1003, running=3, slots=4, failed=7, crashes=0, workers=4, ready=4)
STARTING = Totals(started=0, running=0, slots=0, failed=0, crashes=0, workers=4, ready=0)


# ------------------------------------------------------------------ figures


def test_line_tells_what_happened_since_the_last_one() -> None:
    figures = Figures(100.0)
    assert figures.line(STARTING, False, 100.0) == "starting, 0 of 4 workers ready, no broker"
    line = figures.line(BUSY, True, 102.0)
    assert line == "running 3 of 4, 500 jobs/s, 1000 done, 7 failed"
    crashed = Totals(started=1012, running=0, slots=3, failed=7, crashes=1, workers=4, ready=3)
    line = figures.line(crashed, True, 106.0)
    assert line == (
        "running 0 of 3, 3.0 jobs/s, 1012 done, 7 failed, 1 crashed, 3 of 4 workers ready"
    )


def test_bar_shows_how_many_slots_are_busy() -> None:
    figures = Figures(0.0)
    assert figures.bar(STARTING, False) == "░" * 12
    assert figures.bar(BUSY, False) == "█" * 9 + "░" * 3
    assert figures.bar(BUSY, True) == "#" * 9 + "-" * 3
    all_busy = Totals(started=4, running=4, slots=4, failed=0, crashes=0, workers=4, ready=4)
    assert figures.bar(all_busy, False) == "█" * 12


def test_summary_is_of_the_whole_run() -> None:
    figures = Figures(0.0)
    figures.line(BUSY, True, 3000.0)
    assert figures.summary(BUSY, 4000.0) == "1000 jobs in 1 h 6 min, 0.2 jobs/s, 7 failed"
    assert Figures(0.0).summary(BUSY, 20.0) == "1000 jobs in 20.0 s, 50 jobs/s, 7 failed"


def test_shown_line_stays_below_what_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    stderr = Stderr()
    stderr.show("status")
    stderr.line("logged")
    stderr.show("")
    stderr.line("last")
    clear = "\r\x1b[K"
    assert capfd.readouterr().err == f"{clear}status{clear}logged\nstatus{clear}last\n"


# ------------------------------------------------------------------ the end


def test_each_step_of_the_end_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stopping = Stopping(10.0, 0.5, logging.getLogger("end"), now=100.0, quiet=False)
    for running, workers, now in [
        (2, 2, 101.0),
        (2, 2, 106.0),
        (1, 2, 107.0),
        (1, 1, 110.0),
        (1, 1, 110.2),
        (0, 0, 110.6),
        (0, 0, 110.7),
    ]:
        stopping.tell(running, workers, now)
    assert stopping.by == 110.5
    assert [record.getMessage() for record in caplog.records] == [
        "1. stopping: nothing new begins, what has not begun goes back",
        "2. jobs that run have 10 s; a second signal ends them now",
        "2. 2 job(s) still run, 4 s are left",
        "3. the grace is over: 1 job(s) are ended and go back",
        "4. no worker is left, telling the broker",
    ]


# ------------------------------------------------------------------ sources


def test_written_made_and_removed_files_are_changes_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for hidden in (".git", "__pycache__", "node_modules", "env"):
        (tmp_path / hidden).mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    program = tmp_path / "package" / "program.py"
    program.write_text("a = 1")
    sources = Sources([str(tmp_path), "/does/not/exist"])
    assert sources.changed() is None
    program.write_text("a = 12")
    assert sources.changed() == str(program)
    assert sources.changed() is None
    # Same size, another time.
    os.utime(program, ns=(1, 1))
    assert sources.changed() == str(program)
    fresh = tmp_path / "fresh.py"
    fresh.touch()
    assert sources.changed() == str(fresh)
    fresh.unlink()
    assert sources.changed() == str(fresh)
    for unseen in ("notes.txt", ".git/a.py", "__pycache__/a.py", "node_modules/a.py", "env/a.py"):
        (tmp_path / unseen).touch()
    assert sources.changed() is None


# ------------------------------------------------------------------ kinds


def options(execution: Execution, concurrency: int = 0) -> JobOptions:
    return JobOptions(execution=execution, concurrency=concurrency)


def test_kind_follows_from_execution_and_command_line() -> None:
    assert [kind_of(options(execution), 0) for execution in Execution] == [
        Kind.MAIN,
        Kind.THREADS,
        Kind.ASYNC,
        Kind.FRESH,
        Kind.MAIN,
    ]
    assert kind_of(options(Execution.MAIN), 4) is Kind.THREADS
    assert kind_of(options(Execution.COMMAND), 4) is Kind.MAIN
    assert kind_of(options(Execution.COMMAND, 2), 0) is Kind.THREADS
    assert kinds_in(Kind.MAIN | Kind.FRESH) == [Kind.MAIN, Kind.FRESH]


def test_slots_are_what_the_types_declare_together() -> None:
    tasks = [options(Execution.ASYNC, 5), options(Execution.ASYNC, 7)]
    assert slots_for(Kind.ASYNC, tasks, 0) == 12
    assert slots_for(Kind.ASYNC, [*tasks, options(Execution.ASYNC)], 0) == 112
    assert slots_for(Kind.THREADS, [options(Execution.THREADS, 3)], 0) == 3
    assert slots_for(Kind.THREADS, [options(Execution.MAIN)], 6) == 6
    assert slots_for(Kind.FRESH, [options(Execution.PROCESS)], 6) == 1
    with pytest.raises(SetupError, match="1100 together; one process has 1024 at most"):
        slots_for(Kind.ASYNC, [options(Execution.ASYNC, 1000), options(Execution.ASYNC)], 0)
