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

from ansible_collections.azureops.pod_identity.tests import soak
from ansible_collections.azureops.pod_identity.tests.kube import broken_worlds, server
from ansible_collections.azureops.pod_identity.tests.kube.broken_worlds import FAULTS, PAIRS
from ansible_collections.azureops.pod_identity.tests.kube.healthy_worlds import HEALTHY
from ansible_collections.azureops.pod_identity.tests.kube.server import ApiServer
from ansible_collections.azureops.pod_identity.tests.kube.worlds import World, world

RESULTS = soak.CHECKOUT / ".build/worlds"


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


@pytest.mark.soak(sample=4)
@pytest.mark.parametrize("name", FAULTS)
def test_the_first_cause_is_the_right_one(cluster: World, name: str) -> None:
    broken_worlds.build(cluster, name)
    told = _told("one", name, [FAULTS[name].code], cluster.diagnosis())
    assert told[:1] == [FAULTS[name].code]


@pytest.mark.soak(sample=2)
@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_causes_at_once_are_both_told(cluster: World, pair: tuple[str, str]) -> None:
    broken_worlds.build(cluster, *pair)
    codes = [FAULTS[name].code for name in pair]
    told = _told("two", "+".join(pair), codes, cluster.diagnosis())
    assert set(codes) <= set(told) and told[0] in codes


@pytest.mark.soak(sample=2)
@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_told_of_a_healthy_cluster(cluster: World, name: str) -> None:
    """No error and no warning, where all was looked at."""
    HEALTHY[name](cluster)
    done = cluster.diagnosis()
    _told("healthy", name, ["healthy"], done)
    assert [each for each in done["causes"] if each["severity"] != "info"] == []
    assert done["verdict"] == "healthy", done["unread"]


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
