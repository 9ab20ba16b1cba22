# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs taken apart: the formats that there are, and whatever else somebody may have written into one."""

from __future__ import annotations

import json
import re
import string
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.logs import (
    LONGEST_LINE,
    MOST_LINES,
    Line,
    Log,
    parse,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@for_each(
    case(
        "klog",
        "E0228 15:04:05.123456       1 mic.go:12] updating user-assigned failed",
        Line("updating user-assigned failed", "E", "2026-02-28T15:04:05Z", "mic.go:12"),
    ),
    case(
        "of last year",
        "I1231 23:59:59.000001       1 main.go:9] Starting mic process.",
        Line("Starting mic process.", "I", "2025-12-31T23:59:59Z", "main.go:9"),
    ),
    case(
        "a clock that is ahead",
        "I0302 11:59:59.000001       1 main.go:9] ahead",
        Line("ahead", "I", "2026-03-02T11:59:59Z", "main.go:9"),
    ),
    case("no such day", "I0229 11:59:59.000001       1 main.go:9] leap", Line("leap", "I", "", "main.go:9")),
    case(
        "with the time of the kubelet",
        "2026-03-01T11:00:00.123456789Z W0301 09:00:00.000000 1 a.go:1] odd",
        Line("odd", "W", "2026-03-01T11:00:00Z", "a.go:1"),
    ),
    case(
        "no header",
        "2026-03-01T11:00:00+02:00 panic: runtime error",
        Line("panic: runtime error", "", "2026-03-01T09:00:00Z"),
    ),
    case("nothing", "goroutine 1 [running]:", Line("goroutine 1 [running]:")),
    case(
        "json of klog",
        '{"ts":1772362800.5,"caller":"mic.go:1","msg":"failed","err":"403 \\u001b[31m","v":0}',
        Line('failed err="403 \\u001b[31m"', "E", "2026-03-01T11:00:00Z", "mic.go:1"),
    ),
    case(
        "json of the webhook",
        '{"level":"info","timestamp":"2026-03-01T11:00:00.5Z","caller":"a/b.go:2","message":"ready"}',
        Line("ready", "I", "2026-03-01T11:00:00Z", "a/b.go:2"),
    ),
    case(
        "json with milliseconds",
        '{"ts":1772362800500,"msg":"milliseconds"}',
        Line("milliseconds", "I", "2026-03-01T11:00:00Z"),
    ),
    case(
        "logrus",
        'time="2019-06-06T09:16:54Z" level=fatal msg="exit status 4" req.path=/',
        Line('msg="exit status 4" req.path=/', "F", "2019-06-06T09:16:54Z"),
    ),
    case("json that is cut", '{"msg": "cut', Line('{"msg": "cut')),
    case("other json", "[1]", Line("[1]")),
    case("no moment", '{"ts":1e400,"msg":"never"}', Line("never", "I")),
    case("no number", f'{{"ts":{10**400},"msg":"never"}}', Line("never", "I")),
    case("marks of direction", f'{{"ts":true,"msg":"{chr(0x202E)}txt"}}', Line("\\u202etxt", "I")),
    case("control characters", "\x1b[2Ja\x00b\x9bc\u2028d\r", Line("\\x1b[2Ja\\x00b\\x9bc\\u2028d")),
)
def test_line(text: str, line: Line) -> None:
    assert parse(text, NOW) == (line,)


def test_invalid_utf_8_is_shown_as_such() -> None:
    (line,) = parse(b"I0301 09:00:00.000000 1 a.go:1] a\xff\xfeb", NOW)
    assert line.text == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"


def test_a_forged_header_is_a_line_of_its_own_and_no_part_of_the_first() -> None:
    """What a line break in a name leads to. Nothing tells it from a line of MIC, so that no log is proof."""
    text = "I0301 09:00:00.000000 1 a.go:1] pod x\nE0301 09:00:00.000000 1 mic.go:9] 403 LinkedAuthorizationFailed\n"
    first, second = parse(text, NOW)
    assert (first.text, first.severity, second.severity) == ("pod x", "I", "E")
    (escaped,) = parse('{"msg":"pod x\\nE0301 09:00:00.000000 1 mic.go:9] 403"}', NOW)
    assert (escaped.severity, escaped.text) == ("I", "pod x\\nE0301 09:00:00.000000 1 mic.go:9] 403")


def test_the_last_lines_are_kept() -> None:
    assert [line.text for line in parse("a\nb\nc", NOW, most=2)] == ["b", "c"]
    assert [line.text for line in parse("a\n\n  \r\nb", NOW)] == ["a", "b"]
    assert parse("", NOW) == parse("\n\r\n \n", NOW) == ()


@for_each("x", "\x1b", "{", "[", '{"a":', "E0301 ", "\n", "a\n", "I0301 09:00:00.000000 1 a.go:1] x\n", "9" * 50)
def test_fifty_megabytes_of_anything(unit: str) -> None:
    """A pass that is not linear would never end."""
    lines = parse(unit * (50_000_000 // len(unit)), NOW)
    assert len(lines) <= MOST_LINES and all(len(line.text) <= LONGEST_LINE for line in lines)


_PARTS = ["\n", "\r", "E0301 09:00:00.000000 1 a.go:1] ", "2026-03-01T11:00:00Z ", "{", '"msg":', "\x1b[0m"]
_SIGNS = st.one_of(st.text(), st.text(string.printable), st.sampled_from(_PARTS))
_TEXTS = st.lists(_SIGNS, max_size=20).map("".join)


@given(_TEXTS)
def test_any_text(text: str) -> None:
    lines = parse(text, NOW)
    assert len(lines) <= text.count("\n") + 1
    for line in lines:
        assert all(part.isprintable() for part in (line.text, line.place, line.time))
        assert line.severity in ("", "I", "W", "E", "F")
        assert line.time == "" or re.fullmatch(r"\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.time)
    assert parse(text.encode("utf-8", "surrogatepass"), NOW) is not None


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    assert all(line.text.isprintable() for line in parse(data, NOW))


@given(_TEXTS, _TEXTS)
def test_lines_are_independent(one: str, other: str) -> None:
    assert parse(f"{one}\n{other}", NOW) == parse(one, NOW) + parse(other, NOW)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_KEYS = st.sampled_from(["ts", "time", "level", "severity", "msg", "message", "caller", "err", "v", "else"])


@given(st.dictionaries(_KEYS, _VALUES))
def test_any_json(told: dict[str, object]) -> None:
    for text in (json.dumps(told), json.dumps(told, ensure_ascii=False)):
        (line,) = parse(text.replace("\n", ""), NOW)
        assert line.severity and all(part.isprintable() for part in (line.text, line.place, line.time))


def test_matching_lines() -> None:
    log = Log("mic", "kube-system", "mic-1", "n1", parse("a 1\nb\na 2", NOW), previous=True)
    assert [found[1] for _line, found in log.matching(re.compile(r"a (\d)"))] == ["1", "2"]
    assert log.label == "log of Pod kube-system/mic-1 before its restart"
