# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files for the owners of manifests, and how much of them they have merged."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import owners, rendering
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.rendering import Manifest
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

ID = "11111111-1111-4111-8111-111111111111"
NEW, HOME = "orders-money", "shop/deployment-orders"
USE, PROXY = "azure.workload.identity/use", "azure.workload.identity/inject-proxy-sidecar"
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n  - path: patch.yaml\n"
HEAD = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: orders\n  namespace: shop\nspec:\n  template:\n"
SWITCH = f"""\
{HEAD}    metadata:
      labels:
        azure.workload.identity/use: "true"
    spec:
      serviceAccountName: orders-money
      serviceAccount: orders-money
"""
LEAVE = f"{HEAD}    metadata:\n      labels:\n        aadpodidbinding: null\n"
IN_FLUX = owners.Owner(owners.FLUX, "HelmRelease flux/orders")


def values(**now: str | None) -> dict[str, str | None]:
    """Of a template of which nothing is changed yet."""
    found = {"label": None, "service_account": "default", "proxy": None, "aadpodidbinding": "orders", "restarted": None}
    return {**found, **now}


def manifest(**changed: Any) -> Manifest:
    of = {"api_version": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "orders", "now": values()}
    to = {"account": "orders-money", "client_id": ID, "cluster": "prod", "soak_seconds": 7200}
    made: dict[str, Any] = {**of, **to, "owner": owners.Owner(owners.HELM, "shop/orders")}
    return Manifest(**{**made, **changed})


def rendered(**changed: Any) -> dict[str, str]:
    """By their names in the folder of the workload."""
    return {path.removeprefix(f"{HOME}/"): text for path, text in rendering.files(manifest(**changed)).items()}


def test_the_files_of_a_workload() -> None:
    found = rendered()
    components = [f"{each}/{file}.yaml" for each in ("1-switch", "2-leave") for file in ("kustomization", "patch")]
    assert list(found) == [*components, "PULL_REQUEST.md", "helm-values.yaml"]
    assert found["1-switch/kustomization.yaml"] == found["2-leave/kustomization.yaml"] == COMPONENT
    assert (found["1-switch/patch.yaml"], found["2-leave/patch.yaml"]) == (SWITCH, LEAVE)


def test_components_stay_the_same_while_their_owner_goes_on() -> None:
    switched = values(label="true", service_account="orders-money")
    for changed in ({"now": switched}, {"now": switched, "leaves": True}, {"now": values(label="true")}):
        found = rendered(**changed)
        assert (found["1-switch/patch.yaml"], found["2-leave/patch.yaml"]) == (SWITCH, LEAVE)


def test_a_cron_job_has_its_template_deeper() -> None:
    found = rendering.files(manifest(kind="CronJob", api_version="batch/v1", account="default", proxy=True))
    patch = yaml.safe_load(found["shop/cronjob-orders/1-switch/patch.yaml"])
    metadata = {"labels": {USE: "true"}, "annotations": {PROXY: "true"}}
    assert patch["apiVersion"] == "batch/v1"
    assert patch["spec"]["jobTemplate"]["spec"]["template"] == {"metadata": metadata}


@table(
    "owner, further",
    (owners.Owner(owners.HELM, "shop/orders"), ["helm-values.yaml"]),
    (owners.Owner(owners.ARGO, "orders"), ["helm-values.yaml"]),
    (IN_FLUX, ["helm-values.yaml", "helmrelease.yaml"]),
    (owners.Owner(owners.FLUX, "Kustomization flux/apps"), []),
    (owners.Owner(owners.FLUX, "HelmRelease flux/../orders"), []),
    (owners.Owner(), []),
)
def test_files_for_charts_are_for_what_may_be_of_one(owner: owners.Owner, further: list[str]) -> None:
    assert list(rendered(owner=owner))[5:] == further


@table(
    "changed, expected",
    ({}, {"podLabels": {USE: "true"}, "serviceAccount": {"create": False, "name": "orders-money"}}),
    ({"account": "default"}, {"podLabels": {USE: "true"}}),
    # The chart would remove the account of others.
    ({"now": values(service_account="shared")}, {"podLabels": {USE: "true"}}),
    (
        {"leaves": True, "now": values(label="true", service_account="orders-money"), "proxy": True},
        {"podLabels": {USE: "true", "aadpodidbinding": None}, "podAnnotations": {PROXY: "true"}},
    ),
)
def test_values_that_charts_often_have(changed: dict[str, Any], expected: dict[str, Any]) -> None:
    text = rendered(**changed)["helm-values.yaml"]
    assert yaml.safe_load(text) == expected and text.startswith("# Guesses, for Deployment shop/orders.\n#\n")
    assert ("which exists. That which they have" in text) == (changed.get("now") == values(service_account="shared"))


def test_flux_patches_what_the_chart_renders() -> None:
    """Each time, so that all that is due is in one patch."""
    for leaves in (False, True):
        release = yaml.safe_load(rendered(owner=IN_FLUX, name="orders", leaves=leaves)["helmrelease.yaml"])
        assert (release["kind"], release["metadata"]) == ("HelmRelease", {"name": "orders", "namespace": "flux"})
        (patch,) = release["spec"]["postRenderers"][0]["kustomize"]["patches"]
        assert patch["target"] == {"kind": "Deployment", "name": "orders"}
        body = yaml.safe_load(patch["patch"])
        assert body["metadata"] == {"name": "orders"}
        labels = {USE: "true", **({"aadpodidbinding": None} if leaves else {})}
        spec = {"serviceAccountName": "orders-money", "serviceAccount": "orders-money"}
        assert body["spec"]["template"] == {"metadata": {"labels": labels}, "spec": spec}
    found = rendering.files(manifest(owner=IN_FLUX, name="orders.v1"))["shop/deployment-orders.v1/helmrelease.yaml"]
    assert (
        yaml.safe_load(found)["spec"]["postRenderers"][0]["kustomize"]["patches"][0]["target"]["name"] == r"orders\.v1"
    )


def _changed(text: str) -> list[str]:
    """Lines of its diffs."""
    return re.findall(r"^[+-]  .*", text, re.MULTILINE)


def test_the_text_of_a_pull_request() -> None:
    text = rendered()["PULL_REQUEST.md"]
    assert text.startswith("# Let `Deployment shop/orders` use Microsoft Entra Workload ID\n\n## Why\n\n")
    headings = re.findall("^## (.*)", text, re.MULTILINE)
    assert headings == ["Why", "What to change", "Proof", "Undo", "Diff"]
    for said in (
        "cluster `prod`",
        f"tokens of the identity `{ID}` by",
        "`helm release shop/orders`",
        "Due now is `1-switch`.",
        "Revert",
    ):
        assert said in text
    assert _changed(text) == [
        '+        azure.workload.identity/use: "true"',
        "-      serviceAccountName: default",
        "-      serviceAccount: default",
        "+      serviceAccountName: orders-money",
        "+      serviceAccount: orders-money",
        "-        aadpodidbinding: orders",
    ]


def test_the_text_of_the_second_pull_request() -> None:
    now = values(label="true", service_account="orders-money")
    text = rendered(now=now, leaves=True)["PULL_REQUEST.md"]
    assert text.startswith("# Take `Deployment shop/orders` out of AAD Pod Identity\n")
    for said in ("Due now is `2-leave`.", "`1-switch` is merged.", "for at least 7200 seconds"):
        assert said in text
    assert _changed(text) == ["-        aadpodidbinding: orders"]


def test_the_identity_is_told_where_it_is_known() -> None:
    assert f"it gets tokens of the identity `{ID}` by its service" in rendered()["PULL_REQUEST.md"]
    assert "it gets tokens by its service" in rendered(client_id="")["PULL_REQUEST.md"]


def test_a_manifest_that_nobody_owns_is_rendered_by_choice() -> None:
    assert "whoever runs the migration has chosen so" in rendered(owner=owners.Owner())["PULL_REQUEST.md"]


def test_what_no_patch_changes_is_told() -> None:
    assert "See to it" not in rendered()["PULL_REQUEST.md"]
    text = rendered(notes=("KEDA takes tokens by its pods.", "```\n# x"))["PULL_REQUEST.md"]
    assert "\n\n````text\nKEDA takes tokens by its pods.\n```\\n# x\n````\n\n## Proof\n" in text


def test_nothing_of_a_name_leads_out_of_the_folder() -> None:
    assert rendering.folder("Deployment", "shop", "a" * 253) != rendering.folder("Deployment", "shop", "a" * 252)
    for namespace, name in (("..", "x"), ("a/b", "c"), ("", ""), ("shop", "../../etc"), ("A", "a"), ("shop", "ä\n")):
        assert re.fullmatch(
            r"[a-z0-9][a-z0-9-]*/deployment-[a-z0-9-]*", rendering.folder("Deployment", namespace, name)
        )


HOSTILE = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["```\n# x", "a: b", "../..", "{{ x }}", "\u202e", "|"]
)
TEXTS = {name: HOSTILE | st.none() for name in ("label", "service_account", "proxy", "aadpodidbinding")}


@given(
    names=st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
    now=st.fixed_dictionaries(TEXTS),
    kind=st.sampled_from([owners.HELM, owners.FLUX, owners.ARGO, ""]),
    leaves=st.booleans(),
    proxy=st.booleans(),
)
def test_no_text_of_others_means_anything_in_a_file(
    names: tuple[str, ...], now: dict[str, Any], kind: str, leaves: bool, proxy: bool
) -> None:
    namespace, name, account, client_id, owner = names
    to = {"account": account, "client_id": client_id, "owner": owners.Owner(kind, owner)}
    one = manifest(namespace=namespace, name=name, now=values(**now), leaves=leaves, proxy=proxy, **to)
    found = rendering.files(one)
    assert found == rendering.files(one) and list(found) == sorted(found)
    assert (
        len({path.rsplit("/", 2 if path.endswith(("patch.yaml", "kustomization.yaml")) else 1)[0] for path in found})
        == 1
    )
    for path, text in found.items():
        assert re.fullmatch(r"([A-Za-z0-9_-][A-Za-z0-9._-]{0,199}/){2,3}[A-Za-z.-]+|.*/PULL_REQUEST\.md", path)
        assert ".." not in path.split("/") and text.encode() and text.endswith("\n")
        assert all(sign == "\n" or sign.isprintable() for sign in text)
        if path.endswith(".yaml"):
            assert set(yaml.safe_load(text)) <= {
                *("apiVersion", "kind", "metadata", "patches", "spec"),
                *("podLabels", "podAnnotations", "serviceAccount"),
            }
        else:
            outside = re.sub(r"^(`{3,})diff\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
            assert re.findall("^#.*", outside, re.MULTILINE)[1:] == [
                *("## Why", "## What to change", "## Proof", "## Undo", "## Diff")
            ]
    patch = yaml.safe_load(found[f"{rendering.folder('Deployment', namespace, name)}/2-leave/patch.yaml"])
    assert patch["spec"] == {"template": {"metadata": {"labels": {"aadpodidbinding": None}}}}


# What the template has, what former revisions had, and what is told of it.
DONE = values(label="true", service_account="orders-money")
GONE = {**DONE, "aadpodidbinding": None}
PROXIED = {"now": DONE, "proxy": True}
LEAVES = {"now": DONE, "leaves": True}
OPEN, PART = "Its owner has to merge 1-switch.", "Its owner has merged 1-switch in part: what is missing is"
OTHERWISE = f"Its owner has merged 1-switch otherwise: the label {USE} is"
BACK = "It had what 1-switch changes, and somebody took it back: what is missing is"
RECOGNIZED: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str, str]] = {
    "nothing is merged": ({}, [], "open", OPEN),
    "former revisions are the same": ({}, [values(), values()], "open", OPEN),
    "all is merged": ({"now": DONE}, [values()], "merged", ""),
    "only the label": ({"now": values(label="true")}, [values()], "partly", f"{PART} serviceAccountName."),
    "only the account": ({"now": values(service_account=NEW)}, [values()], "partly", f"{PART} the label {USE}."),
    "an account that stays is not merged": (
        {"now": values(service_account="web"), "account": "web"},
        [values(service_account="web")],
        "open",
        OPEN,
    ),
    "not the proxy": (PROXIED, [values()], "partly", f"{PART} the annotation {PROXY}."),
    "the label has another value": (
        {"now": values(label="True", service_account=NEW)},
        [values()],
        "otherwise",
        f"{OTHERWISE} 'True' and must be 'true'.",
    ),
    "the label has another value, and the account is missing": (
        {"now": values(label="yes", service_account=None)},
        [],
        "otherwise",
        f"{OTHERWISE} 'yes' and must be 'true', serviceAccountName is missing and must be '{NEW}'.",
    ),
    "it was merged, and reverted": ({}, [values(), DONE], "reverted", f"{BACK} the label {USE}, serviceAccountName."),
    "reverted in part": ({"now": values(label="true")}, [DONE], "reverted", f"{BACK} serviceAccountName."),
    "aadpodidbinding went first": (
        {"now": values(aadpodidbinding=None)},
        [values()],
        "open",
        f"{OPEN} aadpodidbinding is gone already, so that its pods get no token: merge 1-switch now, or put the label "
        "back.",
    ),
    "it never had aadpodidbinding": (
        {"now": values(aadpodidbinding=None)},
        [values(aadpodidbinding=None)],
        "open",
        OPEN,
    ),
    "it is to leave": (LEAVES, [values(), DONE], "open", "Its owner has to merge 2-leave."),
    "it has left": ({"now": GONE, "leaves": True}, [values(), DONE], "merged", ""),
    "it had left": (
        LEAVES,
        [values(), DONE, GONE],
        "reverted",
        "It had what 2-leave changes, and somebody took it back: what is missing is the label aadpodidbinding.",
    ),
    # Of the time before it used AAD Pod Identity.
    "it had neither": (LEAVES, [values(aadpodidbinding=None)], "open", "Its owner has to merge 2-leave."),
}


@pytest.mark.parametrize("case", RECOGNIZED)
def test_what_owners_have_merged(case: str) -> None:
    changed, earlier, state, said = RECOGNIZED[case]
    one = manifest(**changed)
    found = rendering.recognized(one, earlier)
    assert (found.state, rendering.told(one, found)) == (state, said)


def test_an_owner_may_have_undone_what_was_patched() -> None:
    """Of which the workload itself has kept how it was before."""
    assert rendering.recognized(manifest(), patched=True).state == "reverted"
    assert rendering.recognized(manifest(now=DONE), patched=True).state == "merged"
    assert rendering.recognized(manifest(now=DONE, leaves=True), patched=True).state == "open"


@given(
    now=st.fixed_dictionaries({name: st.sampled_from([None, "true", "default", "orders-money", "x"]) for name in DONE})
)
def test_whatever_is_merged_is_what_the_components_say(now: dict[str, Any]) -> None:
    one = manifest(now=now)
    found = rendering.recognized(one)
    assert (found.state == "merged") == (not found.missing) == ({**now, **one.switched} == now)
    assert rendering.recognized(replace(one, now={**now, **one.switched})).state == "merged"
