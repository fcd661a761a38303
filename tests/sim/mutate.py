# SPDX-License-Identifier: Apache-2.0
"""Breaks a source file of the core on purpose: mutate.py MUTANT.txt BROKER_FOLDER OUT.cc

A mutant is a text: what is broken, `file: core/x.cc`, and pairs of `old:` and `new:`. White space in `old` matches any.
Fails when an `old` is not found exactly once, so that a mutant cannot go stale unseen.
"""

import re
import sys
from pathlib import Path


def main(mutant: str, broker: str, out: str) -> None:
    lines = [line for line in Path(mutant).read_text().splitlines() if not line.startswith("#")]
    fields = [line.split(":", 1) for line in lines if line.strip()]
    source = next(value.strip() for key, value in fields if key == "file")
    text = (Path(broker) / source).read_text()
    olds = [value.strip() for key, value in fields if key == "old"]
    news = [value.strip() for key, value in fields if key == "new"]
    for old, new in zip(olds, news, strict=True):
        pattern = r"\s+".join(re.escape(word) for word in old.split())
        text, count = re.subn(pattern, lambda _, new=new: new, text)
        if count != 1:
            sys.exit(
                f"{mutant}: '{old}' is {count} times in {source}, not once: write the mutant anew"
            )
    Path(out).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
