# SPDX-License-Identifier: Apache-2.0
"""Handlers that write down each run, so that a test can count them."""

import os
import time

from jobwire import App, Ctx

app = App("ledger")
_file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


@app.job(queue="ledger")
def note(ctx: Ctx, payload: bytes) -> bytes:
    """Appends one line; a line this short is written whole by O_APPEND."""
    os.write(_file, f"{ctx.id} {ctx.attempt} {os.getpid()}\n".encode())
    time.sleep(0.001)
    return payload


@app.job(queue="ledger")
def wrong(payload: bytes) -> bytes:
    raise ValueError("this one always fails")
