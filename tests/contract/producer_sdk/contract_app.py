# SPDX-License-Identifier: Apache-2.0
"""Handlers that broker_contract_test.cc expects of a real broker's workers."""

from __future__ import annotations

from jobwire import App, Reject

app = App("contract")


@app.job()
def echo(payload: bytes) -> bytes:
    return payload


@app.job()
def fail(payload: bytes) -> None:
    raise ValueError("this one always fails")


@app.job()
def reject(payload: bytes) -> None:
    raise Reject("never")
