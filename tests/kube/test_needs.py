# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The permissions that a prediction names are those that the write needs: no fewer, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.tests.kube.changes import CASES, Need, World
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Outcome
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed


def _each(needs: list[Need]) -> list[Need]:
    return [{**need, "verbs": [verb]} for need in needs for verb in need["verbs"]]


def _told(missing: list[Need]) -> list[tuple[str, str, str]]:
    return [(each["verb"], each["resource"], each["namespace"]) for each in missing]


def _is_told(review: Callable[[], Outcome], wanted: list[tuple[str, str, str]]) -> bool:
    return _told(review().ok()["missing"]) == wanted


@pytest.fixture
def world(api_server: ApiServer, client: Client, crds: None, definitions: list[dict[str, Any]]) -> Iterator[World]:
    made = World(api_server, client, definitions)
    yield made
    made.end()


@pytest.mark.parametrize("name", fixed(CASES, *(name for name in CASES if name != "removed")))
def test_a_write_needs_what_its_prediction_names(world: World, name: str) -> None:
    case = CASES[name]
    number, count = 0, 1
    while number <= count:
        world.begin()
        case.prepare(world)
        options = case.options(world.namespace)
        predicted = world.run(case.module, check=True, **options).ok()["permissions"]
        assert tuple(f"{','.join(need['verbs'])} {need['resource']}" for need in predicted) == case.needs
        granted = _each(predicted)
        count = len(granted)
        # Each is taken away in turn, in the end none.
        lacking = granted[number : number + 1]
        who = world.somebody([each for each in granted if each not in lacking])
        wanted = [(each["verbs"][0], each["resource"], each["namespace"]) for each in lacking]
        review = partial(world.run, "access_review_info", needs=predicted, **who)
        server.until("the API server has seen the new roles", partial(_is_told, review, wanted))
        outcome = world.run(case.module, **options, **who)
        if lacking:
            assert outcome.failure() and outcome.result["error"]["status"] == 403, outcome.result
        else:
            done = outcome.ok()
            assert done["changed"] and "permissions" not in done
        number += 1
    if case.module != "cluster_lease":  # it is renewed each time
        assert world.run(case.module, check=True, **options).ok()["permissions"] == []
