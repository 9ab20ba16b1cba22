# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plans of all roles share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.needs import KubernetesNeed
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import (
    ROLE_PHASES,
    Nothing,
    Part,
    Raw,
    Refused,
    Run,
    given_options,
    refuse,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

PHASES = ROLE_PHASES["pod_identity_verify"]


@cases(
    "tags, skipped, phases",
    ("all", ("all",), (), PHASES),
    ("skipped", ("all",), PHASES[:1], PHASES[1:]),
    ("one", PHASES[:1], (), PHASES[:1]),
    ("that of another role", ("pod_identity_chart_wait",), (), ()),
    ("of the operator", ("mine", "pod_identity_prod_all_clusters"), (), PHASES),
    ("of the operator and one", ("pod_identity_prod_all", PHASES[0]), (), PHASES[:1]),
)
def test_tags_select_phases(tags: tuple[str, ...], skipped: tuple[str, ...], phases: tuple[str, ...]) -> None:
    assert Run(tags=tags, skipped_tags=skipped).phases(PHASES) == phases


def test_all_reasons_are_told_at_once() -> None:
    refuse(())
    with pytest.raises(Refused, match=r"^One\. Two\.$") as refused:
        refuse(iter(["One.", "Two."]))
    assert refused.value.sentences == ("One.", "Two.")


def test_needs_of_templates_are_needs() -> None:
    flat = {"verbs": ["get"], "resource": "pods", "subresource": "proxy", "namespace": "a"}
    need = KubernetesNeed(("get",), "pods", "", "proxy", "a")
    nested = {"need": {name: flat[name] for name in ("verbs", "resource", "subresource")}, "namespace": "a"}
    assert KubernetesNeed.parse(flat) == KubernetesNeed.parse(nested) == need


@dataclass(frozen=True)
class Switches:
    on: bool = True
    off: bool = False


@cases(
    "given, on, off",
    ("not read", {}, True, False),
    ("null", {"on": None, "off": None}, False, False),
    ("true", {"on": True, "off": True}, True, True),
    ("false", {"on": False, "off": False}, False, False),
)
def test_null_is_off(given: dict[str, bool | None], on: bool, off: bool) -> None:
    assert given_options(Switches, given) == Switches(on, off)


@dataclass(frozen=True)
class Lists:
    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = field(default=(), metadata={"parse": len})
    tags: dict[str, str] | None = None


@cases(
    "given, options",
    ("not read", {}, Lists()),
    ("null", {"names": None, "sizes": None, "tags": None}, Lists()),
    ("set", {"names": ["a", "b"], "sizes": ["", "a"], "tags": {}}, Lists(("a", "b"), (0, 1), {})),
)
def test_lists_are_tuples(given: dict[str, Any], options: Lists) -> None:
    assert given_options(Lists, given) == options


@dataclass(frozen=True)
class Size:
    size: int
    parts: tuple[Nothing, ...] = ()

    @classmethod
    def parse(cls, given: Raw) -> Size:
        return cls(given["size"])


def test_a_plan_leaves_as_plain_data() -> None:
    part: Part[Size, Nothing] = Part(
        Size, Nothing, lambda options, _nothing, run: Size(options.size + len(run.tags), (Nothing(),))
    )
    assert part.names == ("size", "parts")
    assert part.plan({"size": 1}, {}, Run(tags=("a",))) == {"size": 2, "parts": [{}]}


@table(
    "run, runs",
    (Run(), True),
    (Run(tags=("all",)), True),
    (Run(tags=("a",)), True),
    (Run(tags=("other",)), False),
    (Run(tags=("other",), inherited=("other",)), True),
    (Run(tags=("other",), inherited=("always",)), True),
    (Run(skipped_tags=("a",)), False),
    (Run(skipped_tags=("other",)), True),
    (Run(skipped_tags=("other",), inherited=("other",)), False),
)
def test_whether_ansible_runs_a_phase(run: Run, runs: bool) -> None:
    assert run.runs("a") is runs
