# SPDX-License-Identifier: Apache-2.0
"""One of several producers that submit the same ids and the same dedup keys at once, and write down what they are told.

    racing_producer.py ENDPOINT OUT ROUNDS SEED

A line for each receipt: `id` or `key`, which one it was, and the job that the receipt names.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from jobwire import Client, JobSpec
from jobwire._answers import Receipt

AT_ONCE = 8


def main() -> int:
    endpoint, out, rounds, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    dice = random.Random(seed)
    with Client(endpoint, name="race", submit_timeout=60.0, resend_after=1.0) as client, out.open("w") as file:  # fmt: skip
        for number in range(rounds):
            names = [f"{number}.{at}" for at in range(AT_ONCE)]
            wanted = [
                ("id", name, JobSpec("t", b"x", queue="ids", id=uuid5(NAMESPACE_OID, name)))
                for name in names
            ]
            wanted += [
                ("key", name, JobSpec("t", b"x", queue="keys", dedup_key=name, dedup_window=600))
                for name in names
            ]
            dice.shuffle(wanted)
            answers = client.submit_batch([spec for _, _, spec in wanted])
            for (kind, name, _), answer in zip(wanted, answers, strict=True):
                if not isinstance(answer, Receipt):
                    raise answer
                file.write(f"{kind} {name} {answer.id}\n")
            file.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
