# SPDX-License-Identifier: Apache-2.0
"""Restarts, declarations, the command line, and the package's own rules."""

from __future__ import annotations

import ast
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import jobwire
import pytest
from jobwire import App, HandlerError, Retry
from jobwire._cli import main
from jobwire._logging import wrap_line
from jobwire._restarts import Restarts
from jobwire._worker_command import _span
from jobwire._worker_command import main as worker_command

PACKAGE = Path(jobwire.__file__).parent


# ------------------------------------------------------------------ restarts


def test_first_crash_is_restarted_at_once_and_a_row_of_them_ever_later() -> None:
    restarts = Restarts()
    delays = [restarts.delay(ready=True, lived_s=1.0, wanted=False) for _ in range(9)]
    assert delays[0] == 0.0
    assert delays == sorted(delays)
    assert delays[-1] == 1.0


def test_crash_after_a_long_life_is_forgiven() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.delay(ready=True, lived_s=1.0, wanted=False)
    assert restarts.delay(ready=True, lived_s=60.0, wanted=False) == 0.0
    assert restarts.delay(ready=True, lived_s=1.0, wanted=False) == 0.0


def test_worker_ended_on_purpose_is_replaced_at_once() -> None:
    restarts = Restarts()
    assert [restarts.delay(ready=True, lived_s=0.1, wanted=True) for _ in range(5)] == [0.0] * 5


def test_failing_setup_is_tried_ever_later_up_to_a_bound() -> None:
    restarts = Restarts()
    delays = [restarts.delay(ready=False, lived_s=60.0, wanted=False) for _ in range(10)]
    assert delays[:3] == [0.5, 1.0, 2.0]
    assert delays[-1] == 30.0


# ------------------------------------------------------------------ declarations


def test_names_come_from_functions_and_classes() -> None:
    app = App("a")

    @app.job
    def plain() -> None: ...

    @app.job(queue="q")
    class ReadHTTPPage:
        def run(self) -> None: ...

    @app.job(name="x/y.z-1")
    def other() -> None: ...

    assert list(app.jobs) == ["plain", "read_http_page", "x/y.z-1"]
    assert app.queues == ("default", "q")


def test_declared_function_can_still_be_called() -> None:
    app = App("a")

    @app.job
    def double(number: int) -> int:
        return number * 2

    assert double(4) == 8


@pytest.mark.parametrize("name", ["", "a b", "-a", "ü", "a" * 129, "a\n"])
def test_name_that_cannot_travel_is_refused(name: str) -> None:
    app = App("a")
    for declare in (app.job(name=name), app.job(queue=name, name="j")):
        with pytest.raises(HandlerError, match="name"):
            declare(lambda: None)
    assert app.jobs == {}


def test_second_job_of_a_name_is_refused() -> None:
    app = App("a")
    app.job(name="j")(lambda: None)
    with pytest.raises(HandlerError, match="two jobs named 'j'"):
        app.job(name="j")(lambda: None)


@pytest.mark.parametrize("timeout", [0, -1, 0.0001, 8 * 86400, timedelta(days=8)])
def test_timeout_out_of_range_is_refused(timeout: float) -> None:
    with pytest.raises(HandlerError, match="1 ms to 7 days"):
        App("a").job(name="j", timeout=timeout)(lambda: None)


def test_retry_takes_seconds_or_a_timedelta() -> None:
    delays = [Retry().delay_ms, Retry(0).delay_ms, Retry(1.5).delay_ms]
    assert delays == [0, 1, 1500]
    assert Retry(timedelta(minutes=1)).delay_ms == 60_000
    for bad in (-1, 367 * 86400):
        with pytest.raises(ValueError, match="must be 0 s to 366 days"):
            Retry(bad)


# ------------------------------------------------------------------ the command


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "worker     Serves the jobs of an app" in capsys.readouterr().out


def test_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wrker"]) == 2
    assert "did you mean 'worker'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["app", "--grace", "soon"], "'soon' is not a time such as 25s"),
        (["app", "-c", "0"], "'0' is not a number from 1 to 1024"),
        (["app", "--credit", "4097"], "'4097' is not a number from 1 to 4096"),
        (["app", "-q", "fine,not fine"], "queue name 'not fine'"),
        (["app", "--broker", "nonsense"], "cannot connect to 'nonsense'"),
        (["app", "--max-rss", "much"], "'much' is not a size such as 800M or 2G"),
        (["app", "--http", "8080"], "'8080' is not of the form :PORT or HOST:PORT"),
        (["app", "--http", "192.0.2.1:9"], "cannot listen on 192.0.2.1:9"),
        (["app", "--env-per-slot", "GPU"], "'GPU' is not of the form NAME=A,B,.."),
        (["app", "--threads", "1025"], "'1025' is not a number from 1 to 1024"),
    ],
)
def test_bad_option_is_one_clear_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        worker_command(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_spans_have_units() -> None:
    assert [_span(text) for text in ("250ms", "25s", "25", "1.5m", "2h")] == [
        0.25,
        25.0,
        25.0,
        90.0,
        7200.0,
    ]


def test_lines_of_workers_are_told_apart() -> None:
    assert wrap_line("hello", 3, "text") == "worker 3| hello"
    assert wrap_line('{"a": 1}', 3, "json") == '{"a": 1}'
    assert '"worker": 3, "message": "hello"' in wrap_line("hello", 3, "json")


# ------------------------------------------------------------------ the package


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_zmq_is_imported_in_one_file_and_generated_code_where_messages_are_made() -> None:
    files = {path.name: imports(path) for path in PACKAGE.glob("*.py")}

    def importers(package: str) -> set[str]:
        return {
            name
            for name, modules in files.items()
            if any(f"{module}.".startswith(f"{package}.") for module in modules)
        }

    assert importers("zmq") == {"_transport.py"}
    wire = {name for name in files if name.startswith("_wire")}
    assert importers("jobwire.wire") <= wire
    assert importers("flatbuffers") <= wire


def test_everything_public_is_listed_and_everything_listed_is_there() -> None:
    for name in jobwire.__all__:
        assert getattr(jobwire, name) is getattr(jobwire, name)
        assert name in dir(jobwire)
    # What pytest adds to the modules of a distribution with a plugin starts with @.
    public = {name for name in vars(jobwire) if name[0] not in "_@"} - {
        "contract",
        "testing",
        "wire",
    }
    assert public == set(jobwire.__all__) - {"__version__"}
    assert sorted(jobwire.__all__) == jobwire.__all__
    modules = {path.name for path in PACKAGE.glob("*.py")}
    assert all(name.startswith("_") for name in modules)
    assert (PACKAGE / "py.typed").exists()


def imported(statement: str, *asked: str) -> str:
    """What a fresh interpreter has in the end: threads, and which of the modules that were asked about."""
    code = (
        f"{statement}; import sys, threading;"
        f"print(threading.active_count(), *(name for name in {asked!r} if name in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


# In ascending order of cost; NumPy comes with flatbuffers.
COSTLY = ("subprocess", "socket", "asyncio", "zmq", "flatbuffers", "numpy")


def test_importing_the_package_starts_nothing_and_brings_nothing_costly() -> None:
    assert imported("import jobwire", *COSTLY) == "1"
    assert imported("from jobwire import App, Ctx, JobSpec, Retry", *COSTLY) == "1"
    assert imported("import jobwire.contract", "asyncio", "zmq") == "1"


def test_a_worker_process_brings_asyncio_and_subprocess_only_for_jobs_that_need_them() -> None:
    assert imported("import jobwire._worker", "asyncio", "subprocess", "zmq") == "1 zmq"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'jobwire' has no attribute 'Clinet'"):
        getattr(jobwire, "Clinet")  # noqa: B009
