# SPDX-License-Identifier: Apache-2.0
"""Reads handwritten digits: `jobwire worker digits_worker:app -c 2`.

The classifier is trained once per worker, on the first half of scikit-learn's digits; the C++ program
asks about the other half.
"""

import flatbuffers
import numpy as np
from flatbuffers import number_types, packer
from flatbuffers.table import Table
from jobwire import App
from sklearn.datasets import load_digits
from sklearn.svm import SVC

app = App("digits")


@app.job(queue="digits")
class Predict:
    def setup(self) -> None:
        digits = load_digits()
        half = len(digits.target) // 2
        self.classifier = SVC(gamma=0.001).fit(digits.data[:half], digits.target[:half])

    def run(self, image: bytes) -> int:
        return int(self.classifier.predict([pixels(image)])[0])


def pixels(image: bytes) -> np.ndarray:
    """The field `pixels` of an Image (digits.fbs), as the class that flatc generates would read it."""
    table = Table(image, flatbuffers.encode.Get(packer.uoffset, image, 0))
    return table.GetVectorAsNumpy(number_types.Uint8Flags, table.Offset(4))
