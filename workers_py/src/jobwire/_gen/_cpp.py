# SPDX-License-Identifier: Apache-2.0
"""The C++ header of a contract: a client per service, over the code that flatc makes of the types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobwire._gen._hash import method_hash
from jobwire._gen._schema import ContractError, Method, Schema, Service
from jobwire.wire.reflection.BaseType import BaseType

FLATC_OPTIONS = ("--cpp", "--cpp-std", "c++17", "--scoped-enums", "--gen-object-api")
# flatc 2.0.8 makes code of these that does not compile: they are names of its own there.
_FLATC_OWN = {"o", "fbb", "rehasher"}
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
char32_t class compl concept const consteval constexpr constinit const_cast continue co_await
co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern
false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
operator or or_eq private protected public register reinterpret_cast requires return short signed
sizeof static static_assert static_cast struct switch template this thread_local throw true try
typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
_KEYWORDS = frozenset(_WORDS.split())


def cpp_header(schema: Schema, stem: str, source: str) -> str:
    """The text of STEM_contract.h, which goes beside flatc's STEM_generated.h."""
    for one in schema.objects:
        for field in one.fields:
            if field.name in _FLATC_OWN and not one.is_struct:
                raise ContractError(
                    f"{one.name}.{field.name}: flatc makes C++ of this name that does not compile; choose another"
                )
            if field.type.base == BaseType.Vector and field.type.element == BaseType.Union:
                union = schema.enums[field.type.index].name
                if union.rpartition(".")[0] != one.name.rpartition(".")[0]:
                    raise ContractError(
                        f"{one.name}.{field.name}: flatc makes C++ of a vector of unions of another namespace that does "
                        f"not compile; move {union}"
                    )
    return "\n".join(_lines(schema, stem, source)) + "\n"


def _lines(schema: Schema, stem: str, source: str) -> Iterator[str]:
    yield f"// Made by `jobwire gen` from {source}: change that, not this."
    yield "#pragma once"
    yield ""
    yield "#include <jobwire/contract.h>"
    yield ""
    yield "#include <cstddef>"
    yield "#include <cstdint>"
    yield "#include <span>"
    yield ""
    yield f'#include "{stem}_generated.h"'
    for service in schema.services:
        space = service.name.rpartition(".")[0].replace(".", "::")
        yield from ("", f"namespace {space} {{") if space else ("",)
        for method in service.methods:
            yield from _method(schema, service, method)
        yield from _client(service)
        if space:
            yield from ("", f"}}  // namespace {space}")


def _method(schema: Schema, service: Service, method: Method) -> Iterator[str]:
    request, response = _cpp(method.request), _cpp(method.response)
    timeout = f", std::chrono::milliseconds{{{method.timeout_ms}}}"
    retries = f", {method.retries}" if method.retries is not None else ""
    extras = (timeout if method.timeout_ms or retries else "") + retries
    yield ""
    yield f"/// The method {service.short}.{method.name} as a job type."
    yield f"struct {_struct(service, method)} {{"
    yield f"  using Request = {request};"
    yield f"  using Response = {response};"
    yield "  static constexpr jobwire::contract::Method kMethod{"
    yield f'      "{service.job_type(method)}", "{method.queue}",'
    yield f"      0x{method_hash(schema, method):016x}ULL{extras}}};"
    yield ""
    yield "  /// The job that a call submits; change what else a job has, and submit or post it."
    yield f"  [[nodiscard]] static jobwire::Job job(const {request}T& request) {{"
    yield "    flatbuffers::FlatBufferBuilder builder;"
    yield f"    builder.Finish({request.rpartition('::')[0]}::Create{method.request.rpartition('.')[2]}(builder, &request));"
    yield "    return kMethod.job(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));"
    yield "  }"
    yield ""
    yield "  /// The response in these bytes, or null when they are not one."
    yield "  [[nodiscard]] static const Response* read(std::span<const std::byte> bytes) {"
    yield "    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());"
    yield "    flatbuffers::Verifier verifier(data, bytes.size());"
    yield "    if (!verifier.VerifyBuffer<Response>(nullptr)) return nullptr;"
    yield "    return flatbuffers::GetRoot<Response>(data);"
    yield "  }"
    yield "};"


def _client(service: Service) -> Iterator[str]:
    name = f"{service.short}Client"
    yield ""
    yield from _comment(
        (
            *service.docs,
            "",
            f"Calls of {service.short}. Thread-safe, as the client is, which must outlive it.",
        )
        if service.docs
        else (f"Calls of {service.short}. Thread-safe, as the client is, which must outlive it.",),
        "",
    )
    yield f"class {name} {{"
    yield " public:"
    yield f"  explicit {name}(jobwire::Client& client) : client_(&client) {{}}"
    for method in service.methods:
        struct = _struct(service, method)
        function = f"{method.name}_" if method.name in _KEYWORDS else method.name
        yield ""
        yield from _comment(method.docs or (f"The job type {service.job_type(method)}.",), "  ")
        yield f"  [[nodiscard]] jobwire::contract::Call<{struct}> {function}(const {_cpp(method.request)}T& request) const {{"
        yield f"    return jobwire::contract::Call<{struct}>(client_->call_async({struct}::job(request)));"
        yield "  }"
    yield ""
    yield " private:"
    yield "  jobwire::Client* client_;"
    yield "};"


def _comment(lines: Sequence[str], indent: str) -> Iterator[str]:
    yield from (f"{indent}/// {line}".rstrip() for line in lines)


def _cpp(name: str) -> str:
    return "::" + name.replace(".", "::")


def _struct(service: Service, method: Method) -> str:
    camel = "".join(part[:1].upper() + part[1:] for part in method.name.split("_"))
    return f"{service.short}{camel}"
