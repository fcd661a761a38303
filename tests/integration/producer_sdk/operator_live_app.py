# SPDX-License-Identifier: Apache-2.0
"""Handlers for operator_live.cc."""

from jobwire import App, Reject

app = App("operated")


@app.job(queue="operated")
def echo(payload: str) -> str:
    return payload


@app.job(queue="operated")
def refuses(why: str) -> None:
    raise Reject(why)
