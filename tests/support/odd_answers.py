# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd answers as a matrix: each read that a module makes, each answer that is none of the service that it asked. So
each write.

Which reads there are is taken from the log: before the first write from that of a run in which only the writes are
refused, behind it from that of a true run. The tests at the simulated Azure and at the API server differ in how they
ask and answer; what counts as right is the same and stands here.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODULES = Path(__file__).resolve().parents[2] / "plugins/modules"
CLASSES = (
    "404 page",
    "404 type",
    "404 empty",
    "200 empty",
    "200 object",
    "200 page",
    "200 value null",
    "200 other list",
    "200 cut",
    "204",
    "circle",
    "301",
    "hang",
)
"""Answers that there are at both."""


@dataclass(frozen=True)
class Read:
    """A request that changes nothing: how many writes came before, and which to the same path since then it is."""

    method: str
    path: str
    nth: int
    behind: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f" behind write {self.behind}" if self.behind else "")


class Counting:
    """Tells which read each request is, as they come."""

    def __init__(self) -> None:
        self.written = 0
        self._seen: Counter[tuple[str, str]] = Counter()

    def read(self, method: str, path: str) -> Read:
        self._seen[method, path] += 1
        return Read(method, path, self._seen[method, path], self.written)

    def write(self) -> None:
        self.written += 1
        self._seen.clear()


def reads(requests: Iterable[tuple[str, str, bool]]) -> list[Read]:
    """Those of a log of methods and paths, which tells of each whether it is a write."""
    counting, found = Counting(), []
    for method, path, is_write in requests:
        if is_write:
            counting.write()
        else:
            found.append(counting.read(method, path))
    return found


def before_writes(found: Iterable[Read]) -> list[Read]:
    return [each for each in found if not each.behind]


def behind_writes(found: Iterable[Read]) -> list[Read]:
    """How often something is looked at until the next write is up to the service: the first look stands for all."""
    return [each for each in found if each.behind and each.nth == 1]


@dataclass(frozen=True)
class Write(Read):
    """A request that changes something."""


def writes(ended: Ended) -> list[Write]:
    """Those of a true run."""
    several = [each.partition(" ") for each in ended.wrote]
    return [Write(method, path, 1, behind) for behind, (method, _space, path) in enumerate(several)]


@dataclass(frozen=True)
class Tolerated:
    """An odd answer that does not end a module, and why. The tests fail where it does end it."""

    module: str
    read: str
    """A regular expression, searched in method and path."""
    why: str
    goes_on: bool = False
    """Whether what the module changes does not depend on the answer. Else it leaves all as it is, and warns."""
    answers: str = ""
    """A regular expression of odd answers."""
    scenario: str = ""
    unread: str = ""
    """A regular expression of what then stands among the sentences of ``unread`` in the result."""

    def fits(self, module: str, scenario: str, read: Read, odd: str) -> bool:
        return (
            module == self.module
            and re.fullmatch(self.scenario or ".*", scenario) is not None
            and re.search(self.read, str(read)) is not None
            and re.fullmatch(self.answers or ".*", odd) is not None
        )


def tolerated(several: Sequence[Tolerated], module: str, scenario: str, read: Read, odd: str) -> Tolerated | None:
    return next((each for each in several if each.fits(module, scenario, read, odd)), None)


@dataclass(frozen=True)
class Ended:
    """How a run ended in which one read got an odd answer."""

    result: Mapping[str, Any]
    wrote: Sequence[str]
    """What it went on to write, behind a write only what followed the odd answer."""
    told: str
    """What a module that only looks has found; empty where it does not say."""

    @property
    def warnings(self) -> list[str]:
        return [str(each["event"]["msg"]) for each in self.result.get("warnings") or ()]


def judge(ended: Ended, exception: Tolerated | None, tells: str) -> str:
    """What the run counts as; raises AssertionError where it is not what has to come of an odd answer.

    ``tells``: the key of what a module that only looks has found.
    """
    result = ended.result
    if exception and exception.goes_on:
        assert ended.wrote or ended.told, f"declared as tolerated, and is not: {result}"
        if exception.unread:
            told = [each for each in result["unread"] if re.search(exception.unread, each)]
            assert told, f"not told as unread: {result}"
            require_sentences(told)
        return "goes on"
    assert not ended.wrote, f"written all the same: {ended.wrote}, {result}"
    if exception:
        assert not result.get("failed") and not result.get("changed"), f"declared as tolerated, and is not: {result}"
        assert ended.warnings, f"nothing is said: {result}"
        require_sentences(ended.warnings)
        return "warned"
    assert result.get("failed"), f"taken for an answer: {result}"
    assert not result.get("changed"), result
    assert not tells or tells not in result, f"told all the same: {result}"
    require_sentences([str(result["msg"])])
    return "refused"


def judge_behind(ended: Ended, exception: Tolerated | None) -> str:
    """The same of an answer behind a write, which stays done."""
    result = ended.result
    if exception:
        assert not result.get("failed"), f"declared as tolerated, and is not: {result}"
        return "goes on"
    assert not ended.wrote, f"written all the same: {ended.wrote}, {result}"
    assert result.get("failed"), f"taken for an answer: {result}"
    require_sentences([str(result["msg"])])
    return "ended"


@contextlib.contextmanager
def naming(request: str) -> Iterator[None]:
    """What fails in the block tells which request got the odd answer."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{request}: {error}") from error


def require_sentences(several: Iterable[str]) -> None:
    for each in several:
        assert each.endswith((".", "?")), each
        assert not re.search(r"\n|Traceback|does not know|defect of", each), each


def asking_modules(login: str) -> dict[str, bool]:
    """The modules with the options of this login, by their documentation, and whether they change anything."""
    found = {}
    for path in sorted(MODULES.glob("*.py")):
        text = path.read_text()
        if re.search(rf"^ +- azureops\.pod_identity\.{login}$", text, re.MULTILINE):
            found[path.stem] = "Step(" in text or not path.stem.endswith("_info")
    return found
