# SPDX-License-Identifier: Apache-2.0
"""What `jobwire gen` writes: values there and back, bytes that are wrong, handlers and clients, hashes."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import flatbuffers
import pytest
from jobwire import App, JobFailed, PayloadError, ResultError
from jobwire._answers import JobResult, JobState, JobStatus
from jobwire._gen._command import main
from jobwire._gen._hash import describe, method_hash
from jobwire._gen._hatch import ContractBuildHook
from jobwire._gen._schema import ContractError, load
from jobwire._spec import JobSpec
from jobwire._wire_enums import Encoding
from jobwire.contract import DecodeError, EncodeError, decode, encode
from mypy import api

ROOT = Path(__file__).resolve().parents[3]
MATRIX = ROOT / "tests/integration/contract_project/matrix.fbs"

SMALL = """
attribute "queue"; attribute "timeout"; attribute "retries";
namespace shop;
/// A question.
table Ask {
  /// How many.
  count:int = 3;
  word:string (required);
}
table Told { text:string; }
rpc_service Shop {
  /// Answers it.
  answer(Ask):Told (queue: "talk", timeout: "1500ms", retries: "2");
}
"""


def imported(path: Path) -> Any:
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("matrix")
    assert main([str(MATRIX), "--python", str(folder)]) == 0
    return imported(folder / "matrix_contract.py")


@pytest.fixture
def small(tmp_path: Path) -> Any:
    (tmp_path / "small.fbs").write_text(SMALL)
    assert main([str(tmp_path / "small.fbs"), "--python", str(tmp_path)]) == 0
    return imported(tmp_path / "small_contract.py")


def everything(m: ModuleType) -> Any:
    outer = m.Outer(
        True, m.Inner(7, 1.5), [-32768, 0, 32767], [m.Inner(), m.Inner(255, -0.0)], m.Small.High
    )
    return m.Everything(
        scalars=m.Scalars(True, -128, 255, -32768, 65535, -(2**31), 2**32 - 1, -(2**63), 2**64 - 1, 0.5, 0.1,
                          m.Small.Low, m.Large.Most, m.Flags.A | m.Flags.Last),
        defaults=m.Defaults(a_int=0),
        optionals=m.Optionals(a_int=0, a_small=m.Small.Zero),
        vectors=m.Vectors(bools=[True, False], bytes=[-1, 1], ubytes=b"\0\xff", doubles=[math.inf, -0.0],
                          kinds=[m.Sparse.Third, m.Sparse(99)], strings=["", "a\0b", "größe"],
                          structs=[outer, m.Outer()], tables=[m.Scalars(), m.Scalars(a_int=1)],
                          shapes=[m.Circle(m.Point(1, 2), 3), "word", m.Point(4, 5)]),
        text="t",
        outer=outer,
        shape=m.Label("title"),
        shape_type=m.Shape.Caption,
        tree=m.Tree("root", [m.Tree("leaf"), m.Tree("twig", [m.Tree("bud")])]),
        class_=1,
    )  # fmt: skip


# ------------------------------------------------------------------ values


def test_value_comes_back_equal(matrix: Any) -> None:
    value = everything(matrix)
    assert decode(matrix.Everything, encode(value)) == value
    assert decode(matrix.Everything, encode(matrix.Everything())) == matrix.Everything()


def test_bytes_say_to_flatc_what_the_value_says(matrix: Any, tmp_path: Path) -> None:
    (tmp_path / "value.bin").write_bytes(encode(everything(matrix).scalars))
    # Vectors of unions, and what is no table in one, keep flatc from making JSON of the whole contract.
    text = MATRIX.read_text()
    for line in ("  shapes:[Shape] (id: 16);\n", "  Point: shapes.Point,\n", "  Word: string,\n"):
        assert line in text
        text = text.replace(line, "")
    (tmp_path / "matrix.fbs").write_text(text)
    (tmp_path / "shapes.fbs").write_bytes((MATRIX.parent / "shapes.fbs").read_bytes())
    subprocess.run(
        ["flatc", "--json", "--strict-json", "--raw-binary", "--root-type", "matrix.Scalars", "-o", tmp_path,
         tmp_path / "matrix.fbs", "--", tmp_path / "value.bin"],
        check=True, capture_output=True,
    )  # fmt: skip
    told = json.loads((tmp_path / "value.json").read_text())
    assert told["a_ulong"] == 2**64 - 1
    assert told["a_long"] == -(2**63)
    assert told["a_float"] == 0.5
    assert told["a_large"] == "Most"
    assert "Last" in told["a_flags"]


def test_default_is_not_written_and_absent_is_the_default(matrix: Any) -> None:
    assert encode(matrix.Defaults()) == encode(matrix.Everything()) == encode(matrix.Optionals())
    assert decode(matrix.Defaults, encode(matrix.Defaults())).a_float == pytest.approx(0.1)
    # The sign of zero and a NaN are values of their own.
    other = matrix.Scalars(a_double=-0.0)
    assert math.copysign(1, decode(matrix.Scalars, encode(other)).a_double) == -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.Scalars(a_byte=128), "Scalars.a_byte: byte format requires -128 <= number <= 127"),
        (lambda m: m.Scalars(a_int=None), "Scalars.a_int: is required"),
        (lambda m: m.Everything(text=7), "Everything.text: "),
        (lambda m: m.Everything(tree="no tree"), "Everything.tree: must be a Tree, is str"),
        (lambda m: m.Everything(tree=m.Tree("a", [m.Tree(None)])), "Everything.tree: children: name: is required"),
        (lambda m: m.Everything(outer=m.Outer(three=[1])), "Everything.outer: three: must have 3 items, has 1"),
        (lambda m: m.Vectors(ints=[2**31]), "Vectors.ints: "),
        (lambda m: "text", "str is not a table of a contract"),
        (lambda m: m.Point(), "Point is not a table of a contract"),
    ],
)  # fmt: skip
def test_value_that_does_not_fit_is_named(
    matrix: Any, change: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(EncodeError) as raised:
        encode(change(matrix))
    assert str(raised.value).startswith(message)


def test_union_is_told_by_its_class_and_by_its_type_where_that_is_not_enough(matrix: Any) -> None:
    assert matrix.Everything(shape="w").shape_type is matrix.Shape.Word
    with pytest.raises(EncodeError, match="Label is member 2 or 5 of the union, the type says 0"):
        matrix.Everything(shape=matrix.Label("?"))
    with pytest.raises(EncodeError, match="Label is member 2 or 5 of the union, the type says 1"):
        matrix.Everything(shape=matrix.Label("?"), shape_type=matrix.Shape.Circle)


# ------------------------------------------------------------------ bytes that are wrong


def test_wrong_bytes_are_a_decode_error_and_nothing_else(matrix: Any) -> None:
    good = encode(everything(matrix))
    dice = random.Random(1)
    errors = 0
    for _ in range(4000):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        if dice.random() < 0.2:
            bad = bad[: dice.randint(0, len(bad))]
        try:
            decode(matrix.Everything, bytes(bad))
        except DecodeError:
            errors += 1
    assert errors > 1000
    for nothing in (b"", b"\0", b"\4\0\0\0", b"\xff" * 64):
        with pytest.raises(DecodeError):
            decode(matrix.Everything, nothing)


def test_depth_and_tables_are_bounded(matrix: Any) -> None:
    deep = matrix.Tree("end")
    for _ in range(70):
        deep = matrix.Tree("", [deep])
    with pytest.raises(DecodeError, match="too deep"):
        decode(matrix.Tree, encode(deep))


def test_few_bytes_do_not_become_very_many_values(matrix: Any) -> None:
    # Ten levels, each of which names the one below eight times; then a long string, named often.
    builder = flatbuffers.Builder(1024)
    name = builder.CreateString("t")
    level = 0
    for depth in range(10):
        children = 0
        if depth:
            builder.StartVector(4, 8, 4)
            for _ in range(8):
                builder.PrependUOffsetTRelative(level)
            children = builder.EndVector()
        builder.StartObject(2)
        builder.PrependUOffsetTRelativeSlot(0, name, 0)
        builder.PrependUOffsetTRelativeSlot(1, children, 0)
        level = builder.EndObject()
    builder.Finish(level)
    with pytest.raises(DecodeError, match="too many tables"):
        decode(matrix.Tree, bytes(builder.Output()))

    builder = flatbuffers.Builder(1024)
    long = builder.CreateString("x" * 100_000)
    builder.StartVector(4, 2_000, 4)
    for _ in range(2_000):
        builder.PrependUOffsetTRelative(long)
    strings = builder.EndVector()
    builder.StartObject(17)
    builder.PrependUOffsetTRelativeSlot(12, strings, 0)
    builder.Finish(builder.EndObject())
    with pytest.raises(DecodeError, match="too many times what the bytes have"):
        decode(matrix.Vectors, bytes(builder.Output()))


def test_missing_required_field_is_a_decode_error(small: Any) -> None:
    with pytest.raises(DecodeError, match=r"Ask\.word is missing"):
        decode(small.Ask, encode(small.Told("no word at the second place")))


# ------------------------------------------------------------------ handlers and clients


def test_handlers_become_jobs_with_what_the_contract_says(small: Any) -> None:
    class Handlers(small.ShopHandlers):  # type: ignore[misc]
        def answer(self, ctx: Any, request: Any) -> Any:
            return small.Told(request.word * request.count)

    app = App("shop")
    Handlers().register(app, version="7")
    (job,) = app.jobs.values()
    options = job.options
    assert (job.name, options.queue, options.timeout_ms) == ("Shop.answer", "talk", 1500)
    assert options.retry is not None
    assert (options.retry.attempts, options.version) == (3, "7")
    assert options.contract == small.SHOP_ANSWER.hash
    response = job.handler(None, encode(small.Ask(word="ab")))
    assert decode(small.Told, response).text == "ababab"
    with pytest.raises(PayloadError, match="Ask: "):
        job.handler(None, b"nonsense")


def test_method_that_is_not_written_is_found_when_the_handlers_are_made(small: Any) -> None:
    class Handlers(small.ShopHandlers):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match="answer"):
        Handlers()


def test_response_of_another_type_is_a_result_error(small: Any) -> None:
    class Handlers(small.ShopHandlers):  # type: ignore[misc]
        def answer(self, ctx: Any, request: Any) -> Any:
            return request

    app = App("shop")
    Handlers().register(app)
    with pytest.raises(ResultError, match="must be a Told, is Ask"):
        app.jobs["Shop.answer"].handler(None, encode(small.Ask(word="")))


class _Broker:
    """Stands for jobwire.Client: keeps the job, and answers as told."""

    def __init__(self, state: JobState, payload: bytes) -> None:
        self.state = state
        self.payload = payload
        self.specs: list[JobSpec] = []

    def call(self, spec: JobSpec, timeout: float) -> JobResult:
        self.specs.append(spec)
        status = JobStatus(spec.id, self.state, None, 1, None, None, None, 0.0)
        return JobResult(status, Encoding.FlatBuffer, self.payload)


def test_client_sends_a_job_and_gives_the_response(small: Any) -> None:
    broker = _Broker(JobState.SUCCEEDED, encode(small.Told("yes")))
    client = small.ShopClient(broker)
    assert client.answer(small.Ask(word="really")) == small.Told("yes")
    (spec,) = broker.specs
    assert (spec.type, spec.queue, spec.timeout_ms) == ("Shop.answer", "talk", 1500)
    assert (spec.encoding, spec.contract) == (Encoding.FlatBuffer, small.SHOP_ANSWER.hash)
    assert decode(small.Ask, spec.payload).word == "really"
    with pytest.raises(EncodeError, match="must be a Ask, is Told"):
        client.answer(small.Told(""))


class _AsyncBroker(_Broker):
    async def call(self, spec: JobSpec, timeout: float) -> JobResult:  # type: ignore[override]
        return super().call(spec, timeout)


def test_client_for_asyncio_does_the_same(small: Any) -> None:
    broker = _AsyncBroker(JobState.SUCCEEDED, encode(small.Told("yes")))
    answer = asyncio.run(small.AsyncShopClient(broker).answer(small.Ask(word="really")))
    assert answer == small.Told("yes")
    assert broker.specs[0].contract == small.SHOP_ANSWER.hash
    failed = small.AsyncShopClient(_AsyncBroker(JobState.CANCELLED, b""))
    with pytest.raises(JobFailed, match=r"Shop\.answer cancelled"):
        asyncio.run(failed.answer(small.Ask(word="")))


def test_client_raises_for_a_job_that_did_not_succeed_and_for_bytes_that_are_no_response(
    small: Any,
) -> None:
    with pytest.raises(JobFailed, match=r"Shop\.answer dead"):
        small.ShopClient(_Broker(JobState.DEAD, b"")).answer(small.Ask(word=""))
    with pytest.raises(DecodeError):
        small.ShopClient(_Broker(JobState.SUCCEEDED, b"junk")).answer(small.Ask(word=""))


def test_generated_code_is_typed(small: Any, matrix: Any, tmp_path: Path) -> None:
    use = tmp_path / "use.py"
    use.write_text(
        "from small_contract import Ask, ShopClient, Told\n"
        "def f(client: ShopClient) -> str:\n"
        "    return client.answer(Ask(word='w', count=2)).text\n"
        "def g(client: ShopClient) -> int:\n"
        "    client.answer(Told())  # wrong\n"
        "    return client.answer(Ask(wrod='w')).text  # wrong twice\n"
    )
    out, _, code = api.run(
        ["--strict", "--cache-dir", str(tmp_path / "mypy"), "--python-executable", sys.executable,
         str(use), matrix.__file__]
    )  # fmt: skip
    errors = [
        line.split(":", 2)[1] for line in out.splitlines() if "error" in line and "use.py" in line
    ]
    assert sorted(errors) == ["5", "6", "6"], out
    assert out.count("error:") == 3
    assert code == 1


# ------------------------------------------------------------------ hashes, and what is accepted


def test_hash_is_the_one_that_is_written_down() -> None:
    schema = load(MATRIX)
    known = (ROOT / "tests/contract/golden/contract_hashes.txt").read_text()
    found = [
        f"{method_hash(schema, method):016x}  {service.job_type(method)}"
        for service, method in schema.methods()
    ]
    assert known.splitlines() == found


def test_description_is_the_one_of_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "small.fbs").write_text(SMALL)
    schema = load(tmp_path / "small.fbs")
    ((_, method),) = schema.methods()
    assert describe(schema, method) == (
        "jobwire contract 1\n"
        "request shop.Ask\n"
        "response shop.Told\n"
        "table shop.Ask\n"
        " 0 4 count Int 3 0000000000000000\n"
        " 1 6 word String 0 0000000000000000 required\n"
        "table shop.Told\n"
        " 0 4 text String 0 0000000000000000 optional\n"
    )


def test_queue_timeout_and_words_are_no_part_of_the_hash_and_types_are(tmp_path: Path) -> None:
    def hash_of(text: str) -> int:
        (tmp_path / "one.fbs").write_text(text)
        schema = load(tmp_path / "one.fbs")
        ((_, method),) = schema.methods()
        return method_hash(schema, method)

    first = hash_of(SMALL)
    assert hash_of(SMALL.replace('"talk"', '"chat"').replace("1500ms", "9s")) == first
    assert hash_of(SMALL.replace("/// How many.", "/// So many.")) == first
    for before, after in (
        ("int = 3", "int = 4"),
        ("count", "number"),
        ("text:string", "text:[ubyte]"),
    ):
        assert hash_of(SMALL.replace(before, after)) != first


def test_worker_accepts_earlier_contracts_that_survive_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.fbs", tmp_path / "new.fbs"
    old.write_text(SMALL)
    new.write_text(SMALL.replace("word:string (required);", "word:string (required); more:int;"))
    arguments = [str(new), "--python", str(tmp_path), "--accepts", str(old)]
    assert main(arguments) == 0
    module = imported(tmp_path / "new_contract.py")
    schema = load(old)
    ((_, method),) = schema.methods()
    assert module.SHOP_ANSWER.accepts == (method_hash(schema, method),)
    app = App("shop")
    handlers = type("H", (module.ShopHandlers,), {"answer": lambda self, ctx, request: None})
    handlers().register(app)
    assert app.jobs["Shop.answer"].options.accepts == module.SHOP_ANSWER.accepts

    new.write_text(SMALL.replace("count:int = 3", "count:long = 3"))
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "Shop.answer request.count: its type Int becomes Long" in said


# ------------------------------------------------------------------ contracts that cannot be used


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("int = 3", "ulong = 18446744073709551615", "flatc keeps no default or enum value beyond 2^63"),
        ('"1500ms"', '"soon"', "Shop.answer: timeout 'soon': a time such as 500ms"),
        ('"1500ms"', '"8000h"', "Shop.answer: timeout '8000h': a time such as 500ms"),
        ('"2"', '"many"', "Shop.answer: retries 'many': a number from 0 to 99"),
        ('"talk"', '"no good name"', "Shop.answer: queue 'no good name': letters, digits"),
        ("count:int = 3", "count:integer", "flatc: "),
        ("rpc_service Shop", "table Shop", "flatc: "),
        ("table Told {", "namespace other; table Ask { } namespace shop; table Told {", "would both be Ask in Python"),
        ("answer(Ask)", "register(Ask)", "shop.Shop.register: handlers have a method register of their own"),
        ("count:int = 3", "o:int", "shop.Ask.o: flatc makes C++ of this name that does not compile"),
    ],
)  # fmt: skip
def test_contract_that_cannot_be_used_is_refused_with_the_reason(
    before: str, after: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert before in SMALL
    (tmp_path / "bad.fbs").write_text(SMALL.replace(before, after))
    both = ["--python", str(tmp_path / "py"), "--cpp", str(tmp_path / "cpp")]
    assert main([str(tmp_path / "bad.fbs"), *both]) == 2
    assert message in capsys.readouterr().err


def test_file_that_is_no_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "not.bfbs").write_bytes(b"nothing like it")
    with pytest.raises(ContractError, match="not a binary schema"):
        load(tmp_path / "not.bfbs")


def test_contract_without_a_service_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "types.fbs").write_text("table T { a:int; }")
    assert main([str(tmp_path / "types.fbs")]) == 2
    assert "no rpc_service with a method" in capsys.readouterr().err


# ------------------------------------------------------------------ builds


def hook(root: Path, config: dict[str, Any]) -> ContractBuildHook:
    return ContractBuildHook(str(root), config, None, None, str(root), "wheel")


def test_build_hook_writes_the_modules_and_has_them_packed(tmp_path: Path) -> None:
    (tmp_path / "small.fbs").write_text(
        SMALL.replace("int = 3", "int = 3 (id: 0)").replace("(required)", "(required, id: 1)")
    )
    (tmp_path / "old.fbs").write_text(SMALL)
    data: dict[str, Any] = {"artifacts": []}
    hook(
        tmp_path, {"contracts": ["small.fbs"], "output": "src/app", "accepts": ["old.fbs"]}
    ).initialize("1", data)
    assert (tmp_path / "src/app/small_contract.py").is_file()
    assert data["artifacts"] == ["/src/app/small_contract.py"]


@pytest.mark.parametrize(
    "config",
    [{}, {"contracts": ["small.fbs"]}, {"output": "src"}, {"contracts": "small.fbs", "output": "src"},
     {"contracts": ["small.fbs"], "output": "src", "accepts": [1]}, {"contracts": ["none.fbs"], "output": "src"}],
)  # fmt: skip
def test_build_hook_refuses_what_it_cannot_do(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "small.fbs").write_text(SMALL)
    with pytest.raises(ContractError):
        hook(tmp_path, config).initialize("1", {"artifacts": []})
    assert not (tmp_path / "src").exists()
