# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decisions of the role pod_identity_chart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.part import (
    Nothing,
    Refused,
    Run,
    plain,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles.pod_identity_chart import (
    INSTALL,
    PARTS,
    PERMISSIONS,
    Attempt,
    Found,
    Installation,
    Lock,
    Options,
    Serving,
    Upgraded,
    check,
    lock,
    release,
    serving,
    upgraded,
)
from ansible_collections.azureops.pod_identity.tests.unit.deciding import RUN, Raw, each_has, only, refusal, sentences
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases, table

OPTIONS = Options(repository="https://charts.example.com")
OWN = Installation("nmi", "default", "helm", "aad-pod-identity", "default", "1.8.17", "standard", has_mic=True)
OTHER = replace(OWN, release_name="second", namespace="pods", release_namespace="pods")
FLUX = replace(OTHER, managed_by="flux")
ADDON = Installation("nmi", "kube-system", "addon", "", "", "1.8.13", "managed", has_mic=False)
BY_ADDON = ", or work with the add-on by pod_identity_mode=addon"
ARCHIVE = "/run/d/aad-4.1.18.tgz"
INSTALLED = Found((OWN,), "aad-pod-identity-4.1.17", "deployed", directory="/run/d")


@table(
    "changes, sentence",
    ({}, ""),
    ({"ref": "oci://r/aad-pod-identity"}, ""),
    ({"ref": "/c/aad-pod-identity-4.1.18.tgz"}, ""),
    ({"ref": "/c/aad-pod-identity-4.1.18.tgz", "version": "4.1.18"}, ""),
    ({"ref": "/c/chart", "version": "4.1.18"}, ""),
    ({"ref": "/c/chart"}, "The version of the chart /c/chart is not part of its name; set"),
    ({"ref": "aad.tgz"}, "The version of the chart aad.tgz is not part of its name; set"),
    (
        {"ref": "https://x/a-4.1.18.tgz", "version": "4.1.17"},
        "version 4.1.18, but pod_identity_chart_version is 4.1.17",
    ),
    ({"digest": "A" * 64}, ""),
    ({"ref": "https://u:p@x/aad-4.1.18.tgz"}, "The address in pod_identity_chart_ref has credentials"),
    ({"ref": "oci://u@x/aad"}, "The address in pod_identity_chart_ref has credentials"),
    ({"repository": "HTTPS://u:p@x/charts"}, "The address in pod_identity_chart_repository has credentials"),
    ({"repository": "https://x/charts?sig=a"}, "The address in pod_identity_chart_repository has credentials"),
    ({"ref": "https://x/aad-4.1.18.tgz?user=a@b"}, ""),
)
def test_options_that_contradict_each_other_are_refused(changes: Raw, sentence: str) -> None:
    told = sentences(check, replace(OPTIONS, **changes), Nothing(), RUN)
    assert each_has(told, [sentence] if sentence else []), told


@table("changes, helm", ({}, "helm"), ({"helm_binary": "/opt/helm"}, "/opt/helm"), ({"mode": "addon"}, ""))
def test_the_program_that_is_run(changes: Raw, helm: str) -> None:
    assert check(replace(OPTIONS, **changes), Nothing(), RUN).helm == helm


def test_all_that_is_wrong_with_the_options_is_told() -> None:
    assert len(sentences(check, replace(OPTIONS, ref="/c/chart", repository="https://x/c?sig=a"), Nothing(), RUN)) == 2


@cases(
    "changes, run, left_out",
    ("all", {"namespace": "pods"}, RUN, set()),
    ("namespace default", {}, RUN, {"create_namespace"}),
    ("skipped", {}, Run(skipped_tags=(INSTALL,)), "install"),
    ("not selected", {}, only("pod_identity_chart_wait"), "install"),
    ("add-on", {"mode": "addon"}, RUN, {"read_leader", "read_release", "install"}),
)
def test_needs(changes: Raw, run: Run, left_out: set[str] | str) -> None:
    without = {left_out} if isinstance(left_out, str) else left_out
    options = replace(OPTIONS, **changes)
    needs = check(options, Nothing(), run).kubernetes
    all_but = {name: each for name, each in PERMISSIONS.items() if name not in without}
    expected = [each for each in all_but.values() if "install" not in without or each.phase == "always"]
    assert [(need.resource, need.verbs, need.api_group, need.subresource) for need in needs] == [
        (each.resource, each.verbs, each.api_group, each.subresource) for each in expected
    ]
    assert [need.certain for need in needs] == [each.phase == "always" for each in expected]
    of_release = "kube-system" if options.mode == "addon" else options.namespace
    places = {"the whole cluster": "", "the namespace of the release": of_release}
    places["the namespace `kube-system`"] = "kube-system"
    assert [need.namespace for need in needs] == [places[each.where.split(",")[0]] for each in expected]


@table(
    "options, chart, version, upgrade",
    ({}, "", "4.1.18", False),
    ({}, "aad-pod-identity-4.1.17", "4.1.17", False),
    ({"version": "4.1.17"}, "aad-pod-identity-4.1.17", "4.1.17", False),
    ({"version": "4.1.18"}, "aad-pod-identity-4.1.17", "4.1.18", True),
    ({"ref": "/c/aad-4.1.16.tgz"}, "aad-pod-identity-4.1.17", "4.1.16", True),
    ({"ref": "/c/aad-4.1.16.tgz"}, "", "4.1.16", False),
)
def test_the_version_that_is_wanted(options: Raw, chart: str, version: str, upgrade: bool) -> None:
    allowed = replace(OPTIONS, **options, upgrade=True, backup_dir="/b")
    found = replace(INSTALLED, chart=chart, status="deployed" if chart else "")
    plan = release(allowed, found, RUN)
    assert (plan.version, plan.upgrade, plan.changes) == (version, upgrade, upgrade or not chart)
    named = {"release_name": "aad-pod-identity", "namespace": "default", "managed_by": "helm"}
    assert plan.fact == {**named, "version": version}


@table(
    "changes, sentence",
    ({}, r"release default/aad-pod-identity has chart version 4\.1\.17, but 4\.1\.18 is named; allow it with"),
    ({"upgrade": True}, r"Before the chart goes from 4\.1\.17 to 4\.1\.18 .* set pod_identity_chart_backup_dir"),
)
def test_another_version_is_refused(changes: Raw, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        release(replace(OPTIONS, version="4.1.18", **changes), INSTALLED, RUN)


@table(
    "found, missing, unfinished",
    (INSTALLED, (), False),
    (replace(INSTALLED, status="pending-upgrade"), (), True),
    (replace(INSTALLED, installations=()), ("DaemonSet of NMI",), False),
    (replace(INSTALLED, installations=(), reachable=False), (), False),
    (replace(INSTALLED, installations=(replace(OWN, has_mic=False),)), ("Deployment of MIC",), False),
    (replace(INSTALLED, installations=(replace(OWN, has_mic=False, operation_mode="managed"),)), (), False),
)
def test_what_is_wrong_with_the_release(found: Found, missing: tuple[str, ...], unfinished: bool) -> None:
    plan = release(OPTIONS, found, RUN)
    assert (plan.missing, plan.unfinished, plan.changes) == (missing, unfinished, bool(missing) or unfinished)
    assert (plan.foreign, plan.tasks) == (False, "release")


@cases(
    "found, names, ways",
    (
        "helm",
        Found((OTHER,)),
        "DaemonSet pods/nmi (helm release pods/second)",
        ", or name that helm release with pod_identity_chart_release_name and pod_identity_chart_namespace",
    ),
    ("flux", replace(INSTALLED, installations=(OWN, FLUX)), "DaemonSet pods/nmi (managed by Flux)", ""),
    ("add-on", Found(addon=True), "the AKS add-on", BY_ADDON),
    ("NMI of the add-on", Found((ADDON,), addon=True), "DaemonSet kube-system/nmi (the AKS add-on)", BY_ADDON),
)
def test_a_second_nmi_is_refused(found: Found, names: str, ways: str) -> None:
    assert str(refusal(release, OPTIONS, found, RUN)) == (
        f"Pod identity is installed already: {names}. A second NMI would fight with it over the same rule on every "
        f"node. Use the installation as it is with pod_identity_chart_accept_existing=true{ways}."
    )
    plan = release(replace(OPTIONS, accept_existing=True, version="4.1.18"), found, RUN)
    assert (plan.foreign, plan.names, plan.tasks) == (True, (names,), "foreign")


@table(
    "found, fact",
    (Found(addon=True), ("", "kube-system", "", "addon")),
    (Found((FLUX,)), ("second", "pods", "1.8.17", "flux")),
)
def test_the_fact_tells_whose_installation_is_used(found: Found, fact: tuple[str, ...]) -> None:
    plan = release(replace(OPTIONS, accept_existing=True), found, RUN)
    assert tuple(plan.fact[name] for name in ("release_name", "namespace", "version", "managed_by")) == fact


def test_with_the_addon_its_own_nmi_alone_may_be_there() -> None:
    options = replace(OPTIONS, mode="addon")
    assert release(options, Found((ADDON,)), RUN).foreign
    with pytest.raises(Refused, match=r"^DaemonSet default/nmi \(helm release default/aad-pod-identity\) would fight"):
        release(options, Found((ADDON, OWN)), RUN)


@table(
    "options, found, values",
    (OPTIONS, Found(), {}),
    (replace(OPTIONS, image_registry="r.io"), Found(), {"image": {"repository": "r.io/oss/azure/aad-pod-identity"}}),
    (replace(OPTIONS, namespace="pods"), Found(), {"nmi": {"micNamespace": "pods"}}),
    (replace(OPTIONS, namespace="pods"), Found(chart="a-4.1.18", status="deployed"), {}),
    (replace(OPTIONS, allow_network_plugin_kubenet=True), Found(), {"nmi": {"allowNetworkPluginKubenet": True}}),
    (replace(OPTIONS, allow_network_plugin_kubenet=True), Found(network_plugin="azure"), {}),
)
def test_values_that_follow_from_options(options: Options, found: Found, values: Raw) -> None:
    assert release(options, found, RUN).added_values == values


@cases(
    "ref, digest, check_mode, expected",
    ("named", "aad", "", False, (ARCHIVE, True, "repository")),
    ("named, in check mode", "aad", "", True, ("", False, "repository")),
    ("with a digest", "aad", "0" * 64, True, (ARCHIVE, True, "repository")),
    ("oci", "oci://r/aad", "", False, ("", False, "address")),
    ("oci, digest", "oci://r/aad", "0" * 64, False, (ARCHIVE, True, "address")),
    ("url", "https://x/aad-4.1.18.tgz", "", False, ("", False, "url")),
    ("url, digest", "https://x/aad-4.1.18.tgz", "0" * 64, False, (ARCHIVE, True, "url")),
    ("url, signed, no digest", "https://x/aad-4.1.18.tgz?sig=a/b", "", True, (ARCHIVE, True, "url")),
    ("url, signed", "https://x/aad-4.1.18.tgz?sig=a/b", "0" * 64, False, (ARCHIVE, True, "url")),
    ("file", "/c/aad-4.1.18.tgz", "0" * 64, False, ("", True, "")),
)
def test_where_the_chart_comes_from(ref: str, digest: str, check_mode: bool, expected: tuple[str, bool, str]) -> None:
    plan = release(replace(OPTIONS, ref=ref, digest=digest), Found(directory="/run/d"), Run(check_mode=check_mode))
    assert (plan.archive, plan.fetch, plan.fetch_by) == expected


def test_without_a_repository_helm_finds_the_chart() -> None:
    assert release(replace(OPTIONS, repository=""), Found(), RUN).fetch_by == "address"


@pytest.mark.parametrize("ref", ["aad-pod-identity", "https://u:S3CRET@x/aad-4.1.18.tgz?sig=S3CRET"])
@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_a_plan_holds_no_credential_of_an_address(ref: str, digest: str) -> None:
    options = replace(OPTIONS, ref=ref, digest=digest, repository="https://u:S3CRET@charts.example.com")
    assert "S3CRET" not in str(plain(release(options, Found(directory="/run/d"), RUN)))


def test_a_release_that_cannot_be_read_is_told() -> None:
    told = '^The helm release default/aad-pod-identity cannot be read, because helm failed with "no helm"; correct what'
    with pytest.raises(Refused, match=told):
        release(OPTIONS, replace(INSTALLED, helm_error="no helm"), RUN)


HELM = {"helm_failed": False, "helm_error": "", "reachable": True, "directory": "/run/d", "cluster": {}}
OBSERVED = {
    "nmi": {"installations": [{**vars(OWN), "mic": [{}]}]},
    "release": {"chart": "aad-pod-identity-4.1.17", "status": "DEPLOYED"},
    **HELM,
}


def test_observations_are_parsed() -> None:
    assert Found.parse(OBSERVED) == INSTALLED
    unseen = {name: value for name, value in OBSERVED.items() if name != "nmi"}
    assert Found.parse({**unseen, "reachable": False}) == replace(INSTALLED, installations=(), reachable=False)
    cluster = {"network_plugin": "azure", "pod_identity_profile": {"enabled": True}}
    found = Found.parse({**OBSERVED, "cluster": cluster, "helm_failed": True})
    assert (found.network_plugin, found.addon, found.helm_error) == ("azure", True, "")
    plan = PARTS["release"].plan({"version": None, "mode": "chart"}, OBSERVED, RUN)
    assert (plan["names"], plan["installed_version"]) == (["the AKS add-on"], "4.1.17")


RECORD = {"namespace": "pods", "name": "sh.helm.release.v1.aad-pod-identity.v3", "hidden_fields": ["data"]}
IDENTITY_KIND = {"api_version": "aadpodidentity.k8s.io/v1", "kind": "AzureIdentity"}


@table(
    "part, found, name, module, arguments",
    ("release", {}, "nmi", "nmi_info", {"compare_release": True}),
    ("serving", {}, "nmi", "nmi_info", {}),
    ("lock", {"revision": 3}, *("record", "kubernetes_object_info", {"api_version": "v1", "kind": "Secret", **RECORD})),
    (
        "upgraded",
        {"before": [{"item": "AzureIdentity"}, {"item": "AzureAssignedIdentity"}]},
        *("AzureIdentity", "kubernetes_object_info", IDENTITY_KIND),
    ),
)
def test_what_is_looked_at(part: str, found: Raw, name: str, module: str, arguments: Raw) -> None:
    planned = list(PARTS[part].looks_at({"namespace": "pods"}, found, RUN))
    assert [(each.name, each.module, each.arguments) for each in planned] == [(name, module, arguments)]
    assert all(each.in_cluster and not each.in_check_mode for each in planned)
    # A cluster that cannot be reached for a moment is waited for.
    assert [each.tolerates is not None for each in planned] == [part == "serving"]


@table(
    "labels, status, clear, refused",
    ({"modifiedAt": "900", "createdAt": "1"}, "pending-install", False, "began 100 seconds ago"),
    (
        {"createdAt": "900"},
        "pending-install",
        False,
        "began 100 seconds ago and has not ended (status pending-install)",
    ),
    ({"createdAt": "900"}, "pending-install", True, ""),
    ({"createdAt": "900"}, "failed", False, ""),
    ({"createdAt": "399"}, "pending-install", False, ""),
    ({"createdAt": "400"}, "pending-install", False, "began 600 seconds ago"),
    ({}, "pending-install", False, ""),
    ({"createdAt": "soon"}, "pending-install", False, ""),
)
def test_a_lock_that_is_young_stays(labels: dict[str, str], status: str, clear: bool, refused: str) -> None:
    record = {"resources": [{"metadata": {"labels": labels}}] if labels else []}
    options, found = replace(OPTIONS, clear_lock=clear), Lock.parse({"record": record, "status": status, "now": "1000"})
    try:
        lock(options, found, RUN)
    except Refused as error:
        assert refused and refused in str(error)
    else:
        assert not refused


def test_lost_objects_are_told() -> None:
    def listed(kind: str, *names: str) -> Raw:
        return {"item": kind, "resources": [{"metadata": {"namespace": "a", "name": name}} for name in names]}

    saved = [listed("AzureIdentity", "x", "y"), listed("Other"), listed("AzureAssignedIdentity", "z")]
    observed = {"before": saved, "folder": "/b/h", "Other": listed("Other", "new")}
    kept = Upgraded.parse({**observed, "AzureIdentity": listed("AzureIdentity", "y", "x", "new")})
    assert upgraded(OPTIONS, kept, RUN) == Nothing()
    gone = Upgraded.parse({**observed, "AzureIdentity": listed("AzureIdentity", "y")})
    assert str(refusal(upgraded, OPTIONS, gone, RUN)) == (
        "1 objects of kind AzureIdentity are gone after the upgrade: a/x; apply them again from "
        "/b/h/AzureIdentity.yaml."
    )


WAITS = {"serving": False, "waiting_for": ["a", "b"]}
IN_USE = {"node": "n1", "state": "active", "reason": "", "pod": "nmi-1"}
WINDOWS = {"node": "n2", "state": "not_expected", "reason": "it runs Windows", "pod": ""}
SERVES = {"serving": True, "waiting_for": [], "mic_leader": "mic-1", "nodes": [IN_USE, WINDOWS]}
MIXED = [WAITS, SERVES, {**WAITS, "waiting_for": ["c"]}]


@table(
    "nmi, again, waits, sentence",
    ({"msg": "refused"}, False, "", "Whether pod identity serves could not be seen: refused."),
    (
        *({"msg": "refused", "error": {"temporary": True}}, True, ""),
        "Whether pod identity serves could not be seen: refused.",
    ),
    (
        *({"installations": []}, True, "no NMI is there"),
        "Pod identity does not serve after 600 seconds: no NMI is there.",
    ),
    ({"installations": MIXED}, True, "a; b; c", "Pod identity does not serve after 600 seconds: a; b; c."),
)
def test_what_is_waited_for(nmi: Raw, again: bool, waits: str, sentence: str) -> None:
    refused = refusal(serving, OPTIONS, Attempt.parse({"nmi": nmi, "began": "1000.5"}), RUN)
    assert (str(refused), refused.plan) == (sentence, Serving(again, 1600.5, {}, (), waits))


def test_check_mode_waits_for_what_is_about_to_come_alone() -> None:
    """What the run would not change must serve already."""
    found = Attempt.parse({"nmi": {"installations": MIXED}, "began": "1000.5"})
    refused = refusal(serving, OPTIONS, found, Run(check_mode=True))
    assert str(refused) == "Pod identity does not serve: a; b; c."
    assert refused.plan == Serving(True, 1030.5, {}, (), "a; b; c")


def test_what_somebody_changed_of_the_daemon_set_is_written_again() -> None:
    """And what that needs is asked for, which nothing else does."""
    drifted = replace(INSTALLED, installations=(replace(OWN, changed_fields=("DaemonSet default/nmi: affinity",)),))
    plan = release(OPTIONS, drifted, RUN)
    assert (plan.changed, plan.replaces, plan.changes) == (("DaemonSet default/nmi: affinity",), True, True)
    assert {need["resource"] for need in plan.permissions if need["verbs"] == ["update"]} == {
        *("serviceaccounts", "deployments", "daemonsets", "azurepodidentityexceptions"),
        *("clusterroles", "clusterrolebindings"),
    }
    same = release(OPTIONS, INSTALLED, RUN)
    assert (same.changed, same.replaces, same.changes) == ((), False, False)
    assert [need for need in same.permissions if need["verbs"] == ["update"]] == []
    gone = release(OPTIONS, replace(INSTALLED, installations=(replace(OWN, has_mic=False),)), RUN)
    assert gone.replaces and gone.permissions == plan.permissions
    others = release(OPTIONS, replace(INSTALLED, installations=()), RUN)
    assert others.missing == ("DaemonSet of NMI",) and others.changed == ()


def test_where_pod_identity_serves() -> None:
    found = Attempt.parse({"nmi": {"installations": [SERVES]}, "began": 1000.5})
    plan = serving(replace(OPTIONS, wait_timeout=10), found, RUN)
    where = {"nodes": SERVES["nodes"], "mic_leader": "mic-1"}
    assert plan == Serving(again=False, end=1010.5, where=where, not_expected=(WINDOWS,))
