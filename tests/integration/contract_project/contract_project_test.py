# SPDX-License-Identifier: Apache-2.0
"""A project of somebody else: it installs jobwire, generates a contract in both languages, builds, and runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rig import ROOT, Rig, build_dir, sanitized

# A stranger's project has no sanitizer, and cannot link a library that has one.
pytestmark = pytest.mark.skipif(sanitized(), reason="an SDK with a sanitizer is not for installing")

HERE = Path(__file__).resolve().parent
JOBWIRE = Path(sys.executable).parent / "jobwire"


def run(*command: str | Path, timeout: float = 300, **more: str) -> str:
    """What it printed; the test fails with all of it when the command does."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        env={**os.environ, **more},
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The producer built against an installed SDK, the worker's package built and installed, the contract deployed."""
    place = tmp_path_factory.mktemp("contract_project")
    source = place / "source"  # building writes into it
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("__pycache__"))
    run("cmake", "--install", build_dir(), "--prefix", place / "sdk")
    run(
        "cmake", "-G", "Ninja", "-S", source, "-B", place / "build", f"-DCMAKE_PREFIX_PATH={place / 'sdk'}",
        f"-DJOBWIRE_COMMAND={JOBWIRE}",
    )  # fmt: skip
    run("cmake", "--build", place / "build", timeout=600)
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", "--target", place / "site", source / "worker",
    )  # fmt: skip
    run(JOBWIRE, "gen", HERE / "matrix.fbs", "--bfbs", place / "contracts")
    return place


@pytest.mark.timeout(900)
def test_every_kind_of_value_goes_to_python_and_back_bit_by_bit(
    project: Path, tmp_path: Path
) -> None:
    with Rig(tmp_path / "rig", options=["--contracts", str(project / "contracts")]) as rig:
        rig.start_broker()
        rig.start_host(
            f"{project / 'site' / 'matrix_worker'}.py:app",
            env={"PYTHONPATH": str(project / "site")},
        )
        out = run(project / "build" / "matrix", rig.producers)
        assert "FAILED" not in out
        assert "same: 19" in out.splitlines()
        said = dict(line.split(": ", 1) for line in out.splitlines())

        # What Python saw, and not only what it passed on.
        least, most = said["scalars, least"], said["scalars, most"]
        assert "a_long=-9223372036854775808, a_ulong=0" in least
        assert "a_long=9223372036854775807, a_ulong=18446744073709551615" in most
        assert "a_small=<Small.High: 127>, a_large=<Large.Most: 9223372036854775807>" in most
        assert "<Flags.A|B|C|Last: 32775>" in most
        assert "not_a_number=nan, endless=-inf, kind=<Sparse.Third: -30>" in said["defaults"]
        assert "a_bool=None, a_byte=None" in said["optionals, absent"]
        assert "a_bool=False, a_byte=0" in said["optionals, zero"]
        assert r"'em\x00bedded', 'größe 日本 😀'" in said["vectors"]
        assert "<Sparse.value_12345: 12345>" in said["vectors"]
        assert "shape_type=<Shape.Caption: 5>" in said["union, one of two of the same table"]
        assert "shape=Label(text='title')" in said["union, one of two of the same table"]
        assert "shape=Point(x=3.5, y=-0.0)" in said["union, struct"]
        assert "class_=42" in said["a name that Python keeps for itself"]

        # What a contract keeps out.
        assert said["refused"] == (
            "payload: not a verifiable FlatBuffer of matrix.Everything, which the contract matrix wants"
        )
        assert said["waits"].startswith("no worker that is here takes contract ")
        assert "(version 1.0)" in said["waits"]

        # The contract is kept: a broker that is told nothing still checks by it.
        assert rig.broker is not None
        rig.broker.stop(30)
        rig.options = []
        rig.start_broker()
        assert "refused: payload: not a verifiable FlatBuffer" in run(
            project / "build" / "matrix", rig.producers
        )


@pytest.mark.timeout(300)
def test_snippet_of_the_readme_runs(project: Path, tmp_path: Path) -> None:
    readme = (ROOT / "producer_sdk/README.md").read_text()
    for language, file in (
        ("fbs", "thumbs.fbs"),
        ("c++", "thumbs.cc"),
        ("cmake", "CMakeLists.txt"),
    ):
        blocks = re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", readme, re.M | re.S)
        here = {line.strip() for line in (HERE / file).read_text().splitlines()}
        lines = [line.strip() for line in blocks[0].splitlines()]
        assert lines
        assert set(lines) <= here, language
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        rig.start_host(
            f"{project / 'site' / 'matrix_worker'}.py:app",
            env={"PYTHONPATH": str(project / "site")},
        )
        assert run(project / "build" / "app", rig.producers) == "64 wide, 64 bytes\n"


@pytest.mark.timeout(900)
def test_tree_of_jobwire_inside_a_project_gives_the_same_program(
    project: Path, tmp_path: Path
) -> None:
    """As add_subdirectory and FetchContent have it: nothing is installed."""
    installed = (HERE / "CMakeLists.txt").read_text()
    inside = installed.replace(
        "find_package(jobwire 0.1 REQUIRED)", f'add_subdirectory("{ROOT}" jobwire EXCLUDE_FROM_ALL)'
    )
    assert inside != installed
    source = tmp_path / "source"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(inside)
    for path in HERE.iterdir():
        if path.suffix in (".fbs", ".cc"):
            (source / path.name).write_bytes(path.read_bytes())
    run(
        "cmake", "-G", "Ninja", "-S", source, "-B", tmp_path / "build", f"-DJOBWIRE_COMMAND={JOBWIRE}",
    )  # fmt: skip
    run("cmake", "--build", tmp_path / "build", "--target", "app", timeout=600)
    targets = run("cmake", "--build", tmp_path / "build", "--target", "help")
    assert "jobwired" not in targets, "a client's tree does not build the broker"
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        rig.start_host(
            f"{project / 'site' / 'matrix_worker'}.py:app",
            env={"PYTHONPATH": str(project / "site")},
        )
        assert run(tmp_path / "build" / "app", rig.producers) == "64 wide, 64 bytes\n"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_generated_code_gives_no_warning(compiler: str, project: Path, tmp_path: Path) -> None:
    source = tmp_path / "both.cc"
    source.write_text('#include "matrix_contract.h"\n#include "thumbs_contract.h"\n')
    for contract in ("matrix", "thumbs"):
        run(JOBWIRE, "gen", HERE / f"{contract}.fbs", "--cpp", tmp_path)
    for standard in ("c++20", "c++2b"):
        run(
            compiler, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror",
            "-fno-exceptions", "-fno-rtti", "-fsyntax-only", f"-I{project / 'sdk/include'}", source,
        )  # fmt: skip


@pytest.mark.timeout(300)
def test_producer_is_built_anew_when_the_contract_changes(project: Path, tmp_path: Path) -> None:
    for path in HERE.iterdir():
        if path.suffix in (".fbs", ".cc", ".txt"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    run(
        "cmake", "-G", "Ninja", "-S", tmp_path, "-B", tmp_path / "build",
        f"-DCMAKE_PREFIX_PATH={project / 'sdk'}", f"-DJOBWIRE_COMMAND={JOBWIRE}",
    )  # fmt: skip
    header = "jobwire_contracts/matrix/matrix_contract.h"
    build = ("cmake", "--build", tmp_path / "build", "--target", header)
    run(*build)
    first = (tmp_path / "build" / header).read_text()
    assert "no work to do" in run(*build)
    included = tmp_path / "shapes.fbs"
    included.write_text(included.read_text().replace("radius:float", "radius:double"))
    run(*build)
    assert (tmp_path / "build" / header).read_text() != first
