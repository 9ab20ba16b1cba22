# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults by rule: what a matching request gets instead of, before or after its answer."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .wire import JsonObject


def _half(body: Any, _url: str) -> str:
    text = json.dumps(body)
    return text[: len(text) // 2]


def _null(body: Any, _url: str) -> JsonObject:
    return dict.fromkeys(body if isinstance(body, dict) else ["value"])


def _circle(body: Any, url: str) -> JsonObject:
    """A list whose next page is itself; what is no list is answered as one of nothing."""
    shown = body if isinstance(body, dict) and "value" in body else {"value": []}
    return {**shown, "@odata.nextLink" if "@odata.context" in shown else "nextLink": url}


# POSTs that change nothing: they ask for a token or a list.
_READING_POST = re.compile(r"/oauth2/|/list[a-z]+(\?|$)", re.IGNORECASE)


EXCHANGE = "/oauth2/.*#.*proof=assertion"
"""The path of requests for a token by an assertion."""


def _writes(method: str, target: str) -> bool:
    return method in ("PUT", "PATCH", "DELETE") or (method == "POST" and not _READING_POST.search(target))


DISTORTIONS: dict[str, Callable[[Any, str], Any]] = {"half": _half, "null": _null, "circle": _circle}
"""What can become of the body of an answer to a request with this URL."""


class InvalidRule(Exception):
    """What is wrong with a rule; one sentence."""


@dataclass
class Rule:
    """``path`` is a regular expression, searched in host + path + query, case ignored.

    Behind that a request for a token has ``#client_id=ID&proof=PROOF``, where the proof is assertion or secret.
    """

    method: str = ""
    """Any, where it is empty; several have commas between them."""
    path: str = ""
    remote: str = ""
    """The address that the request comes from."""
    behind: int = 0
    """How many writes have to come first, whatever they are of; what matches before counts for nothing."""
    nth: int = 1
    """The first of the matching requests that is hit."""
    count: int = 1
    """How many are hit; 0 means every one from there on."""
    every: int = 1
    """From the first on each so manieth, such as each 50th; it is then the 50th that is the first, and all are hit,
    unless ``nth`` and ``count`` say something else."""
    aadsts: int = 0
    """Refuse with this code of Entra, in its form and words. Without a ``path`` that is every exchange of an assertion,
    and no login by a secret."""
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds, not scaled."""
    reset: bool = False
    """Reset the connection instead of answering."""
    cut: bool = False
    """Close the connection in the middle of the answer's body."""
    hang: bool = False
    """Leave the request without answer until its client is gone; the log has it at once."""
    distort: str = ""
    """Answer, and with another body that is made of the right one, as one of DISTORTIONS does."""
    after: bool = False
    """Let the request take effect first: the answer is what gets lost."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    written: int = 0
    seen: int = 0
    hits: int = 0

    @property
    def unanswered(self) -> bool:
        return self.reset or self.hang

    def matches(self, method: str, target: str, remote: str) -> bool:
        if self.method and method not in self.method.upper().split(",") or self.remote and self.remote != remote:
            return False
        return re.search(self.path, target, re.IGNORECASE) is not None

    def as_json(self) -> JsonObject:
        return asdict(self)


def parse(given: JsonObject) -> Rule:
    """A rule from its JSON form."""
    known = {each.name for each in fields(Rule)} - {"written", "seen", "hits"}
    if set(given) - known:
        raise InvalidRule(f"A fault has no {sorted(set(given) - known)}; known are {sorted(known)}.")
    try:
        rule = Rule(**given)
        re.compile(rule.path)
    except (TypeError, re.error) as error:
        raise InvalidRule(f"The fault is invalid: {error}.") from None
    if rule.distort and rule.distort not in DISTORTIONS:
        raise InvalidRule(f"The fault distorts as {rule.distort!r}; known are {sorted(DISTORTIONS)}.")
    if rule.every < 1:
        raise InvalidRule(f"The fault hits every {rule.every}th request; it must be a number from 1 on.")
    if rule.status is None and not rule.unanswered and not (rule.cut or rule.delay or rule.distort or rule.aadsts):
        raise InvalidRule("A fault needs a status, a delay, reset, cut, hang, distort or aadsts.")
    if rule.aadsts:
        rule.path = rule.path or EXCHANGE
    if rule.every > 1:
        rule.nth, rule.count = given.get("nth", rule.every), given.get("count", 0)
    return rule


class Faults:
    """The rules in force, in order; the first that hits counts."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, given: JsonObject) -> Rule:
        rule = parse(given)
        self.rules.append(rule)
        return rule

    def clear(self, rule_id: str | None = None) -> None:
        self.rules = [rule for rule in self.rules if rule_id is not None and rule.id != rule_id]

    def hit(self, method: str, target: str, remote: str) -> Rule | None:
        """Count a request against every rule; the first rule whose turn it is."""
        chosen = None
        for rule in self.rules:
            if rule.written < rule.behind:
                rule.written += _writes(method, target)
                continue
            if not rule.matches(method, target, remote):
                continue
            rule.seen += 1
            turn, rest = divmod(rule.seen - rule.nth, rule.every)
            due = turn >= 0 and rest == 0 and (rule.count == 0 or turn < rule.count)
            if due and chosen is None:
                rule.hits += 1
                chosen = rule
        return chosen
