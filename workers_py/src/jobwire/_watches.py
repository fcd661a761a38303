# SPDX-License-Identifier: Apache-2.0
"""The jobs whose results a client awaits, and results that have come and nobody has taken yet."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future

from jobwire._answers import JobProgress, JobResult
from jobwire._errors import ClientError
from jobwire._settle import fail, settle

OnProgress = Callable[[JobProgress], None]
"""Called by the client's thread, a few times a second at most; must be quick."""

_log = logging.getLogger("jobwire.client")


class _Watch:
    __slots__ = ("expected", "listeners", "on_its_way", "waiting")

    def __init__(self) -> None:
        self.waiting: list[Future[JobResult]] = []
        self.listeners: list[OnProgress] = []
        # Submitted with watch: the result is kept even when nobody waits yet.
        self.expected = False
        # Submitted here and not yet receipted: the broker may not know it, so it is not asked.
        self.on_its_way = False


class Watches:
    """Bounded by `max_kept` and `max_kept_bytes` of results that nobody took: the oldest give way, and asking for one
    of those later costs one question to the broker. Not thread-safe."""

    def __init__(self, max_kept: int, max_kept_bytes: int) -> None:
        self._watches: dict[bytes, _Watch] = {}
        self._kept: OrderedDict[bytes, JobResult] = OrderedDict()
        self._kept_bytes = 0
        self._max_kept = max_kept
        self._max_kept_bytes = max_kept_bytes
        # Ids that the broker is to be asked for.
        self.questions: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._watches) + len(self._kept)

    def submitted(self, id_: bytes, expected: bool) -> None:
        """A job is about to be sent, and its result will be pushed when `expected`."""
        watch = self._watches.setdefault(id_, _Watch()) if expected else self._watches.get(id_)
        if watch is not None:
            watch.expected |= expected
            watch.on_its_way = True

    def wait(
        self,
        id_: bytes,
        future: Future[JobResult],
        on_its_way: bool,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Settles the future with the job's result, now or later, and tells its progress until then."""
        kept = self._kept.pop(id_, None)
        if kept is not None:
            self._kept_bytes -= len(kept.payload)
            settle(future, kept)
            return
        watch = self._watches.get(id_)
        if watch is None:
            watch = self._watches[id_] = _Watch()
            watch.on_its_way = on_its_way
            if not on_its_way:
                self.questions.append(id_)
        watch.waiting.append(future)
        if on_progress is not None:
            watch.listeners.append(on_progress)

    def progress(self, id_: bytes, progress: JobProgress) -> None:
        """A running job has said how far it is."""
        watch = self._watches.get(id_)
        for listener in watch.listeners if watch is not None else ():
            try:
                listener(progress)
            except Exception:  # the user's function may raise anything
                _log.exception("on_progress failed")

    def leave(self, id_: bytes, future: Future[JobResult]) -> None:
        """Nobody waits through this future any more."""
        watch = self._watches.get(id_)
        if watch is not None and future in watch.waiting:
            watch.waiting.remove(future)
            if not watch.waiting and not watch.expected:
                del self._watches[id_]

    def accepted(self, id_: bytes, job: bytes, ask: bool) -> None:
        """The broker has a job, as `job`: another id when a dedup key made them one. `ask` says that the result may
        have been there before, so that no push will come."""
        watch = self._watches.get(id_)
        if watch is None:
            return
        watch.on_its_way = False
        if job != id_:
            del self._watches[id_]
            other = self._watches.get(job)
            if other is not None:
                other.waiting += watch.waiting
                other.expected |= watch.expected
                other.listeners += watch.listeners
                return
            self._watches[job] = watch
            ask = True
        if ask or not watch.expected:
            self.questions.append(job)

    def refused(self, id_: bytes, error: ClientError) -> None:
        """There will be no result: everybody who waits gets the error."""
        watch = self._watches.pop(id_, None)
        if watch is not None:
            for future in watch.waiting:
                fail(future, error)

    def unknown(self, id_: bytes, error: ClientError) -> None:
        """The broker does not know the job; no news while the job is still on its way there."""
        watch = self._watches.get(id_)
        if watch is not None and not watch.on_its_way:
            self.refused(id_, error)

    def ended(self, id_: bytes, result: JobResult) -> None:
        """A result has come."""
        watch = self._watches.pop(id_, None)
        if watch is None:
            return
        if watch.waiting:
            for future in watch.waiting:
                settle(future, result)
            return
        self._kept[id_] = result
        self._kept_bytes += len(result.payload)
        while len(self._kept) > self._max_kept or self._kept_bytes > self._max_kept_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped.payload)

    def ask_all_again(self) -> None:
        """A new session: every job that the broker has is to be asked for again."""
        self.questions = deque(id_ for id_, watch in self._watches.items() if not watch.on_its_way)

    def close(self, error: ClientError) -> None:
        """Ends all waits."""
        for id_ in list(self._watches):
            self.refused(id_, error)
