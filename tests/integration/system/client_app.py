# SPDX-License-Identifier: Apache-2.0
"""The jobs of the Python client's tests."""

from __future__ import annotations

import time

from jobwire import App, Ctx

app = App("client-tests")


@app.job(version="1.4")
def upper(text: str) -> str:
    return text.upper()


@app.job
def broken(text: str) -> None:
    try:
        raise KeyError(text)
    except KeyError as behind:
        error = ValueError(f"{text} is broken")
        error.add_note("look at the tape")
        raise error from behind


@app.job
def hang(ctx: Ctx[None]) -> None:
    while not ctx.cancelled:
        time.sleep(0.005)
