# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events, of both of the APIs that write them, and with whatever a tenant writes into one."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.events import Event
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

WHEN = "2026-03-01T11:00:00Z"
POD = {"kind": "Pod", "namespace": "team", "name": "web-1"}


CORE = {"involvedObject": POD, "reason": "BackOff", "message": "Back-off", "source": {"component": "kubelet"}}
NEW = {"regarding": {"kind": "Node", "name": "n1"}, "reason": "Odd", "note": "Odd.", "reportingComponent": "mic"}
SERIES = {"count": 2, "lastObservedTime": WHEN}
HOSTILE = {"involvedObject": POD, "reason": "\x1b[2J", "message": "a\nE0301 forged"}


@for_each(
    case(
        "core",
        {**CORE, "type": "Warning", "count": 3, "lastTimestamp": WHEN},
        Event("Pod team/web-1", "BackOff", "Back-off", "kubelet", True, 3, WHEN),
    ),
    case(
        "events.k8s.io",
        {**NEW, "type": "Normal", "series": SERIES, "eventTime": "2026-03-01T10:00:00Z"},
        Event("Node n1", "Odd", "Odd.", "mic", False, 2, WHEN),
    ),
    case(
        "hostile",
        {**HOSTILE, "metadata": {"creationTimestamp": WHEN}, "lastTimestamp": None, "count": -4},
        Event("Pod team/web-1", "\\x1b[2J", "a\\nE0301 forged", time=WHEN),
    ),
    case("odd", {"involvedObject": 1, "count": True, "message": ["x"], "source": "y"}, Event("", "", "")),
)
def test_event(raw: dict[str, Any], event: Event) -> None:
    assert Event.parse(raw) == event


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["kind", "name", "namespace", "count"]), inner),
    max_leaves=6,
)
_KEYS = ["involvedObject", "regarding", "reason", "message", "note", "source", "series", "count", "type", "metadata"]


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES))
def test_any_event(raw: dict[str, Any]) -> None:
    event = Event.parse(raw)
    assert all(part.isprintable() for part in astuple(event) if isinstance(part, str))
    assert event.count >= 1 and len(event.message) <= 4_000
