# SPDX-License-Identifier: Apache-2.0
"""Jobs of which one has a secret, and tells it."""

from __future__ import annotations

import os

from jobwire import App

app = App("redacting-jobs")


@app.job(redact=["card"])
def pay(card: str) -> None:
    print(f"paying with {card}", flush=True)


@app.job
def vanish(code: int) -> None:
    print("about to vanish", flush=True)
    os._exit(code)
