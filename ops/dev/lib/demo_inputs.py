# SPDX-License-Identifier: Apache-2.0
"""Writes the demo's inputs, all of which lie inside installed packages: nothing is downloaded.

Usage: demo_inputs.py FOLDER

FOLDER/digits.csv gets the second half of scikit-learn's handwritten digits, one a line: the digit that it shows, then its
64 pixels, 0 to 16. The demo's handler is trained on the first half, so none of these is known to it.
FOLDER/photographs/ gets pictures that scikit-learn and scikit-image ship.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from sklearn.datasets import load_digits

PHOTOGRAPHS = {
    "sklearn": ["datasets/images/china.jpg", "datasets/images/flower.jpg"],
    "skimage": [
        *("data/astronaut.png", "data/camera.png", "data/chelsea.png", "data/coffee.png"),
        *("data/hubble_deep_field.jpg", "data/motorcycle_left.png", "data/rocket.jpg"),
    ],
}


def write_digits(path: Path) -> int:
    digits = load_digits()
    first = len(digits.target) // 2
    rows = list(zip(digits.target[first:], digits.data[first:], strict=True))
    with path.open("w") as out:
        for digit, pixels in rows:
            print(digit, *(int(pixel) for pixel in pixels), sep=",", file=out)
    return len(rows)


def copy_photographs(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for package, names in PHOTOGRAPHS.items():
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        for name in names:
            source = Path(spec.origin).parent / name
            shutil.copyfile(source, folder / source.name)
            count += 1
    return count


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digits = write_digits(folder / "digits.csv")
    photographs = copy_photographs(folder / "photographs")
    print(f"{digits} digits, {photographs} photographs")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
