"""The sender: a loop that makes messages of what happens, sends them, and writes what came of it.

One event loop posts; one thread talks to the database, so that neither waits for the other. It needs no broker.
The database may go away at any time: outcomes are kept in hand until it is back.
"""

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone

from helpdesk import outbound
from tickets.webhooks.services import fanout, sending
from tickets.webhooks.services.sending import Claimed, Outcome

logger = logging.getLogger(__name__)

ROOM = 500  # attempts at a time
PER_ENDPOINT = 10
SLOW_ROOM = ROOM // 2  # of them for endpoints that let us wait
SLOW_MS = 5000  # an attempt that took longer makes its endpoint one of these, a shorter one ends that
IDLE_SECONDS = 0.1  # between looks when nothing waits
GATHER_SECONDS = 0.02  # in which outcomes gather to be written together
LONGEST_PAUSE = 2.0  # seconds between tries while the database is away
STOP_SECONDS = 5.0  # for what is under way when we are asked to stop
WRITE_SECONDS = 2.0  # for writing the last outcomes then
_LOCK_TIMEOUT = "SET lock_timeout = '2s'"  # whatever holds a row: the messages of others must not wait for it

AWAY = (OperationalError, InterfaceError)


def _close() -> None:
    """Close the connection of the thread that calls this."""
    connection.close()


class Sender:
    """One process that sends: `await Sender().run(stopping)`."""

    def __init__(self, *, clock: Callable[[], dt.datetime] = timezone.now) -> None:
        self._clock = clock
        self._busy: Counter[UUID] = Counter()
        self._slow: set[UUID] = set()
        self._under_way: dict[asyncio.Task[None], Claimed] = {}
        self._outcomes: list[Outcome] = []
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def run(self, stopping: asyncio.Event, *, seconds: float | None = None, until_empty: bool = False) -> None:
        """Send until `stopping` is set, for some seconds, or until nothing is due and nothing is under way."""
        ends_at = time.monotonic() + seconds if seconds is not None else None
        waiter = asyncio.create_task(stopping.wait())
        waiter.add_done_callback(lambda _: self._news.set())
        failures = 0
        async with outbound.Client() as client:
            try:
                while not stopping.is_set() and (ends_at is None or time.monotonic() < ends_at):
                    try:
                        pause = await self._turn(client)
                    except Exception as error:
                        pause = min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 10))
                        failures += 1
                        self._tell(error, failures)
                        await self._do(_close)
                        await self._rest(stopping, pause)
                        continue
                    failures = 0
                    if until_empty and pause and not self._under_way and not self._outcomes:
                        break
                    await self._gather(stopping, pause)
            finally:
                waiter.cancel()
                await self._stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._do(_close), WRITE_SECONDS)
        self._thread.shutdown(wait=False)

    async def _gather(self, stopping: asyncio.Event, pause: float) -> None:
        """Rest until something comes back, or for `pause` seconds; then let more come back, for a moment."""
        self._news.clear()
        if pause and not self._outcomes and not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), pause)
        if stopping.is_set():
            return
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=GATHER_SECONDS)
        elif pause:
            await asyncio.sleep(GATHER_SECONDS)

    async def _turn(self, client: outbound.Client) -> float:
        """Write what has come back, read what happened, start what is due; gives how long to rest, in seconds."""
        has_worked = await self._write()
        has_news, is_due = await self._do(sending.peek, now=self._clock())
        has_read, trouble = 0, None
        if has_news:
            try:
                has_read = await self._do(fanout.follow, now=self._clock())
            except Exception as error:  # what is there already is sent all the same
                trouble = error
                await self._do(_close)
        room = ROOM - len(self._under_way)
        if (is_due or has_read) and room > 0:
            claimed = await self._do(
                sending.claim,
                busy=dict(self._busy),
                room=room,
                per_endpoint=PER_ENDPOINT,
                now=self._clock(),
                slow=frozenset(self._slow),
                slow_room=max(0, SLOW_ROOM - sum(self._busy[pk] for pk in self._slow)),
            )
            for one in claimed:
                self._start(client, one)
            has_worked = has_worked or bool(claimed)
        if trouble:
            raise trouble
        return 0.0 if has_worked or has_read else IDLE_SECONDS

    async def _write(self) -> bool:
        """Write the outcomes in hand; whether there were any. They stay in hand until they are written."""
        batch = list(self._outcomes)
        if not batch:
            return False
        try:
            later = await self._do(sending.record, batch, now=self._clock())
        except AWAY:
            raise
        except Exception:
            logger.exception("Outcomes of webhooks could not be written together.")
            later = await self._do(self._write_one_by_one, batch)
        self._outcomes[: len(batch)] = later
        return len(later) < len(batch)

    def _write_one_by_one(self, batch: list[Outcome]) -> list[Outcome]:
        """One outcome that cannot be written must not keep the others; it is written without its answer."""
        later: list[Outcome] = []
        for outcome in batch:
            bare = replace(outcome, sent={}, answer=outcome.answer and replace(outcome.answer, headers={}, body=b""))
            for attempt in (outcome, bare):
                try:
                    later += sending.record([attempt], now=self._clock())
                    break
                except AWAY:
                    raise
                except Exception:
                    logger.exception("The outcome of %s could not be written.", outcome.claimed.delivery_id)
        return later

    # --- Attempts -------------------------------------------------------------------------------

    def _start(self, client: outbound.Client, claimed: Claimed) -> None:
        task = asyncio.create_task(self._attempt(client, claimed))
        self._under_way[task] = claimed
        self._busy[claimed.endpoint_id] += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        claimed = self._under_way.pop(task)
        self._busy[claimed.endpoint_id] -= 1
        if self._busy[claimed.endpoint_id] <= 0:
            del self._busy[claimed.endpoint_id]
        self._news.set()

    async def _attempt(self, client: outbound.Client, claimed: Claimed) -> None:
        started_at, began = self._clock(), time.monotonic()
        answer, error, is_tried, sent = None, claimed.problem, True, {}
        if not claimed.problem:
            try:
                headers = claimed.request_headers(started_at)
                sent = claimed.shown(headers)
                answer = await client.post(claimed.url, body=claimed.body.encode(), headers=headers)
            except outbound.Busy as busy:
                error, is_tried = str(busy), False
            except outbound.OutboundError as failure:
                error = str(failure)
            except asyncio.CancelledError:
                # We stop: it may have arrived. It is due again at once, under the same id.
                self._outcomes.append(Outcome(claimed, started_at, is_tried=False))
                raise
            except Exception as mistake:
                # A mistake of ours: seen in the log, and it does not go on for ever.
                logger.exception("A webhook could not be sent (endpoint %s).", claimed.endpoint_id)
                error = f"It could not be sent: {type(mistake).__name__}."
        ms = round((time.monotonic() - began) * 1000)
        if is_tried:
            (self._slow.add if ms >= SLOW_MS else self._slow.discard)(claimed.endpoint_id)
        self._outcomes.append(Outcome(claimed, started_at, ms, sent, answer, error, is_tried))

    # --- Around it ------------------------------------------------------------------------------

    async def _do(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do work with the database in its thread. Raises what it raises."""

        def call() -> Any:
            if connection.connection is None and work is not _close:
                connection.ensure_connection()
                with connection.cursor() as cursor:
                    cursor.execute(_LOCK_TIMEOUT)
            return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _rest(self, stopping: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), seconds)

    def _tell(self, error: Exception, failures: int) -> None:
        if isinstance(error, IntegrityError):
            logger.info("An endpoint was deleted while messages were made for it; they are made again.")
        elif not isinstance(error, AWAY):
            logger.error("The sender of webhooks goes on after an error.", exc_info=error)
        elif failures == 1:
            logger.warning("The database is away (%s); the sender of webhooks waits for it.", type(error).__name__)

    async def _stop(self) -> None:
        """Let what is under way end, for a while, and write what came of it."""
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=STOP_SECONDS)
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        deadline = time.monotonic() + WRITE_SECONDS
        while self._outcomes and time.monotonic() < deadline:
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + WRITE_SECONDS):
                    await self._write()
            except Exception as error:
                self._tell(error, 1)
                with contextlib.suppress(Exception):
                    await self._do(_close)
            if self._outcomes:
                await asyncio.sleep(0.1)
        if self._outcomes:
            logger.warning("%d outcomes of webhooks were not written: these are sent again.", len(self._outcomes))
