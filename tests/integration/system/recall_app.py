# SPDX-License-Identifier: Apache-2.0
"""One type whose jobs are short, but for those that wait for a file to appear."""

import os
import time
from pathlib import Path

from jobwire import App, Ctx

app = App("recall")
_gate = Path(os.environ["GATE"])
_file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


@app.job(queue="recall", timeout=300)
def work(ctx: Ctx, payload: bytes) -> bytes:
    os.write(_file, f"{ctx.id} {ctx.attempt} {os.getpid()}\n".encode())
    while payload == b"long" and not _gate.exists():
        time.sleep(0.01)
    return payload
