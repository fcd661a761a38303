# SPDX-License-Identifier: Apache-2.0
"""A handler that says how far it is, and waits for a file to appear before it goes on."""

import os
import time
from pathlib import Path

from jobwire import App, Ctx

app = App("progress")
_gate = Path(os.environ["GATE"])


@app.job(queue="progress", timeout=120)
def read(ctx: Ctx, payload: bytes) -> bytes:
    for page in range(1, 501):
        ctx.progress(page / 1000, f"page {page}")
    while not _gate.exists():
        time.sleep(0.01)
    return payload
