# SPDX-License-Identifier: Apache-2.0
"""Which part may include what. The headers of every library lie on the system path, so no compiler catches a breach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)

BROKER_LAYERS = ("core", "ports", "wire", "runtime", "adapters", "app")

# What each layer of the broker may include of the others. An adapter may also include itself and the log, and no
# other adapter.
MAY_INCLUDE = {
    "core": {"core"},
    "ports": {"core", "ports"},
    "wire": {"core", "ports", "wire"},
    "runtime": {"core", "ports", "wire", "runtime"},
    "adapters": {"core", "ports", "wire"},
    "app": set(BROKER_LAYERS),
}

# Where a library of others may be included; "app" puts everything together, so it may have any.
LIBRARIES = {
    "zmq": {"adapters/zmq"},
    "hiredis": {"adapters/redis"},
    "flatbuffers": {"wire", "adapters/redis", "adapters/contracts"},
    "spdlog": {"adapters/log"},
    "fmt": {"wire", "runtime", "adapters"},
    "CLI": set(),
    "toml++": set(),
    "gtest": set(),
    "gmock": set(),
    "benchmark": set(),
}

# The rules take time and randomness as arguments and do no input or output.
IMPURE_HEADERS = {
    "condition_variable",
    "cstdio",
    "ctime",
    "filesystem",
    "fstream",
    "future",
    "iostream",
    "mutex",
    "random",
    "shared_mutex",
    "thread",
}
IMPURE_CODE = re.compile(
    r"::now\s*\(|\brandom_device\b|\bs?rand\s*\(|\bgetenv\s*\(|\bstd::(cout|cerr|clog)\b|\bf?printf\s*\("
)

# A caller of the SDK compiles its headers without any of the libraries inside.
NOT_IN_PUBLIC_HEADERS = ("zmq", "flatbuffers", "spdlog", "fmt", "hiredis", "nlohmann")


def library_of(header: str) -> str:
    """`zmq.hpp`, `zmq.h` and `zmq_addon.hpp` are zmq; a folder names its library."""
    first = header.split("/")[0]
    return "zmq" if re.match(r"zmq[._]", first) else first.removesuffix(".h").removesuffix(".hpp")


def layer_of(path: PurePosixPath) -> str:
    """`broker/adapters/redis/store.cc` is in `adapters/redis`, `broker/core/job.h` in `core`."""
    parts = path.parts[1:-1]
    return "/".join(parts[:2]) if parts[:1] == ("adapters",) else (parts[0] if parts else "")


def is_generated(header: str) -> bool:
    return header.endswith("_generated.h") and library_of(header) not in LIBRARIES


def broker_breaches(path: PurePosixPath, text: str) -> Iterator[str]:
    layer = layer_of(path)
    family = layer.split("/")[0]
    if family not in MAY_INCLUDE:
        yield f"{path}: broker has no layer '{layer}'"
        return
    for bracket, header in INCLUDE.findall(text):
        own = header.removeprefix("broker/")
        target = own.split("/")[0]
        if is_generated(header):
            # Messages are wire's; what lies in Redis in the schemas' form is the Redis adapter's.
            if layer not in ("wire", "adapters/redis"):
                yield f"{path}: {layer} may not include generated {header}"
        elif header.startswith(("producer_sdk/", "workers_py/", "jobwire/")):
            yield f"{path}: {header} belongs to another part"
        elif "/" in own and target in BROKER_LAYERS:
            reachable = family == "adapters" and own.startswith((f"{layer}/", "adapters/log/"))
            if target not in MAY_INCLUDE[family] and not reachable:
                yield f"{path}: {layer} may not include {header}"
        elif ".." in header:
            yield f"{path}: {header} climbs out of its folder"
        elif library_of(header) in LIBRARIES:
            allowed = LIBRARIES[library_of(header)]
            if family != "app" and not {layer, family} & allowed:
                yield f"{path}: {layer} may not include {header}"
        elif family == "core" and bracket == "<" and (header in IMPURE_HEADERS or "." in header):
            yield f"{path}: core may not include <{header}>"
    if family == "core":
        for found in IMPURE_CODE.finditer(COMMENT.sub("", text)):
            yield f"{path}: core may not say '{found[0]}'"


def sdk_breaches(path: PurePosixPath, text: str, sdk_headers: set[str]) -> Iterator[str]:
    public = "include" in path.parts
    for _, header in INCLUDE.findall(text):
        if header.startswith(("broker/", "workers_py/")):
            yield f"{path}: {header} belongs to another part"
        elif header.split("/")[0] in BROKER_LAYERS and "/" in header and header not in sdk_headers:
            yield f"{path}: {header} belongs to the broker"
        if public and (library_of(header) in NOT_IN_PUBLIC_HEADERS or is_generated(header)):
            yield f"{path}: a public header may not include {header}"


def sdk_header_names(files: list[PurePosixPath]) -> set[str]:
    """Every way in which the SDK's own files may name its headers: any tail of their paths."""
    return {"/".join(path.parts[start:]) for path in files for start in range(len(path.parts))}


def test_broker_layers_include_only_what_their_arrow_allows(tree):
    breaches = [
        breach
        for path in tree.below("broker")
        if path.suffix in (".h", ".cc")
        for breach in broker_breaches(path, tree.text(path))
    ]
    assert breaches == []


def test_sdk_includes_nothing_of_the_broker_and_keeps_libraries_out_of_public_headers(tree):
    files = tree.below("producer_sdk")
    names = sdk_header_names(files)
    breaches = [
        breach
        for path in files
        if path.suffix in (".h", ".cc")
        for breach in sdk_breaches(path, tree.text(path), names)
    ]
    assert breaches == []


def test_parts_do_not_build_on_one_another(tree):
    others = {
        "broker": re.compile(r"producer_sdk|workers_py|jobwire::client"),
        "producer_sdk": re.compile(r"\bbroker/|workers_py|jobwire_(core|ports|runtime)\b"),
        "workers_py": re.compile(r"producer_sdk|\bbroker/"),
    }
    breaches = [
        f"{path}: {found[0]}"
        for part, forbidden in others.items()
        for path in tree.below(part)
        if path.name in ("CMakeLists.txt", "pyproject.toml") or path.suffix == ".cmake"
        for found in forbidden.finditer(re.sub(r"#[^\n]*", "", tree.text(path)))
    ]
    assert breaches == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("broker/core/job.h", '#include "ports/store.h"'),
        ("broker/core/job.h", '#include "wire/decode.h"'),
        ("broker/core/job.cc", '#include "broker/adapters/redis/store.h"'),
        ("broker/core/job.cc", "#include <fmt/core.h>"),
        ("broker/core/job.cc", "#include <flatbuffers/flatbuffers.h>"),
        ("broker/core/job.cc", "#include <random>"),
        ("broker/core/job.cc", "#  include <iostream>"),
        ("broker/core/job.cc", "#include <unistd.h>"),
        ("broker/core/job.cc", "auto t = std::chrono::steady_clock::now();"),
        ("broker/core/job.cc", "std::random_device d;"),
        ("broker/ports/store.h", '#include "runtime/loop.h"'),
        ("broker/ports/store.h", "#include <hiredis/hiredis.h>"),
        ("broker/wire/decode.cc", '#include "runtime/loop.h"'),
        ("broker/runtime/loop.cc", '#include "adapters/log/log.h"'),
        ("broker/runtime/loop.cc", '#include "jobwire/wire/message_generated.h"'),
        ("broker/runtime/loop.cc", "#include <zmq.hpp>"),
        ("broker/adapters/zmq/transport.cc", '#include "adapters/redis/store.h"'),
        ("broker/adapters/zmq/transport.cc", '#include "runtime/loop.h"'),
        ("broker/adapters/redis/store.cc", "#include <zmq.h>"),
        ("broker/adapters/zmq/transport.cc", '#include "jobwire/wire/message_generated.h"'),
        ("broker/app/main.cc", '#include "jobwire/client.h"'),
        ("broker/app/main.cc", '#include "producer_sdk/include/jobwire/client.h"'),
        ("broker/ports/store.h", '#include "../../producer_sdk/src/socket.h"'),
        ("broker/extra/thing.h", ""),
    ],
)
def test_a_planted_breach_in_the_broker_is_found(path, line):
    assert list(broker_breaches(PurePosixPath(path), f"// first\n{line}\n"))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("broker/core/job.h", '#include "core/ids.h"'),
        ("broker/core/job.h", "#include <chrono>"),
        ("broker/core/job.h", "// the caller says what now() is: steady_clock::now()"),
        ("broker/ports/store.h", '#include "core/ids.h"'),
        ("broker/ports/transport.h", "#include <poll.h>"),
        ("broker/wire/decode.cc", '#include "jobwire/wire/message_generated.h"'),
        ("broker/adapters/redis/store.cc", '#include "adapters/redis/keys.h"'),
        ("broker/adapters/redis/store.cc", '#include "adapters/log/log.h"'),
        ("broker/adapters/redis/store.cc", "#include <hiredis/hiredis.h>"),
        ("broker/adapters/redis/store.cc", '#include "jobwire/wire/attempt_generated.h"'),
        ("broker/app/main.cc", "#include <CLI/CLI.hpp>"),
        ("broker/app/main.cc", '#include "adapters/zmq/transport.h"'),
    ],
)
def test_an_allowed_include_in_the_broker_is_not_a_breach(path, line):
    assert list(broker_breaches(PurePosixPath(path), f"{line}\n")) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("producer_sdk/src/client.cc", '#include "broker/core/ids.h"'),
        ("producer_sdk/src/client.cc", '#include "core/ids.h"'),
        ("producer_sdk/include/jobwire/client.h", "#include <zmq.hpp>"),
        ("producer_sdk/include/jobwire/client.h", "#include <fmt/format.h>"),
        ("producer_sdk/include/jobwire/client.h", '#include "flatbuffers/flatbuffers.h"'),
        ("producer_sdk/include/jobwire/client.h", '#include "jobwire/wire/types_generated.h"'),
    ],
)
def test_a_planted_breach_in_the_sdk_is_found(path, line):
    assert list(sdk_breaches(PurePosixPath(path), f"{line}\n", {"jobwire/client.h"}))
