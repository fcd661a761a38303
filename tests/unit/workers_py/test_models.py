# SPDX-License-Identifier: Apache-2.0
"""Arrays, models of other packages, tables and pickles: what fits arrives, what does not is named."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import flatbuffers
import msgspec
import numpy as np
import numpy.typing as npt
import pydantic
import pytest
from jobwire import App, Encoding, HandlerError, Pickle, Reject, ResultError
from jobwire._convert import encode_result
from jobwire._failure import describe
from jobwire._handlers import Program
from jobwire.wire.JobError import JobError
from jobwire.wire.Message import Message

HEAD = (b"t" * 16, b"j" * 16, 0, 0, 1000, 0, 1, 1, 4, 0)


def no_ctx(*_: Any) -> Any:
    raise AssertionError("no handler here asks for a context")


def serve(handler: Callable[..., Any]) -> Callable[[bytes, int], Any]:
    """Runs a handler as a worker does, on a payload in the middle of a blob."""
    app = App("test")
    app.job(name="job")(handler)
    (bound,) = Program(app, no_ctx).set_up()
    return lambda payload, encoding: bound.call(
        b"<<" + payload + b">>", 2, len(payload), encoding, HEAD
    )


def problem(handler: Callable[..., Any], payload: bytes, encoding: int = Encoding.Json) -> str:
    with pytest.raises(Reject) as refused:
        serve(handler)(payload, encoding)
    return str(refused.value)


# ------------------------------------------------------------------ arrays


def keep(image: npt.NDArray[np.float32]) -> Any:
    return image


def keep_any(image: np.ndarray) -> Any:  # type: ignore[type-arg]
    return image


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.float32(2.5) * np.ones(()),
        np.zeros((0, 3), np.float32),
    ],
)
def test_array_goes_out_and_comes_in_alike(array: Any) -> None:
    array = np.asanyarray(array, np.float32)
    encoding, payload = encode_result(array)
    assert encoding == Encoding.Npy
    back = serve(keep)(payload, encoding)
    assert back.dtype == np.float32
    assert np.array_equal(back, array)
    assert back.flags.f_contiguous == array.flags.f_contiguous


def test_array_lies_over_the_message_and_cannot_be_written() -> None:
    array = np.arange(1000, dtype=np.int64)
    _, payload = encode_result(array)
    blob = b"<<" + payload + b">>"
    app = App("test")
    app.job(name="job")(keep_any)
    (bound,) = Program(app, no_ctx).set_up()
    back = bound.call(blob, 2, len(payload), Encoding.Npy, HEAD)
    assert np.shares_memory(back, np.frombuffer(blob, np.uint8))
    assert not back.flags.writeable


def test_array_that_does_not_fit_is_named() -> None:
    _, doubles = encode_result(np.zeros(2))
    assert (
        problem(keep, doubles, Encoding.Npy)
        == "image: must be an array of float32, is one of float64"
    )
    assert "a NumPy array (npy) is wanted" in problem(keep, b"[1]")
    _, floats = encode_result(np.zeros(2, np.float32))
    assert "has 8 bytes, there are 7" in problem(keep, floats[:-1], Encoding.Npy)
    assert "no NumPy array" in problem(keep, floats[:20], Encoding.Npy)


def test_array_of_objects_is_neither_read_nor_written() -> None:
    out = io.BytesIO()
    np.save(out, np.array([{}], dtype=object), allow_pickle=True)
    assert "holds objects" in problem(keep_any, out.getvalue(), Encoding.Npy)
    with pytest.raises(ResultError, match="cannot travel"):
        encode_result(np.array([{}], dtype=object))


def test_numbers_of_numpy_are_numbers_in_json() -> None:
    assert encode_result({"a": np.int32(3), "b": np.float64(0.5)}) == (
        Encoding.Json,
        b'{"a":3,"b":0.5}',
    )


# ------------------------------------------------------------------ msgspec and pydantic


class Price(msgspec.Struct):
    amount: int
    currency: str = "EUR"


class Order(msgspec.Struct):
    lines: list[Price]


class Address(pydantic.BaseModel):
    street: str
    zip: int


class Person(pydantic.BaseModel):
    name: str
    homes: list[Address] = []


@dataclass
class Sale:
    order: Order
    buyer: Person


def sell(sale: Sale) -> Any:
    return sale


def order_of(order: Order) -> Any:
    return order


def person_of(person: Person) -> Any:
    return person


def test_models_come_in_and_go_out_alone_and_inside_others() -> None:
    order = serve(order_of)(b'{"lines":[{"amount":3}]}', Encoding.Json)
    assert order == Order([Price(3)])
    person = serve(person_of)(b'{"name":"Ann","homes":[{"street":"x","zip":1}]}', Encoding.Json)
    assert person == Person(name="Ann", homes=[Address(street="x", zip=1)])
    encoding, payload = encode_result(Sale(order, person))
    assert serve(sell)(payload, encoding) == Sale(order, person)


@pytest.mark.parametrize(
    ("handler", "payload", "message"),
    [
        (
            order_of,
            b'{"lines":[{"amount":"3"}]}',
            "order.lines[0].amount: Expected `int`, got `str`",
        ),
        (order_of, b"{}", "order: Object missing required field `lines`"),
        (
            person_of,
            b'{"name":"a","homes":[{"street":"x"}]}',
            "person.homes[0].zip: Field required",
        ),
        (person_of, b'{"name":5}', "person.name: Input should be a valid string"),
        (
            sell,
            b'{"order":{"lines":[]},"buyer":{"name":null}}',
            "sale.buyer.name: Input should be a valid string",
        ),
    ],
)
def test_model_that_does_not_fit_names_the_field(
    handler: Any, payload: bytes, message: str
) -> None:
    assert problem(handler, payload) == message


def test_a_models_complaint_shows_no_value() -> None:
    def sign(person: Person) -> None: ...

    run, payload = serve(sign), b'{"name":["hunter2"]}'
    with pytest.raises(Reject) as refused:
        run(payload, Encoding.Json)
    assert b"hunter2" not in describe(refused.value, limit=65536, retryable=False)


# ------------------------------------------------------------------ FlatBuffers


def table(message: JobError) -> Any:
    return message.Type()


def other_table(message: Message) -> Any:
    return message.BodyType()


def error_buffer() -> bytes:
    return describe(ValueError("x"), limit=65536, retryable=True)


def test_table_is_read_where_it_lies() -> None:
    assert serve(table)(error_buffer(), Encoding.FlatBuffer) == b"builtins.ValueError"


@pytest.mark.parametrize(
    ("payload", "encoding", "message"),
    [
        (b"{}", Encoding.Json, "a FlatBuffers buffer is wanted"),
        (b"", Encoding.FlatBuffer, "too short"),
        (b"\xff\xff\xff\x7fJWER", Encoding.FlatBuffer, "too short"),
        (error_buffer().replace(b"JWER", b"NOPE"), Encoding.FlatBuffer, "identifier b'NOPE'"),
    ],
)
def test_buffer_that_is_no_such_table_is_rejected(
    payload: bytes, encoding: int, message: str
) -> None:
    assert message in problem(table, payload, encoding)


def test_finished_builder_and_root_table_travel_as_their_buffer() -> None:
    buffer = error_buffer()
    assert encode_result(JobError.GetRootAs(buffer, 0)) == (Encoding.FlatBuffer, buffer)
    builder = flatbuffers.Builder(16)
    builder.StartObject(0)
    builder.Finish(builder.EndObject())
    assert encode_result(builder) == (Encoding.FlatBuffer, bytes(builder.Output()))


# ------------------------------------------------------------------ pickles


@dataclass
class Thing:
    parts: set[int]


def test_pickle_travels_only_where_it_is_asked_for() -> None:
    def keep_thing(thing: Annotated[Thing, Pickle]) -> Annotated[Thing, Pickle]:
        return thing

    def refuse(thing: set[int]) -> None: ...

    app = App("test")
    job = app.job(name="job")(keep_thing)
    encoding, payload = job.signature.encode((Thing({1, 2}),), {})
    result = serve(keep_thing)(payload, encoding)
    assert job.signature.read_result(result, Encoding.Bytes) == Thing({1, 2})
    with pytest.raises(HandlerError, match="cannot make"):
        serve(refuse)


def test_pickle_that_does_not_fit_is_rejected() -> None:
    def keep_thing(thing: Annotated[Thing, Pickle]) -> None: ...

    assert "not a pickle" in problem(keep_thing, b"junk", Encoding.Bytes)
    wrong = problem(keep_thing, pickle.dumps([1]), Encoding.Bytes)
    assert wrong == "thing: must be Thing, is list"


# ------------------------------------------------------------------ calls


def test_what_enqueue_sends_is_what_the_handler_gets() -> None:
    app = App("test")

    @app.job
    def several(a: int, b: list[str], c: float = 0.5) -> Any:
        return a, b, c

    @app.job
    def one(order: Order) -> Any:
        return order

    @app.job
    def default(text: str = "usual") -> str:
        return text

    @app.job
    def none() -> str:
        return "none"

    calls = {bound.name: bound.call for bound in Program(app, no_ctx).set_up()}

    def run(spec: Any) -> Any:
        return calls[spec.type](spec.payload, 0, len(spec.payload), spec.encoding, HEAD)

    assert run(several.spec(1, b=["x"])) == (1, ["x"], 0.5)
    assert run(several.spec(1, ["x"], 2.0)) == (1, ["x"], 2.0)
    assert run(one.spec(Order([Price(1)]))) == Order([Price(1)])
    assert run(default.spec()) == "usual"
    assert run(none.spec()) == "none"
    spec = several.using(delay=3, headers={"a": "b"}).using(priority=9).spec(1, [])
    assert (spec.delay_ms, spec.priority, dict(spec.headers)) == (3000, 9, {"a": "b"})
    with pytest.raises(TypeError, match=r"several\(\): missing a required argument: 'b'"):
        several.spec(1)  # type: ignore[call-arg]
    with pytest.raises(HandlerError, match="has no client"):
        none.enqueue()


def test_package_imports_no_models() -> None:
    # NumPy is imported by the FlatBuffers runtime when it is there.
    code = "import sys, jobwire; print({'msgspec', 'pydantic'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
