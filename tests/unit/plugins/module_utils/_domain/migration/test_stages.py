# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a workload is, by what workload_identity_info says of it and what its own metadata keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import stages
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.stages import Mover
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import plain
from ansible_collections.azureops.pod_identity.tests.unit.moving import ALONE, BOTH, OWNED, blocker, template


def consumer(**changed: Any) -> dict[str, Any]:
    what = {"product": "KEDA", "object": "TriggerAuthentication shop/queue", "uses": "pod_identity"}
    made = {**what, "setting": "spec.podIdentity.provider: azure", "workloads": ["Deployment shop/web"]}
    return {**made, **changed}


def raw(mark: object = None, kind: str = "Deployment", **labels: str) -> dict[str, Any]:
    annotations = {} if mark is None else {MIGRATION: mark if isinstance(mark, str) else json.dumps(mark)}
    inner: dict[str, Any] = {"template": {"metadata": {"labels": labels}}}
    spec = {"jobTemplate": {"spec": inner}} if kind == "CronJob" else inner
    return {"kind": kind, "metadata": {"annotations": annotations}, "spec": spec}


NO_ISSUER = blocker("issuer_not_enabled")
TABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing is done": ({}, "planned", "account"),
    "the issuer comes first": ({"steps": ["issuer", "webhook", "annotation", "label"]}, "planned", "issuer"),
    "the webhook comes before accounts": ({"steps": ["webhook", "annotation", "label"]}, "planned", "webhook"),
    "its account is ready": ({"steps": ["credential", "label"]}, "account", "credential"),
    "its account is to be made": ({"steps": ["service_account", "credential", "label"]}, "planned", "account"),
    "its identity trusts the account": ({"steps": ["label", "proof"]}, "credential", "canary"),
    "only the proxy is missing": ({"uses": "both", "steps": ["proxy"]}, "credential", "canary"),
    "its pods are older": ({"uses": "both", "steps": ["restart"]}, "credential", "canary"),
    "it is switched": (BOTH, "switched", "soak"),
    "it has the label, and another account": ({**BOTH, "new_service_account": "own"}, "credential", "canary"),
    "somebody has taken its account back": ({"uses": "both", "steps": ["annotation"]}, "planned", "account"),
    "it has left": (ALONE, "left", "finish"),
    "something is in its way": ({"blocked": [blocker()]}, "blocked", "account"),
    "it needs an issuer": ({"steps": ["webhook", "label"], "blocked": [NO_ISSUER]}, "blocked", "issuer"),
    "its owner has to change it": ({"steps": ["label"], "blocked": [OWNED]}, "awaiting_owner", "canary"),
    "its owner's turn is later": ({"blocked": [OWNED]}, "planned", "account"),
    "the owner is not all": ({"steps": ["label"], "blocked": [OWNED, blocker()]}, "blocked", "canary"),
    "what is in the way of leaving only": ({"blocked": [blocker("falls_back_to_node", "leave")]}, "planned", "account"),
    "switched, and may not leave": ({**BOTH, "blocked": [blocker("falls_back_to_node", "leave")]}, "switched", "soak"),
    "switched, whatever is in the way now": ({**BOTH, "blocked": [blocker("webhook_not_ready")]}, "switched", "soak"),
    "nobody but its account says so": ({"uses": "nothing", "selector": ""}, "planned", "account"),
}


@pytest.mark.parametrize("case", TABLE)
def test_how_far_it_is(case: str) -> None:
    changed, state, following = TABLE[case]
    found = Mover.of(template(**changed), raw())
    assert (found.state, found.next) == (state, following)


def test_by_choice_everything_awaits_its_owner() -> None:
    for changed, state, following in (
        ({}, "planned", "account"),
        ({"steps": ["label"]}, "awaiting_owner", "canary"),
        (BOTH, "switched", "soak"),
        ({"blocked": [blocker()]}, "blocked", "account"),
    ):
        found = Mover.of(template(**changed), raw(), renders=True)
        assert (found.state, found.next) == (state, following)
    # A rollout that this collection has begun is brought to an end by it.
    assert Mover.of(template(**BOTH), raw({"strategy": {"maxSurge": 1}}), renders=True).state == "credential"


def test_why_it_stops_names_what_accepts_it() -> None:
    found = Mover.of(template(blocked=[blocker("cannot_surge", accepted_by="workload_identity_migration_accept")]))
    assert found.reason == "cannot_surge: It is so. Change it. (workload_identity_migration_accept accepts it)"
    enabled = Mover.of(
        template(blocked=[blocker("issuer_not_enabled", accepted_by="workload_identity_migration_accept")])
    )
    assert enabled.reason.endswith("(workload_identity_migration_enable_issuer=true does that)")
    leave = Mover.of(template(**BOTH, blocked=[blocker("falls_back_to_node", "leave")]))
    assert leave.reason == "falls_back_to_node: It is so. Change it." and leave.is_switched and not leave.goes


def test_a_rollout_that_was_not_brought_to_an_end_is_taken_up() -> None:
    """Whose strategy was not put back."""
    for mark, state in (({"label": None}, "switched"), ({"label": None, "strategy": {"maxSurge": 1}}, "credential")):
        found = Mover.of(template(**BOTH), raw(mark))
        assert (found.state, found.mark) == (state, True)


def test_what_its_metadata_keeps() -> None:
    kept = Mover.of(template(**ALONE), raw({"label": None, "aadpodidbinding": "shop"}))
    assert (kept.mark, kept.former_selector) == (True, "shop")
    assert not Mover.of(template(), raw()).mark and not Mover.of(template(), None).mark
    # It is there, so nobody takes the workload for untouched.
    for broken in ("{", "[]", "null"):
        assert Mover.of(template(), raw(broken)).mark


def test_labels_of_its_pods() -> None:
    for kind in ("Deployment", "CronJob"):
        found = Mover.of(template(kind=kind), raw(None, kind, app="web", aadpodidbinding="shop"))
        assert found.labels == {"app": "web", "aadpodidbinding": "shop"}


def test_it_goes_from_task_to_task_as_data() -> None:
    one = replace(Mover.of(template(blocked=[OWNED]), raw({"label": None}, app="web")), wave=1)
    assert Mover.parse(plain(one)) == replace(one, blockers=tuple(plain(one.blockers)))


def test_none_goes_without_those_of_its_account() -> None:
    """Of one that is switched already nothing has to wait."""
    web, api = (Mover.of(template(name, service_account="both", new_service_account="both")) for name in ("web", "api"))
    stopped = Mover.of(template("api", service_account="both", new_service_account="both", blocked=[blocker()]))
    other = Mover.of(template("other"))
    assert stages.together([web, api, other]) == (web, api, other)
    found = stages.together([web, stopped, other])
    assert [one.state for one in found] == ["blocked", "blocked", "planned"]
    assert found[0].reason.startswith(
        "Deployment shop/api stops and is to have ServiceAccount shop/both, and none goes"
    )
    assert stages.together([web], [api])[0].reason.startswith("Deployment shop/api is left out of this run")
    switched = replace(api, state="switched")
    assert stages.together([web, switched])[0] == web and stages.together([web], [switched])[0] == web
    failed = api.stops("It broke.")
    assert [one.state for one in stages.together([web, failed])] == ["blocked", "planned"]


def test_those_of_one_that_awaits_its_owner_wait_with_it() -> None:
    web = Mover.of(template("web", service_account="both", new_service_account="both"))
    api = Mover.of(template("api", service_account="both", new_service_account="both", blocked=[OWNED]))
    found = stages.together([web, api])
    assert [one.awaits for one in found] == [True, True] and found[0].goes
    assert found[0].reason.startswith("Deployment shop/api awaits its owner")


def test_what_takes_tokens_of_its_node_does_not_move() -> None:
    assert not stages.moves(template(uses="node", selector=""))
    assert stages.moves(template(uses="node")) and stages.moves(template(**ALONE))


def test_its_owner_is_told_of_settings_that_no_canary_sees() -> None:
    unknown = [
        {"code": "own_client_id_differs", "reason": "It is hidden."},
        {"code": "login_host_not_reached", "reason": "No pod has asked."},
    ]
    others = [consumer(workloads=["Deployment shop/other"]), consumer(uses="workload_identity")]
    found = Mover.of(template(not_looked_at=unknown), consumers=[consumer(), *others])
    said = "KEDA takes tokens by its pods: TriggerAuthentication shop/queue, spec.podIdentity.provider: azure."
    assert found.notes == (said, "It is hidden.")
    replaced = Mover.of(template(identities=[{"name": "shop/money", "replacement": "/identities/other"}]))
    assert replaced.notes == (
        "The identity other takes the place of AzureIdentity shop/money, and needs the same roles.",
    )
