"""No tenant holds all children while another waits."""

import threading
import time

import pytest

from shared.sandbox.turns import Turns


def _queue_up(turns, tenant, order):
    def wait():
        turns.take(tenant, 20)
        order.append(tenant)

    thread = threading.Thread(target=wait)
    waiting = len(turns._waiting)
    thread.start()
    while len(turns._waiting) == waiting:
        time.sleep(0.001)
    return thread


def _serve(turns, order, last, threads):
    """Let each that has a place leave it, until all had one."""
    turns.give_back(last)
    for served in range(1, len(threads) + 1):
        while len(order) < served:
            time.sleep(0.001)
        turns.give_back(order[served - 1])
    for thread in threads:
        thread.join()


def test_a_newcomer_goes_before_the_crowd_of_another_tenant():
    turns, order = Turns(2), []
    turns.take("crowd", 1)
    turns.take("crowd", 1)
    threads = [_queue_up(turns, "crowd", order) for _ in range(12)]
    threads.append(_queue_up(turns, "newcomer", order))
    _serve(turns, order, "crowd", threads)
    assert order[0] == "newcomer"


def test_one_tenant_alone_may_use_every_place_in_the_order_of_its_requests():
    turns = Turns(3)
    for _ in range(3):
        turns.take("alone", 0.001)
    with pytest.raises(TimeoutError):
        turns.take("alone", 0.001)
    turns.give_back("alone")
    turns.take("alone", 0.001)


def test_whoever_gives_up_waiting_takes_no_place():
    turns = Turns(1)
    turns.take("first", 1)
    with pytest.raises(TimeoutError):
        turns.take("second", 0.001)
    turns.give_back("first")
    turns.take("third", 0.001)
