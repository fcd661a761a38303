# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path

# Tests are imported each by itself, so what they share has to be found.
sys.path.insert(0, str(Path(__file__).resolve().parent))
