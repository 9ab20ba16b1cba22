# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""workload_identity_info names the problems of those who moved, in worlds that have them for real, and nowhere else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import plan
from ansible_collections.azureops.pod_identity.tests.kube import migration_site
from ansible_collections.azureops.pod_identity.tests.kube.migration_rights import RARE, TRIES, lists, of, rights
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import AZURE, Raw, Site
from ansible_collections.azureops.pod_identity.tests.kube.migration_worlds import WORLDS
from ansible_collections.azureops.pod_identity.tests.kube.read_migrations import READING, kind_of
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import RESTRICTED
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.players import Player

ROLES = "Microsoft.Authorization/roleDefinitions"
PARTS = ("needs", "blocked", "noted", "accepted", "not_looked_at")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with migration_site.running() as made:
        yield made


def codes(row: Raw) -> dict[str, set[str]]:
    return {part: {each["code"] for each in row[part]} for part in PARTS}


def test_every_problem_has_its_world() -> None:
    """Each row, and each code of a row."""
    assert {one.row for one in WORLDS.values()} == set(range(1, 24))
    told = {(one.row, one.code) for one in WORLDS.values()}
    assert told >= {(each.row, each.code) for each in plan.TABLE if each.row} - {(11, "proxy_not_annotated")}


@pytest.mark.soak
def test_where_all_is_done_nothing_is_told(site: Site) -> None:
    with workload_identity.running(site.api_server) as webhook, migration_site.place(site, webhook) as place:
        place.usual()
        row = place.row()
        assert (row["verdict"], codes(row)) == ("ready", {part: set() for part in PARTS}), row
        # An exchange is granted, too, beside what a pod is told to have asked.
        place.options["exchanges"] = []
        assert "exchanges_fail" not in set().union(*codes(place.row()).values())


@pytest.mark.parametrize("name", fixed(WORLDS, "no_webhook", "webhook_down_and_failing", "label_after_the_pods"))
def test_a_problem_is_named_where_it_is(site: Site, name: str) -> None:
    world = WORLDS[name]
    with workload_identity.running(site.api_server) as webhook:
        with migration_site.place(site, webhook) as place:
            world.make(place, False)
            row = place.row()
        assert world.code not in set().union(*codes(row).values()), row
        # What is done to the webhook for the other lasts.
        with migration_site.place(site, webhook) as place:
            world.make(place, True)
            row = place.row()
        assert world.code in codes(row)[world.part], row


@RARE
@pytest.mark.parametrize("what", ["pods", "serviceaccounts/token"])
def test_what_may_not_be_tried(site: Site, what: str) -> None:
    """Dry runs, or tokens of service accounts: what only they tell is not known, and nothing else is missing."""
    allowed = {**TRIES, "resources": [each for each in TRIES["resources"] if each != what]}
    with workload_identity.running(site.api_server) as webhook, migration_site.place(site, webhook) as place:
        place.usual()
        if what != "pods":
            place.options["exchanges"] = []  # no pod tells what they would
        with rights(site, allowed, *lists()):
            told = place.info(token=RESTRICTED)
        (missing,) = told["not_looked_at"]
        assert f"create on {what}" in missing["needs"], missing
        assert "may not create" in missing["why"] or "is forbidden" in missing["why"], missing
        told_by_pods = {"assertion_expires", "falls_back_to_node", "library_too_old", "login_host_not_reached"}
        codes = {"fields_would_be_lost"} if what == "pods" else {"exchanges_fail", *told_by_pods}
        assert of(told, "not_looked_at") == {("Deployment", "web"): codes}
        (row,) = told["templates"]
        assert (row["verdict"], row["steps"]) == ("needs", ["proof"])


@RARE
@pytest.mark.parametrize(
    ("action", "codes"),
    [
        # Without the issuer nobody knows whom a credential trusts. That exchanges succeed, a pod has told.
        ("Microsoft.ContainerService/managedClusters/read", {"issuer_not_enabled", "not_federated"}),
        ("Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read", {"not_federated"}),
    ],
)
def test_what_azure_refuses(site: Site, action: str, codes: set[str]) -> None:
    subscription = f"/subscriptions/{site.azure.subscription_id}"
    permissions = [{"actions": ["*/read"], "notActions": [action]}]
    role = {"roleName": f"No {action}", "type": "CustomRole", "assignableScopes": [subscription]}
    name = f"00000000-0000-4000-8000-{len(action):012}"
    path = f"{subscription}/providers/{ROLES}/{name}"
    body = {"properties": {**role, "permissions": permissions}}
    site.azure.arm("PUT", path, body, version="2022-04-01").raise_for_status()
    who = site.azure.principal("reader", (f"No {action}", subscription))
    with workload_identity.running(site.api_server) as webhook, migration_site.place(site, webhook) as place:
        place.usual()
        told = place.info(who=who)
    (missing,) = told["not_looked_at"]
    assert action in missing["needs"] and "may not perform" in missing["why"], missing
    assert of(told, "not_looked_at")["Deployment", "web"] == codes
    assert told["templates"][0]["verdict"] == "needs"


TOGETHER = (
    *("label_on_workload_and_account_only", "resources_of_the_pod", "cron_job_with_the_proxy", "no_credential"),
    *("init_container_with_the_proxy", "egress_closed_by_a_policy", "client_id_of_the_template"),
)
"""Worlds that stand beside each other."""


def test_a_plan_only_reads(site: Site, tmp_path: Path) -> None:
    """Of the playbook and of its module: reads, dry runs, tokens of service accounts, and what Azure is asked for."""
    with contextlib.ExitStack() as stack:
        webhook = stack.enter_context(workload_identity.running(site.api_server))
        places = [stack.enter_context(migration_site.place(site, webhook)) for _name in (*TOGETHER, "all is done")]
        for name, place in zip(TOGETHER, places, strict=False):
            WORLDS[name].make(place, True)
        places[-1].usual()
        namespaces = [place.namespace for place in places]
        reads = {"apiGroups": ["*"], "resources": ["*"], "verbs": list(READING)}
        with server.rights_of_restricted(site.client, "plans", reads, TRIES):
            began, mark = len(site.api_server.events()), site.modules.mark()
            told = site.info(token=RESTRICTED, namespaces=namespaces, dry_run=True, exchange_samples=2).ok()
            played = Player(tmp_path / "play", site.modules.environment).play(
                "azureops.pod_identity.migrate",
                pod_identity_resource_group=AZURE["resource_group"],
                pod_identity_cluster_name=AZURE["cluster_name"],
                pod_identity_kubeconfig=site.api_server.kubeconfig(RESTRICTED),
                workload_identity_migration_namespaces=namespaces,
                workload_identity_migration_directory=str(tmp_path / "plans"),
            )
            asked = [each for each in site.api_server.events()[began:] if each["user"]["username"] == "restricted"]
            of_azure = site.modules.requests(mark)
    assert played[0] == 0, played[1]
    plan = json.loads((tmp_path / "plans/localhost/plan.json").read_text())
    for name, namespace in zip(TOGETHER, namespaces, strict=False):
        for each in (told, plan):
            rows = [row for row in each["templates"] if row["namespace"] == namespace]
            assert WORLDS[name].code in {item["code"] for row in rows for item in row[WORLDS[name].part]}, name
    others = [each for each in asked if each["verb"] not in READING]
    kinds = {kind_of(each) for each in others}
    assert kinds <= {"dry run", "token", "review"} and {"dry run", "token"} <= kinds, kinds
    assert not [each for each in asked if each["responseStatus"]["code"] == 403]
    posts = {each["path"].rpartition("/")[2] for each in of_azure if each["method"] != "GET"}
    assert posts == {"token"} and len([each for each in of_azure if each["method"] == "GET"]) > len(places), of_azure
