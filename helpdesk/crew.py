"""Work on two database connections at a time: one waits for the database while the other reckons."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

CONNECTIONS = 2  # as many as small servers have cores

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    items: Iterable[T], do: Callable[[T], R], done: Callable[[T, R], object], *, setting: str = ""
) -> None:
    """Call `do` for each item, two at a time, and `done` with each item and what came of it, one at a time.

    Each thread has a Django connection of its own, so every call of `do` opens its own transaction;
    `setting` is an SQL statement that each connection begins with. Inside a transaction the items
    are done in it, one after the other. One that raises is the end: the others in hand are
    finished, and the error is raised here.
    """
    if connection.in_atomic_block:
        for item in items:
            done(item, do(item))
        return
    waiting, lock = deque(items), threading.Lock()

    def work() -> None:
        try:
            if setting:
                with connection.cursor() as cursor:  # of this thread, as every connection of Django's
                    cursor.execute(setting)
            while True:
                with lock:
                    if not waiting:
                        return
                    item = waiting.popleft()
                outcome = do(item)
                with lock:
                    done(item, outcome)
        finally:
            with lock:
                waiting.clear()  # where one fails, the other ends with what it has in its hands
            connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as crew:
        try:
            for one in [crew.submit(work) for _ in range(CONNECTIONS)]:
                one.result()
        finally:
            with lock:
                waiting.clear()  # Ctrl-C reaches only this thread
