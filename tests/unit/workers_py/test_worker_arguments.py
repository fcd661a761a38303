# SPDX-License-Identifier: Apache-2.0
"""Payloads become arguments, results become bytes, and what does not fit is named."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from jobwire import App, Ctx, HandlerError, PayloadError, ResultError
from jobwire._convert import encode_result
from jobwire._handlers import Program
from jobwire._wire_enums import Encoding

HEAD = (b"t" * 16, b"j" * 16, 0, 0, 1000, 0, 1, Encoding.Bytes, 4, 0)


def no_ctx(head: Any, name: str, deps: Any) -> Ctx[Any]:
    raise AssertionError("no handler here asks for a context")


def call(handler: Callable[..., Any], payload: bytes, encoding: int = Encoding.Json) -> Any:
    """Runs a handler as a worker does, on a payload in the middle of a blob."""
    app = App("test")
    app.job(name="job")(handler)
    (bound,) = Program(app, no_ctx).set_up()
    return bound.call(b"<<" + payload + b">>", 2, len(payload), encoding, HEAD)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    name: str
    price: float = 0.0


@dataclass
class Order:
    items: list[Item]
    color: Color = Color.RED
    mode: Literal["fast", "slow"] = "fast"
    note: str | None = None
    tags: dict[str, int] = field(default_factory=dict)
    parent: Order | None = None


# ------------------------------------------------------------------ the whole payload as one argument


def test_bytes_and_memoryview_take_any_encoding() -> None:
    def as_bytes(data: bytes) -> Any:
        return data

    def as_view(data: memoryview) -> Any:
        return data

    for encoding in (Encoding.Bytes, Encoding.FlatBuffer, Encoding.Npy, Encoding.Json):
        assert call(as_bytes, b"\x00\xff", encoding) == b"\x00\xff"
        view = call(as_view, b"\x00\xff", encoding)
        assert isinstance(view, memoryview)
        assert view.readonly
        assert view == b"\x00\xff"


def test_str_comes_from_text_and_from_a_json_string() -> None:
    def handler(text: str) -> Any:
        return text

    assert call(handler, "grün".encode(), Encoding.Utf8) == "grün"
    assert call(handler, b"plain", Encoding.Bytes) == "plain"
    assert call(handler, b'"quoted"', Encoding.Json) == "quoted"


def test_without_annotation_the_encoding_decides() -> None:
    def handler(value):  # type: ignore[no-untyped-def]
        return value

    assert call(handler, b"\xff", Encoding.Bytes) == b"\xff"
    assert call(handler, b"x", Encoding.Utf8) == "x"
    assert call(handler, b"[1]", Encoding.Json) == [1]


@pytest.mark.parametrize(
    ("annotation", "payload", "value"),
    [
        (int, b"7", 7),
        (float, b"7", 7.0),
        (bool, b"true", True),
        (None, b"null", None),
        (list, b'[1,"a"]', [1, "a"]),
        (list[int], b"[1,2]", [1, 2]),
        (tuple[int, str], b'[1,"a"]', (1, "a")),
        (tuple[int, ...], b"[1,2,3]", (1, 2, 3)),
        (dict, b'{"a":1}', {"a": 1}),
        (dict[str, float], b'{"a":1}', {"a": 1.0}),
        (int | None, b"null", None),
        (int | str, b'"a"', "a"),
        (Color, b'"blue"', Color.BLUE),
        (Literal["a", 1], b"1", 1),
        (
            Order,
            b'{"items":[{"name":"x","price":2}],"parent":{"items":[]}}',
            Order([Item("x", 2.0)], parent=Order([])),
        ),
    ],
)
def test_json_becomes_what_the_annotation_says(annotation: Any, payload: bytes, value: Any) -> None:
    def handler(data: Any) -> Any:
        return data

    handler.__annotations__["data"] = annotation
    for encoding in (Encoding.Json, Encoding.Utf8, Encoding.Bytes):
        found = call(handler, payload, encoding)
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"{", "order: not JSON: "),
        (b"[]", "order: must be an object, is a list"),
        (b"{}", "order.items: missing"),
        (b'{"items":[{"name":"a"},{"price":1}]}', "order.items[1].name: missing"),
        (
            b'{"items":[{"name":"a","price":"1"}]}',
            "order.items[0].price: must be a number, is a string",
        ),
        (
            b'{"items":[],"color":"green"}',
            "order.color: must be one of 'red', 'blue'",
        ),
        (b'{"items":[],"mode":"medium"}', "order.mode: must be one of 'fast', 'slow'"),
        (b'{"items":[],"note":5}', "order.note: must be str | None, is an integer"),
        (b'{"items":[],"tags":{"a":true}}', "order.tags.a: must be an integer, is a boolean"),
        (b'{"items":[],"notes":"x"}', "order.notes: not known; did you mean 'note'?"),
        (b'{"items":[],"parent":{"items":[1]}}', "order.parent.items[0]: must be an object"),
    ],
)
def test_payload_that_does_not_fit_names_the_field(payload: bytes, message: str) -> None:
    def handler(order: Order) -> None: ...

    with pytest.raises(PayloadError) as caught:
        call(handler, payload)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("encoding", [Encoding.FlatBuffer, Encoding.Npy])
def test_json_and_text_are_not_read_from_tables_and_arrays(encoding: int) -> None:
    def as_text(text: str) -> None: ...

    def as_number(number: int) -> None: ...

    for handler in (as_text, as_number):
        with pytest.raises(PayloadError, match="is wanted, the payload is"):
            call(handler, b"1", encoding)


def test_broken_text_and_endless_nesting_are_refused() -> None:
    def as_text(text: str) -> None: ...

    def as_list(items: list[Any]) -> None: ...

    with pytest.raises(PayloadError, match="text: not UTF-8 at byte 1"):
        call(as_text, b"a\xff", Encoding.Utf8)
    with pytest.raises(PayloadError, match="nested too deeply"):
        call(as_list, b"[" * 100_000)


# ------------------------------------------------------------------ several arguments, none, classes


def resize(name: str, width: int, *, crop: bool = False) -> Any:
    return name, width, crop


def test_several_parameters_come_from_one_json_object() -> None:
    assert call(resize, b'{"width":3,"name":"a"}') == ("a", 3, False)
    assert call(resize, b'{"width":3,"name":"a","crop":true}') == ("a", 3, True)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"name":"a"}', "width: missing"),
        (b'{"name":"a","width":"3"}', "width: must be an integer, is a string"),
        (b'{"name":"a","width":3,"heigth":4}', "heigth: not known"),
        (b"3", "payload: must be an object, is an integer"),
    ],
)
def test_several_parameters_name_the_one_at_fault(payload: bytes, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        call(resize, payload)
    assert str(caught.value) == message


def test_handler_without_parameters_wants_no_payload() -> None:
    def handler() -> int:
        return 1

    assert [call(handler, payload) for payload in (b"", b"null", b"{}")] == [1, 1, 1]
    with pytest.raises(PayloadError, match="payload: none is wanted, it has 3 bytes"):
        call(handler, b"abc")


def test_class_is_made_and_set_up_once() -> None:
    class Model:
        made = 0

        def __init__(self) -> None:
            Model.made += 1

        def setup(self) -> None:
            self.factor = 2

        def run(self, number: int) -> int:
            return number * self.factor

    app = App("test")
    app.job(Model)
    (bound,) = Program(app, no_ctx).set_up()
    assert bound.name == "model"
    assert [bound.call(b"21", 0, 2, Encoding.Json, HEAD) for _ in range(2)] == [42, 42]
    assert Model.made == 1


def test_context_and_dependencies_come_first() -> None:
    app = App("test", lifespan=lambda: "the model")
    asked: list[Any] = []

    @app.job
    def handler(ctx: Ctx[str], data: bytes) -> Any:
        return ctx, data

    def make_ctx(head: Any, name: str, deps: Any) -> Any:
        asked.append((head, name, deps))
        return "a context"

    (bound,) = Program(app, make_ctx).set_up()
    assert bound.call(b"xyz", 1, 1, Encoding.Bytes, HEAD) == ("a context", b"y")
    assert asked == [(HEAD, "handler", "the model")]


# ------------------------------------------------------------------ what is not served


def generator(data: bytes) -> Any:
    yield data


def variadic(*data: bytes) -> None: ...


def two_blobs(a: bytes, b: bytes) -> None: ...


def unknown_type(data: set[int]) -> None: ...


def unknown_name(data: NotThere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def integer_keys(data: dict[int, str]) -> None: ...


class WithoutRun: ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (generator, "generators are not served"),
        (variadic, r"\*data has no place in a payload"),
        (two_blobs, "'a' cannot be bytes"),
        (unknown_type, r"job 'job'.data: cannot make set\[int\]"),
        (unknown_name, "NotThere"),
        (integer_keys, "keys of a JSON object are str"),
        (WithoutRun, "has no method run"),
    ],
)
def test_handler_that_cannot_be_served_is_refused_before_setup(handler: Any, message: str) -> None:
    app = App("test", lifespan=lambda: pytest.fail("setup ran"))
    app.job(name="job")(handler)
    with pytest.raises(HandlerError, match=message):
        Program(app, no_ctx)


# ------------------------------------------------------------------ results


@pytest.mark.parametrize(
    ("value", "encoding", "payload"),
    [
        (b"a", Encoding.Bytes, b"a"),
        (bytearray(b"a"), Encoding.Bytes, b"a"),
        (memoryview(b"abc")[1:], Encoding.Bytes, b"bc"),
        (None, Encoding.Bytes, b""),
        ("ü", Encoding.Utf8, "ü".encode()),
        (7, Encoding.Json, b"7"),
        (True, Encoding.Json, b"true"),
        ({"a": [1, None]}, Encoding.Json, b'{"a":[1,null]}'),
        (Item("x", 1.5), Encoding.Json, b'{"name":"x","price":1.5}'),
        ([Color.RED], Encoding.Json, b'["red"]'),
    ],
)
def test_results_are_encoded_by_their_type(value: Any, encoding: int, payload: bytes) -> None:
    assert encode_result(value) == (encoding, payload)


def test_dataclasses_go_out_and_come_in_alike() -> None:
    def handler(order: Order) -> Any:
        return order

    order = Order([Item("x", 1.0)], Color.BLUE, "slow", None, {"a": 1}, Order([]))
    encoding, payload = encode_result(order)
    assert call(handler, payload, encoding) == order
    assert json.loads(payload)["color"] == "blue"


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), "\ud800", [b"x"], {(1,): 2}])
def test_result_that_cannot_travel_is_a_result_error(value: Any) -> None:
    with pytest.raises(ResultError):
        encode_result(value)
