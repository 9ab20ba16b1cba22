# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each phase of the role workload_identity_migration does to which workload, and the way back."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.soaking import Soak
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.names import MIGRATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import Refused, Run
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.workload_identity_migration import (
    PARTS,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.workload_identity_phases import (
    credential_name,
)
from ansible_collections.azureops.pod_identity.tests.unit.deciding import CHECK, RUN, Raw
from ansible_collections.azureops.pod_identity.tests.unit.moving import (
    ALONE,
    BOTH,
    CLUSTER,
    ID,
    OWNED,
    advance,
    blocker,
    done,
    mover,
    observed,
    states,
    template,
    trust,
    work,
)
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table


def given_by(name: str) -> list[dict[str, str]]:
    """The AzureIdentity of a workload."""
    return [{"name": name, "replacement": ""}]


def test_the_whole_way_of_one_workload() -> None:
    known = work(mover())
    assert (states(known), known["message"], known["credentials"]) == (["planned"], "", [])
    (account,) = known["accounts"]
    made = {"namespace": "shop", "name": "web", "client_id": "1", "like": ""}
    assert account == {**made, "override_client_id": False, "movers": ["shop/Deployment/web"]}
    known = done(known, "account")
    assert (states(known), known["accounts"], known["canaries"]) == (["account"], [], [])
    (entry,) = known["credentials"]
    (credential,) = entry["credentials"]
    assert entry["identity_id"] == ID and credential["issuer"] == "https://issuer/"
    assert credential["name"] == credential_name(trust()) and credential["name"].startswith("azureops-")
    assert (credential["namespace"], credential["service_account"]) == ("shop", "web")
    known = done(known, "credential")
    assert (states(known), known["credentials"], known["waves"]) == (["credential"], [], [[]])
    (canary,) = known["canaries"]
    asked = {"namespace": "shop", "service_account": "web", "labels": {"app": "web"}, "allow_blocked_evictions": True}
    expect = {"path": "workload_identity", "client_id": "1"}
    assert canary["question"] == {**asked, "path": "workload_identity", "expect": expect}
    known = done(known, "canary")
    assert (states(known), known["canaries"]) == (["canary"], [])
    ((change,),) = known["waves"]
    said = (change["kind"], change["name"], change["service_account"], change["client_id"])
    assert said == ("Deployment", "web", "", "1")
    known = done(known, "switch")
    assert (states(known), known["waves"], known["rows"][0]["next"]) == (["switched"], [[]], "soak")
    assert not known["message"]


def test_nothing_is_left_to_do_for_one_that_is_switched() -> None:
    known = work(mover(**BOTH))
    lists = ("accounts", "credentials", "canaries", "azure", "kubernetes")
    assert [known[name] for name in lists] == [[]] * 5 and known["waves"] == [] and states(known) == ["switched"]


def test_an_account_of_its_own_takes_the_place_of_the_present_one() -> None:
    """It is looked at again until it serves, because a run that was killed may not have copied all rights."""
    own: Raw = {"service_account": "default", "new_service_account": "default-money"}
    for steps in (["service_account", "annotation", "credential", "label"], ["label"]):
        (account,) = work(mover(steps=steps, **own))["accounts"]
        assert (account["name"], account["like"]) == ("default-money", "default")
    known = done(done(work(mover(steps=["label"], **own)), "account"), "canary")
    assert known["waves"][0][0]["service_account"] == "default-money"
    assert work(mover(**{**own, "service_account": "default-money"}, **BOTH))["accounts"] == []


def test_another_client_id_is_replaced_where_the_plan_says_so() -> None:
    assert work(mover(told="7"))["accounts"][0]["override_client_id"]
    assert not work(mover(told="1"))["accounts"][0]["override_client_id"]


def test_those_of_one_account_and_one_identity_are_one_entry() -> None:
    both: Raw = {"service_account": "both", "new_service_account": "both"}
    known = work(mover("web", **both), mover("api", **both), mover("other"))
    assert [each["name"] for each in known["accounts"]] == ["both", "other"]
    known = done(known, "account")
    (entry,) = known["credentials"]
    assert [each["service_account"] for each in entry["credentials"]] == ["both", "other"]
    assert entry["movers"] == [f"shop/Deployment/{name}" for name in ("web", "api", "other")]


def test_whose_entry_failed_stops_alone() -> None:
    known = done(work(mover("web"), mover("api")), "account", "It may not.")
    assert known["message"] == "Deployment shop/web: It may not." and states(known) == ["planned", "account"]
    assert known["credentials"][0]["movers"] == ["shop/Deployment/api"]
    known = done(done(known, "credential"), "canary")
    assert [[one["name"] for one in wave] for wave in known["waves"]] == [[], ["api"]]


def test_a_change_that_has_begun_names_what_takes_it_back() -> None:
    known = done(work(mover(steps=["label"])), "canary")
    result = {"failed": True, "msg": "A pod got no token."}
    told = "Deployment shop/web: A pod got no token."
    assert advance(known, "switch", {"results": [result]})["message"] == told
    begun = {**result, "failed_action": "change Deployment shop/web (use Workload ID)"}
    told += " With workload_identity_migration_undo=true it goes back to what it was."
    assert advance(known, "switch", {"results": [begun]})["message"] == told


@pytest.mark.parametrize("phase", ["account", "credential", "switch"])
def test_what_is_behind_a_failure_that_ends_the_loop_goes_no_further(phase: str) -> None:
    """Whatever it has already: the account of one whose label alone is missing may lack rights."""
    own: Raw = {"service_account": "default", "new_service_account": "default-money"}
    of_own = {"steps": ["credential", "label"] if phase == "credential" else ["label"]}
    waves = [["shop/*/*"]]
    known = work(mover("web"), mover("own", **own, **of_own, credentials=[trust(identity_id="/i/2")]), waves=waves)
    for each in ("account", "credential", "canary", "switch"):
        known = done(known, each, *(["ended: Azure is away."] if each == phase else []), waves=waves)
        if each == phase:
            break
    why = "It was not tried, because what was done for Deployment shop/web before it failed."
    assert known["message"] == f"Deployment shop/web: ended: Azure is away. Deployment shop/own: {why}"
    lists = ("accounts", "credentials", "canaries")
    assert [known[name] for name in lists] == [[]] * 3 and known["waves"] in ([], [[]])


def test_a_loop_that_has_not_begun_ends_the_role() -> None:
    with pytest.raises(Failure, match="It has no value"):
        advance(work(mover()), "account", {"failed": True, "msg": "It has no value."})


def test_with_it_those_of_its_account_stop() -> None:
    both: Raw = {"service_account": "both", "new_service_account": "both", "steps": ["label"]}
    known = done(work(mover("web", **both), mover("api", **both)), "canary", "AADSTS700213")
    assert known["message"] == "Deployment shop/web: federation_refused: AADSTS700213"
    assert states(known) == ["credential", "blocked"] and "none goes without the other" in known["rows"][1]["why"]
    assert known["waves"] == [[]]


def test_how_many_exchanges_were_refused_is_told_where_it_goes_on() -> None:
    known = done(work(mover("a"), mover("b")), "account")
    proof = {"namespace": "shop", "asked": 50, "codes": {"AADSTS700213": 1}}
    exchanges = [
        {**proof, "service_account": "a", "granted": 49},
        {**proof, "service_account": "b", "granted": 50, "codes": {}},
    ]
    results = [{"item": known["credentials"][0], "exchanges": exchanges}]
    known = advance(known, "credential", {"results": results})
    assert states(known) == ["credential"] * 2 and known["message"] == ""
    assert [row["why"] for row in known["rows"]] == ["49 of 50 exchanges were granted (AADSTS700213).", ""]
    known = done(known, "canary")
    assert known["rows"][0]["why"] == "49 of 50 exchanges were granted (AADSTS700213)."


def test_a_canary_that_was_not_asked_proves_nothing() -> None:
    known = work(mover(steps=["label"]))
    for results in ({"tokens": [{"verdict": "not_verified", "message": "No room."}]}, {"msg": "No room."}):
        stopped = advance(known, "canary", results)
        assert stopped["message"] == "Deployment shop/web: not_verified: No room." and stopped["waves"] == [[]]
    unasked = {"tokens": [{"verdict": "not_verified", "message": "In check mode nothing is asked."}]}
    assert states(advance(known, "canary", unasked, CHECK)) == ["canary"]
    other = {"tokens": [{"verdict": "wrong_identity", "message": "It is another."}]}
    assert advance(known, "canary", other, CHECK)["message"]


def node(pool: str, ready: str = "True", taints: tuple[dict[str, str], ...] = ()) -> Raw:
    metadata = {"name": f"node-{pool}", "labels": {"agentpool": pool}}
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": metadata, "spec": {"taints": list(taints)}, "status": {"conditions": conditions}}


def test_each_pool_is_tried_that_pods_may_come_to() -> None:
    tainted = node("gpu", taints=({"key": "sku", "effect": "NoSchedule"},))
    known = work(mover(steps=["label"]), mover("api", steps=["label"]), nodes=[node("a"), node("b"), tainted])
    asked = [(each["mover"].rpartition("/")[2], each["question"]["node"]) for each in known["canaries"]]
    assert asked == [(name, f"node-{pool}") for name in ("web", "api") for pool in "ab"]
    stopped = done(known, "canary", "", "Entra cannot be reached.")
    assert stopped["message"] == "Deployment shop/web: federation_refused on node node-b: Entra cannot be reached."
    assert states(stopped) == ["credential", "canary"] and stopped["canaries"] == []
    assert [[one["name"] for one in wave] for wave in stopped["waves"]] == [[], ["api"]]
    assert states(done(known, "canary")) == ["canary", "canary"]
    unasked = advance(known, "canary", {"msg": "No rights."})
    assert unasked["rows"][0]["why"] == "not_verified: No rights."


def test_what_can_be_tried_nowhere_is_not_switched() -> None:
    both: Raw = {"service_account": "both", "new_service_account": "both", "steps": ["label"]}
    stopped = work(mover("web", **both), mover("api", **both), nodes=[node("a", ready="False")])
    assert states(stopped) == ["blocked", "blocked"] and stopped["canaries"] == [] and not stopped["message"]
    assert stopped["rows"][0]["next"] == "canary" and "No node is Ready" in stopped["rows"][0]["why"]
    # What does not need a node goes on before.
    known = done(work(mover(), nodes=[node("a", ready="False")]), "account")
    assert states(known) == ["account"] and states(done(known, "credential")) == ["blocked"]
    assert states(work(mover(steps=["label"]), nodes=[node("a", ready="False")], until="credential")) == ["credential"]
    # Where nobody may read nodes, or there are none, the scheduler chooses.
    assert "node" not in work(mover(steps=["label"]), nodes=[])["canaries"][0]["question"]


def test_the_first_workload_goes_alone() -> None:
    known = done(work(*(mover(name, steps=["label"]) for name in "abc")), "canary")
    assert [[one["name"] for one in wave] for wave in known["waves"]] == [["a"], ["b", "c"]]
    failed = done(known, "switch", "Its pods do not start.")
    assert failed["waves"] == [[], []] and "Its pods do not start." in failed["message"]
    assert failed["rows"][1]["why"] == "Wave 1 has failed, so that wave 2 was not begun."
    known = done(done(known, "switch"), "switch", "No.", "")
    assert states(known) == ["switched", "canary", "switched"] and known["message"] == "Deployment shop/b: No."


def test_waves_that_are_named() -> None:
    waves = [["shop/*/b"], ["shop/Deployment/[ac]"]]
    known = done(work(*(mover(name, steps=["label"]) for name in "abcd"), waves=waves), "canary", waves=waves)
    assert [[one["name"] for one in wave] for wave in known["waves"]] == [["b"], ["a", "c"]]
    assert known["rows"][3]["why"] == "No wave of workload_identity_migration_waves names it."
    both: Raw = {"service_account": "both", "new_service_account": "both"}
    with pytest.raises(Refused, match="Deployment shop/a, Deployment shop/b are to have ServiceAccount shop/both"):
        work(mover("a", **both), mover("b", **both), waves=waves)


def test_one_that_awaits_its_owner_is_prepared_and_tried_but_not_changed() -> None:
    known = done(done(done(work(mover(blocked=[OWNED])), "account"), "credential"), "canary")
    assert states(known) == ["awaiting_owner"] and known["waves"] == [] and not known["message"]
    assert "manifest_has_owner" in known["rows"][0]["why"]
    overridden = work(mover(steps=["label"], accepted=[OWNED]), override_owner=True)
    assert done(overridden, "canary", override_owner=True)["waves"][0][0]["override_owner"]


def test_what_is_accepted_reaches_the_module() -> None:
    accept = ["cannot_surge"]
    known = work(mover(steps=["label"], accepted=[blocker("own_client_id_differs")]), accept=accept)
    assert known["canaries"][0]["question"]["expect"] == {"path": "workload_identity"}
    ((change,),) = done(known, "canary", accept=accept)["waves"]
    assert (change["accept_gap"], change["client_id"]) == (True, "")


@pytest.mark.parametrize(("steps", "option"), [("issuer", "enable_issuer"), ("webhook", "enable_webhook")])
def test_what_the_cluster_lacks_is_enabled_only_where_that_is_said(steps: str, option: str) -> None:
    lacking = mover(steps=[steps, "annotation", "label"])
    known = work(lacking)
    assert states(known) == ["blocked"] and f"workload_identity_migration_{option}=true" in known["rows"][0]["why"]
    assert not known[steps] and known["accounts"] == []
    enabled: Raw = {option: True}
    known = work(lacking, **enabled)
    assert known[steps] and known["accounts"] == []
    (need,) = known["azure"][:1]
    assert need["actions"] == ["Microsoft.ContainerService/managedClusters/write"] and need["scope"] == CLUSTER["id"]
    predicted = advance(known, steps, {}, CHECK)
    assert [each["name"] for each in predicted["accounts"]] == ["web"] and states(predicted) == ["planned"]


def test_check_mode_predicts_all_that_follows_an_issuer_and_a_webhook() -> None:
    """Both to come, the name and the issuer of a credential are not known, and no pod can be tried."""
    steps = ["issuer", "webhook", "annotation", "credential", "label"]
    several = [mover(name, steps=steps, credentials=[trust(name, issuer="")]) for name in ("web", "api")]
    waves = [["shop/*/*"]]
    known = work(*several, run=CHECK, enable_issuer=True, enable_webhook=True, waves=waves)
    for phase in ("issuer", "webhook"):
        assert known[phase] and not known["accounts"]
        known = advance(known, phase, {}, CHECK, waves=waves)
    known = advance(known, "account", {"results": [{}, {}]}, CHECK, waves=waves)
    (entry,) = known["credentials"]
    assert [(each["name"], each["issuer"]) for each in entry["credentials"]] == [("(known after apply)",) * 2] * 2
    assert [each["service_account"] for each in entry["credentials"]] == ["web", "api"]
    known = advance(known, "credential", {"results": [{}]}, CHECK, waves=waves)
    unasked = {"tokens": [{"verdict": "not_verified", "message": "In check mode nothing is asked."}] * 2}
    known = advance(known, "canary", unasked, CHECK, waves=waves)
    ((web, api),) = known["waves"]
    assert web["assume_webhook"] and api["assume_webhook"] and web["client_id"] == ""
    known = advance(known, "switch", {"results": [{}, {}]}, CHECK, waves=waves)
    assert states(known) == ["switched"] * 2 and not known["message"]


def test_nothing_is_assumed_of_a_webhook_that_is_there() -> None:
    known = work(mover(steps=["issuer", "label"]), run=CHECK, enable_issuer=True)
    known = advance(known, "issuer", {}, CHECK)
    unasked = {"tokens": [{"verdict": "not_verified", "message": "In check mode nothing is asked."}]}
    assert not advance(known, "canary", unasked, CHECK)["waves"][0][0]["assume_webhook"]


def test_what_no_scale_set_has_is_given_to_nobody_whom_the_operator_does_not_name() -> None:
    """Any tenant may write an AzureIdentity, also of what MIC may not assign."""
    carrier = {"resources": [{"identities": [{"id": ID.upper()}]}]}
    for attached in (carrier, None):  # before the phase that grants it nobody asks
        assert states(work(mover(), attached=attached)) == ["planned"]
    refused = {"failed": True, "msg": "The scale sets could not be read.", "resources": []}
    unread: Raw
    for unread in ({"resources": []}, refused):
        known = work(mover(), mover("done", steps=["label"]), attached=unread)
        assert states(known) == ["blocked", "credential"] and known["accounts"] == known["credentials"] == []
        assert "No scale set of prod has money, so nothing proves" in known["rows"][0]["why"]
        assert ("could not be read" in known["rows"][0]["why"]) == (unread is refused)
        named = work(mover(), attached=unread, identities=[ID])
        assert states(named) == ["planned"]
        assert states(work(mover(), attached=unread, identities=["money"])) == ["blocked"]


def test_whose_pods_were_never_admitted_gets_no_credential_unless_the_operator_names_it() -> None:
    """An admission policy may keep a tenant from pods with the label, but not from the workloads that ask for them."""
    known = work(mover(), mover("api"), admitted=["api"])
    assert states(known) == ["blocked", "planned"]
    assert [each["name"] for each in known["accounts"]] == ["api"]
    why = known["rows"][0]["why"]
    assert why.startswith("No pod of it has ever been admitted with its present template, so nothing proves that it ")
    assert "workload_identity_migration_workloads as shop/Deployment/web" in why
    assert states(work(mover(), admitted=[], workloads=["shop/*/web"])) == ["blocked"]
    assert states(work(mover(), admitted=[], workloads=["shop/Deployment/web"])) == ["planned"]
    assert states(work(mover(credentials=[]), admitted=[])) == ["planned"], "it has one"


APP = "5f6b5c2e-7f0c-4b57-9a41-6d2b6a0e9d51"


def of_principal(account: str = "web", **changed: str) -> dict[str, str]:
    return trust(account, **{"identity_id": "", "app_id": APP, "tenant_id": "t", "client_id": APP, **changed})


def of_azure_identities(*names: str) -> list[Raw]:
    """What the plan tells of an application, beside what others name in vain."""
    rows = [
        {"identity_id": "", "client_id": APP.upper(), "azure_identities": list(names)},
        {"identity_id": "", "client_id": "7", "azure_identities": ["tenant/other"]},
        {"identity_id": ID, "client_id": APP, "azure_identities": ["tenant/managed"]},
    ]
    return [{**row, "credentials_used": None} for row in rows]


def test_an_application_is_given_to_nobody_whom_the_operator_does_not_name() -> None:
    """Any tenant may write an AzureIdentity of type 1 with its client id."""
    several = (mover(credentials=[of_principal()]), mover("done", steps=["label"], credentials=[of_principal("done")]))
    attached = {"resources": [{"identities": [{"id": ID}]}]}
    known = work(*several, attached=attached, until="finish")
    assert states(known) == ["blocked", "credential"] and known["accounts"] == [] and known["rows"][0]["next"]
    assert "name the client id in workload_identity_migration_identities" in known["rows"][0]["why"]
    assert states(work(several[0], identities=[APP.upper()])) == ["planned"]
    # No other name says whose application it is.
    assert states(work(several[0], identities=["shop/money"])) == ["blocked"]
    assert states(work(several[0], replacements={"shop/money": ID})) == ["blocked"]


def test_of_several_who_name_an_application_those_have_it_whom_the_operator_names() -> None:
    """Only one of them may know its secret."""
    right = mover(credentials=[of_principal()], identities=given_by("shop/money"))
    tenant = mover("evil", credentials=[of_principal("evil")], identities=given_by("shop/evil"))
    assert states(work(right, identities=[APP], applications=of_azure_identities("shop/money"))) == ["planned"]
    told = work(right, tenant, identities=[APP], applications=of_azure_identities("shop/evil", "shop/money"))
    assert states(told) == ["blocked", "blocked"]
    assert "AzureIdentity shop/evil, shop/money have the client id" in told["rows"][0]["why"]
    named = [APP, "shop/money"]
    told = work(right, tenant, identities=named, applications=of_azure_identities("shop/evil", "shop/money"))
    assert states(told) == ["planned", "blocked"]


def test_the_whole_way_of_an_application() -> None:
    """And of a workload that gets a managed identity beside it; no scale set is looked at for an application."""
    options: Raw = {"identities": [APP, ID]}
    both = mover("both", credentials=[trust("both"), of_principal("both")])
    known = work(mover(credentials=[of_principal()]), both, **options)
    assert [each["scope"] for each in known["azure"]][1:] == [ID]
    assert known["graph"] == [{"application": APP, "permission": "Application.ReadWrite.OwnedBy"}]
    assert work(mover(credentials=[of_principal()]), identities=[APP])["azure"] == []
    assert work(mover(credentials=[of_principal()]), identities=[APP], until="account")["graph"] == []
    known = done(known, "account", **options)
    assert [each["movers"] for each in known["credentials"]] == [["shop/Deployment/both"]]
    known = done(known, "credential", **options)
    assert states(known) == ["account", "account"] and known["credentials"] == []
    (entry,) = known["applications"]
    assert (entry["app_id"], entry["tenant_id"]) == (APP, "t")
    assert [each["service_account"] for each in entry["credentials"]] == ["web", "both"]
    assert entry["credentials"][0]["name"] == credential_name(of_principal())
    failed = advance(known, "application", {"results": [{"failed": True, "msg": "It is not yours."}]}, **options)
    assert states(failed) == ["account", "account"] and "It is not yours." in failed["message"]
    proof = {"namespace": "shop", "service_account": "web", "asked": 3, "granted": 2, "codes": {"AADSTS700213": 1}}
    known = advance(known, "application", {"results": [{"item": entry, "exchanges": [proof]}]}, **options)
    assert states(known) == ["credential", "credential"] and known["applications"] == []
    assert known["rows"][0]["why"] == "2 of 3 exchanges were granted (AADSTS700213)."
    assert len(known["canaries"]) == 2


def test_a_managed_identity_in_the_place_of_another_is_named_by_that() -> None:
    none: Raw = {"resources": []}
    assert states(work(mover(), attached=none)) == ["blocked"]
    known = work(mover(), attached=none, replacements={"shop/money": ID.upper()})
    assert states(known) == ["planned"]


def test_an_annotation_alone_grants_no_identity() -> None:
    """A tenant may name any client id there."""
    for until in ("credential", "finish"):
        known = work(mover(uses="nothing", selector="", identities=[]), mover("own"), until=until)
        assert states(known) == ["blocked", "planned"] and "names money, and AAD Pod" in known["rows"][0]["why"]
        known = done(known, "account", until=until)
        assert [each["movers"] for each in known["credentials"]] == [["shop/Deployment/own"]]
    named = mover(uses="nothing", selector="", identities=[], credentials=[of_principal()])
    assert "application_federated_credential" in work(named, identities=[APP])["rows"][0]["why"]
    trusted = mover(steps=["annotation", "label"], uses="nothing", selector="", identities=[])
    assert states(work(trusted)) == ["planned"]
    # The account has it by another workload.
    mate = mover("mate", service_account="web", new_service_account="web", uses="nothing", selector="", identities=[])
    assert states(work(mover(), mate)) == ["planned", "planned"]


def test_check_mode_expects_no_client_id_of_an_account_that_does_not_tell_it_yet() -> None:
    known = work(mover(steps=["annotation", "label"]), run=CHECK)
    known = advance(known, "account", {"results": [{"item": known["accounts"][0]}]}, CHECK)
    unasked = {"tokens": [{"verdict": "not_verified", "message": "In check mode nothing is asked."}]}
    assert advance(known, "canary", unasked, CHECK)["waves"][0][0]["client_id"] == ""


def test_scope() -> None:
    other = mover("api", identities=given_by("shop/post"), credentials=[trust("api", identity_id=f"{ID}2")])
    several = (mover("web"), other)
    scopes: list[Raw] = [{"workloads": ["shop/Deployment/web"]}]
    scopes += [{"identities": ["shop/money"]}, {"identities": ["money"]}]
    for options in scopes:
        assert [row["workload"] for row in work(*several, **options)["rows"]] == ["Deployment shop/web"]
    assert len(work(*several, workloads=["shop/*/*"])["rows"]) == 2
    with pytest.raises(Refused) as refused:
        work(*several, workloads=["shop/Deployment/wbe"], identities=["mony"])
    assert ["wbe" in refused.value.sentences[0], "mony" in refused.value.sentences[1]] == [True, True]


def test_one_of_a_shared_account_does_not_go_without_the_one_that_is_left_out() -> None:
    both: Raw = {"service_account": "both", "new_service_account": "both"}
    known = work(mover("web", **both), mover("api", **both), workloads=["shop/Deployment/web"])
    assert states(known) == ["blocked"] and "is left out of this run" in known["rows"][0]["why"]


def test_a_run_ends_where_it_is_told_to() -> None:
    for until, lists in {"plan": [], "account": ["accounts"]}.items():
        known = work(mover(), until=until)
        assert [name for name in ("accounts", "kubernetes") if known[name]] == [
            *lists,
            *(["kubernetes"] if lists else []),
        ]
        assert known["waves"] == []
    tagged = work(mover(), run=Run(tags=("workload_identity_migration_credential",)))
    assert tagged["phases"] == ["credential"] and tagged["accounts"] == []


def test_all_that_is_needed_is_asked_for_before_the_first_write() -> None:
    known = work(mover("web"), mover("done", **BOTH), mover("stopped", blocked=[blocker()]))
    asked_of_azure = {each["scope"]: list(each["actions"]) for each in known["azure"]}
    assert list(asked_of_azure) == ["/subscriptions/s/resourceGroups/nodes", ID]
    assert asked_of_azure[ID] == ["Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write"]
    asked = {(each["resource"], each["subresource"]) for each in known["kubernetes"]}
    assert asked == {
        *(("serviceaccounts", ""), ("serviceaccounts", "token"), ("jobs", ""), ("pods", "log"), ("services", "")),
        *(("deployments", ""), ("pods", ""), ("nodes", "")),
    }
    assert {each["namespace"] for each in known["kubernetes"] if each["resource"] != "nodes"} == {"shop"}
    own = work(mover(service_account="default", new_service_account="default-money"), until="account")["kubernetes"]
    assert [(each["resource"], each["namespace"]) for each in own if "create" in each["verbs"]] == [
        *(("serviceaccounts", "shop"), ("subjectaccessreviews", "")),
        *(("rolebindings", "other"), ("clusterrolebindings", "")),
    ]
    # No probe runs.
    assert "jobs" not in {each["resource"] for each in work(mover(), run=CHECK)["kubernetes"]}


# what gives up AAD Pod Identity


SOAKED = Soak(2, "2026-11-30T01:00:00Z", "2026-11-30T01:00:00Z", 9000).view()


def soak(known: Raw, run: Run = RUN, until: str = "leave", seconds: int = 7200, **seen: Any) -> Raw:
    looked = {"soaks": [{**each, **SOAKED, **seen} for each in known["soaking"]]}
    return PARTS["soak"].plan({"until": until, "soak_seconds": seconds}, {"work": known, "looked": looked}, run)


def gone(
    known: Raw, *assigned: str, home: str = "default", ended: tuple[Raw, ...] = (), jobs: tuple[Raw, ...] = ()
) -> Raw:
    metadata = {"namespace": "shop", "name": "new", "labels": {"aadpodidbinding": "shop"}}
    served = [{"metadata": {"namespace": home}, "spec": {"podNamespace": "shop", "pod": each}} for each in assigned]
    pods = [{"metadata": metadata, "status": {"phase": "Running"}}, *ended]
    found = {"work": known, "assigned": {"resources": served}, "pods": {"resources": pods}, "began": 5}
    found["jobs"] = {"resources": list(jobs)}
    return PARTS["gone"].plan({"until": "leave"}, found, RUN)


def leave(known: Raw, run: Run = RUN, **options: Any) -> Raw:
    results = [{"item": item} for item in known["leaving"]]
    return advance(known, "leave", {"results": results}, run, **{"until": "leave", **options})


def test_what_a_soak_looks_at() -> None:
    known = work(mover("web", **BOTH), mover("new", steps=["label"]), until="soak")
    assert known["soaking"] == [{"kind": "Deployment", "namespace": "shop", "name": "web"}]
    assert work(mover("web", **BOTH), until="switch")["soaking"] == []
    # A run that ends with it waits for nothing, and the youngest pod may have been replaced once.
    assert known["soak_timeout"] == 0
    assert work(mover("web", **BOTH), until="leave", soak_seconds=3600)["soak_timeout"] == 3720
    # What the modules do not take keeps no other from going on.
    known = work(mover("web", **BOTH), mover("once", kind="Job", **BOTH), until="leave")
    assert [each["name"] for each in known["soaking"]] == ["web"]
    assert "What a Job has is not changed by this role" in known["rows"][1]["why"]


def test_it_leaves_after_its_soak() -> None:
    known = work(mover(**BOTH), until="leave")
    assert known["leaving"] == []
    known = soak(known)
    assert states(known) == ["soaking"] and known["rows"][0]["next"] == "leave"
    assert [each["name"] for each in known["leaving"]] == ["web"]
    known = leave(known)
    assert states(known) == ["left"] and known["leaving"] == [] and known["rows"][0]["next"] == "finish"
    known = gone(known, "new")
    (canary,) = known["left"]
    assert not known["again"] and canary["question"]["path"] == "workload_identity"
    lost = advance(known, "left", {"tokens": [{"verdict": "federation_refused", "message": "No."}]}, until="leave")
    assert "federation_refused: No." in lost["message"]
    kept = advance(known, "left", {"tokens": [{"verdict": "ok", "message": ""}]}, until="leave")
    assert states(kept) == ["left"] and not kept["message"] and not kept["left"]


def test_one_whose_run_ended_before_the_proof_is_proved_by_the_next() -> None:
    gone_before = mover(uses="workload_identity", steps=[], selector="")
    for until in ("leave", "finish"):
        known = work(gone_before, until=until, marks={"web": {"aadpodidbinding": "billing"}})
        assert states(known) == ["left"] and len(known["left"]) == 1
        rights = [(each["resource"], each["namespace"]) for each in known["kubernetes"]]
        assert ("jobs", "shop") in rights and ("deployments", "shop") not in rights
        assert gone(known, "web-old")["again"]
        known = gone(known)
        lost = advance(known, "left", {"tokens": [{"verdict": "federation_refused", "message": "No."}]}, until=until)
        assert lost["message"] and not lost["finishes"]
        kept = advance(known, "left", {"tokens": [{"verdict": "ok", "message": ""}]}, until=until)
        assert not kept["message"] and not kept["left"] and kept["finishes"] == (until == "finish")
    assert work(gone_before, until="leave")["left"] == []  # this collection has not changed it
    assert work(gone_before, until="soak", marks={"web": {"aadpodidbinding": "billing"}})["left"] == []


def test_who_has_not_used_it_for_long_enough_does_not_leave() -> None:
    for until in ("soak", "leave"):
        known = soak(work(mover(**BOTH), until=until), until=until, seconds=10000)
        assert known["leaving"] == [] and states(known) == ["soaking"]
        assert known["rows"][0]["why"] == "9000 of 10000 seconds are over, since 2026-11-30T01:00:00Z."
    unproved = soak(work(mover(**BOTH), until="leave"), unproved="A log was not read.")
    assert unproved["leaving"] == [] and unproved["rows"][0]["why"] == "A log was not read."
    known = soak(work(mover(**BOTH), until="leave"), pods=0, seconds=0)
    assert known["leaving"] and "No pod of it ran, so that its soak proves nothing." in known["rows"][0]["why"]
    missing = soak(work(mover(**BOTH), until="leave"), pods=0, seconds=0, unproved="Of 2 pods it has none.")
    assert not missing["leaving"] and missing["rows"][0]["why"] == "Of 2 pods it has none."


def test_one_that_is_deleted_meanwhile_stops_no_other() -> None:
    known = work(mover(**BOTH), mover("two", **BOTH), until="leave")
    soaks = [{**each, **SOAKED, "exists": each["name"] == "two"} for each in known["soaking"]]
    known = PARTS["soak"].plan({"until": "leave"}, {"work": known, "looked": {"soaks": soaks}}, RUN)
    assert [each["name"] for each in known["leaving"]] == ["two"]
    assert known["message"] == "Deployment shop/web: It was deleted while the run lasted; see who deletes it."


def test_a_token_of_nmi_ends_it() -> None:
    taken = [{"pod": "shop/web-1", "node": "n", "count": 1, "last": "2026-11-30T02:00:00Z"}]
    known = soak(work(mover(**BOTH), until="leave"), tokens=taken)
    assert not known["leaving"]
    assert "NMI gave Pod shop/web-1 a token at 2026-11-30T02:00:00Z" in known["message"]


def test_a_shortened_soak_is_told() -> None:
    known = soak(work(mover(**BOTH), until="leave"), seconds=20)
    assert known["rows"][0]["why"] == "Its soak was shortened to 20 seconds." and known["leaving"]


def test_check_mode_does_not_wait_for_a_soak() -> None:
    known = soak(work(mover(**BOTH), until="leave", run=CHECK), CHECK, unproved="It does not run.")
    assert known["leaving"]


def test_what_is_in_the_way_of_leaving() -> None:
    blocked = soak(work(mover(**BOTH, blocked=[blocker("falls_back_to_node", "leave")]), until="leave"))
    assert blocked["leaving"] == [] and "falls_back_to_node" in blocked["rows"][0]["why"]
    owned = soak(work(mover(**BOTH, owner={"kind": "helm", "name": "shop/web"}), until="leave"))
    assert owned["leaving"] == [] and states(owned) == ["awaiting_owner"]
    assert "helm shop/web" in owned["rows"][0]["why"]


def test_mic_that_keeps_an_identity_is_waited_for() -> None:
    known = gone(leave(soak(work(mover(**BOTH), until="leave"))), "new", "web-old")
    assert known["again"] and known["left"] == [] and known["end"] == 305
    assert "shop/web-old" in known["message"]
    left = leave(soak(work(mover(**BOTH), until="leave")))
    assert gone(left, "web-old", home="shop")["again"] and not gone(left, "web-old", home="tenant")["again"]


def made_by(kind: str, maker: str, name: str, **status: str) -> Raw:
    owner = {"kind": kind, "name": maker, "controller": True}
    labels = {"aadpodidbinding": "shop", "pod-template-hash": "1"}
    metadata = {"namespace": "shop", "name": name, "ownerReferences": [owner], "labels": labels}
    return {"metadata": metadata, "status": status}


def test_ended_pods_of_neighbours_hold_nobody_up() -> None:
    """MIC keeps what they had until they are deleted, as it is made; they belong to others, and are not gone."""
    left = leave(soak(work(mover(**BOTH), until="leave")))
    neighbour = made_by("Job", "nightly-1", "nightly-1-a", phase="Succeeded")
    known = gone(
        left, "nightly-1-a", "other-gone", ended=(neighbour,), jobs=(made_by("CronJob", "nightly", "nightly-1"),)
    )
    assert not known["again"] and not known["message"] and len(known["left"]) == 1
    assert known["rows"][0]["why"] == ""


def test_ended_pods_of_its_own_are_told_with_what_to_do() -> None:
    """The proof of its token is made all the same."""
    remedy = "Delete the ended pods, or set ttlSecondsAfterFinished, so that MIC takes their assignments back."
    left = leave(soak(work(mover(**BOTH), until="leave")))
    evicted = made_by("ReplicaSet", "web-1", "web-1-a", phase="Failed")
    known = gone(left, "web-1-a", ended=(evicted,))
    assert not known["again"] and not known["message"] and len(known["left"]) == 1
    assert known["rows"][0]["why"] == f"Its pods shop/web-1-a have ended and hold their identities still. {remedy}"
    nightly = leave(soak(work(mover("nightly", kind="CronJob", **BOTH), until="leave")))
    ended = made_by("Job", "by-hand", "by-hand-a", phase="Succeeded")
    known = gone(nightly, "by-hand-a", ended=(ended,), jobs=(made_by("CronJob", "nightly", "by-hand"),))
    assert known["rows"][0]["why"].startswith("Its pods shop/by-hand-a have ended")


def test_pods_that_are_being_deleted_are_waited_for() -> None:
    """Also one whose containers have ended: the kubelet tells that before the pod is gone."""
    left = leave(soak(work(mover(**BOTH), until="leave")))
    going = made_by("ReplicaSet", "web-1", "web-1-a", phase="Succeeded")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    known = gone(left, "web-1-a", ended=(going,))
    assert known["again"] and not known["message"] and len(known["left"]) == 1
    told = "Its pods shop/web-1-a are being deleted and hold their identities until they are gone."
    assert known["rows"][0]["why"] == told


def test_aad_pod_identity_goes_when_nothing_needs_it() -> None:
    alone = mover(uses="workload_identity", steps=[], selector="")
    known = work(alone, until="finish")
    assert known["finishes"] and not known["rows"][0]["why"]
    finished = advance(known, "finish", {}, until="finish")
    assert states(finished) == ["finished"] and not finished["finishes"]
    node = template("node", uses="node", selector="", blocked=[blocker("takes_node_identity", "finish")])
    cases: list[tuple[tuple[Raw, ...], Raw]] = [
        ((alone, mover("web2", **BOTH)), {}),
        ((alone, node), {}),
        ((alone,), {"namespaces": ["shop"]}),
        ((alone, mover("other")), {"workloads": ["shop/Deployment/web"]}),
    ]
    for several, options in cases:
        kept = work(*(dict(each) for each in several), until="finish", **options)
        assert not kept["finishes"] and "may need AAD Pod Identity, so it stays." in kept["rows"][0]["why"], options
    needing = [template(name, uses="node", selector="", blocked=node["blocked"]) for name in "abcde"]
    kept = work(alone, *needing, until="finish")["rows"][0]["why"]
    assert all(f"Deployment shop/{name}" in kept for name in "abcde"), kept
    assert not work(until="finish")["finishes"]
    tagged = work(alone, until="finish", run=Run(tags=("workload_identity_migration_finish",)))
    assert not tagged["finishes"] and "--tags" in tagged["rows"][0]["why"]
    known = soak(work(mover(**BOTH), until="finish", run=CHECK), CHECK, until="finish")
    predicted = leave(known, run=CHECK, until="finish")
    assert states(predicted) == ["left"] and not predicted["finishes"]
    assert predicted["rows"][0]["why"] == "What goes is known once it has left."


def test_a_consumer_that_asks_aad_pod_identity_keeps_it() -> None:
    alone = mover(uses="workload_identity", steps=[], selector="")
    what = {"object": "TriggerAuthentication shop/queue", "setting": "spec.podIdentity.provider: azure"}
    asks = {**what, "workloads": [], "blocks_finish": True}
    known = work(dict(alone), until="finish", consumers=[asks])
    assert not known["finishes"] and not known["may_finish"]
    why = "TriggerAuthentication shop/queue (spec.podIdentity.provider: azure) may need AAD Pod Identity, so it stays."
    assert known["rows"][0]["why"] == why
    assert work(dict(alone), until="finish", consumers=[{**asks, "blocks_finish": False}])["finishes"]


def test_what_it_takes_to_finish_is_asked_for_where_that_may_come() -> None:
    assert work(mover(), mover("b", **BOTH), until="finish")["may_finish"]
    assert not work(mover(), until="leave")["may_finish"] and not work(until="finish")["may_finish"]
    for stopped in (
        mover(blocked=[blocker()]),
        mover(blocked=[blocker(stage="leave")]),
        mover(blocked=[blocker(stage="finish")]),
        mover(blocked=[OWNED]),
    ):
        assert not work(stopped, mover("b", **BOTH), until="finish")["may_finish"], stopped
    assert not work(mover(), until="finish", namespaces=["shop"])["may_finish"]


def test_what_the_last_phases_need() -> None:
    seen = observed(mover(**BOTH), nmi={"installations": [{"namespace": "kube-system"}]})
    needs = PARTS["work"].plan({"until": "leave"}, seen, RUN)["kubernetes"]
    assert [(each["resource"], each["subresource"], each["namespace"]) for each in needs] == [
        ("pods", "log", "kube-system"),
        ("azureassignedidentities", "", ""),
        *(("jobs", "", "shop"), ("pods", "log", "shop"), ("services", "", "shop")),
        ("deployments", "", "shop"),
    ]
    # No probe runs.
    needs = PARTS["work"].plan({"until": "leave"}, seen, CHECK)["kubernetes"]
    assert "jobs" not in {each["resource"] for each in needs}
    names = [each.module for each in PARTS["work"].looks_at({"until": "soak"}, observed(mover()), RUN)]
    assert names == ["kubernetes_object_info", "kubernetes_object_info", "nmi_info", "vmss_identity_info"]


CONFIRM = {"until": "leave", "soak_seconds": 3600}


@table(
    "options, run, reason",
    ({"until": "leave"}, RUN, "_confirm=prod, or look first with --check"),
    ({**CONFIRM, "confirm": "test"}, RUN, "_confirm=prod"),
    ({**CONFIRM, "confirm": "prod"}, RUN, ""),
    (CONFIRM, CHECK, ""),
    ({"until": "soak", "soak_seconds": 3599}, RUN, "_shorten_soak=true"),
    ({"until": "soak", "soak_seconds": 20, "shorten_soak": True}, RUN, ""),
    ({"until": "switch", "soak_seconds": 20}, RUN, ""),
    ({"until": "credential", "exchange_samples": 0}, RUN, "what nobody has tried is not proved"),
    ({"until": "credential", "exchange_min_rate": 0}, RUN, "give more than 0"),
    ({"until": "account", "exchange_samples": 0}, RUN, ""),
    ({"until": "account", "files": ["/a.json"]}, RUN, "or end with plan"),
    ({"undo": True, "files": ["/a.json"]}, RUN, "leave them out"),
    ({"replacements": {"shop/money": ID}, "until": "account"}, RUN, ""),
)
def test_options(options: Raw, run: Run, reason: str) -> None:
    def checked() -> Raw:
        return PARTS["options"].plan(options, {"cluster_name": "prod"}, run)

    if reason:
        with pytest.raises(Refused) as refused:
            checked()
        assert reason in str(refused.value)
    else:
        assert checked()["changes"] and [each["resource"] for each in checked()["kubernetes"]] == ["leases"]


def test_no_cluster_in_azure() -> None:
    with pytest.raises(Refused, match="No cluster is named"):
        done(work(mover(steps=["credential", "label"]), cluster={}), "account")
    assert states(work(mover(steps=["label"]), cluster={})) == ["credential"]


# the way back

MARKED = {"label": None, "service_account": "default", "service_account_set": "default-money"}
API = "shop/Deployment/api"
OWN: Raw = {"service_account": "default-money", "new_service_account": "default-money"}


def undo(*templates: Raw, marks: dict[str, object] | None = None, kinds: Any = None, **options: Any) -> Raw:
    metadata = {"namespace": "shop", "name": "default-money", "annotations": {MIGRATION: '{"like":"default"}'}}
    more: dict[str, Any] = {
        "accounts": {"resources": [{"metadata": metadata}, {"metadata": {"namespace": "shop", "name": "web"}}]},
        "nmi": {"installations": options.pop("installations", [{"namespace": "kube-system"}])},
        "pods": {"resources": options.pop("pods", [])},
        "jobs": {"resources": options.pop("jobs", [])},
    }
    return PARTS["undo"].plan(options, observed(*templates, marks=marks, kinds=kinds, **more), options.pop("run", RUN))


def undone(known: Raw, phase: str, result: Any, run: Run = RUN, **seen: Any) -> Raw:
    """``result``: of a loop it is the list of its results."""
    told = {"results": result} if isinstance(result, list) else result
    looked = {name: {"resources": each} for name, each in seen.items()}
    return PARTS["undone"].plan({}, {"work": known, "phase": phase, "result": told, **looked}, run)


def ours(account: str = "default-money") -> dict[str, str]:
    return trust(account, state="exists", credential=credential_name(trust(account)))


def original(known: Raw, stage: str = "original", **more: Any) -> list[Raw]:
    return [{"item": item, "workload": {"stage": stage}, **more} for item in known["workloads"]]


SERVED = {"tokens": [{"verdict": "ok", "message": ""}]}


def test_the_whole_way_back() -> None:
    """What the pods need of Workload ID stays until NMI serves them."""
    known = undo(mover(**OWN, **BOTH, credentials=[ours()]), marks={"web": MARKED})
    assert (
        [each["name"] for each in known["workloads"]] == ["web"] and not known["credentials"] and not known["accounts"]
    )
    assert [each["scope"] for each in known["azure"]] == [ID]
    resources = [(each["resource"], each["namespace"]) for each in known["kubernetes"]]
    assert resources == [
        *(("deployments", "shop"), ("jobs", "shop"), ("pods", "shop"), ("services", "shop")),
        *(("serviceaccounts", "shop"), ("pods", "shop"), ("rolebindings", "other"), ("clusterrolebindings", "")),
    ]
    known = undone(known, "workloads", original(known))
    assert states(known) == ["original"] and not known["credentials"] and not known["workloads"]
    (question,) = known["questions"]
    assert question["question"]["selector"] == "shop" and question["question"]["path"] == "pod_identity"
    assert not known["served"]
    known = undone(known, "tokens", SERVED)
    assert [(each["kind"], each["name"]) for each in known["served"]] == [("Deployment", "web")]
    known = undone(known, "served", [{"item": item} for item in known["served"]])
    assert known["credentials"] == [
        {"identity_id": ID, "credentials": [{"name": ours()["credential"]}], "movers": ["shop/Deployment/web"]}
    ]
    known = undone(known, "credentials", [{"item": item} for item in known["credentials"]])
    assert known["accounts"] == [{"namespace": "shop", "name": "default-money", "movers": ["shop/Deployment/web"]}]
    known = undone(known, "accounts", [{"item": item} for item in known["accounts"]])
    assert states(known) == ["original"] and not known["message"] and not known["rows"][0]["why"]


@pytest.mark.parametrize("mark", [{"unproved": True}, {"unproved": True, "strategy": {"maxUnavailable": 1}}])
def test_a_run_that_was_cut_before_the_proof_is_proved_by_the_next_one(mark: dict[str, object]) -> None:
    """Nothing but the mark tells it where account and credential are others', or are gone."""
    template = mover(service_account="default", new_service_account="default-money", credentials=[ours()])
    known = undo(template, marks={"web": mark})
    assert len(known["workloads"]) == 1 and not known["credentials"] and not known["questions"]
    assert ("deployments", "shop") in [(each["resource"], each["namespace"]) for each in known["kubernetes"]]
    known = undone(known, "workloads", original(known))
    assert known["questions"][0]["question"]["selector"] == "shop"
    assert [known[name] for name in ("served", "credentials", "accounts")] == [[]] * 3
    refused = undone(known, "tokens", {"tokens": [{"verdict": "pod_unknown", "message": "No."}]})
    assert "No." in refused["message"]
    assert [refused[name] for name in ("served", "credentials", "accounts")] == [[]] * 3
    served = undone(known, "tokens", SERVED)
    assert [len(served[name]) for name in ("served", "credentials", "accounts")] == [1] * 3
    failed = undone(served, "served", [{"item": served["served"][0], "failed": True, "msg": "Forbidden."}])
    assert failed["message"] == "Deployment shop/web: Forbidden." and not failed["credentials"]
    # Nor does another that has the account take it away, nor is there a proof without AAD Pod Identity.
    shared = undo(mover("api", **OWN, credentials=[ours()]), template, marks={"web": mark}, workloads=[API])
    assert not shared["credentials"] and not shared["accounts"]
    gone = undo(template, marks={"web": mark}, installations=[])
    assert "AAD Pod Identity is not in the cluster" in gone["message"] and not gone["credentials"]


def test_what_is_proved_is_not_asked_again() -> None:
    known = undo(mover(service_account="default", new_service_account="default-money"))
    assert not known["workloads"] and not known["questions"] and not known["served"]


def test_the_way_back_of_an_application() -> None:
    """What somebody else has made of it stays."""
    name = credential_name(of_principal("default-money"))
    mine = of_principal("default-money", state="exists", credential=name)
    known = undo(mover(**OWN, **BOTH, credentials=[mine]), marks={"web": MARKED})
    assert known["azure"] == [] and known["applications"] == []
    assert known["graph"] == [{"application": APP, "permission": "Application.ReadWrite.OwnedBy"}]
    known = undone(undone(known, "workloads", original(known)), "tokens", SERVED)
    assert known["credentials"] == [] and known["applications"] == [
        {"app_id": APP, "credentials": [{"name": name}], "movers": ["shop/Deployment/web"]}
    ]
    failed = undone(known, "applications", [{"failed": True, "msg": "It is not yours."}])
    assert failed["accounts"] == [] and "It is not yours." in failed["message"]
    assert undone(known, "applications", [{"item": known["applications"][0]}])["accounts"]
    theirs = undo(mover(new_service_account="default-money", credentials=[{**mine, "credential": "by-hand"}]))
    assert theirs["applications"] == [] and theirs["accounts"] and theirs["graph"] == []


@pytest.mark.parametrize(("told", "stays"), [("", False), ("1", False), ("7", True)])
def test_what_trusts_a_client_id_of_nobody_stays_and_is_told(told: str, stays: bool) -> None:
    """As that of a managed identity in the place of another, which is not named for the way back."""
    known = undo(mover(**OWN, **BOTH, told=told, credentials=[ours()]), marks={"web": MARKED})
    known = undone(undone(known, "workloads", original(known)), "tokens", SERVED)
    assert ("told the client id 7, which is of no AzureIdentity" in known["rows"][0]["why"]) == stays
    assert bool(known["rows"][0]["why"]) == stays


def left() -> Raw:
    gone = mover(**OWN, uses="workload_identity", steps=[], selector="")
    return undo(gone, marks={"web": {**MARKED, "aadpodidbinding": "billing"}})


def test_one_that_has_left_is_asked_by_the_label_that_it_had() -> None:
    known = left()
    known = undone(known, "tokens", SERVED)
    known = undone(known, "workloads", original(known))
    assert known["questions"][0]["question"]["selector"] == "billing"
    known = undone(known, "tokens", SERVED)
    assert states(known) == ["original"] and not known["message"] and known["accounts"]


def test_one_of_several_identities_by_chance_is_what_it_had() -> None:
    """Before its template is changed, and after."""
    by_chance = {"tokens": [{"verdict": "ambiguous_identity", "message": "Any of them."}]}
    known = undone(left(), "tokens", by_chance)
    assert not known["message"] and known["workloads"]
    known = undone(undone(known, "workloads", original(known)), "tokens", by_chance)
    assert states(known) == ["original"] and not known["message"] and known["accounts"]


def test_one_that_has_left_goes_back_only_where_nmi_would_serve_it() -> None:
    """Such as when its binding has gone since; its pods have their tokens by Workload ID meanwhile."""
    known = left()
    assert ("deployments", "shop") in [(each["resource"], each["namespace"]) for each in known["kubernetes"]]
    assert not known["workloads"] and known["questions"][0]["question"]["selector"] == "billing"
    stopped = undone(known, "tokens", {"tokens": [{"verdict": "no_binding", "message": "No."}]})
    assert stopped["message"] == (
        "Deployment shop/web: Its template stays as it is, because NMI would give it no token (no_binding: No.)"
    )
    lists = ("workloads", "questions", "credentials", "accounts")
    assert [stopped[name] for name in lists] == [[]] * 4 and states(stopped) == ["left"]
    for answer in ({"msg": "No."}, {"tokens": [{"verdict": "not_verified", "message": "No."}]}):
        assert undone(known, "tokens", answer)["workloads"] and not undone(known, "tokens", answer)["message"]


@cases("results", ("verdict", {"tokens": [{"verdict": "pod_unknown", "message": "No."}]}), ("failure", {"msg": "No."}))
def test_where_nmi_does_not_serve_it_nothing_else_goes(results: Any) -> None:
    known = undo(mover(**OWN, **BOTH, credentials=[ours()]), marks={"web": MARKED})
    known = undone(undone(known, "workloads", original(known)), "tokens", results)
    assert "No." in known["message"] and not known["credentials"] and not known["accounts"]


def test_a_template_that_is_not_brought_back_keeps_what_it_needs() -> None:
    known = undo(mover(**OWN, **BOTH, credentials=[ours()]), marks={"web": MARKED})
    failed = undone(
        known, "workloads", [{"item": known["workloads"][0], "failed": True, "msg": "Its pods do not start."}]
    )
    assert failed["message"] == "Deployment shop/web: Its pods do not start."
    left = [{"field": "label", "was": None, "now": "true"}]
    kept = undone(known, "workloads", original(known, "switched", left=left))
    assert states(kept) == ["switched"] and "label is true, and was None" in kept["rows"][0]["why"]
    assert [each[name] for each in (failed, kept) for name in ("questions", "credentials", "accounts")] == [[]] * 6


def test_what_was_only_prepared_goes_at_once() -> None:
    known = undo(mover(service_account="default", new_service_account="default-money", credentials=[ours()]))
    assert not known["workloads"] and len(known["credentials"]) == len(known["accounts"]) == 1


def test_a_run_that_was_cut_in_a_rollout_waits_for_it_before_credentials_go() -> None:
    """Its template has no mark any more, and old pods have no other way to their tokens."""

    def old(namespace: str = "shop", controller: str = "web-1", **status: str) -> Raw:
        owner = {"kind": "ReplicaSet", "name": controller, "controller": True}
        labels = {"pod-template-hash": "1"}
        metadata = {"namespace": namespace, "name": "web-1-a", "labels": labels, "ownerReferences": [owner]}
        return {"metadata": metadata, "status": {"phase": "Running", **status}}

    template = mover(service_account="default", new_service_account="default-money", credentials=[ours()])
    known = undo(template, pods=[old()])
    assert [each["name"] for each in known["workloads"]] == ["web"] and not known["credentials"]
    known = undone(known, "workloads", original(known))
    assert known["questions"] and not known["credentials"]
    assert undone(known, "tokens", SERVED)["credentials"]
    # Nor does another that has the account take them away.
    shared = undo(mover("api", **OWN, credentials=[ours()]), template, pods=[old()], workloads=[API])
    assert not shared["credentials"] and not shared["accounts"]
    for other in (old("team"), old(controller="api-1"), old(phase="Succeeded")):
        assert undo(template, pods=[other])["credentials"]


def test_a_run_of_a_cron_job_keeps_what_it_needs() -> None:
    """Nobody replaces a pod of a Job. What began until the template was brought back is seen after that."""
    nightly = mover("nightly", kind="CronJob", **OWN, **BOTH, credentials=[ours()])
    job, began = made_by("CronJob", "nightly", "nightly-1"), made_by("Job", "nightly-1", "p", phase="Running")
    at_once = partial(undo, nightly, kinds={"CronJob": {"nightly": MARKED}})
    for known in (at_once(), at_once(pods=[began], jobs=[job])):
        back = undone(known, "workloads", original(known), pods=[began], jobs=[job])
        known = undone(back, "tokens", SERVED)
        assert len(known["served"]) == 1 and not known["credentials"] and not known["accounts"]
        assert states(known) == ["original"] and not known["message"]
        assert known["rows"][0]["why"].startswith("Pod shop/p began with Workload ID, so that its federated ")
        # It has ended, or is another's.
        for pods, jobs in ([], [job]), ([began], []):
            first = at_once()
            free = undone(undone(first, "workloads", original(first), pods=pods, jobs=jobs), "tokens", SERVED)
            assert free["credentials"] and not free["rows"][0]["why"]
    # The next run sees it, too.
    later = mover("nightly", kind="CronJob", service_account="default", new_service_account="default-money")
    known = undo({**later, "credentials": [ours()]}, pods=[began], jobs=[job])
    assert not known["workloads"] and not known["credentials"] and not known["accounts"]
    assert undo({**later, "credentials": [ours()]}, jobs=[job])["accounts"]


def test_what_is_refused_names_the_options_of_the_role() -> None:
    """And not those of the module that it calls."""
    known = undo(mover(**OWN, **BOTH), marks={"web": MARKED})
    refusals = [
        {"code": "cannot_surge", "reason": "its pods are replaced by hand", "option": "accept_gap"},
        {"code": "manifest_has_owner", "reason": "it belongs to Flux", "option": "override_owner"},
        {"code": "made_by_operator", "reason": "it belongs to AKS", "option": ""},
    ]
    failed = {"item": known["workloads"][0], "failed": True, "msg": "No (accept_gap).", "refusals": refusals}
    assert undone(known, "workloads", [failed])["message"] == (
        "Deployment shop/web: its pods are replaced by hand (cannot_surge; workload_identity_migration_accept="
        "[cannot_surge] accepts it); it belongs to Flux (manifest_has_owner; "
        "workload_identity_migration_override_owner=true accepts it); it belongs to AKS (made_by_operator)."
    )


def test_a_binding_that_no_known_workload_uses_is_asked_for() -> None:
    """What uses it may be of a kind that nobody reads."""
    used = {"namespace": "shop", "name": "used", "azure_identity": "i", "selector": "x", "workloads": ["Pod shop/p"]}
    unused = {**used, "name": "old", "selector": "y", "workloads": []}
    gone_before = partial(work, mover(**ALONE), until="finish", bindings=[used, unused])
    known = gone_before()
    assert not known["finishes"] and not known["may_finish"]
    assert known["rows"][0]["why"] == (
        "AzureIdentityBinding shop/old (no workload that is known uses its selector y; name it in "
        "workload_identity_migration_unused_bindings if none does) may need AAD Pod Identity, so it stays."
    )
    assert gone_before(unused_bindings=["shop/old"])["finishes"]


def test_where_aad_pod_identity_is_not_removed_the_table_is_shown() -> None:
    known = work(mover(**ALONE), until="finish")
    refused = advance(known, "finish", {"failed": True, "msg": "Name the scope."}, until="finish")
    assert refused["message"] == "Name the scope." and states(refused) == ["left"]


def permitted(known: Raw, *scopes: str, action: str = "") -> Raw:
    """``scopes``: where the action, by default the write of credentials, is missing."""
    action = action or "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write"
    missing = [{"scope": each, "action": action, "remedy": "Get a role."} for each in scopes]
    return PARTS["permitted"].plan({"until": "switch"}, {"work": known, "missing": missing}, RUN)


def test_an_identity_that_may_not_be_changed_stops_its_own_workloads_alone() -> None:
    other = ID.replace("money", "other")
    known = work(mover("web"), mover("api", credentials=[trust("api", identity_id=other)]))
    assert permitted(known) == known
    after = permitted(known, other.upper())
    assert after["denied"] and [each["failed"] for each in after["movers"]] == [False, True]
    assert after["message"] == (
        "Deployment shop/api: Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write is "
        "not permitted on the identity other. Get a role."
    )
    assert [each["name"] for each in after["accounts"]] == ["web"]
    assert [each["scope"] for each in after["azure"]] == [
        each["scope"] for each in known["azure"] if each["scope"] != other
    ]
    assert after["kubernetes"] == known["kubernetes"]
    # Where none could go on, and for all that is missing besides, the run stops before its first write.
    assert permitted(known, other, ID) == known
    assert permitted(known, ID, action="Microsoft.Compute/virtualMachineScaleSets/read") == known


def test_what_is_not_read_is_not_there() -> None:
    known = work(mover(steps=["label", "proof"], credentials=[trust(state="unknown")]))
    assert states(known) == ["account"]
    assert states(work(mover(steps=["label", "proof"], credentials=[trust(state="exists")]))) == ["credential"]


def test_what_a_cron_job_is_asked_with_may_be_taken_away_again() -> None:
    """Between its runs no pod holds its identity, and MIC takes it from the scale set after each."""
    known = undo(mover("nightly", kind="CronJob", **OWN, **BOTH), kinds={"CronJob": {"nightly": MARKED}})
    known = undone(known, "workloads", original(known), pods=[], jobs=[])
    assert known["questions"][0]["question"]["allow_detach"]
    # Before its template comes back, somebody else may need what is there.
    assert not left()["questions"][0]["question"]["allow_detach"]


def test_a_workload_that_was_only_prepared_is_told_as_it_was() -> None:
    known = undo(mover(service_account="default", new_service_account="default-money", credentials=[ours()]))
    assert states(known) == ["original"]


def test_what_others_have_stays() -> None:
    """Credentials and accounts that this collection did not make, or that somebody else needs."""
    theirs = trust("default-money", state="exists", credential="by-hand")
    known = undo(mover(new_service_account="default-money", credentials=[theirs]))
    assert not known["credentials"] and known["accounts"]
    assert undo(mover("web", credentials=[ours("web")]))["accounts"] == []
    by_owner = undo(mover(**OWN, **BOTH, credentials=[ours()]))
    assert not by_owner["workloads"] and not by_owner["credentials"] and not by_owner["accounts"]
    assert by_owner["rows"][0]["why"].startswith("Its template asks for Workload ID, and not by this collection")
    other = mover("api", **OWN, **BOTH, credentials=[ours()])
    shared = undo(mover("web", **OWN, credentials=[ours()]), other, workloads=["shop/Deployment/web"])
    assert not shared["credentials"] and not shared["accounts"]


def test_an_account_goes_when_all_that_have_it_are_back() -> None:
    templates = [mover(name, **OWN, **BOTH, credentials=[ours()]) for name in ("web", "api")]
    known = undo(*templates, marks=dict.fromkeys(("web", "api"), MARKED))
    known = undone(known, "workloads", original(known))
    one = {"tokens": [{"verdict": "ok", "message": ""}, {"verdict": "pod_unknown", "message": "No."}]}
    both: Raw = {"tokens": [{"verdict": "ok", "message": ""}] * 2}
    assert [len(undone(known, "tokens", each)["accounts"]) for each in (one, both)] == [0, 1]


def test_what_is_behind_a_failure_of_the_way_back_keeps_what_it_has() -> None:
    several = [
        mover(name, new_service_account=name, credentials=[{**ours(name), "identity_id": f"/i/{name}"}])
        for name in ("web", "default-money")
    ]
    known = undone(undo(*several), "credentials", [{"failed": True, "msg": "Azure is away."}])
    why = "It was not tried, because what was done for Deployment shop/web before it failed."
    assert known["message"] == f"Deployment shop/web: Azure is away. Deployment shop/default-money: {why}"
    assert known["credentials"] == known["accounts"] == []


def test_check_mode_predicts_the_way_back() -> None:
    known = undo(mover(**OWN, **BOTH, credentials=[ours()]), marks={"web": MARKED})
    known = undone(known, "workloads", original(known), CHECK)
    assert not known["questions"] and known["served"] and known["credentials"] and known["accounts"]
    # The task of check mode does not fail where an account is in use still.
    told = {"item": known["accounts"][0], "msg": "It is named.", "in_use": ["Deployment shop/web"]}
    messages = [undone(known, "accounts", [{**told, "failed": failed}])["message"] for failed in (False, True)]
    assert messages == ["", "Deployment shop/web: It is named."]


def test_without_azure_credentials_stay_and_are_told() -> None:
    known = undo(mover(**OWN, **BOTH, credentials=[trust("default-money", state="unknown")]), marks={"web": MARKED})
    known = undone(undone(known, "workloads", original(known)), "tokens", SERVED)
    assert not known["credentials"] and known["accounts"] and "what was not read stays" in known["rows"][0]["why"]


def test_nobody_goes_back_to_what_is_gone() -> None:
    """Nor stops it others, whom nothing of AAD Pod Identity serves."""
    known = undo(mover(**OWN, **BOTH), mover("two", credentials=[ours("two")]), marks={"web": MARKED}, installations=[])
    assert known["message"].startswith("Deployment shop/web: AAD Pod Identity is not in the cluster")
    assert "azureops.pod_identity.restore" in known["message"] and not known["workloads"] and not known["questions"]
    assert [each["movers"] for each in known["credentials"]] == [["shop/Deployment/two"]]


def of_money(issuer: str, *accounts: str, **of: Any) -> Raw:
    """The plan of a cluster, of which the identity is to trust these accounts. ``of``: who has to in its place."""
    there = [{"name": f"x{number}", "issuer": "https://other/", "subject": f"x{number}"} for number in range(18)]
    subjects = [f"system:serviceaccount:shop:{account}" for account in accounts]
    told = {"identity_id": ID.upper(), "client_id": "1", "credentials": there, "subjects": subjects}
    row = {**told, "credentials_used": len(there), "credentials_missing": len(accounts), **of}
    return {"cluster": {"issuer": issuer}, "identities": [row]}


@pytest.mark.parametrize(("others", "state"), [((), "account"), (("web",), "account"), (("web", "api"), "blocked")])
def test_an_identity_that_all_clusters_would_fill_gets_no_credential(others: tuple[str, ...], state: str) -> None:
    """Before the first is written for any of them; that of the own cluster counts once."""
    mine, away = of_money("https://issuer/", "web"), of_money("https://away/", *others)
    fleet = {"here": mine, "away": away, "gone": {}}
    known = work(mover(told="1", steps=["credential", "label"]), fleet=fleet)
    assert states(known) == [state]
    assert (known["credentials"] == []) == (state == "blocked")
    if state == "blocked":
        assert known["rows"][0]["why"].startswith("Identity ")
        assert "needs 3 more for away, here; Azure takes 20" in known["rows"][0]["why"]


@pytest.mark.parametrize(("others", "state"), [(("web",), "account"), (("web", "api"), "blocked")])
def test_an_application_that_all_clusters_would_fill_gets_no_credential(others: tuple[str, ...], state: str) -> None:
    of: Raw = {"identity_id": "", "client_id": APP.upper(), "azure_identities": ["shop/money"]}
    fleet = {"here": of_money("https://issuer/", "web", **of), "away": of_money("https://away/", *others, **of)}
    one = mover(told="1", steps=["credential", "label"], credentials=[of_principal()])
    known = work(one, identities=[APP], fleet=fleet)
    assert states(known) == [state]
    assert (known["applications"] == []) == (state == "blocked")
    if state == "blocked":
        assert known["rows"][0]["why"].startswith(f"Application {APP} has 18 federated credentials and needs 3 more")
