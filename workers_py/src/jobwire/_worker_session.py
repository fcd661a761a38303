# SPDX-License-Identifier: Apache-2.0
"""A worker's side of the protocol: jobs come in, results go out and are kept until the broker has settled them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from jobwire._heads import RESULT_HEAD, DispatchHead, Lease
from jobwire._messages import Ack, CheckpointAck, Dispatch, Message, Recall, Refused, Revoke
from jobwire._saves import Save, Saves
from jobwire._session import Phase, Session
from jobwire._wire_enums import Code, code_name
from jobwire._wire_session import encode_goodbye
from jobwire._wire_worker import (
    OfferedType,
    ResultsEncoder,
    decode,
    encode_checkpoints,
    encode_hand_back,
    encode_ready,
)

# With the credit, these stay under the leases that a Ready may name.
KEPT_JOBS = 3072
HELD_LEASES = 4096
KEPT_BYTES = 64 << 20
# Of 64 KiB each: well below what a message may have.
SAVES_PER_MESSAGE = 64


@dataclass(frozen=True, slots=True)
class Offer:
    """What a worker tells in Ready. The position in `types` is the type of a DispatchHead."""

    queues: tuple[str, ...]
    types: tuple[OfferedType, ...]
    slots: int
    credit: int


class Batch:
    """One Dispatch. `next` is the index of the first job that has not started; recalled jobs become None."""

    __slots__ = ("blob", "extras", "heads", "next")

    def __init__(self, dispatch: Dispatch) -> None:
        self.heads: list[DispatchHead | None] = list(dispatch.heads)
        self.blob = dispatch.blob
        self.extras = dispatch.extras
        self.next = 0


@dataclass(slots=True)
class _Sent:
    """One Results message that the broker has not settled. `sequence` is 0 while it waits for a session."""

    sequence: int
    heads: list[bytes]
    attempts: list[int]
    blob: bytes


class WorkerSession(Session):
    """See Session. The owner runs `batches` from the front and calls `finish` for each job, then `flush`."""

    def __init__(self, hello: bytes, offer: Offer, worker: int, log: logging.Logger) -> None:
        super().__init__(hello, log)
        self.offer = offer
        self.worker = worker
        self.batches: deque[Batch] = deque()
        # What running attempts save for the next ones.
        self.saves = Saves()
        self._saving = self.saves.attempts
        # Of attempts that have ended, on its way with their results.
        self._last_saves: list[Save] = []
        # Token to the job and when it began, in Unix milliseconds.
        self.running: dict[bytes, tuple[DispatchHead, int]] = {}
        self.taking = True
        self._encoder = ResultsEncoder()
        self._sequence = 0
        self._revoked: set[bytes] = set()
        # How many times a broker has welcomed this worker.
        self.welcomes = 0
        # Finished, and in no message yet.
        self._heads: list[bytes] = []
        self._attempts: list[int] = []
        self._parts: list[bytes] = []
        self._bytes = 0
        # In a message, and not settled.
        self._unsettled: deque[_Sent] = deque()
        self._unsettled_jobs = 0
        self._unsettled_bytes = 0

    # ---------------------------------------------------------------- jobs

    @property
    def stalled(self) -> bool:
        """So much is unsettled that no further job should start."""
        return self._unsettled_jobs >= KEPT_JOBS or self._unsettled_bytes >= KEPT_BYTES

    @property
    def settled(self) -> bool:
        """The broker has every result."""
        return not self._heads and not self._unsettled

    @property
    def unsent_jobs(self) -> int:
        return len(self._heads)

    @property
    def unsent_bytes(self) -> int:
        return self._bytes

    def finish(
        self,
        head: DispatchHead,
        started_ms: int,
        run_us: int,
        outcome: int,
        encoding: int,
        payload: bytes,
        retry_delay_ms: int = 0,
    ) -> None:
        """Notes the result of one job; it travels with the next flush."""
        token = head[0]
        if self._saving:
            unsaid = self.saves.end(token)
            if unsaid is not None and self.phase is Phase.OPEN:
                self._last_saves.append(unsaid)
        if self._revoked and token in self._revoked:
            self._revoked.discard(token)
            return
        size = len(payload)
        offset = self._bytes
        self._heads.append(
            RESULT_HEAD.pack(
                token,
                head[1],
                offset,
                size,
                run_us,
                started_ms,
                retry_delay_ms,
                outcome,
                encoding,
            )
        )
        self._attempts.append(head[6])
        if size:
            self._parts.append(payload)
            self._bytes = offset + size

    def flush(self) -> None:
        """Puts what is finished into one Results message, and before it what attempts have saved."""
        if (self._saving or self._last_saves) and self.phase is Phase.OPEN:
            saves, self._last_saves = self._last_saves + self.saves.take(), []
            self._say(saves)
        heads = self._heads
        if not heads:
            return
        # A single part is not copied.
        blob = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        sent = _Sent(0, heads, self._attempts, blob)
        self._unsettled.append(sent)
        self._unsettled_jobs += len(heads)
        self._unsettled_bytes += self._bytes
        self._heads, self._attempts, self._parts, self._bytes = [], [], [], 0
        if self.phase is Phase.OPEN:
            self._send(sent)

    def hand_back(self, tokens: Sequence[bytes] | None = None) -> int:
        """Gives back those of `tokens` that have not started, or everything; returns how many."""
        wanted = None if tokens is None else set(tokens)
        back = self._take_unstarted(wanted)
        limit = self.limits.max_jobs_per_message
        if self.phase is Phase.OPEN:
            # Offline there is no one to tell; what Ready does not name is not held.
            for at in range(0, len(back), limit):
                self.outbox.append([encode_hand_back(back[at : at + limit])])
        return len(back)

    def stop_taking(self) -> int:
        """From now on every job that has not started goes back, those that still arrive too."""
        self.taking = False
        return self.hand_back()

    def goodbye(self, reason: str) -> None:
        if self.phase is Phase.OPEN:
            self.outbox.append([encode_goodbye(reason)])

    # ---------------------------------------------------------------- Session

    def _read(self, frames: Sequence[bytes]) -> Message:
        return decode(frames)

    def _opened(self, restarted: bool, now: float) -> None:
        self.welcomes += 1
        held = self._held()
        if len(held) > HELD_LEASES:
            self._log.warning("%d leases held, %d can be named", len(held), HELD_LEASES)
        offer = self.offer
        self.outbox.append(
            [encode_ready(offer.queues, offer.types, offer.slots, offer.credit, held[:HELD_LEASES])]
        )
        self._sequence = 0
        self._last_saves = []
        self._say(self.saves.take_all())
        for sent in self._unsettled:
            self._send(sent)
        if not self.taking:
            self.hand_back()

    def _take(self, message: Message, now: float) -> None:
        if isinstance(message, Dispatch):
            if not self.taking:
                self.outbox.append([encode_hand_back([head[0] for head in message.heads])])
                return
            self.batches.append(Batch(message))
        elif isinstance(message, Ack):
            if self.phase is Phase.OPEN:  # else it belongs to the session before
                self._settle(message)
        elif isinstance(message, CheckpointAck):
            for token, number, code in message.heads:
                if self.saves.settle(token, number, code):
                    self._log.warning("a checkpoint was refused: %s", code_name(code))
        elif isinstance(message, Recall):
            self.hand_back(message.tokens)
        elif isinstance(message, Revoke):
            self._revoke(message)

    def _ends_the_peer(self, refused: Refused) -> bool:
        # The last three mean that a Results message cannot be taken: its jobs have to run again elsewhere.
        return self.phase is Phase.GREETING or refused.code in (
            Code.InvalidArgument,
            Code.InvalidName,
            Code.CreditExceeded,
            Code.IncompatibleContract,
            Code.NotPermitted,
            Code.WrongRole,
            Code.MalformedFrame,
            Code.TooLarge,
            Code.TooMany,
        )

    # ---------------------------------------------------------------- details

    def next_tick(self) -> float | None:
        if self.phase is Phase.OPEN:
            return self.saves.due() if self._saving else None
        return super().next_tick()

    def _say(self, saves: list[Save]) -> None:
        for at in range(0, len(saves), SAVES_PER_MESSAGE):
            self.outbox.append(encode_checkpoints(saves[at : at + SAVES_PER_MESSAGE]))

    def _send(self, sent: _Sent) -> None:
        self._sequence += 1
        sent.sequence = self._sequence
        envelope = self._encoder.encode(sent.sequence, sent.heads)
        self.outbox.append([envelope, sent.blob] if sent.blob else [envelope])

    def _settle(self, ack: Ack) -> None:
        unsettled = self._unsettled
        while unsettled and 0 < unsettled[0].sequence <= ack.through:
            sent = unsettled.popleft()
            self._unsettled_jobs -= len(sent.heads)
            self._unsettled_bytes -= len(sent.blob)
        if ack.refused:
            # After a broker's restart these are many: results that it had stored and not acknowledged.
            codes = sorted({code_name(code) for _, code in ack.refused})
            self._log.warning("%d result(s) refused: %s", len(ack.refused), ", ".join(codes))

    def _revoke(self, revoke: Revoke) -> None:
        tokens = set(revoke.tokens)
        self._take_unstarted(tokens)
        self._revoked |= tokens & self.running.keys()
        # Results that were sent are answered by a refusal; those that were not are sent and refused alike.
        self._log.info("the broker revoked %d lease(s)", len(tokens))

    def _take_unstarted(self, wanted: set[bytes] | None) -> list[bytes]:
        taken = []
        for batch in self.batches:
            for i in range(batch.next, len(batch.heads)):
                head = batch.heads[i]
                if head is not None and (wanted is None or head[0] in wanted):
                    batch.heads[i] = None
                    taken.append(head[0])
        return taken

    def _held(self) -> list[Lease]:
        """Every lease here: running, then unstarted, then finished."""
        held = [self._lease(head, since) for head, since in self.running.values()]
        for batch in self.batches:
            held.extend(
                self._lease(head, 0) for head in batch.heads[batch.next :] if head is not None
            )
        finished = [(sent.heads, sent.attempts) for sent in self._unsettled]
        for heads, attempts in [*finished, (self._heads, self._attempts)]:
            for packed, attempt in zip(heads, attempts, strict=True):
                token, job, _, _, _, started_ms, *_ = RESULT_HEAD.unpack(packed)
                held.append(Lease(token, job, self.worker, started_ms, attempt, True))
        return held

    def _lease(self, head: DispatchHead, started_ms: int) -> Lease:
        return Lease(head[0], head[1], self.worker, started_ms, head[6], False)
