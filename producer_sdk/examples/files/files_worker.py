# SPDX-License-Identifier: Apache-2.0
"""jobwire worker files_worker:app"""

import hashlib

from jobwire import App

app = App("files")


@app.job(queue="files", timeout=60)
def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
