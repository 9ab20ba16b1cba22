# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A recording of real Azure traffic in place of ARM: requests of our modules, answers of the real one.

The recorded client was another one, so this is what may differ, and nothing else:

- Reads that only the recorded client made are passed over. A write is passed over only where ``leave_out`` says why.
- A read may come again while nothing is written in between; it is answered as before.
- A read that the recorded client never made has to be announced (``aside``), with the recorded object that answers it
  and the write after which it may come.
- The api-version may be newer. URLs of operations are taken to the letter, signatures included, as one of the answers
  gave them; which of several, where each look gave a new one, is the client's choice.
- A body must agree in every field that both sides name.

Login and discovery of the cloud are those of the simulated Azure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ansible_collections.azureops.pod_identity.tests.wire.recordings import Interaction, load
from azsandbox.azure import arm
from azsandbox.azure.loopback import SimulatedAzure
from azsandbox.azure.routing import Call
from azsandbox.azure.wire import Answer

REAL = "https://management.azure.com"
WRITES = ("PUT", "PATCH", "POST", "DELETE")
OPERATIONS = ("azure-asyncoperation", "location")
HEADERS = (*OPERATIONS, "retry-after", "x-ms-request-id", "x-ms-failure-cause", "etag")
BEGINNING = -1


@dataclass
class Aside:
    """A read of ours alone: answered by ``item`` while ``after`` is the last write."""

    pattern: str
    item: Interaction
    after: int
    used: bool = False


class Tape:
    """One cassette as the service ``arm`` of a simulated Azure. ``begin``: the first interaction that may be played."""

    def __init__(
        self, azure: SimulatedAzure, name: str, *, renamed: Mapping[str, str] | None = None, begin: int = 0
    ) -> None:
        self.name = name
        self.items = load(name, renamed)
        self.sent: dict[int, Any] = {}
        self.played: list[int] = []
        self._azure = azure
        self._cursor = begin
        self._written = BEGINNING
        self._again: dict[tuple[str, str], Interaction] = {}
        self._given: list[tuple[str, dict[str, str]]] = []
        self._asides: list[Aside] = []
        self._left_out: dict[int, str] = dict.fromkeys(range(begin), "lies before the beginning")
        self._problems: list[str] = []

    def __getitem__(self, index: int) -> Interaction:
        return self.items[index]

    def leave_out(self, indices: Iterable[int], reason: str) -> None:
        """Writes of the recorded client that are none of ours."""
        self._left_out.update(dict.fromkeys(indices, reason))

    def aside(self, pattern: str, item: Interaction, *, after: int = BEGINNING) -> None:
        """Announce reads of ``pattern`` (a regular expression for path and query) after the write ``after``."""
        self._asides.append(Aside(pattern, item, after))

    def check(self, answered: int) -> None:
        """Everything was answered by the tape, every write of the tape was made or left out, nothing was in vain."""
        unmade = [i for i in self.items if i.method in WRITES and i.index not in {*self.sent, *self._left_out}]
        problems = [*self._problems]
        problems += [f"never made: #{item.index} {item.method} {item.path}" for item in unmade]
        problems += [f"left out and made: #{index}" for index in self._left_out if index in self.sent]
        problems += [f"never asked: {aside.pattern} after #{aside.after}" for aside in self._asides if not aside.used]
        assert not problems, f"{self.name}:\n" + "\n".join(problems)
        print(f"\n{self.name}: {len(self.played)} of {len(self.items)} answered")
        assert len(self.played) == answered, "the number of interactions that are replayed has changed"

    async def answer(self, call: Call) -> Answer:
        """The service itself."""
        if call.path.startswith("/metadata/"):
            return await arm.handle(call)
        item = self._on_tape(call) or self._beside_it(call)
        if item is None:
            return self._refuse(f"{call.method} {_target(call)} after #{self._written} has no recorded counterpart")
        headers = {name: item.headers[name] for name in HEADERS if name in item.headers}
        self._given += [_address(headers[name]) for name in OPERATIONS if name in headers]
        here = {name: value.replace(REAL, self._azure.endpoints.arm) for name, value in headers.items()}
        return Answer(item.status, item.body, here, item.headers.get("content-type", "application/json"))

    def _on_tape(self, call: Call) -> Interaction | None:
        for item in self.items[self._cursor :]:
            if self._is_same(call, item):
                return self._play(call, item)
            if item.method in WRITES and item.index not in self._left_out:
                break
        return None

    def _is_same(self, call: Call, item: Interaction) -> bool:
        if call.method != item.method or call.path.lower() != item.path.lower():
            return False
        if re.search("/operations/|/operationresults/", item.path):
            return (call.path, dict(call.query)) in self._given
        return _without_version(call.query) == _without_version(item.query)

    def _play(self, call: Call, item: Interaction) -> Interaction:
        self._cursor = item.index + 1
        self.played.append(item.index)
        if call.api_version[:10] < item.query.get("api-version", "")[:10]:
            self._refuse(f"#{item.index} was recorded with a newer api-version than {call.api_version}")
        if item.method in WRITES:
            self._written = item.index
            self._again.clear()
            self.sent[item.index] = call.json() if call.raw_body.strip() else None
            for problem in disagreements(item.given, self.sent[item.index]):
                self._refuse(f"#{item.index} {item.method} {call.path}: {problem}")
        else:
            self._again[_key(call)] = item
        return item

    def _beside_it(self, call: Call) -> Interaction | None:
        if call.method in WRITES:
            return None
        for aside in self._asides:
            if aside.after == self._written and re.search(aside.pattern, _target(call), re.IGNORECASE):
                aside.used = True
                return aside.item
        return self._again.get(_key(call))

    def _refuse(self, problem: str) -> Answer:
        self._problems.append(problem)
        return Answer(400, {"error": {"code": "NotRecorded", "message": problem}})


def page(*items: Interaction) -> Interaction:
    """A list of recorded objects, as every provider pages: the first one tells how it was answered."""
    return replace(items[0], status=200, body={"value": [item.body for item in items]})


def disagreements(recorded: Any, sent: Any, path: str = "$") -> Iterator[str]:
    """Where two bodies contradict each other. What one of them does not name (or names null) is no contradiction."""
    if recorded is None or sent is None:
        return
    if isinstance(recorded, dict) and isinstance(sent, dict):
        ours = {_name(key): value for key, value in sent.items()}
        for key, value in recorded.items():
            yield from disagreements(value, ours.get(_name(key)), f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(sent, list):
        if len(recorded) != len(sent):
            yield f"{path}: recorded {len(recorded)} items, sent {len(sent)}"
        for index, (one, other) in enumerate(zip(recorded, sent, strict=False)):
            yield from disagreements(one, other, f"{path}[{index}]")
    elif isinstance(recorded, str) and isinstance(sent, str) and _name(recorded) == _name(sent):
        return
    elif recorded != sent:
        yield f"{path}: recorded {recorded!r}, sent {sent!r}"


def _name(text: str) -> str:
    """Resource ids without their case, everything else as it is."""
    return text.lower() if text.startswith("/") else text


def _address(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    return unquote(parts.path), dict(parse_qsl(parts.query))


def _without_version(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if name != "api-version"}


def _target(call: Call) -> str:
    query = "&".join(f"{name}={value}" for name, value in _without_version(call.query).items())
    return f"{call.path}?{query}" if query else call.path


def _key(call: Call) -> tuple[str, str]:
    return call.method, _target(call).lower()
