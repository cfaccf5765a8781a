"""Threads that work ahead: results in order, memory bounded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered(function: Callable[[T], R], items: Iterable[T], threads: int, *, ahead: int) -> Generator[R]:
    """Yield `function(item)` for each item, in order, computed by threads.

    Args:
        function: Should release the interpreter lock most of the time, as decoding does.
        items: Read in the calling thread, only as far ahead as needed.
        threads: How many work; with 1 there is still one beside the caller.
        ahead: Most results that wait or are being computed.
    """
    remaining, waiting = iter(items), deque[Future[R]]()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
    try:
        waiting.extend(pool.submit(function, item) for item in islice(remaining, ahead))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
