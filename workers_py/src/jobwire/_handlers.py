# SPDX-License-Identifier: Apache-2.0
"""Turns declared jobs into calls that a worker makes: arguments by annotation, context on request."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobwire._app import App, Job
from jobwire._convert import object_checker, read_json, reader
from jobwire._ctx import Ctx
from jobwire._errors import HandlerError, PayloadError
from jobwire._heads import DispatchHead

Call = Callable[[bytes, int, int, int, DispatchHead], Any]
"""(blob, offset, size, encoding, head) -> what the handler returns"""

MakeCtx = Callable[[DispatchHead, str, Any], Ctx[Any]]
"""(head, type, deps) -> the context of one attempt"""

_Payload = Callable[[bytes, int], tuple[list[Any], dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Bound:
    """One job type, ready to run in this process."""

    name: str
    version: str
    timeout_ms: int
    call: Call


def bind(app: App, make_ctx: MakeCtx) -> Callable[[], list[Bound]]:
    """Checks all jobs of an app, and returns the step that runs setups and gives what can be called.

    Raises HandlerError: a program that cannot work is refused before its models are loaded.
    """
    if not app.jobs:
        raise HandlerError(f"app {app.name!r} has no jobs")
    shapes = [(job, _shape(job)) for job in app.jobs.values()]

    def set_up() -> list[Bound]:
        deps = app.run_setup()
        bound = []
        for job, shape in shapes:
            function = _function(job)
            bound.append(
                Bound(job.name, job.version, job.timeout_ms, shape.call(function, make_ctx, deps))
            )
        return bound

    return set_up


def _function(job: Job[..., Any]) -> Callable[..., Any]:
    if not inspect.isclass(job.handler):
        return job.handler
    instance: Any = job.handler()
    if hasattr(instance, "setup"):
        instance.setup()
    run: Callable[..., Any] = instance.run
    return run


class _Shape:
    """How a payload becomes the arguments of one handler."""

    def __init__(self, job: Job[..., Any], wants_ctx: bool, parameters: Mapping[str, Any]) -> None:
        self._job = job
        self._wants_ctx = wants_ctx
        self._raw = next(iter(parameters.values())).annotation if len(parameters) == 1 else None
        self._payload = _payload(parameters, job.name)

    def call(self, function: Callable[..., Any], make_ctx: MakeCtx, deps: Any) -> Call:
        name = self._job.name
        if self._wants_ctx:
            payload = self._payload

            def with_ctx(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
                positional, named = payload(blob[at : at + size], encoding)
                return function(make_ctx(head, name, deps), *positional, **named)

            return with_ctx
        # The two shapes in which microseconds count.
        if self._raw is bytes:
            return lambda blob, at, size, encoding, head: function(blob[at : at + size])
        if self._raw is memoryview:
            return lambda blob, at, size, encoding, head: function(memoryview(blob)[at : at + size])
        payload = self._payload

        def plain(blob: bytes, at: int, size: int, encoding: int, head: DispatchHead) -> Any:
            positional, named = payload(blob[at : at + size], encoding)
            return function(*positional, **named)

        return plain


def _shape(job: Job[..., Any]) -> _Shape:
    where = f"job {job.name!r}"
    target: Any = job.handler
    if inspect.isclass(target):
        target = getattr(target, "run", None)
        if target is None:
            raise HandlerError(f"{where}: class {job.handler.__qualname__} has no method run")
    if inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target):
        raise HandlerError(f"{where}: async def is not served yet")
    if inspect.isgeneratorfunction(target):
        raise HandlerError(f"{where}: generators are not served")
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
    wants_ctx = bool(parameters) and _is_ctx(hints.get(parameters[0].name))
    if wants_ctx:
        parameters = parameters[1:]
    annotated = {
        parameter.name: parameter.replace(annotation=hints.get(parameter.name, Any))
        for parameter in parameters
    }
    return _Shape(job, wants_ctx, annotated)


def _is_ctx(annotation: Any) -> bool:
    return annotation is Ctx or typing.get_origin(annotation) is Ctx


def _payload(parameters: Mapping[str, Any], name: str) -> _Payload:
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


def _no_payload(payload: bytes, encoding: int) -> tuple[list[Any], dict[str, Any]]:
    if payload and payload not in (b"null", b"{}"):
        raise PayloadError("payload", f"none is wanted, it has {len(payload)} bytes")
    return [], {}
