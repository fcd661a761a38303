# SPDX-License-Identifier: Apache-2.0
"""Tests without a server: `with app.test() as t`, and a pytest fixture. See AppTest."""

from jobwire.testing._app_test import AppTest
from jobwire.testing._memory_broker import Attempt, TestJob

__all__ = ["AppTest", "Attempt", "TestJob"]
