# SPDX-License-Identifier: Apache-2.0
"""What a handler takes: its parameters without the Ctx, to and from a payload."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from jobwire._command import Command
from jobwire._convert import object_checker, read_json, reader
from jobwire._ctx import Ctx
from jobwire._errors import HandlerError, PayloadError
from jobwire._job import Job, run_of

Arguments = tuple[list[Any], dict[str, Any]]
_Decode = Callable[[bytes, int], Arguments]


class Signature:
    """A handler's parameters, checked and compiled. Raises HandlerError for what cannot be served."""

    def __init__(self, job: Job[..., Any]) -> None:
        self.wants_ctx = False
        self.is_async = False
        self.parameters: Mapping[str, inspect.Parameter] = {}
        self.returns: Any = Any
        if isinstance(job.handler, Command):
            only = inspect.Parameter("payload", inspect.Parameter.POSITIONAL_ONLY, annotation=bytes)
            self.parameters = {"payload": only}
        else:
            self._read(job)
        self.decode = _decoder(self.parameters, job.name)

    @property
    def single(self) -> str | None:
        """The name of the only parameter, which is then the whole payload."""
        return next(iter(self.parameters)) if len(self.parameters) == 1 else None

    @property
    def raw(self) -> type | None:
        """`bytes` or `memoryview` when that is all that the handler takes: it needs no decoding."""
        if len(self.parameters) != 1:
            return None
        (parameter,) = self.parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY:
            return None
        return parameter.annotation if parameter.annotation in (bytes, memoryview) else None

    def _read(self, job: Job[..., Any]) -> None:
        where = f"job {job.name!r}"
        try:
            target = run_of(job.handler)
        except HandlerError as problem:
            raise HandlerError(f"{where}: {problem}") from None
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise HandlerError(f"{where}: generators are not served")
        self.is_async = inspect.iscoroutinefunction(target)
        try:
            signature = inspect.signature(target)
            hints = typing.get_type_hints(target, include_extras=True)
        except (NameError, TypeError, ValueError) as problem:
            raise HandlerError(f"{where}: its annotations cannot be read: {problem}") from problem
        parameters = list(signature.parameters.values())
        if inspect.isclass(job.handler):
            parameters = parameters[1:]  # self
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise HandlerError(f"{where}: *{parameter.name} has no place in a payload")
        if parameters and _is_ctx(hints.get(parameters[0].name)):
            self.wants_ctx = True
            parameters = parameters[1:]
        self.parameters = {
            parameter.name: parameter.replace(annotation=hints.get(parameter.name, Any))
            for parameter in parameters
        }
        self.returns = hints.get("return", Any)


def _is_ctx(annotation: Any) -> bool:
    return annotation is Ctx or typing.get_origin(annotation) is Ctx


def _decoder(parameters: Mapping[str, inspect.Parameter], name: str) -> _Decode:
    if not parameters:
        return _no_payload
    if len(parameters) == 1:
        ((field, parameter),) = parameters.items()
        read = reader(parameter.annotation, field, f"job {name!r}.{field}")
        if parameter.kind is parameter.KEYWORD_ONLY:
            return lambda payload, encoding: ([], {field: read(payload, encoding)})
        return lambda payload, encoding: ([read(payload, encoding)], {})
    for field, parameter in parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise HandlerError(f"job {name!r}: of several parameters, none may be positional-only")
        if parameter.annotation in (bytes, memoryview):
            raise HandlerError(
                f"job {name!r}: several parameters come as one JSON object, "
                f"so {field!r} cannot be {parameter.annotation.__name__}"
            )
    check = object_checker(
        {field: parameter.annotation for field, parameter in parameters.items()},
        {field for field, parameter in parameters.items() if parameter.default is parameter.empty},
        f"job {name!r}",
    )
    return lambda payload, encoding: ([], check(read_json(payload, encoding, "payload"), ""))


def _no_payload(payload: bytes, encoding: int) -> Arguments:
    if payload and payload not in (b"null", b"{}"):
        raise PayloadError("payload", f"none is wanted, it has {len(payload)} bytes")
    return [], {}
