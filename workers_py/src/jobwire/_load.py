# SPDX-License-Identifier: Apache-2.0
"""Finds the app that `module:app` names."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any

from jobwire._app import App
from jobwire._errors import AppNotFound


def load_app(target: str) -> App:
    """Imports the module of `package.module:app` (`app` may be left out) and returns the app in it.

    The working directory comes first on the import path, as with `python -m`. What the module raises goes through.
    """
    module_name, _, path = target.partition(":")
    path = path or "app"
    # Before the import: a ValueError or TypeError in there is the module's own.
    as_file = "/" in module_name or module_name.endswith(".py")
    if as_file or not all(part.isidentifier() for part in module_name.split(".")):
        hint = "; a module is named with dots and without .py" if as_file else ""
        raise AppNotFound(f"{target!r} is not of the form module:app{hint}")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as problem:
        # A module that this one imports and that is missing is the module's own error.
        if problem.name is None or not f"{module_name}.".startswith(f"{problem.name}."):
            raise
        raise AppNotFound(
            f"no module named {problem.name!r} (looked in {here} and on the import path)"
        ) from None
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part, None)
    if isinstance(found, App):
        return found
    apps = [name for name, value in vars(module).items() if isinstance(value, App)]
    if found is not None:
        problem_text = f"{module_name}:{path} is no jobwire.App but {type(found).__qualname__}"
    else:
        problem_text = f"module {module_name!r} has no {path!r}"
    if apps:
        near = difflib.get_close_matches(path, apps, 1, 0.0) or apps
        problem_text += f"; there is {module_name}:{near[0]}"
    raise AppNotFound(problem_text)
