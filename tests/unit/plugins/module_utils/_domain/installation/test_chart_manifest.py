# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a manifest is taken to name is what YAML makes of it, or it is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import chart_manifest
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation.chart_manifest import Named
from ansible_collections.azureops.pod_identity.tests.unit.tables import for_each

RENDERED = """---
# Source: aad-pod-identity/templates/mic-serviceaccount.yaml
apiVersion: v1
kind: ServiceAccount
metadata:
  name: aad-pod-identity-mic
  labels:
    app.kubernetes.io/name: aad-pod-identity
    helm.sh/chart: aad-pod-identity-4.1.18
---
# Source: aad-pod-identity/templates/mic-clusterrole.yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: "aad-pod-identity-mic"
rules:
- apiGroups: ["apiextensions.k8s.io"]
  resources: ["customresourcedefinitions"]
---
# Source: aad-pod-identity/templates/mic-deployment.yaml

apiVersion: apps/v1
kind: Deployment
metadata:
  # where it is
  namespace: identity
  name: aad-pod-identity-mic
  annotations:
    description: |
      Several lines
      kind: Secret
spec:
  template:
    metadata:
      name: other
---
apiVersion: 'aadpodidentity.k8s.io/v1'
kind: AzurePodIdentityException # of AKS
metadata:
  name: aks-addon-exception
  namespace: kube-system
spec:
  podLabels:
    kubernetes.azure.com/managedby: aks
---
apiVersion: v1
kind: List
items:
  # of values
  - apiVersion: "aadpodidentity.k8s.io/v1"
    kind: AzureIdentity
    metadata:
      name: web
      namespace: team
      labels: {a: b}
    spec:
      clientPassword: X7[a'B.c?d@8" \\
      auxiliaryTenantIDs:
        - t
  - apiVersion: aadpodidentity.k8s.io/v1
    kind: AzureIdentityBinding
    metadata:
      name: web
"""
NAMED = (
    Named("v1", "ServiceAccount", "", "aad-pod-identity-mic"),
    Named("rbac.authorization.k8s.io/v1", "ClusterRole", "", "aad-pod-identity-mic"),
    Named("apps/v1", "Deployment", "identity", "aad-pod-identity-mic"),
    Named("aadpodidentity.k8s.io/v1", "AzurePodIdentityException", "kube-system", "aks-addon-exception"),
    Named("aadpodidentity.k8s.io/v1", "AzureIdentity", "team", "web"),
    Named("aadpodidentity.k8s.io/v1", "AzureIdentityBinding", "", "web"),
)
LISTED = "  - apiVersion: v1\n    kind: Secret\n    metadata:\n      name: x-mic\n    x:"
ITEMS = ["", " []", "\n- {apiVersion: v1, kind: Secret, metadata: {name: x-mic}}", "\n-\n  apiVersion: v1"]
ITEMS += ["\n" + LISTED.replace("  - ", "  -  ")]
ITEMS += ["\n" + LISTED.replace("    x:", x) for x in ("   x:", '    x: "\\"', '    x: "', "    x: {", "    a b: {")]
ITEMS += ["\n" + LISTED.replace("    x:", x) for x in ("    x: !a {", "    x: \n - a")]
ONE = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x-mic\n"


def test_what_a_chart_renders() -> None:
    assert chart_manifest.read(RENDERED) == NAMED
    assert chart_manifest.read("") == chart_manifest.read("---\n# nothing\n") == ()
    assert not any(chart_manifest.stranger(each, "identity") for each in NAMED)


@pytest.mark.parametrize(
    "manifest",
    [
        '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x-mic"}}',
        *(ONE.replace("kind: Secret", kind) for kind in ('"kind": Secret', "? kind\n: Secret", "kind: !!str Secret")),
        *(ONE.replace("kind: Secret", kind) for kind in ("kind: ServiceAccount\nkind: Secret", "kind:\n  Secret")),
        ONE.replace("kind: Secret", "# kind: ServiceAccount\u2028kind: Secret"),
        ONE.replace("kind: Secret", "kind: ServiceAccount # \rkind: Secret"),
        ONE.replace("kind: Secret", "kind: ServiceAccount\n<<: *other"),
        ONE.replace("metadata:\n  name: x-mic", "metadata: {name: x-mic, namespace: team}"),
        ONE.replace("metadata:", "metadata: &other"),
        *(f"{ONE}{more}\n" for more in ("  'namespace': team", "  namespace: *other", " namespace: b")),
        ONE + "  namespace: a\n  namespace: b\n",
        *(ONE.replace("  name: x-mic", name) for name in ("  labels: {}", "")),
        ONE.replace("\n", "\n ").replace("apiVersion", " apiVersion", 1),
        *(ONE + more for more in ("--- {kind: Secret}\n", "---\tx\n", "----\n" + ONE, "...\n")),
        "%YAML 1.1\n---\n" + ONE,
        "- " + ONE.replace("\n", "\n  "),
        "just text\n",
        ONE + "items: []\n",
        ONE + "Items:\n" + LISTED,
        f"apiVersion: v1\nkind: List\nitems:\n{LISTED}\nmetadata:\n  name: x-mic\n",
        *(f"apiVersion: v1\nkind: List\nitems:{items}\n" for items in ITEMS),
    ],
)
def test_what_can_be_understood_in_two_ways_is_refused(manifest: str) -> None:
    with pytest.raises(ValueError, match="^its manifest"):
        chart_manifest.read(manifest)


PIECES = r"""
---
kind: Secret
 kind: Secret
"kind": Secret
kind: &a Secret
spec: "
"
  - apiVersion: v1
    kind: Secret
    metadata:
      name: evil
      namespace: evil
    x: "
    y: "}
    x: '
    x: {a: b
    x: b}
    x: b[c'd
    x y: "
    x: &a "
x: {a: "
  x: "}
  name: evil
  namespace: evil
   namespace: evil
metadata: &m
<<: *m
  <<: *m
? kind
: Secret
data: |
data: >-2
# comment
- a
  - a
..."""
_PIECES = st.sampled_from(
    [*RENDERED.splitlines(), *PIECES.splitlines(), " ", "\x85kind: Secret", "# \u2029kind: Secret"]
)


@given(st.lists(_PIECES, max_size=12), st.integers(0, 60), st.integers(0, 3))
def test_what_is_accepted_is_what_yaml_says(lines: list[str], place: int, taken: int) -> None:
    whole = RENDERED.splitlines()
    text = "\n".join(whole[:place] + lines + whole[place + taken :]) + "\n"
    try:
        found = chart_manifest.read(text)
        documents = [
            one
            for each in yaml.safe_load_all(text)
            if each is not None
            for one in (each["items"] if each.get("kind") == "List" else [each])
        ]
    except (ValueError, yaml.YAMLError):
        return
    assert [(each.api_version, each.kind, each.namespace, each.name) for each in found] == [
        (each["apiVersion"], each["kind"], each["metadata"].get("namespace") or "", str(each["metadata"]["name"]))
        for each in documents
    ]


@for_each(
    (Named("v1", "Secret", "", "aad-pod-identity-mic"), False),
    (Named("v1", "Secret", "pods", "x-mic"), False),
    (Named("v1", "Secret", "team", "x-mic"), True),
    (Named("v1", "Secret", "", "database"), True),
    (Named("v1", "ServiceAccount", "", "aad-pod-id-nmi-service-account"), False),
    (Named("v1", "Namespace", "", "x-mic"), True),
    (Named("v1", "Pod", "", "x-mic"), True),
    (Named("batch/v1", "Job", "", "x-mic"), True),
    (Named("example.com/v1", "Deployment", "", "x-mic"), True),
    (Named("extensions/v1beta1", "Deployment", "", "mic"), False),
    (Named("policy/v1", "PodDisruptionBudget", "", "mic-pdb"), False),
    (Named("rbac.authorization.k8s.io/v1", "ClusterRole", "", "identity-view"), False),
    (Named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "identity-view"), True),
    (Named("rbac.authorization.k8s.io/v1", "ClusterRole", "", "cluster-admin"), True),
    (Named("policy/v1beta1", "PodSecurityPolicy", "", "aad-pod-identity-psp-mic"), False),
    (Named("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "azureidentities.aadpodidentity.k8s.io"), False),
    (Named("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "things.example.com"), True),
    (Named("aadpodidentity.k8s.io/v1", "AzureIdentity", "team", "web"), False),
)
def test_what_the_chart_makes(named: Named, strange: bool) -> None:
    assert chart_manifest.stranger(named, "pods") is strange
