# SPDX-License-Identifier: Apache-2.0
"""A program with a bug at its top."""

from jobwire import App

app = App("broken")
1 / 0  # noqa: B018
