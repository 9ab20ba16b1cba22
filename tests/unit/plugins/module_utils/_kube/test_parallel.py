# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several attempts at the same time: order, bound, another turn, and what ends all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.parallel import in_parallel


def run(
    attempts: list[Callable[[], str]], at_once: int, *, again: str = "again", stop: threading.Event | None = None
) -> list[str]:
    return in_parallel(attempts, at_once, repeat_alone=lambda said: said == again, stop=stop or threading.Event())


class Counted:
    """Attempts that wait until as many of them run as may, and keep how many there were."""

    def __init__(self, together: int) -> None:
        self.most = self._now = 0
        self._lock, self._barrier = threading.Lock(), threading.Barrier(together)

    def attempt(self, said: str) -> str:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._barrier.wait(timeout=60)
        with self._lock:
            self._now -= 1
        return said


@pytest.mark.parametrize(("number", "at_once"), [(1, 1), (1, 25), (6, 1), (6, 3), (6, 6)])
def test_as_many_as_may_and_in_order(number: int, at_once: int) -> None:
    counted = Counted(min(number, at_once))
    names = [str(each) for each in range(number)]
    assert run([lambda name=name: counted.attempt(name) for name in names], at_once) == names  # type: ignore[misc]
    assert counted.most == min(number, at_once)


@pytest.mark.parametrize("crowded", [{1}, {0, 2}, {0, 1, 2}])
def test_who_found_no_room_has_a_turn_alone(crowded: set[int]) -> None:
    tried: list[int] = []
    at_work: set[int] = set()
    first_round = threading.Barrier(3)

    def attempt(number: int) -> str:
        tried.append(number)
        at_work.add(number)
        if tried.count(number) == 1:
            first_round.wait(timeout=60)
            at_work.discard(number)
            return "again" if number in crowded else "done"
        assert at_work == {number}
        at_work.discard(number)
        return "done alone"

    said = run([lambda number=number: attempt(number) for number in range(3)], 3)  # type: ignore[misc]
    assert said == ["done alone" if number in crowded else "done" for number in range(3)]
    assert tried[3:] == sorted(crowded)


def test_one_by_itself_has_no_second_turn() -> None:
    tried: list[str] = []
    assert run([lambda: tried.append("x") or "again"], 25) == ["again"]  # type: ignore[func-returns-value]
    assert tried == ["x"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_what_ends_one_ends_all(error: BaseException) -> None:
    """Those that run put away what they made; the others do not begin, or see that they must not."""
    stop, begun, put_away = threading.Event(), threading.Event(), []

    def fail() -> str:
        assert begun.wait(timeout=60)
        raise error

    def wait() -> str:
        begun.set()
        assert stop.wait(timeout=60)
        put_away.append("x")
        return "done"

    with pytest.raises(type(error)):
        run([fail, wait], 2, stop=stop)
    assert stop.is_set() and put_away == ["x"]
