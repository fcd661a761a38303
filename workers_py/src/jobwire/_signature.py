# SPDX-License-Identifier: Apache-2.0
"""What a handler takes and gives: its parameters without the Ctx to and from a payload, and its result."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from jobwire._checkers import object_checker
from jobwire._command import Command
from jobwire._convert import (
    encode_as,
    encode_value,
    read_json,
    reader,
    result_reader,
    takes_view,
)
from jobwire._ctx import Ctx
from jobwire._errors import HandlerError, PayloadError
from jobwire._models import encode_pickle, is_pickled

Arguments = tuple[list[Any], dict[str, Any]]
_Decode = Callable[[Any, int], Arguments]


class Signature:
    """A handler's parameters, checked and compiled. Raises HandlerError for what cannot be served."""

    def __init__(self, handler: Callable[..., Any], name: str) -> None:
        self.name = name
        self.wants_ctx = False
        self.is_async = False
        self.parameters: Mapping[str, inspect.Parameter] = {}
        self.returns: Any = Any
        if isinstance(handler, Command):
            only = inspect.Parameter("payload", inspect.Parameter.POSITIONAL_ONLY, annotation=bytes)
            self.parameters = {"payload": only}
        else:
            self._read(handler)
        self.decode = _decoder(self.parameters, name)
        self.read_result = result_reader(self.returns, f"job {name!r}")
        self._bindable = inspect.Signature(list(self.parameters.values()))

    @property
    def single(self) -> str | None:
        """The name of the only parameter, which is then the whole payload."""
        return next(iter(self.parameters)) if len(self.parameters) == 1 else None

    @property
    def takes_view(self) -> bool:
        """Whether `decode` is to get a view of the payload instead of a copy."""
        return len(self.parameters) == 1 and takes_view(self._only.annotation)

    @property
    def raw(self) -> type | None:
        """`bytes` or `memoryview` when that is all that the handler takes: it needs no decoding."""
        if len(self.parameters) != 1 or self._only.kind is inspect.Parameter.KEYWORD_ONLY:
            return None
        return self._only.annotation if self._only.annotation in (bytes, memoryview) else None

    @property
    def pickles_result(self) -> bool:
        return is_pickled(self.returns)

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, bytes]:
        """Encoding and payload of a call; raises TypeError, as the call itself would, for arguments that do not fit."""
        try:
            arguments = self._bindable.bind(*args, **kwargs).arguments
        except TypeError as problem:
            raise TypeError(f"{self.name}(): {problem}") from None
        if not self.parameters:
            return encode_value(b"")
        if len(self.parameters) == 1:
            ((name, parameter),) = self.parameters.items()
            return encode_as(parameter.annotation, arguments.get(name, parameter.default))
        # What was left out stays out: the worker's own default counts.
        return encode_value(dict(arguments))

    @property
    def _only(self) -> inspect.Parameter:
        (parameter,) = self.parameters.values()
        return parameter

    def _read(self, handler: Callable[..., Any]) -> None:
        where = f"job {self.name!r}"
        target: Any = handler
        if inspect.isclass(handler):
            target = getattr(handler, "run", None)
            if target is None:
                raise HandlerError(f"{where}: class {handler.__qualname__} has no method run")
        if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
            raise HandlerError(f"{where}: generators are not served")
        self.is_async = inspect.iscoroutinefunction(target)
        try:
            signature = inspect.signature(target)
            hints = typing.get_type_hints(target, include_extras=True)
        except (NameError, TypeError, ValueError) as problem:
            raise HandlerError(f"{where}: its annotations cannot be read: {problem}") from problem
        parameters = list(signature.parameters.values())
        if inspect.isclass(handler):
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

    def returning(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function with its result pickled, when the annotation asks for that."""
        if not self.pickles_result:
            return function
        if self.is_async:

            async def pickled_async(*args: Any, **kwargs: Any) -> bytes:
                return encode_pickle(await function(*args, **kwargs))

            return pickled_async
        return lambda *args, **kwargs: encode_pickle(function(*args, **kwargs))


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
        kind = parameter.annotation
        if kind is bytes or takes_view(kind) or is_pickled(kind):
            shown = getattr(kind, "__name__", str(kind))
            raise HandlerError(
                f"job {name!r}: several parameters come as one JSON object, "
                f"so {field!r} cannot be {shown}"
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
