# SPDX-License-Identifier: Apache-2.0
"""The handler of the benchmarks: it does nothing, so that everything else can be measured."""

from jobwire import App

app = App("noop")


@app.job(queue="bench")
def noop(payload: bytes) -> bytes:
    return payload
