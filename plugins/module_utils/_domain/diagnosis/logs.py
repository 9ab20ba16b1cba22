# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Logs of MIC, NMI and the Workload ID webhook, taken apart.

They are in the format of klog (``E0102 15:04:05.000000 1 file.go:12] text``), until 1.5 in that of logrus
(``time="..." level=error msg="..."``), or in JSON where an argument says so; the kubelet may have written a time before
each line. Names and texts of tenants are in them, some with line breaks, so that a line may be forged: what a log tells
is never proof, see ``cause``. Whatever a line holds, it is escaped and cut.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ..moments import moment, written
from .shown import shown

LONGEST_LINE = 4_000
MOST_LINES = 50_000  # of one log: a line of one character takes more memory here than in the log
_LONGEST_JSON = 64_000
_KLOG = re.compile(
    r"([IWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.\d{1,9} +\d{1,10} ([\w.-]{1,200}:\d{1,9})\] ?", re.ASCII
)
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]{8,18}(?:Z|[+-]\d\d:\d\d)) ", re.ASCII)
_LOGRUS = re.compile(r'time="([^"]{1,40})" level=(\w{1,20}) ', re.ASCII)
_TIMES, _PLACES, _TEXTS = ("ts", "time", "timestamp"), ("caller",), ("msg", "message")
_LEVELS = ("level", "severity")
_SEVERITIES = {"i": "I", "d": "I", "w": "W", "e": "E", "f": "F", "p": "F", "c": "F"}
_LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Line:
    """``severity``: I, W, E, F, or empty for what has no header. ``place``: file and line of the source."""

    text: str
    severity: str = ""
    time: str = ""
    place: str = ""


@dataclass(frozen=True)
class Log:
    """Of one container. ``previous``: of its run before a crash. ``cut``: not all of its lines were read."""

    program: str
    namespace: str
    pod: str
    node: str
    lines: tuple[Line, ...]
    previous: bool = False
    cut: bool = False

    @property
    def label(self) -> str:
        return f"log of Pod {self.namespace}/{self.pod}" + (" before its restart" if self.previous else "")

    def matching(self, pattern: t.Pattern[str]) -> t.Iterator[tuple[Line, t.Match[str]]]:
        for line in self.lines:
            found = pattern.search(line.text)
            if found:
                yield line, found


def parse(text: str | bytes, now: datetime, most: int = MOST_LINES) -> tuple[Line, ...]:
    """The last ``most`` lines without those that are empty, in one pass. ``now``: klog writes no year."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    # What is longer is not looked at: no pattern, and no parser, sees more than this.
    parts = (part[:_LONGEST_JSON].rstrip("\r") for part in text.rsplit("\n", most)[-most:])
    return tuple(_line(part, now) for part in parts if part.strip())


def _line(text: str, now: datetime) -> Line:
    time = ""
    stamp = _STAMP.match(text)
    if stamp:  # also where it is a tenant's: then there is no other time
        time = _rfc3339(stamp[1])
        text = text[stamp.end() :]
    if text.startswith("{") and len(text) < _LONGEST_JSON:
        found = _of_json(text, time)
        if found:
            return found
    header = _LOGRUS.match(text)
    if header:
        severity = _SEVERITIES.get(header[2][0], "I")
        return Line(shown(text[header.end() :], LONGEST_LINE), severity, time or _rfc3339(header[1]))
    header = _KLOG.match(text)
    if not header:
        return Line(shown(text, LONGEST_LINE), time=time)
    severity, *moment, place = header.groups()
    return Line(shown(text[header.end() :], LONGEST_LINE), severity, time or _with_year(now, *map(int, moment)), place)


def _of_json(text: str, time: str) -> Line | None:
    """What a line of JSON tells; its other values follow the text, as klog writes them."""
    named = {*_TIMES, *_PLACES, *_TEXTS, *_LEVELS, "v"}
    try:
        told = json.loads(text)
        if not isinstance(told, dict):
            return None
        words = [str(_first(told, _TEXTS) or "")]
        words += [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in told.items() if key not in named]
    except (ValueError, RecursionError):
        return None
    level = str(_first(told, _LEVELS) or ("error" if told.get("err") or told.get("error") else "info")).lower()
    return Line(
        shown(" ".join(word for word in words if word), LONGEST_LINE),
        _SEVERITIES.get(level[:1], "I"),
        time or _moment(_first(told, _TIMES)),
        shown(_first(told, _PLACES) or "", 200),
    )


def _first(told: t.Mapping[str, t.Any], names: t.Iterable[str]) -> t.Any:
    return next((told[name] for name in names if told.get(name) is not None), None)


def _moment(told: t.Any) -> str:
    """A time of JSON: a text, or seconds or milliseconds since 1970; empty for what is none."""
    if isinstance(told, str):
        return _rfc3339(told)
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not 0 <= told < _LATEST * 1000:
        return ""
    return written(datetime.fromtimestamp(told / 1000 if told > _LATEST else told, timezone.utc))


def _rfc3339(text: str) -> str:
    """The same moment in UTC and whole seconds; empty for what is none."""
    found = moment(text)
    try:
        return written(found) if found else ""
    except OverflowError:  # in UTC it is before the year 1
        return ""


def _with_year(now: datetime, month: int, day: int, hour: int, minute: int, second: int) -> str:
    """The last such moment until tomorrow, so that a clock may be ahead."""
    for year in (now.year + 1, now.year, now.year - 1):
        try:
            when = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        except ValueError:  # 29 February, or no moment at all
            continue
        if when <= now + _DAY:
            return written(when)
    return ""
