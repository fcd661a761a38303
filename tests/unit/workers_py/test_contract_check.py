# SPDX-License-Identifier: Apache-2.0
"""What each kind of change of a contract means for what runs, beside what flatc --conform says of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from jobwire._gen._check import Verdict, compare, survives
from jobwire._gen._command import main
from jobwire._gen._schema import load

OLD = """
attribute "queue"; attribute "timeout"; attribute "retries";
namespace shop;
enum Fit : ubyte { None = 0, Cover = 1, Contain = 2 }
struct Point { x:int; y:int; }
table Circle { r:int; }
table Square { side:int; }
union Shape { Circle, Square }
table Request {
  width:int = 5 (id: 0);
  name:string (required, id: 1);
  fit:Fit (id: 2);
  at:Point (id: 3);
  shape:Shape (id: 5);
  points:[Point] (id: 6);
  note:string (id: 7);
  ratio:float = 1.5 (id: 8);
  maybe:int = null (id: 9);
}
table Response {
  bytes:[ubyte] (id: 0);
  fit:Fit (id: 1);
  label:string (required, id: 2);
  shape:Shape (id: 4);
}
rpc_service Shop {
  draw(Request):Response (queue: "images", timeout: "30s");
  erase(Request):Response;
}
"""

# name, what is replaced by what, the verdicts that must be among the findings, flatc --conform's word
CHANGES = [
    ("nothing", [], [], True),
    ("field appended to both", [("ratio:float = 1.5 (id: 8);", "ratio:float = 1.5 (id: 8); more:int (id: 10);")],
     ["ok Shop.draw request.more"], True),
    ("required field appended to the request", [("note:string (id: 7);", "note:string (id: 7); key:string (required, id: 10);")],
     ["breaks Shop.draw request.key"], True),
    ("required field appended to the response", [("fit:Fit (id: 1);", "fit:Fit (id: 1); key:string (required, id: 5);")],
     ["ok Shop.draw response.key"], True),
    ("last field removed", [("maybe:int = null (id: 9);", "")], ["breaks Shop.draw request.maybe"], True),
    ("field deprecated", [("note:string (id: 7);", "note:string (deprecated, id: 7);")], ["care Shop.draw request.note"], True),
    ("field renamed", [("note:string (id: 7);", "remark:string (id: 7);")], ["care Shop.draw request.note"], True),
    ("ids of two fields swapped", [("width:int = 5 (id: 0);", "width:int = 5 (id: 8);"), ("ratio:float = 1.5 (id: 8);", "ratio:float = 1.5 (id: 0);")],
     ["breaks Shop.draw request.width", "breaks Shop.draw request.ratio"], False),
    ("type widened", [("width:int = 5", "width:long = 5")], ["breaks Shop.draw request.width"], False),
    ("sign changed", [("width:int = 5", "width:uint = 5")], ["breaks Shop.draw request.width"], False),
    ("string becomes bytes", [("note:string", "note:[ubyte]")], ["breaks Shop.draw request.note"], False),
    ("enum becomes its number", [("  fit:Fit (id: 2);", "  fit:ubyte (id: 2);")], ["care Shop.draw request.fit"], False),
    ("default of an integer changed", [("width:int = 5", "width:int = 6")], ["breaks Shop.draw request.width"], False),
    ("default of a float changed", [("ratio:float = 1.5", "ratio:float = 2.5")], ["breaks Shop.draw request.ratio"], False),
    ("optional scalar no longer optional", [("maybe:int = null", "maybe:int")], ["breaks Shop.draw request.maybe"], False),
    ("scalar made optional", [("width:int = 5", "width:int = null")], ["breaks Shop.draw request.width"], False),
    ("request's field made required", [("note:string (id: 7)", "note:string (required, id: 7)")], ["breaks Shop.draw request.note"], True),
    ("request's field no longer required", [("name:string (required, id: 1)", "name:string (id: 1)")], ["ok Shop.draw request.name"], True),
    ("response's field made required", [("  bytes:[ubyte] (id: 0);", "  bytes:[ubyte] (required, id: 0);")], ["ok Shop.draw response.bytes"], True),
    ("response's field no longer required", [("label:string (required, id: 2)", "label:string (id: 2)")], ["breaks Shop.draw response.label"], True),
    ("required field of a response deprecated", [("label:string (required, id: 2)", "label:string (deprecated, id: 2)")],
     ["breaks Shop.draw response.label"], True),
    ("enum value added", [("Contain = 2 }", "Contain = 2, Fill = 3 }")],
     ["ok Shop.draw request.fit Fit.Fill", "care Shop.draw response.fit Fit.Fill"], True),
    ("enum value removed", [(", Contain = 2 }", " }")],
     ["breaks Shop.draw request.fit Fit.Contain", "ok Shop.draw response.fit Fit.Contain"], True),
    ("enum value renumbered", [("Contain = 2 }", "Contain = 7 }")],
     ["breaks Shop.draw request.fit Fit.Contain", "breaks Shop.draw response.fit Fit.Contain"], False),
    ("enum value renamed", [("Contain = 2 }", "Inside = 2 }")], ["care Shop.draw request.fit Fit.Contain"], True),
    ("two enum values swapped", [("Cover = 1, Contain = 2", "Contain = 1, Cover = 2")],
     ["breaks Shop.draw request.fit Fit.Cover", "breaks Shop.draw request.fit Fit.Contain"], False),
    ("enum widened", [("enum Fit : ubyte", "enum Fit : ushort")], ["breaks Shop.draw request.fit"], False),
    ("union member added", [("union Shape { Circle, Square }", "union Shape { Circle, Square, Response }")],
     ["ok Shop.draw request.shape Shape.Response", "care Shop.draw response.shape Shape.Response"], True),
    ("union member removed", [("union Shape { Circle, Square }", "union Shape { Circle }")],
     ["breaks Shop.draw request.shape Shape.Square", "ok Shop.draw response.shape Shape.Square"], True),
    ("union members swapped", [("union Shape { Circle, Square }", "union Shape { Square, Circle }")],
     ["breaks Shop.draw request.shape Shape.Circle"], False),
    ("table inside a union changed", [("table Circle { r:int; }", "table Circle { r:long; }")],
     ["breaks Shop.draw request.shape Shape.Circle.r"], False),
    ("struct grown", [("struct Point { x:int; y:int; }", "struct Point { x:int; y:int; z:int; }")], ["breaks Shop.draw request.at"], True),
    ("struct's fields swapped", [("struct Point { x:int; y:int; }", "struct Point { y:int; x:int; }")],
     ["breaks Shop.draw request.at.x", "breaks Shop.draw request.at.y"], False),
    ("struct's field of another type", [("struct Point { x:int; y:int; }", "struct Point { x:float; y:int; }")],
     ["breaks Shop.draw request.at.x"], False),
    ("struct's field renamed", [("struct Point { x:int; y:int; }", "struct Point { left:int; y:int; }")], ["care Shop.draw request.at.x"], True),
    ("struct becomes a table", [("struct Point { x:int; y:int; }", "table Point { x:int; y:int; }")], ["breaks Shop.draw request.at"], None),
    ("table renamed", [("table Circle { r:int; }", "table Round { r:int; }"), ("{ Circle, Square }", "{ Circle:Round, Square }")],
     ["care Shop.draw request.shape Shape.Circle"], True),
    ("enum renamed", [("enum Fit : ubyte", "enum Mode : ubyte"), ("  fit:Fit (id: 2);", "  fit:Mode (id: 2);"), ("  fit:Fit (id: 1);", "  fit:Mode (id: 1);")],
     ["care Shop.draw request.fit", "care Shop.draw response.fit"], False),
    ("key added", [("name:string (required, id: 1)", "name:string (key, required, id: 1)")], ["care Shop.draw request.name"], True),
    ("method removed", [("  erase(Request):Response;\n", "")], ["breaks Shop.erase"], True),
    ("method added", [("  erase(Request):Response;", "  erase(Request):Response; fill(Request):Response;")], ["ok Shop.fill"], True),
    ("request swapped for another table", [("draw(Request):Response", "draw(Response):Response")], ["breaks Shop.draw request"], True),
    ("response swapped for another table", [("draw(Request):Response", "draw(Request):Request")], ["breaks Shop.draw response"], True),
    ("queue changed", [('queue: "images"', 'queue: "photos"')], ["care Shop.draw"], True),
    ("timeout changed", [('timeout: "30s"', 'timeout: "10s"')], ["ok Shop.draw"], True),
    ("service renamed", [("rpc_service Shop", "rpc_service Store")], ["breaks Shop.draw", "ok Store.draw"], True),
]  # fmt: skip


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("edits", "expected", "conform"),
    [change[1:] for change in CHANGES],
    ids=[change[0] for change in CHANGES],
)
def test_change_is_judged(
    edits: list[tuple[str, str]], expected: list[str], conform: bool | None, tmp_path: Path
) -> None:
    text = OLD
    for before, after in edits:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    old, new = write(tmp_path, "old.fbs", OLD), write(tmp_path, "new.fbs", text)
    findings = compare(load(old), load(new))
    told = {f"{one.verdict.value} {one.where}" for one in findings}
    assert set(expected) <= told
    breaks = {entry for entry in told if entry.startswith("breaks")}
    assert bool(breaks) == any(entry.startswith("breaks") for entry in expected), breaks
    if not edits:
        assert not findings
    run = subprocess.run(
        ["flatc", "--cpp", "-o", tmp_path, "--conform", old, new], capture_output=True, check=False
    )
    if conform is not None:
        assert (run.returncode == 0) == conform, run.stdout
    # Where flatc objects, so do we, but for an enum that loses or changes its name: the bytes stay what they were.
    if run.returncode != 0:
        assert breaks or all(
            entry.startswith("care") and entry.endswith(".fit") for entry in expected
        )


def test_check_prints_a_line_each_and_says_so_in_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path, "old.fbs", OLD)
    new = write(tmp_path, "new.fbs", OLD.replace("width:int = 5", "width:int = 6"))
    assert main(["--check", str(old), str(new)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "breaks  Shop.draw request.width: its default 5 becomes 6: what is left out changes its value"
    )
    assert lines[-1].startswith("running producers do not survive: 2 change(s)")

    new = write(tmp_path, "new.fbs", OLD.replace("Contain = 2 }", "Contain = 2, Fill = 3 }"))
    assert main(["--check", str(old), str(new)]) == 0
    assert "start workers that were made with --accepts" in capsys.readouterr().out.splitlines()[-1]

    assert main(["--check", str(old), str(old)]) == 0
    assert capsys.readouterr().out.startswith("running producers and workers survive")

    assert main(["--check", str(old), str(tmp_path / "none.fbs")]) == 2
    assert "none.fbs: there is no such file" in capsys.readouterr().err


def test_field_that_comes_back_from_deprecation_asks_for_care(tmp_path: Path) -> None:
    old = load(write(tmp_path, "old.fbs", OLD.replace("(id: 7)", "(deprecated, id: 7)")))
    (finding, _) = compare(old, load(write(tmp_path, "new.fbs", OLD)))
    assert str(finding) == "care    Shop.draw request.note: no longer deprecated"


def test_one_method_may_break_and_another_survive(tmp_path: Path) -> None:
    old = load(write(tmp_path, "old.fbs", OLD))
    new = load(
        write(tmp_path, "new.fbs", OLD.replace("draw(Request):Response", "draw(Response):Response"))
    )
    findings = compare(old, new)
    assert not survives(findings, "Shop.draw")
    assert survives(findings, "Shop.erase")
    assert [one.method for one in findings if one.verdict is Verdict.BREAKS] == ["Shop.draw"]
