# SPDX-License-Identifier: Apache-2.0
"""Whether what runs now survives a change of a contract.

The rule that it is judged by: workers of the new contract come first, built with `--accepts old.fbs`, and run the jobs
of producers that still have the old one; a worker of the old contract never gets a new producer's job. So a new worker
must read what old producers send, and old producers must read what a new worker returns.

    BREAKS  a value would be misread, refused or lost
    CARE    nothing breaks; somebody should know
    OK      seen, and harmless
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from jobwire._gen._hash import method_hash, type_text
from jobwire._gen._schema import Enum, Field, Method, Object, Schema, Service, Type
from jobwire.wire.reflection.BaseType import BaseType


class Verdict(enum.Enum):
    BREAKS = "breaks"
    CARE = "care"
    OK = "ok"


class Way(enum.Enum):
    """Which way the bytes go: from old producers to new workers, or back."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    method: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.verdict.value:6}  {self.where}: {self.what}"


def compare(old: Schema, new: Schema) -> list[Finding]:
    """Every difference, in the order of the old contract."""
    olds = {service.job_type(method): (service, method) for service, method in old.methods()}
    news = {service.job_type(method): (service, method) for service, method in new.methods()}
    findings: list[Finding] = []
    for name, (_, method) in olds.items():
        if name not in news:
            findings.append(
                Finding(
                    Verdict.BREAKS,
                    name,
                    name,
                    "the method is gone: jobs of running producers wait for a worker that has it",
                )
            )
            continue
        findings += _Comparison(old, new, name).method(method, news[name][1])
    for name in news:
        if name not in olds:
            findings.append(Finding(Verdict.OK, name, name, "a new method"))
    return findings


def survives(findings: list[Finding], method: str | None = None) -> bool:
    """Nothing breaks, of one method or at all."""
    return not any(
        one.verdict is Verdict.BREAKS and method in (None, one.method) for one in findings
    )


def accepted(old: Schema, new: Schema, service: Service, method: Method) -> int | None:
    """The old contract's hash of a new method whose old jobs it may run; None when it may not, or had none."""
    name = service.job_type(method)
    for other_service, other in old.methods():
        if other_service.job_type(other) == name and survives(compare(old, new), name):
            return method_hash(old, other)
    return None


class _Comparison:
    """Of one method."""

    def __init__(self, old: Schema, new: Schema, name: str) -> None:
        self.old = old
        self.new = new
        self.name = name
        self.seen: set[tuple[str, str, Way]] = set()

    def method(self, old: Method, new: Method) -> Iterator[Finding]:
        if old.queue != new.queue:
            yield self._finding(
                Verdict.CARE,
                self.name,
                f"queue {old.queue} becomes {new.queue}: running producers go on with {old.queue}, so let a worker serve both",
            )
        if (old.timeout_ms, old.retries) != (new.timeout_ms, new.retries):
            yield self._finding(Verdict.OK, self.name, "another timeout or number of retries")
        for way, before, after in (
            (Way.REQUEST, old.request, new.request),
            (Way.RESPONSE, old.response, new.response),
        ):
            where = f"{self.name} {way.value}"
            if before != after:
                yield self._finding(Verdict.BREAKS, where, f"{before} becomes {after}")
            else:
                yield from self._objects(
                    self.old.object(before), self.new.object(after), where, way
                )

    def _finding(self, verdict: Verdict, where: str, what: str) -> Finding:
        return Finding(verdict, self.name, where, what)

    # ------------------------------------------------------------------ tables and structs

    def _objects(self, old: Object, new: Object, where: str, way: Way) -> Iterator[Finding]:
        if (old.name, new.name, way) in self.seen:
            return
        self.seen.add((old.name, new.name, way))
        if old.name != new.name:
            yield self._finding(
                Verdict.CARE,
                where,
                f"{old.name} is called {new.name} now: code that names it changes",
            )
        if old.is_struct != new.is_struct:
            yield self._finding(
                Verdict.BREAKS, where, f"{old.name} changes between table and struct"
            )
            return
        if old.is_struct:
            yield from self._structs(old, new, where, way)
            return
        by_id = {field.id: field for field in new.fields}
        old_names = {field.name: field for field in old.fields}
        new_names = {field.name: field for field in new.fields}
        for field in old.fields:
            here = f"{where}.{field.name}"
            moved = new_names.get(field.name)
            if moved is not None and moved.id != field.id:
                yield self._finding(Verdict.BREAKS, here, f"its id {field.id} becomes {moved.id}")
                continue
            successor = by_id.get(field.id)
            if successor is None:
                yield self._finding(
                    Verdict.BREAKS,
                    here,
                    "it is gone, and its id may be used again: deprecate it instead",
                )
                continue
            if successor.name in old_names and successor.name != field.name:
                continue  # told where that one moved from
            if successor.name != field.name:
                yield self._finding(
                    Verdict.CARE,
                    here,
                    f"it is called {successor.name} now: code that names it changes; is it the same thing?",
                )
            yield from self._fields(field, successor, here, way)
        for field in new.fields:
            if field.id not in {one.id for one in old.fields} and field.name not in old_names:
                yield self._added(field, f"{where}.{field.name}", way)

    def _added(self, field: Field, where: str, way: Way) -> Finding:
        if field.required and way is Way.REQUEST:
            return self._finding(
                Verdict.BREAKS, where, "new and required, and running producers do not send it"
            )
        return self._finding(Verdict.OK, where, "a new field")

    def _fields(self, old: Field, new: Field, where: str, way: Way) -> Iterator[Finding]:
        if new.deprecated and not old.deprecated:
            what = (
                "deprecated: new workers do not see what running producers send in it"
                if way is Way.REQUEST
                else "deprecated: running producers get its default from now on"
            )
            must = old.required and way is Way.RESPONSE
            yield self._finding(Verdict.BREAKS if must else Verdict.CARE, where, what)
        elif old.deprecated and not new.deprecated:
            yield self._finding(Verdict.CARE, where, "no longer deprecated")
        yield from self._types(old.type, new.type, where, way)
        yield from self._required(old, new, where, way)
        yield from self._defaults(old, new, where)
        if old.key != new.key:
            yield self._finding(
                Verdict.CARE,
                where,
                "a vector sorted by another key: look-ups in what is sorted by the old one fail",
            )

    def _required(self, old: Field, new: Field, where: str, way: Way) -> Iterator[Finding]:
        if new.required and not old.required:
            if way is Way.REQUEST:
                yield self._finding(
                    Verdict.BREAKS, where, "required now, and running producers may leave it out"
                )
            else:
                yield self._finding(Verdict.OK, where, "required now")
        elif old.required and not new.required:
            if way is Way.RESPONSE and not new.deprecated:
                yield self._finding(
                    Verdict.BREAKS,
                    where,
                    "no longer required, and running producers refuse a response without it",
                )
            elif way is Way.REQUEST:
                yield self._finding(Verdict.OK, where, "no longer required")

    def _defaults(self, old: Field, new: Field, where: str) -> Iterator[Finding]:
        if old.type.base != new.type.base or not _is_scalar(new.type):
            return
        if old.optional != new.optional:
            what = (
                "null when absent, and was not"
                if new.optional
                else "never null, and was null when absent"
            )
            yield self._finding(
                Verdict.BREAKS, where, f"{what}: what is left out changes its meaning"
            )
        elif old.default_integer != new.default_integer or _bits(old) != _bits(new):
            yield self._finding(
                Verdict.BREAKS,
                where,
                f"its default {_default(old)} becomes {_default(new)}: what is left out changes its value",
            )

    # ------------------------------------------------------------------ types

    def _types(self, old: Type, new: Type, where: str, way: Way) -> Iterator[Finding]:
        before, after = type_text(self.old, old), type_text(self.new, new)
        if (old.base, old.element, old.fixed_length) != (new.base, new.element, new.fixed_length):
            yield self._finding(Verdict.BREAKS, where, f"its type {before} becomes {after}")
            return
        inner_old = old.item if old.base in (BaseType.Vector, BaseType.Array) else old
        inner_new = new.item if new.base in (BaseType.Vector, BaseType.Array) else new
        if inner_old.base == BaseType.Obj:
            one, other = self.old.objects[inner_old.index], self.new.objects[inner_new.index]
            yield from self._objects(one, other, where, way)
        elif (inner_old.index < 0) != (inner_new.index < 0):
            yield self._finding(
                Verdict.CARE, where, f"its type {before} becomes {after}, with the same bytes"
            )
        elif inner_old.index >= 0 and inner_old.base != BaseType.UType:
            yield from self._enums(
                self.old.enums[inner_old.index], self.new.enums[inner_new.index], where, way
            )

    def _enums(self, old: Enum, new: Enum, where: str, way: Way) -> Iterator[Finding]:
        if (old.name, new.name, way) in self.seen:
            return
        self.seen.add((old.name, new.name, way))
        if old.name != new.name:
            yield self._finding(
                Verdict.CARE,
                where,
                f"{old.name} is called {new.name} now: code that names it changes",
            )
        by_name = {value.name: value for value in new.values}
        by_value = {value.value: value for value in new.values}
        old_names = {value.name for value in old.values}
        for value in old.values:
            here = f"{where} {_short(old.name)}.{value.name}"
            moved = by_name.get(value.name)
            if moved is not None and moved.value != value.value:
                yield self._finding(
                    Verdict.BREAKS, here, f"its number {value.value} becomes {moved.value}"
                )
                continue
            successor = by_value.get(value.value)
            if successor is None:
                what = "it is gone" + (
                    ", and running producers may send it" if way is Way.REQUEST else ""
                )
                yield self._finding(
                    Verdict.BREAKS if way is Way.REQUEST else Verdict.OK, here, what
                )
                continue
            if successor.name in old_names and successor.name != value.name:
                continue
            if successor.name != value.name:
                yield self._finding(
                    Verdict.CARE,
                    here,
                    f"it is called {successor.name} now: code that names it changes; is it the same thing?",
                )
            if old.is_union:
                yield from self._types(value.union_type, successor.union_type, here, way)
        for value in new.values:
            if value.value in {one.value for one in old.values} or value.name in old_names:
                continue
            here = f"{where} {_short(new.name)}.{value.name}"
            if way is Way.RESPONSE:
                yield self._finding(
                    Verdict.CARE, here, "new, and running producers may get it and not know it"
                )
            else:
                yield self._finding(Verdict.OK, here, "new")

    def _structs(self, old: Object, new: Object, where: str, way: Way) -> Iterator[Finding]:
        if len(old.fields) != len(new.fields) or old.bytesize != new.bytesize:
            yield self._finding(
                Verdict.BREAKS,
                where,
                f"the layout of struct {old.name} changes: a struct never can",
            )
            return
        old_names = {field.name for field in old.fields}
        for before, after in zip(old.fields, new.fields, strict=True):
            here = f"{where}.{before.name}"
            if before.offset != after.offset or (
                before.name != after.name and after.name in old_names
            ):
                yield self._finding(
                    Verdict.BREAKS,
                    here,
                    f"the layout of struct {old.name} changes: a struct never can",
                )
                continue
            if before.name != after.name:
                yield self._finding(
                    Verdict.CARE,
                    here,
                    f"it is called {after.name} now: code that names it changes; is it the same thing?",
                )
            yield from self._types(before.type, after.type, here, way)


def _is_scalar(kind: Type) -> bool:
    return BaseType.UType <= kind.base <= BaseType.Double


def _bits(field: Field) -> bytes:
    return struct.pack("<d", field.default_real)


def _default(field: Field) -> str:
    real = field.type.base in (BaseType.Float, BaseType.Double)
    return repr(field.default_real) if real else str(field.default_integer)


def _short(name: str) -> str:
    return name.rpartition(".")[2]
