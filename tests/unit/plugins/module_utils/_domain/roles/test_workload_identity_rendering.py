# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose manifests the role workload_identity_migration renders, when, and what it tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.soaking import Soak
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.workload_identity_migration import (
    PARTS,
)
from ansible_collections.azureops.pod_identity.tests.unit.deciding import RUN
from ansible_collections.azureops.pod_identity.tests.unit.moving import (
    ALONE,
    BOTH,
    CLUSTER,
    HELM,
    HOME,
    OWNED,
    READY,
    advance,
    mover,
    observed,
    seen,
    states,
    tried,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

KEY = "shop/Deployment/web"


def why(known: dict[str, Any]) -> str:
    return str(known["rows"][0]["why"])


def test_an_owner_gets_files_once_the_canary_has_its_token() -> None:
    known = tried(seen(mover(**READY, **HELM)))
    assert (known["rendering"], known["waves"], states(known)) == ([KEY], [], ["awaiting_owner"])
    assert why(known).startswith("manifest_has_owner: ")
    assert why(known).endswith(
        f"Its owner has to merge 1-switch. It is in {HOME} of workload_identity_migration_directory."
    )
    found = {"work": known, "directory": "/out/", "host": "east", "cluster": CLUSTER, "links": ["/out/east/other"]}
    made = PARTS["render"].plan({}, found, RUN)
    folder = f"/out/east/{HOME}"
    assert made["directories"] == [f"{folder}/1-switch", f"{folder}/2-leave", folder]
    assert [each["path"].rpartition("/")[2] for each in made["files"]] == [
        *("kustomization.yaml", "patch.yaml", "kustomization.yaml", "patch.yaml"),
        *("PULL_REQUEST.md", "helm-values.yaml"),
    ]
    assert "of the cluster `prod` gets its tokens" in made["files"][4]["text"]
    assert PARTS["render"].plan({}, found, RUN) == made


@pytest.mark.parametrize("link", ["/out/east", "/out/east/shop", f"/out/east/{HOME}/PULL_REQUEST.md"])
def test_nothing_is_written_through_a_link(link: str) -> None:
    """Which somebody else may have put into the directory."""
    known = tried(seen(mover(**READY, **HELM)))
    found = {"work": known, "directory": "/out/.", "host": "east", "cluster": CLUSTER, "links": [link, "/out/eas"]}
    with pytest.raises(Refused, match=f"^{link} is a symbolic link, through which nothing is written; remove it"):
        PARTS["render"].plan({}, found, RUN)


def test_none_gets_files_whose_canary_failed() -> None:
    given: dict[str, Any] = {"until": "switch", "directory": "/out"}
    known = PARTS["work"].plan(given, seen(mover(**READY, **HELM)), RUN)
    refused = {"verdict": "federation_refused", "message": "No."}
    assert advance(known, "canary", {"tokens": [refused]}, **given)["rendering"] == []


@table(
    "options, said",
    (
        {"directory": ""},
        "Its owner has to merge 1-switch. Set workload_identity_migration_directory to have that as files.",
    ),
    ({"mode": "patch"}, "Its owner has to merge 1-switch. workload_identity_migration_mode=auto renders that."),
    ({"until": "canary"}, "Its owner has to merge 1-switch."),
)
def test_where_nothing_is_written_the_table_says_how(options: dict[str, Any], said: str) -> None:
    known = tried(seen(mover(**READY, **HELM)), **options)
    assert known["rendering"] == [] and why(known).endswith(said)


def test_whose_owner_is_overridden_is_patched() -> None:
    one = mover(**READY, owner=HELM["owner"], accepted=[OWNED])
    known = tried(seen(one), override_owner=True)
    assert known["rendering"] == [] and [each["name"] for each in known["waves"][0]] == ["web"]


def test_by_choice_nothing_is_patched() -> None:
    known = tried(seen(mover(**READY)), mode="render")
    assert (known["rendering"], known["waves"], states(known)) == ([KEY], [], ["awaiting_owner"])
    assert why(known).startswith("Its owner has to merge 1-switch.")
    for mode, asked in (("render", False), ("auto", True)):
        needs = PARTS["work"].plan({"until": "leave", "mode": mode}, seen(mover(**READY)), RUN)["kubernetes"]
        assert ("deployments" in [each["resource"] for each in needs]) is asked
    patched = tried(seen(mover(**READY)))
    assert (patched["rendering"], states(patched), len(patched["waves"][0])) == ([], ["canary"], 1)


def test_files_need_a_place() -> None:
    for options, refused in (
        ({"until": "switch", "mode": "render"}, True),
        ({"until": "switch", "mode": "render", "directory": "/out"}, False),
        ({"until": "canary", "mode": "render"}, False),
        ({"until": "switch"}, False),
    ):
        if refused:
            with pytest.raises(Refused, match="workload_identity_migration_mode is render, and nothing says where to"):
                PARTS["options"].plan(options, {"cluster_name": "prod"}, RUN)
        else:
            PARTS["options"].plan(options, {"cluster_name": "prod"}, RUN)


def test_what_a_controller_makes_is_not_rendered() -> None:
    known = tried(seen(mover(**READY, owner={"kind": "operator", "name": "Kafka shop/k"})), mode="render")
    assert known["rendering"] == []


def test_what_an_owner_took_back_is_told() -> None:
    switched = {"azure.workload.identity/use": "true"}
    assert "somebody took it back" in why(tried(seen(mover(**READY, **HELM), {}, switched)))
    assert "has to merge 1-switch" in why(tried(seen(mover(**READY, **HELM), {}, {"tier": "web"})))
    unread = seen(mover(**READY, **HELM), switched)
    unread["revisions: ReplicaSet"] = {"failed": True, "msg": "Forbidden."}
    assert "has to merge 1-switch" in why(tried(unread))


def test_what_an_owner_has_merged_in_part() -> None:
    """Its label asks for Workload ID already, by a service account that does not get the identity."""
    given = {"service_account": "default", "new_service_account": "web"}
    labels = {"azure.workload.identity/use": "true"}
    one = {**mover(**HELM, **given), "uses": "both", "steps": ["proof"]}
    known = tried(seen(one, labels=labels))
    assert (states(known), known["rendering"]) == (["awaiting_owner"], [KEY])
    assert "has merged 1-switch in part: what is missing is serviceAccountName." in why(known)
    # Nobody's is given the account, and not taken for switched.
    nobodys = tried(seen({**one, "blocked": [], "owner": {}}, labels=labels))
    assert states(nobodys) == ["canary"] and nobodys["waves"][0][0]["service_account"] == "web"


def test_what_an_owner_has_merged_goes_on() -> None:
    known = PARTS["work"].plan({"until": "soak", "mode": "render"}, seen(mover(**BOTH)), RUN)
    assert states(known) == ["switched"] and known["soaking"] and known["rendering"] == []


def test_after_the_soak_its_owner_takes_it_out() -> None:
    given = {"until": "leave", "mode": "render", "directory": "/out", "soak_seconds": 7200}
    labels = {"azure.workload.identity/use": "true"}
    known = PARTS["work"].plan(given, seen(mover(**BOTH), labels=labels), RUN)
    told = Soak(1, "2026-11-30T01:00:00Z", "2026-11-30T01:00:00Z", 9000).view()
    looked = {"soaks": [{"namespace": "shop", "kind": "Deployment", "name": "web", **told}]}
    known = PARTS["soak"].plan(given, {"work": known, "looked": looked, "began": 5}, RUN)
    assert (known["leaving"], known["rendering"], states(known)) == ([], [KEY], ["awaiting_owner"])
    assert why(known).startswith("Its owner has to merge 2-leave. It is in ")
    place = {"directory": "/out", "host": "east", "cluster": CLUSTER, "links": []}
    made = PARTS["render"].plan(given, {"work": known, **place}, RUN)
    assert "Due now is `2-leave`." in next(each["text"] for each in made["files"] if each["path"].endswith(".md"))


def test_whose_owner_took_it_out_is_proved_before_aad_pod_identity_goes() -> None:
    """One that never had it needs no proof, one of which that is not known does."""
    use = {"azure.workload.identity/use": "true"}
    left = {**mover(**ALONE), "owner": HELM["owner"]}
    given: dict[str, Any] = {"until": "finish", "directory": "/out"}
    never: dict[str, Any] = {**use, "aadpodidbinding": None}
    for revisions, asked in (((use,), True), ((never, use), True), ((), True), ((never,), False)):
        found = seen(left, *revisions, labels=use)
        known = PARTS["work"].plan(given, found, RUN)
        assert states(known) == ["left"] and bool(known["left"]) is asked
    known = PARTS["work"].plan(given, seen(left, use, labels=use), RUN)
    (canary,) = known["left"]
    assert canary["question"]["expect"]["path"] == "workload_identity"
    refused = {"verdict": "federation_refused", "message": "No."}
    lost = advance(known, "left", {"tokens": [refused]}, **given)
    assert lost["message"] and not lost["finishes"]
    assert advance(known, "left", {"tokens": [{"verdict": "ok", "message": ""}]}, **given)["finishes"]


def test_former_revisions_are_read_only_where_somebody_else_changes_workloads() -> None:
    for one, options, looks in (
        (mover(), {}, False),
        (mover(), {"mode": "render"}, True),
        (mover(**HELM), {}, True),
        (mover(**HELM), {"override_owner": True}, True),
        (mover(**HELM), {"until": "canary"}, False),
    ):
        found = PARTS["work"].looks_at({"until": "switch", **options}, observed(one), RUN)
        former = [each.name for each in found if each.name.startswith("revisions")]
        assert former == (["revisions: ReplicaSet"] if looks else [])


def test_the_owner_of_a_service_account_is_asked_to_annotate_it() -> None:
    """Who owns a workload mostly owns its account, too, and may take away what is not in its manifest."""
    owned = mover(**HELM, **READY, account_owner={"kind": "helm", "name": "shop/web"})
    (note,) = tried(seen(owned))["movers"][0]["notes"]
    assert note.startswith("ServiceAccount shop/web belongs to helm release shop/web; add ")
    assert "azure.workload.identity/client-id: 1 to its annotations" in note
