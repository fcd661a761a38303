# SPDX-License-Identifier: Apache-2.0
"""Two versions of one contract at the same time: who gets whose jobs, and what a job that waits is told."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from jobwire import AsyncClient, Client, InvalidJob, JobSpec, JobState, NotPermitted, Operator
from jobwire._cli import main as jobwire
from jobwire._gen._command import main
from jobwire.contract import spec
from rig import Rig, until

OLD = """
attribute "queue";
namespace shop;
table Ask { word:string (id: 0); }
table Told { text:string (id: 0); by:string (id: 1); }
rpc_service Shop { answer(Ask):Told (queue: "shop"); }
"""
NEW = OLD.replace("word:string (id: 0);", "word:string (id: 0); times:int = 1 (id: 1);")

WORKER = """
from typing import Any
from jobwire import App, Ctx
from {module} import Ask, ShopHandlers, Told

class Shop(ShopHandlers):
    def answer(self, ctx: Ctx[Any], request: Ask) -> Told:
        return Told(request.word * getattr(request, "times", 1), "{version}")

app = App("shop")
Shop().register(app, version="{version}")
"""


def imported(path: Path) -> Any:
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[path.stem] = module
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    for name, text in (("old", OLD), ("new", NEW)):
        (folder / f"{name}.fbs").write_text(text)
        accepts = ["--accepts", str(folder / "old.fbs")] if name == "new" else []
        assert main([str(folder / f"{name}.fbs"), "--python", str(folder), *accepts]) == 0
        worker = WORKER.format(module=f"{name}_contract", version="1.0" if name == "old" else "2.0")
        (folder / f"{name}_worker.py").write_text(worker)
    return folder


def test_new_worker_serves_both_and_an_old_one_never_gets_a_new_job(
    versions: Path, tmp_path: Path
) -> None:
    old, new = (imported(versions / f"{name}_contract.py") for name in ("old", "new"))
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        old_worker = rig.start_host(f"{versions / 'old_worker'}.py:app", concurrency=1)
        with Client(rig.producers) as client:
            assert old.ShopClient(client).answer(old.Ask("a"), timeout=60) == old.Told("a", "1.0")

            # The new producer is early: its job waits, and says for whom.
            early = client.submit(spec(new.SHOP_ANSWER, new.Ask("b", 3)))
            status = client.status(early.id)
            assert status.state is JobState.QUEUED
            assert status.obstacle == (
                f"no worker that is here takes contract {new.SHOP_ANSWER.hash:016x} of Shop.answer: there is 1 worker "
                f"with contract {old.SHOP_ANSWER.hash:016x} (version 1.0); workers built with that contract, or that "
                "accept it, would do"
            )
            # What the old worker takes goes past it.
            assert old.ShopClient(client).answer(old.Ask("c"), timeout=60).by == "1.0"
            assert client.status(early.id).state is JobState.QUEUED

            rig.start_host(f"{versions / 'new_worker'}.py:app", concurrency=1)
            result = client.wait(early.id, timeout=60)
            assert new.SHOP_ANSWER.decode_response(result.payload) == new.Told("bbb", "2.0")

            # The old worker may go: old producers are served by the new one.
            old_worker.stop(30)
            assert old.ShopClient(client).answer(old.Ask("d"), timeout=60) == old.Told("d", "2.0")
            until(
                "a job without a contract to be served as well",
                lambda: client.call(
                    JobSpec("Shop.answer", old.SHOP_ANSWER.encode_request(old.Ask("e")), queue="shop"), timeout=60
                ).succeeded,
            )  # fmt: skip

        async def asynchronous() -> Any:
            async with AsyncClient(rig.producers) as client:
                return await new.AsyncShopClient(client).answer(new.Ask("f", 2), timeout=60)

        assert asyncio.run(asynchronous()) == new.Told("ff", "2.0")


def test_broker_that_holds_a_contract_refuses_what_is_none_of_its_versions(
    versions: Path, tmp_path: Path
) -> None:
    new = imported(versions / "new_contract.py")
    for name in ("old", "new"):
        assert main([str(versions / f"{name}.fbs"), "--bfbs", str(tmp_path / "contracts")]) == 0
    with Rig(tmp_path / "rig", options=["--contracts", str(tmp_path / "contracts")]) as rig:
        rig.start_broker()
        with Client(rig.producers) as client:
            good = new.SHOP_ANSWER.encode_request(new.Ask("a", 2))
            for contract in (0, new.SHOP_ANSWER.hash):
                job = {"queue": "shop", "contract": contract}
                assert (
                    client.submit(JobSpec("Shop.answer", good, encoding=4, **job)).state is not None
                )
                with pytest.raises(
                    InvalidJob, match=r"payload: not a verifiable FlatBuffer of shop\.Ask"
                ):
                    client.submit(JobSpec("Shop.answer", b"\x7f" * 40, encoding=4, **job))
                with pytest.raises(InvalidJob, match="but of another encoding"):
                    client.submit(JobSpec("Shop.answer", {"word": "a"}, **job))
        assert int(rig.redis_cli("HLEN", "jw:{0}:contracts")) == 2


def test_contract_that_is_put_at_run_time_holds_at_once_and_over_a_restart(
    versions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = imported(versions / "new_contract.py")
    bad = JobSpec("Shop.answer", b"\x7f" * 40, encoding=4, queue="shop")
    for name in ("old", "new"):
        assert main([str(versions / f"{name}.fbs"), "--bfbs", str(tmp_path)]) == 0
    with Rig(tmp_path / "rig") as rig:
        rig.start_broker()
        with Operator(rig.producers) as operator:
            operator.submit(bad)  # nobody checks yet
            held = operator.put_contract("shop", (tmp_path / "new.bfbs").read_bytes(), by="ada")
            assert held.methods == (("Shop.answer", new.SHOP_ANSWER.hash),)
            with pytest.raises(InvalidJob, match="which the contract shop wants"):
                operator.submit(JobSpec("Shop.answer", b"\x7f" * 40, encoding=4, queue="shop"))
            for schema in (b"", b"BFBS", (tmp_path / "new.bfbs").read_bytes()[:-500]):
                with pytest.raises(InvalidJob, match="contract shop: "):
                    operator.put_contract("shop", schema, by="ada")
            with pytest.raises(InvalidJob, match="name"):
                operator.put_contract("no name", (tmp_path / "new.bfbs").read_bytes(), by="ada")
            assert operator.contracts() == [held]
            assert rig.redis_cli("HLEN", "jw:{0}:contracts") == "1"

            assert rig.broker
            rig.broker.kill()
            rig.start_broker()
            assert operator.contracts() == [held]
            with pytest.raises(InvalidJob, match="which the contract shop wants"):
                operator.submit(JobSpec("Shop.answer", b"\x7f" * 40, encoding=4, queue="shop"))

        # By hand.
        there = ["--broker", rig.producers]
        assert jobwire(["contracts", "put", str(versions / "old.fbs"), "--by", "ada", *there]) == 0
        assert jobwire(["contracts", "remove", "shop", *there]) == 0
        capsys.readouterr()
        assert jobwire(["contracts", "list", *there]) == 0
        assert capsys.readouterr().out.split()[::2] == ["old", "Shop.answer"]
        assert rig.redis_cli("HKEYS", "jw:{0}:contracts") == "old"
        assert jobwire(["contracts", "put", str(tmp_path / "none.fbs"), *there]) == 2
        assert (
            jobwire(["contracts", "put", str(versions / "old.fbs"), "--by", "x" * 200, *there]) == 1
        )


def test_broker_that_has_its_contracts_from_a_folder_lists_them_and_changes_none(
    versions: Path, tmp_path: Path
) -> None:
    assert main([str(versions / "old.fbs"), "--bfbs", str(tmp_path / "contracts")]) == 0
    schema = (tmp_path / "contracts/old.bfbs").read_bytes()
    with Rig(tmp_path / "rig", options=["--contracts", str(tmp_path / "contracts")]) as rig:
        rig.start_broker()
        with Operator(rig.producers) as operator:
            (held,) = operator.contracts()
            assert (held.name, held.bytes) == ("old", len(schema))
            with pytest.raises(NotPermitted, match="--contracts"):
                operator.put_contract("more", schema, by="ada")
            with pytest.raises(NotPermitted, match="--contracts"):
                operator.remove_contract("old", by="ada")
            assert operator.contracts() == [held]
            assert rig.redis_cli("HKEYS", "jw:{0}:contracts") == "old"
