# SPDX-License-Identifier: Apache-2.0
"""The jobs of the operator's tests: they fail while a file is there."""

from __future__ import annotations

from pathlib import Path

from jobwire import App, Reject

app = App("operator-tests")


@app.job
def fragile(switch: str) -> str:
    if Path(switch).exists():
        raise Reject(f"{switch} is in the way")
    return "done"
