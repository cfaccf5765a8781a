"""Threads that work ahead: a function of many items, results in order, few of them in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from asli.threads import usable_cpus

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None, ahead: int = 2
) -> Generator[Result]:
    """Yield a function of each item, in the order of the items; Pillow lets go of the interpreter lock as it decodes.

    What is begun and not yet yielded is at most `ahead` items a thread. Where the caller stops, or the function
    raises, what has not begun is not begun any more and what has is waited for.

    Args:
        function: Called in threads.
        items: Taken as they are needed.
        threads: One for each CPU by default.
        ahead: Items a thread.
    """
    count = threads or usable_cpus()
    rest = iter(items)
    with ThreadPoolExecutor(count, thread_name_prefix="ordered") as pool:
        waiting: deque[Future[Result]] = deque(pool.submit(function, item) for item in islice(rest, count * ahead))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(rest, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
