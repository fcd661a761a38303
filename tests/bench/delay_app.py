# SPDX-License-Identifier: Apache-2.0
"""The handler of `ops/dev/bench delays`: how late it is."""

import time

from jobwire import App

app = App("delays")


@app.job(queue="delays")
def lateness(due_us: bytes) -> str:
    return str(time.time_ns() // 1000 - int(due_us))
