# SPDX-License-Identifier: Apache-2.0
"""What the services of the two contracts do."""

from __future__ import annotations

from typing import Any

from jobwire import App, Ctx

from matrix_worker.matrix_contract import Everything, MatrixHandlers, Spelled
from matrix_worker.thumbs_contract import ResizeRequest, Thumb, ThumbsHandlers


class Handlers(MatrixHandlers):
    def echo(self, ctx: Ctx[Any], request: Everything) -> Everything:
        if request.class_ < 0:
            raise ValueError("a class below zero")
        return request

    def spell(self, ctx: Ctx[Any], request: Everything) -> Spelled:
        return Spelled(repr(request))


class Thumbs(ThumbsHandlers):
    def resize(self, ctx: Ctx[Any], request: ResizeRequest) -> Thumb:
        return Thumb(request.image[: request.width], request.width)


app = App("matrix")
Handlers().register(app, version="1.0")
Thumbs().register(app)
