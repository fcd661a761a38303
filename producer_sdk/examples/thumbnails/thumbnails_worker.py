# SPDX-License-Identifier: Apache-2.0
"""Makes thumbnails: `jobwire worker thumbnails_worker:app -c 2`."""

import io

from jobwire import App
from PIL import Image, ImageOps

app = App("thumbnails")


@app.job(queue="images")
def thumbnail(photograph: bytes) -> bytes:
    with Image.open(io.BytesIO(photograph)) as image:
        small = ImageOps.exif_transpose(image).convert("RGB")
    small.thumbnail((128, 128))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()
