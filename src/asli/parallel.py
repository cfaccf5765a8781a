"""Threads that work ahead: the one way in which images are read, decoded, degraded or prepared side by side.

`ordered` gives the results of a function of many items, in order, few of them in memory. `begun` gives them as futures,
for a caller that does something else where one takes long. `taken_ahead` has one thread go through an iterable.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from typing import TypeVar

from asli.threads import usable_cpus

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Items a thread that are begun and not yet asked for, by default."""


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int | None = None,
    depth: int | None = None,
    pool: ThreadPoolExecutor | None = None,
) -> Generator[Result]:
    """Yield a function of each item, in the order of the items; Pillow lets go of the interpreter lock as it decodes.

    Where the caller stops, or the function raises, what has not begun is not begun any more and what has is waited for.

    Args:
        function: Called in threads.
        items: Taken as they are needed, in the caller's thread.
        threads: One for each CPU by default.
        depth: Items that are begun and not yet asked for, at most; `AHEAD` a thread by default.
        pool: Use its threads, which other calls may share, instead of new ones.
    """
    with closing(begun(function, items, threads=threads, depth=depth, pool=pool)) as futures:
        for future in futures:
            yield future.result()


def begun(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int | None = None,
    depth: int | None = None,
    pool: ThreadPoolExecutor | None = None,
) -> Generator[Future[Result]]:
    """Yield the future of each item's result, in the order of the items, finished or not; see `ordered`.

    To close the generator cancels what has not begun and waits for what has.
    """
    count = threads or usable_cpus()
    own = None if pool else ThreadPoolExecutor(count, thread_name_prefix="ahead")
    submit, rest = (pool or own).submit, iter(items)  # type: ignore[union-attr]
    waiting: deque[Future[Result]] = deque()
    try:
        waiting.extend(submit(function, item) for item in islice(rest, depth or count * AHEAD))
        while waiting:
            waiting.extend(submit(function, item) for item in islice(rest, 1))
            yield waiting[0]
            waiting.popleft()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)
        if own:
            own.shutdown()


def taken_ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """Yield items that a thread takes from an iterable, at most `depth` before they are asked for.

    Not `ordered`: here taking an item is what takes long, as from a stream of shards, and only one thread may do it.
    The program can end while the thread waits for a dead connection; it would have to wait for a pool's thread.
    """
    waiting: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> None:
        while not stop.is_set():
            try:
                waiting.put((item, error), timeout=0.2)
            except queue.Full:
                continue
            return

    def run() -> None:
        try:
            for item in items:
                put(item, None)
                if stop.is_set():
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None, StopIteration())

    thread = threading.Thread(target=run, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join(timeout=60)
