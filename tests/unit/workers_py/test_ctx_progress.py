# SPDX-License-Identifier: Apache-2.0
"""What a handler tells about its progress."""

from __future__ import annotations

import math
import os

import pytest
from jobwire import Ctx
from jobwire._exec_progress import ProgressPipe

Told = list[tuple[float, bytes]]


def made() -> tuple[Ctx[None], Told]:
    told: Told = []
    ctx: Ctx[None] = Ctx(
        job=b"j" * 16,
        token=b"t" * 16,
        type="t",
        attempt=1,
        deadline_ns=0,
        headers={},
        deps=None,
        cancelled=lambda: False,
        tell=lambda value, message: told.append((value, message)),
        saved=(0, b""),
        save=lambda encoding, data, wait_s: None,
    )
    return ctx, told


def test_long_message_is_cut_between_two_characters() -> None:
    ctx, told = made()
    ctx.progress(0.5, "x" + "ö" * 1000)
    assert told == [(0.5, ("x" + "ö" * 511).encode())]


def test_surrogates_do_not_travel() -> None:
    ctx, told = made()
    ctx.progress(1, "\ud800")
    assert told == [(1, b"?")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_no_number_is_refused_and_nothing_is_told(value: float) -> None:
    ctx, told = made()
    with pytest.raises(ValueError, match="finite"):
        ctx.progress(value)
    assert told == []


def test_track_yields_everything_and_tells_parts_of_one() -> None:
    ctx, told = made()
    assert list(ctx.track(range(5), "rows")) == [0, 1, 2, 3, 4]
    assert told[0] == (0.0, b"rows")
    # What comes within a moment is not told one by one.
    assert len(told) < 5


def test_track_of_a_generator_counts_unless_the_total_is_given() -> None:
    ctx, told = made()
    assert list(ctx.track(iter("ab"))) == ["a", "b"]
    assert list(ctx.track(iter("ab"), total=2)) == ["a", "b"]
    assert told == [(0, b""), (0.0, b"")]


def test_commands_lines_are_read_and_the_latest_that_makes_sense_counts() -> None:
    told: Told = []
    pipe = ProgressPipe(lambda value, message: told.append((value, message)))
    try:
        os.write(pipe.write_fd, b"0.1 first\n0.2 second\nnonsense\nnan\n0.3 unfin")
        assert pipe.read()
        assert told == [(0.2, b"second")]
        os.write(pipe.write_fd, b"ished\n" + b"7\n")
        assert pipe.read()
        assert told[1:] == [(7.0, b"")]
        os.write(pipe.write_fd, b"x" * 10_000 + b"\n1 " + "ö".encode() * 600 + b"\n")
        assert pipe.read()
        assert told[2:] == [(1.0, "ö".encode() * 512)]
        assert pipe.read()
        pipe.started()
        assert not pipe.read()
    finally:
        pipe.close()
