# SPDX-License-Identifier: Apache-2.0
"""A handler that waits for a file to appear, so that a test decides when jobs end."""

import os
import time
from pathlib import Path

from jobwire import App

app = App("gate")
_gate = Path(os.environ["GATE"])


@app.job(queue="gate", timeout=120)
def echo(payload: bytes) -> bytes:
    while not _gate.exists():
        time.sleep(0.01)
    return payload
