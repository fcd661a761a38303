# SPDX-License-Identifier: Apache-2.0
"""The Python of a contract's services: methods, a base for handlers, and clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jobwire._gen._hash import method_hash
from jobwire._gen._python_names import class_name, constant_name, docstring, field_name
from jobwire._gen._schema import Method, Schema, Service


def service_lines(
    schema: Schema, service: Service, accepts: Mapping[str, Sequence[int]]
) -> Iterator[str]:
    for method in service.methods:
        yield from _method(schema, service, method, accepts.get(service.job_type(method), ()))
    yield from _handlers(service)
    yield from _client(service, is_async=False)
    yield from _client(service, is_async=True)


def _method(
    schema: Schema, service: Service, method: Method, accepts: Sequence[int]
) -> Iterator[str]:
    job_type = service.job_type(method)
    yield from ("", f"{constant_name(service, method)} = c.Method(")
    yield f'    "{job_type}",'
    yield f'    "{method.queue}",'
    yield f"    {class_name(method.request)},"
    yield f"    {class_name(method.response)},"
    yield f"    0x{method_hash(schema, method):016x},"
    if accepts:
        yield f"    accepts=({', '.join(f'0x{one:016x}' for one in accepts)},),"
    if method.timeout_ms:
        yield f"    timeout_ms={method.timeout_ms},"
    if method.retries is not None:
        yield f"    retries={method.retries},"
    yield ")"


def _handlers(service: Service) -> Iterator[str]:
    name = f"{class_name(service.name)}Handlers"
    yield from ("", "", f"class {name}(abc.ABC):")
    yield from docstring(
        (
            *(service.docs or (f"What a worker does for {service.short}.",)),
            "",
            "Derive from it, write the methods, and serve them: `handlers.register(app)`.",
        )
    )
    for method in service.methods:
        yield ""
        yield "    @abc.abstractmethod"
        yield (
            f"    def {field_name(method.name)}(self, ctx: c.Ctx[Any], request: {class_name(method.request)}) "
            f"-> {class_name(method.response)}:"
        )
        yield from docstring(method.docs or (f"The job type {service.job_type(method)}.",), 8)
    yield ""
    yield '    def register(self, app: c.App, *, version: str = "") -> None:'
    yield '        """Declares every method as a job of `app`. version: told to the broker, for people."""'
    for method in service.methods:
        yield f"        c.register(app, {constant_name(service, method)}, self.{field_name(method.name)}, version)"


def _client(service: Service, *, is_async: bool) -> Iterator[str]:
    kind = "AsyncClient" if is_async else "Client"
    name = f"{'Async' if is_async else ''}{class_name(service.name)}Client"
    word, wait = ("async def", "await c.call_async") if is_async else ("def", "c.call")
    yield from ("", "", f"class {name}:")
    yield from docstring(
        (
            f"Calls of {service.short}: each submits a job and waits for its response.",
            "",
            f"Raises what {kind}.call raises; JobFailed when the job did not succeed; contract.EncodeError for a request and",
            "contract.DecodeError for a response that cannot be written or read.",
        )
    )
    yield from (
        "",
        f"    def __init__(self, client: c.{kind}) -> None:",
        "        self._client = client",
    )
    for method in service.methods:
        yield ""
        yield (
            f"    {word} {field_name(method.name)}(self, request: {class_name(method.request)}, *, timeout: c.Span = 60.0) "
            f"-> {class_name(method.response)}:"
        )
        yield from docstring(method.docs or (f"The job type {service.job_type(method)}.",), 8)
        yield f"        return {wait}(self._client, {constant_name(service, method)}, request, timeout)"
