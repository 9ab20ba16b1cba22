# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first cause of a diagnosis is the right one, in worlds that are broken for real, one way or two ways at once.

What was told of each lies in .build/worlds, and beside it `table.txt`, the table of what was built and what was told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import diagnosis, inventory, kinds
from ansible_collections.azureops.pod_identity.tests import soak
from ansible_collections.azureops.pod_identity.tests.kube import broken_worlds, hostile_input
from ansible_collections.azureops.pod_identity.tests.kube.broken_worlds import FAULTS, PAIRS
from ansible_collections.azureops.pod_identity.tests.kube.healthy_worlds import HEALTHY
from ansible_collections.azureops.pod_identity.tests.kube.worlds import OTHER_TEAM, World, world
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED, ApiServer
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed

RESULTS = soak.CHECKOUT / ".build/worlds"
_KINDS = (
    *(*inventory.KINDS, *diagnosis.KINDS, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING),
    *(kinds.CONFIG_MAP, kinds.ENDPOINTS, kinds.EVENT, kinds.LEASE, kinds.SECRET),
)
UNASKED = {"probe", "rules"}
"""What only a request for a token shows."""
READ = {*(kind.plural for kind in _KINDS), "pods/log", "pods/proxy"}
"""What a diagnosis reads of a cluster, as rules name it."""


@pytest.fixture(scope="module")
def own_server() -> Iterator[ApiServer]:
    """Of these worlds alone: a diagnosis looks at all of a cluster."""
    with server.running() as started:
        yield started
    _write_table(RESULTS)


@pytest.fixture
def cluster(own_server: ApiServer) -> Iterator[World]:
    with world(own_server) as made:
        yield made


# Of an installation, of Azure, and of a workload.
@pytest.mark.parametrize("name", fixed(FAULTS, "mic_deleted", "no_permission_on_the_identity"))
def test_the_first_cause_is_the_right_one(cluster: World, name: str) -> None:
    broken_worlds.build(cluster, name)
    told = _told("one", name, [FAULTS[name].code], cluster.diagnosis())
    assert told[:1] == [FAULTS[name].code]


@pytest.mark.soak
@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_causes_at_once_are_both_told(cluster: World, pair: tuple[str, str]) -> None:
    broken_worlds.build(cluster, *pair)
    codes = [FAULTS[name].code for name in pair]
    told = _told("two", "+".join(pair), codes, cluster.diagnosis())
    assert set(codes) <= set(told) and told[0] in codes


HOSTILE = (
    *("no_permission_on_the_identity", "no_permission_on_the_nodes", "azure_throttles", "lock_of_a_stranger"),
    *("mic_killed_for_its_memory", "lock_of_iptables", "kubenet", "lock_on_the_nodes"),
    *("identity_deleted", "identity_made_again", "nodes_lose_their_identity", "ghost_in_every_change"),
    *("pod_without_a_label_asks", "client_id_of_another_identity", "client_with_little_patience"),
    *("firewall_before_the_api_server", "assertion_of_the_future"),
)


@pytest.mark.parametrize("name", fixed(HOSTILE, "no_permission_on_the_identity"))
def test_a_tenant_changes_nothing_of_what_is_told(cluster: World, name: str) -> None:
    """By logs and events: no code, no certainty, no order, and what he wrote is shown escaped."""
    broken_worlds.build(cluster, name)
    before = _at_rest(cluster)
    hostile_input.pour(cluster)
    _is_as_before(cluster, before, cluster.diagnosis())
    assert before["causes"][0]["code"] == FAULTS[name].code


@pytest.mark.soak
@pytest.mark.parametrize("name", ["usual", "workload_id_beside"])
def test_a_tenant_makes_no_cluster_sick(cluster: World, name: str) -> None:
    HEALTHY[name](cluster)
    before = _at_rest(cluster)
    hostile_input.pour(cluster)
    _is_as_before(cluster, before, cluster.diagnosis())


def _at_rest(cluster: World) -> dict[str, Any]:
    """A diagnosis after which nothing happens by itself."""
    cluster.until_mic_is_done()
    return cluster.diagnosis()


def _is_as_before(cluster: World, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert _compared(before) == _compared(after)
    assert all(map(str.isprintable, _texts(after)))
    assert OTHER_TEAM not in {namespace for namespace, _pod, _previous in cluster.kubelet.asked}


def _compared(told: dict[str, Any]) -> tuple[Any, ...]:
    """All but sentences in which there are times and numbers of what happened meanwhile."""
    kept = ("code", "severity", "object", "certainty", "symptom", "because", "fix", "references")
    causes = [{key: each[key] for key in kept} for each in told["causes"]]
    return told["verdict"], causes, told["unread"]


def _texts(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict):
        yield from _texts(list(told.values()))
    elif isinstance(told, list):
        for each in told:
            yield from _texts(each)


@pytest.mark.soak
def test_what_is_not_read_is_named_and_the_rest_told(cluster: World) -> None:
    """By who may not read logs, or events, and where Azure does not answer."""
    broken_worlds.build(cluster, "no_permission_on_the_identity")
    for source, refused in (("logs", "pods/log"), ("events", "events")):
        rights = {"apiGroups": ["*"], "resources": sorted(READ - {refused}), "verbs": ["get", "list"]}
        with server.rights_of_restricted(cluster.client, "reads-most", rights):
            told = cluster.diagnosis(token=RESTRICTED)
        assert (told["causes"][0]["code"], told["causes"][0]["certainty"]) == ("role_missing_on_identity", "proved")
        (unread,) = [each for each in told["unread"] if each["source"] not in UNASKED]
        assert unread["source"] == source and refused in unread["needs"], told["unread"]
    cluster.fault(reset=True)
    told = cluster.diagnosis()
    assert (told["causes"][0]["code"], told["causes"][0]["certainty"]) == ("mic_refused_by_azure", "likely")
    assert {each["source"] for each in told["unread"]} - UNASKED == {"azure"}
    assert all(each["why"] and each["needs"] for each in told["unread"])


@pytest.mark.parametrize("name", fixed(HEALTHY, "several_namespaces"))
def test_nothing_is_told_of_a_healthy_cluster(cluster: World, name: str) -> None:
    """No error and no warning, and nothing else is missing than a token, which nobody asks for."""
    HEALTHY[name](cluster)
    done = cluster.diagnosis()
    _told("healthy", name, ["unknown"], done)
    assert [each for each in done["causes"] if each["severity"] != "info"] == []
    assert done["verdict"] == "unknown" and {each["source"] for each in done["unread"]} <= UNASKED, done["unread"]


def _told(kind: str, name: str, built: list[str], done: dict[str, Any]) -> list[str]:
    """The codes of a diagnosis, the likeliest first; they are kept."""
    codes = list(dict.fromkeys(each["code"] for each in done["causes"]))
    RESULTS.mkdir(parents=True, exist_ok=True)
    whole = {"kind": kind, "name": name, "built": built, "verdict": done["verdict"], "told": codes, "diagnosis": done}
    (RESULTS / f"{kind}-{name}.json").write_text(json.dumps(whole, indent=1))
    return codes


def _write_table(folder: Path) -> None:
    """What was built, and what was told first, and whether it is among the first three."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    lines = []
    for kind, title in (("one", "One cause"), ("two", "Two causes"), ("healthy", "Nothing wrong")):
        rows = [one for one in found if one["kind"] == kind]
        right = [one for one in rows if _first(one) in one["built"]]
        three = [one for one in rows if set(one["built"]) <= {*one["told"][:3], one["verdict"]}]
        blind = sum(FAULTS[one["name"]].blind for one in rows if one["name"] in FAULTS)
        made = f" ({blind} made from the catalogue alone)" if blind else ""
        lines += [f"{title}: {len(rows)} worlds{made}, first {len(right)}, among the first three {len(three)}", ""]
        for one in rows:
            mark = " " if one in right else "!"
            lines.append(f"{mark} {one['name']:70} {'+'.join(one['built']):50} {', '.join(one['told'][:3]) or '-'}")
        lines.append("")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.txt").write_text("\n".join(lines))


def _first(one: dict[str, Any]) -> str:
    return str(one["verdict"] if one["kind"] == "healthy" else (one["told"] or [one["verdict"]])[0])
