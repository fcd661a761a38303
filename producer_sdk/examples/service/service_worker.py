# SPDX-License-Identifier: Apache-2.0
"""jobwire worker service_worker:app"""

from jobwire import App

app = App("service")


@app.job(queue="service")
def split(text: str) -> list[str]:
    return text.split()


@app.job(queue="service")
def count(words: list[str]) -> str:
    return f"{len(words)} words, the longest is {max(words, key=len, default='')!r}"
