# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: `jobwire_test`, which opens an app for the time of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobwire import App
    from jobwire.testing import AppTest


@pytest.fixture
def jobwire_test() -> Iterator[Callable[..., AppTest]]:
    """`t = jobwire_test(app, deps=fake)`: as `with app.test(deps=fake) as t`, left when the test ends."""
    with ExitStack() as stack:

        def open_test(app: App, **options: Any) -> AppTest:
            return stack.enter_context(app.test(**options))

        yield open_test
