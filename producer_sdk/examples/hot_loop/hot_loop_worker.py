# SPDX-License-Identifier: Apache-2.0
"""jobwire worker hot_loop_worker:app"""

from jobwire import App

app = App("hot")


@app.job(queue="hot")
def sample(data: bytes) -> None:
    """Where a program would keep the sample."""
