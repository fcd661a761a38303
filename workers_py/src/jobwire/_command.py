# SPDX-License-Identifier: Apache-2.0
"""A job type that is a command line: payload on stdin, result from stdout, exit code to the error."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobwire._errors import CommandFailed, HandlerError, Reject, ResultError
from jobwire._wire_enums import Encoding

_STDOUT = {"bytes": Encoding.Bytes, "text": Encoding.Utf8, "json": Encoding.Json}
# sysexits.h, EX_DATAERR: the input was wrong, and will be wrong the next time.
_WRONG_INPUT = 65
_TAIL_CHARACTERS = 2000


class Command:
    """One command line, as the program declared it. Immutable."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        result: str = "bytes",
        reject_on: Iterable[int] = (_WRONG_INPUT,),
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> None:
        if isinstance(argv, str | bytes) or not argv:
            raise HandlerError("a command is a list: the program, then its arguments, one by one")
        if result not in _STDOUT:
            raise HandlerError(f"result {result!r}: one of {', '.join(_STDOUT)}")
        self.argv = tuple(os.fspath(part) for part in argv)
        self.result = _STDOUT[result]
        self.reject_on = frozenset(reject_on)
        self.env = dict(env or {})
        self.cwd = None if cwd is None else os.fspath(cwd)
        if 0 in self.reject_on:
            raise HandlerError("exit code 0 is success and rejects nothing")
        self.__name__ = Path(self.argv[0]).name
        self.__qualname__ = self.__name__
        self.__module__ = __name__

    def check(self) -> None:
        """Raises HandlerError when there is no such program; for workers, before they take a job."""
        path = {**os.environ, **self.env}.get("PATH")
        program = self.argv[0]
        if os.sep in program and self.cwd is not None:
            program = os.path.join(self.cwd, program)
        if shutil.which(program, path=path) is None:
            raise HandlerError(f"{self.argv[0]!r} is no program that can be executed")

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """What the command finds in its environment: the worker's, the declared one, and what belongs to the job."""
        return {**os.environ, **self.env, **extra}

    def failure(self, exit_code: int, stderr: bytes) -> Exception | None:
        """What an exit code means, negative for a signal: nothing, CommandFailed, or Reject for those in `reject_on`."""
        if exit_code == 0:
            return None
        text = stderr.decode("utf-8", "replace").strip()[-_TAIL_CHARACTERS:]
        last = text.rsplit("\n", 1)[-1]
        how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        said = f"{self.argv[0]}: {how}" + (f": {last}" if last else "")
        error = Reject(said) if exit_code in self.reject_on else CommandFailed(said, exit_code)
        if "\n" in text:
            error.add_note(text)
        return error

    def read_result(self, stdout: bytes) -> Any:
        """What stdout becomes as the job's result; raises ResultError when it is not what was declared."""
        if self.result == Encoding.Utf8:
            try:
                return stdout.decode()
            except UnicodeDecodeError as problem:
                raise ResultError(f"{self.argv[0]}: stdout is no UTF-8: {problem}") from None
        if self.result == Encoding.Json:
            try:
                return json.loads(stdout)
            except ValueError as problem:
                raise ResultError(f"{self.argv[0]}: stdout is no JSON: {problem}") from None
        return stdout

    def __call__(self, payload: bytes) -> Any:
        """Runs it here and now, without limits: for tests, and for who calls the job as a function."""
        import subprocess  # a worker starts commands otherwise

        run = subprocess.run(
            self.argv, input=payload, capture_output=True, cwd=self.cwd, env=self.environment({})
        )
        error = self.failure(run.returncode, run.stderr)
        if error is not None:
            raise error
        return self.read_result(run.stdout)

    def __repr__(self) -> str:
        return f"<jobwire.Command {' '.join(self.argv)!r}>"
