"""Which connection gives way to a new one."""

from __future__ import annotations

from gateway.http.server.connection_table import ConnectionTable


class Line:
    """A connection whose client may have sent something."""

    def __init__(self, *, has_unread: bool = False) -> None:
        self.has_unread = has_unread
        self.gave_way = False

    def give_way(self) -> None:
        self.gave_way = True


def admitted(table: ConnectionTable, *lines: Line) -> list[bool]:
    return [table.admit(line) for line in lines]


def test_the_longest_idle_one_gives_way():
    table, lines = ConnectionTable(2), [Line() for _ in range(3)]
    assert admitted(table, *lines) == [True, True, True]
    assert [line.gave_way for line in lines] == [True, False, False]
    assert len(table) == 2


def test_one_with_a_request_in_flight_or_just_arrived_stays():
    table, busy, arrived = ConnectionTable(2), Line(), Line(has_unread=True)
    admitted(table, busy, arrived)
    table.begin_request(busy)
    assert not table.admit(Line())
    assert not busy.gave_way
    assert not arrived.gave_way


def test_one_whose_request_has_ended_gives_way_after_those_that_were_idle_before():
    table, served, silent = ConnectionTable(2), Line(), Line()
    admitted(table, served, silent)
    table.begin_request(served)
    table.end_request(served)
    admitted(table, Line())
    assert (served.gave_way, silent.gave_way) == (False, True)


def test_a_closed_one_leaves_its_place():
    table, first = ConnectionTable(1), Line()
    admitted(table, first)
    table.begin_request(first)
    table.remove(first)
    assert admitted(table, Line()) == [True]
