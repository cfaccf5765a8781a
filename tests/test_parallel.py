import threading

import pytest

from asli.parallel import ordered


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered(lambda number: number * number, items(), threads=3, depth=6)
    for number, result in enumerate(results):
        assert result == number * number
        assert len(taken) <= number + 1 + 6
    assert taken == list(range(100))


def test_an_error_stops_what_has_not_begun():
    begun, gate = [], threading.Event()

    def work(number):
        begun.append(number)
        if number == 0:
            raise ValueError("first")
        gate.wait(10)

    with pytest.raises(ValueError, match="first"):  # noqa: PT012 - the gate opens for the thread that waits
        results = ordered(work, range(1000), threads=2)
        gate.set()
        next(results)
    assert len(begun) < 10
    assert list(ordered(work, [])) == []
