# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook migrate over what twelve charts of others render, in their shape: labels on service accounts alone,
fixed names of service accounts, settings in Secrets and in objects of their own, controllers that make the pods.

Each ends moved, or with what its owner has to do: files that kustomize makes of its manifest what a patch would, or a
reason with its name. helm and kubectl are real, and so are the field managers that they leave.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import sources
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import (
    SELECTOR_LABEL,
    pod_template,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import owners, switching
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.rendering import (
    LEAVE,
    SWITCH,
    folder,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import DEPLOYMENT, POD, Kind
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.workloads import KINDS
from ansible_collections.azureops.pod_identity.tests.kube import migration_site
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import Place, Raw, Site
from ansible_collections.azureops.pod_identity.tests.kube.played_migrations import Played, World, running
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity

PROMETHEUS = Kind("monitoring.coreos.com", "v1", "prometheuses", "Prometheus")
RELEASE = "theirs"
"""The name of every helm release here."""
AWAITS, SWITCHED = "awaiting_owner", "switched"
Apply = Callable[[Place, str], None]


@dataclass(frozen=True)
class Chart:
    """``text``: manifests, in which $namespace, $client and $selector stand for those of its place. ``apply``: how its
    owner does it. ``rows``: state and what the reason begins with, by kind and name. ``consumers``: kind and name of
    objects that take tokens through its pods, with the product. ``told``: codes of the plan. ``notes``: what its owner
    is told beside the objects. ``files``: of charts, in the folder of each workload that awaits its owner.
    """

    text: str
    apply: Apply
    rows: Mapping[str, tuple[str, str]]
    consumers: Mapping[str, str]
    told: frozenset[str]
    notes: tuple[str, ...]
    files: tuple[str, ...]


CHARTS: dict[str, Chart] = {}
ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {}}}\n---\n"


def chart(
    name: str,
    text: str,
    apply: Apply,
    rows: Mapping[str, tuple[str, str]],
    *,
    consumers: Mapping[str, str] | None = None,
    told: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    accounts: tuple[str, ...] = (),
) -> None:
    """``accounts``: names of service accounts without anything, which the text leaves out."""
    text = "".join(map(ACCOUNT.format, accounts)) + text
    CHARTS[name] = Chart(text, apply, rows, consumers or {}, frozenset(told), notes, files)


# how they come into the cluster


def by_helm(place: Place, text: str) -> None:
    made = place.site.api_server.folder / f"chart-{place.namespace}"
    (made / "templates").mkdir(parents=True)
    (made / "Chart.yaml").write_text(f"apiVersion: v2\nname: {RELEASE}\nversion: 1.0.0\n")
    (made / "templates/all.yaml").write_text(text)
    place.site.api_server.helm("install", RELEASE, str(made), "--namespace", place.namespace)


def by_kubectl(*arguments: str) -> Apply:
    def apply(place: Place, text: str) -> None:
        kubectl(place.site, "apply", "--namespace", place.namespace, *arguments, "--filename", "-", text=text)

    return apply


by_flux = by_kubectl("--server-side", "--field-manager=kustomize-controller")
by_argo = by_kubectl("--server-side", "--field-manager=argocd-controller")


def by_their_operator(place: Place, text: str) -> None:
    """Which makes the second object for the first, and says so."""
    custom, made = yaml.safe_load_all(text)
    place.client.create(PROMETHEUS, place.namespace, custom)
    uid = (place.client.get(PROMETHEUS, place.namespace, custom["metadata"]["name"]) or {})["metadata"]["uid"]
    owner = {key: custom[key] for key in ("apiVersion", "kind")}
    owner.update(name=custom["metadata"]["name"], uid=uid, controller=True, blockOwnerDeletion=True)
    made["metadata"]["ownerReferences"] = [owner]
    place.client.create(KINDS[made["kind"]], place.namespace, made)


def kubectl(site: Site, *arguments: str, text: str = "") -> str:
    binaries, _charts = server.programs()
    command = [str(binaries / "kubectl"), "--kubeconfig", site.api_server.kubeconfig(), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, input=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


# what they render

OF_HELM = ("helm-values.yaml",)
OWNED = (AWAITS, "manifest_has_owner: It belongs to helm release ")

chart(
    "external-dns",  # kubernetes-sigs/external-dns#3111: the label of Workload ID on the service account alone
    """
apiVersion: v1
kind: ServiceAccount
metadata:
  name: external-dns
  labels: {app.kubernetes.io/name: external-dns, azure.workload.identity/use: "true"}
  annotations: {azure.workload.identity/client-id: $client}
---
apiVersion: v1
kind: Secret
metadata: {name: external-dns-azure}
stringData:
  azure.json: '{"useManagedIdentityExtension": true, "userAssignedIdentityID": "$client"}'
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: external-dns, labels: {app.kubernetes.io/name: external-dns}}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {app.kubernetes.io/name: external-dns}}
  template:
    metadata: {labels: {app.kubernetes.io/name: external-dns, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: external-dns
      securityContext: {fsGroup: 65534, runAsNonRoot: true}
      containers:
        - name: external-dns
          image: registry.k8s.io/external-dns/external-dns:v0.14.2
          args: [--source=service, --provider=azure, --txt-owner-id=k8s]
          volumeMounts: [{name: azure-config, mountPath: /etc/kubernetes, readOnly: true}]
      volumes: [{name: azure-config, secret: {secretName: external-dns-azure}}]
""",
    by_helm,
    {"Deployment/external-dns": OWNED},
    consumers={"Deployment/external-dns": "external-dns"},
    files=OF_HELM,
)

chart(
    "cert-manager",
    """
apiVersion: v1
kind: ServiceAccount
metadata: {name: cert-manager}
automountServiceAccountToken: true
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cert-manager}
spec:
  selector: {matchLabels: {app: cert-manager}}
  template:
    metadata: {labels: {app: cert-manager, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: cert-manager
      enableServiceLinks: false
      containers:
        - name: cert-manager-controller
          image: quay.io/jetstack/cert-manager-controller:v1.11.0
          env: [{name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cert-manager-webhook}
spec:
  selector: {matchLabels: {app: webhook}}
  template:
    metadata: {labels: {app: webhook}}
    spec:
      serviceAccountName: cert-manager-webhook
      containers: [{name: cert-manager-webhook, image: "quay.io/jetstack/cert-manager-webhook:v1.11.0"}]
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: letsencrypt}
spec:
  acme:
    solvers:
      - dns01: {azureDNS: {hostedZoneName: example.org, managedIdentity: {clientID: $client}}}
""",
    by_helm,
    {"Deployment/cert-manager": OWNED},
    consumers={"Issuer/letsencrypt": "cert-manager", "Deployment/cert-manager": "cert-manager"},
    files=OF_HELM,
    accounts=("cert-manager-webhook",),
)

chart(
    "keda",
    """
apiVersion: apps/v1
kind: Deployment
metadata: {name: keda-operator}
spec:
  selector: {matchLabels: {app: keda-operator}}
  template:
    metadata: {labels: {app: keda-operator, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: keda-operator
      automountServiceAccountToken: true
      containers: [{name: keda-operator, image: "ghcr.io/kedacore/keda:2.10.1", command: [/keda]}]
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata: {name: queue}
spec: {podIdentity: {provider: azure}}
""",
    by_helm,
    {"Deployment/keda-operator": OWNED},
    consumers={"TriggerAuthentication/queue": "KEDA"},
    told=("others_take_tokens_by_it",),
    files=OF_HELM,
    accounts=("keda-operator",),
)

chart(
    "csi-provider-azure",  # whose driver asks in the name of the pods that mount a class
    """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: csi-secrets-store-provider-azure}
spec:
  selector: {matchLabels: {app: csi-secrets-store-provider-azure}}
  template:
    metadata: {labels: {app: csi-secrets-store-provider-azure}}
    spec:
      hostNetwork: true
      containers:
        - name: provider-azure-installer
          image: mcr.microsoft.com/oss/azure/secrets-store/provider-azure:v1.4.1
---
apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata: {name: vault}
spec:
  provider: azure
  parameters: {usePodIdentity: "true", keyvaultName: kv, tenantId: 5e1c7a2b-93c4-4a58-8f43-6b1f0f6a2d10}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: shop
      containers: [{name: shop, image: "registry.example/shop:1"}]
      volumes:
        - name: secrets
          csi: {driver: secrets-store.csi.k8s.io, readOnly: true, volumeAttributes: {secretProviderClass: vault}}
""",
    by_kubectl(),
    {"Deployment/shop": (SWITCHED, "others_take_tokens_by_it: SecretProviderClass ")},
    consumers={"SecretProviderClass/vault": "Secrets Store CSI"},
    told=("others_take_tokens_by_it",),
    accounts=("shop",),
)

chart(
    "velero",
    """
apiVersion: v1
kind: Secret
metadata: {name: velero}
stringData: {cloud: "AZURE_SUBSCRIPTION_ID=1\\nAZURE_CLOUD_NAME=AzurePublicCloud\\n"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: velero}
spec:
  strategy: {type: Recreate}
  selector: {matchLabels: {name: velero}}
  template:
    metadata:
      labels: {name: velero, aadpodidbinding: $selector}
      annotations: {prometheus.io/scrape: "true"}
    spec:
      serviceAccountName: velero-server
      initContainers:
        - {name: azure, image: "velero/velero-plugin-for-microsoft-azure:v1.8.0"}
      containers:
        - name: velero
          image: velero/velero:v1.12.0
          env: [{name: AZURE_CREDENTIALS_FILE, value: /credentials/cloud}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-agent}
spec:
  selector: {matchLabels: {name: node-agent}}
  template:
    metadata: {labels: {name: node-agent, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: velero-server
      containers: [{name: node-agent, image: "velero/velero:v1.12.0"}]
      volumes: [{name: host-pods, hostPath: {path: /var/lib/kubelet/pods}}]
---
apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata: {name: default}
spec: {provider: azure, config: {resourceGroup: rg, useAAD: "false"}}
""",
    by_helm,
    {"Deployment/velero": OWNED, "DaemonSet/node-agent": OWNED},
    consumers={"BackupStorageLocation/default": "Velero"},
    files=OF_HELM,
    accounts=("velero-server",),
)

chart(
    "ingress-azure",  # AGIC, with armAuth.type aadPodIdentity
    """
apiVersion: apps/v1
kind: Deployment
metadata: {name: ingress-azure}
spec:
  selector: {matchLabels: {app: ingress-azure}}
  template:
    metadata: {labels: {app: ingress-azure, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: ingress-azure
      containers:
        - name: ingress-azure
          image: mcr.microsoft.com/azure-application-gateway/kubernetes-ingress:1.5.0
          env: [{name: AZURE_CONTEXT_LOCATION, value: /etc/appgw/azure.json}]
      volumes: [{name: azure, hostPath: {path: /etc/kubernetes/}}]
""",
    by_helm,
    {"Deployment/ingress-azure": OWNED},
    consumers={"Deployment/ingress-azure": "AGIC"},
    files=OF_HELM,
    accounts=("ingress-azure",),
)

OF_FLUX = "{kustomize.toolkit.fluxcd.io/name: flux-system, kustomize.toolkit.fluxcd.io/namespace: flux-system}"
chart(
    "flux",
    f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: source-controller, labels: {OF_FLUX}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: source-controller, labels: {OF_FLUX}}}
spec:
  strategy: {{type: Recreate}}
  selector: {{matchLabels: {{app: source-controller}}}}
  template:
    metadata: {{labels: {{app: source-controller, aadpodidbinding: $selector}}}}
    spec:
      serviceAccountName: source-controller
      containers: [{{name: manager, image: "ghcr.io/fluxcd/source-controller:v1.0.1"}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: kustomize-controller, labels: {OF_FLUX}}}
spec:
  selector: {{matchLabels: {{app: kustomize-controller}}}}
  template:
    metadata: {{labels: {{app: kustomize-controller}}}}
    spec:
      serviceAccountName: kustomize-controller
      containers: [{{name: manager, image: "ghcr.io/fluxcd/kustomize-controller:v1.0.1"}}]
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: apps}}
spec: {{provider: azure, url: "https://dev.azure.com/org/project/_git/apps", interval: 1m}}
""",
    by_flux,
    {
        "Deployment/source-controller": (
            AWAITS,
            "manifest_has_owner: It belongs to Flux Kustomization flux-system/flux-system.",
        )
    },
    consumers={"GitRepository/apps": "Flux", "Deployment/source-controller": "Flux"},
)

chart(
    "argocd-repo-server",
    """
apiVersion: v1
kind: ServiceAccount
metadata:
  name: argocd-repo-server
  annotations: {argocd.argoproj.io/tracking-id: "argocd:/ServiceAccount:$namespace/argocd-repo-server"}
automountServiceAccountToken: false
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: argocd-repo-server
  labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: argocd}
  annotations: {argocd.argoproj.io/tracking-id: "argocd:apps/Deployment:$namespace/argocd-repo-server"}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: argocd-repo-server}}
  template:
    metadata: {labels: {app.kubernetes.io/name: argocd-repo-server, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: argocd-repo-server
      automountServiceAccountToken: false
      initContainers: [{name: copyutil, image: "quay.io/argoproj/argocd:v2.7.0"}]
      containers: [{name: repo-server, image: "quay.io/argoproj/argocd:v2.7.0"}]
""",
    by_argo,
    {"Deployment/argocd-repo-server": (AWAITS, "manifest_has_owner: It belongs to Argo CD application argocd.")},
    files=OF_HELM,
)

chart(
    "bitnami",  # helm template piped into kubectl apply: what its labels say is all that is known of its owner
    """
apiVersion: v1
kind: ServiceAccount
metadata: {name: wordpress, labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: blog}}
automountServiceAccountToken: false
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: blog-wordpress
  labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: blog, helm.sh/chart: wordpress-16.1.2}
spec:
  selector: {matchLabels: {app.kubernetes.io/instance: blog}}
  template:
    metadata: {labels: {app.kubernetes.io/instance: blog, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: wordpress
      containers:
        - name: wordpress
          image: docker.io/bitnami/wordpress:6.2.2-debian-11-r0
          env: [{name: AZURE_CLIENT_ID, value: $client}]
""",
    by_kubectl(),
    {"Deployment/blog-wordpress": (AWAITS, "manifest_has_owner: It belongs to helm release blog.")},
    files=OF_HELM,
)

chart(
    "azure-service-operator",  # whose client id nobody may read
    """
apiVersion: apps/v1
kind: Deployment
metadata: {name: azureserviceoperator-controller-manager}
spec:
  selector: {matchLabels: {control-plane: controller-manager}}
  template:
    metadata: {labels: {control-plane: controller-manager, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: azureserviceoperator-default
      containers:
        - name: manager
          image: mcr.microsoft.com/k8s/azureserviceoperator:v2.3.0
          env:
            - name: AZURE_CLIENT_ID
              valueFrom: {secretKeyRef: {name: aso-controller-settings, key: AZURE_CLIENT_ID, optional: true}}
            - name: USE_WORKLOAD_IDENTITY_AUTH
              valueFrom: {secretKeyRef: {name: aso-controller-settings, key: USE_WORKLOAD_IDENTITY_AUTH}}
""",
    by_helm,
    {"Deployment/azureserviceoperator-controller-manager": OWNED},
    consumers={"Deployment/azureserviceoperator-controller-manager": "Azure Service Operator"},
    notes=("Its container manager takes AZURE_CLIENT_ID from elsewhere, which was not read.",),
    files=OF_HELM,
    accounts=("azureserviceoperator-default",),
)

chart(
    "loki",  # with fields that the webhook does not know, so that whoever merges the label would lose them
    """
apiVersion: v1
kind: ServiceAccount
metadata: {name: loki}
automountServiceAccountToken: true
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: loki}
spec:
  serviceName: loki-headless
  podManagementPolicy: Parallel
  updateStrategy: {rollingUpdate: {partition: 0}}
  selector: {matchLabels: {app.kubernetes.io/name: loki}}
  template:
    metadata: {labels: {app.kubernetes.io/name: loki, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: loki
      resources: {requests: {cpu: 100m}, limits: {cpu: 200m}}
      containers: [{name: loki, image: "docker.io/grafana/loki:2.9.1", args: ["-config.file=/etc/loki/config.yaml"]}]
  volumeClaimTemplates:
    - metadata: {name: storage}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
""",
    by_helm,
    {"StatefulSet/loki": ("blocked", "fields_would_be_lost: ")},
    told=("fields_would_be_lost",),
)

chart(
    "thanos",  # the sidecar of a Prometheus, whose pods the operator of Prometheus makes
    """
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: k8s}
spec: {podMetadata: {labels: {aadpodidbinding: $selector}}, serviceAccountName: prometheus-k8s}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: prometheus-k8s, labels: {managed-by: prometheus-operator}}
spec:
  serviceName: prometheus-operated
  selector: {matchLabels: {prometheus: k8s}}
  template:
    metadata: {labels: {prometheus: k8s, aadpodidbinding: $selector}}
    spec:
      serviceAccountName: prometheus-k8s
      containers:
        - {name: prometheus, image: "quay.io/prometheus/prometheus:v2.45.0"}
        - {name: thanos-sidecar, image: "quay.io/thanos/thanos:v0.32.0"}
""",
    by_their_operator,
    {"StatefulSet/prometheus-k8s": ("blocked", "made_by_operator: It belongs to controller of Prometheus k8s.")},
    told=("made_by_operator",),
)


# what becomes of them


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with migration_site.running() as made:
        names = ("TriggerAuthentication", "SecretProviderClass", "Issuer", "BackupStorageLocation", "GitRepository")
        optional = {versions[0].name: versions[0] for versions in migration.OPTIONAL}
        made.define(*(optional[name] for name in names), PROMETHEUS)
        yield made


@dataclass(frozen=True)
class Theirs:
    """A workload of somebody, as it was before, and where they keep what they were given."""

    place: Place
    raw: Raw
    given: Path
    kept: Path

    @property
    def kind(self) -> str:
        return str(self.raw["kind"])

    def now(self) -> Raw:
        return dict(pod_template(live(self.place, f"{self.kind}/{self.raw['metadata']['name']}")))

    def built(self, *steps: str) -> Raw:
        """The whole object with components, by kustomize."""
        shutil.copytree(self.given, self.kept, dirs_exist_ok=True)
        metadata = {key: self.raw["metadata"][key] for key in ("name", "namespace")}
        whole = {key: self.raw[key] for key in ("apiVersion", "kind", "spec")}
        (self.kept / "live.yaml").write_text(json.dumps({**whole, "metadata": metadata}))
        body = {"resources": ["live.yaml"], "components": list(steps)}
        (self.kept / "kustomization.yaml").write_text(yaml.safe_dump(body))
        (made,) = yaml.safe_load_all(kubectl(self.place.site, "kustomize", str(self.kept)))
        return dict(made)

    def merge(self, *steps: str) -> None:
        """Apply that as helm would, and wait until all its pods are so."""
        arguments = ("--server-side", "--force-conflicts", "--field-manager=helm", "--filename", "-")
        kubectl(self.place.site, "apply", *arguments, text=json.dumps(self.built(*steps)))
        labels = pod_template(self.raw)["metadata"]["labels"]
        apps = ",".join(f"{key}={value}" for key, value in labels.items() if key != SELECTOR_LABEL)

        def all_new() -> bool:
            pods = self.place.client.list_all(POD, self.place.namespace, labels=apps)
            uses = [each["metadata"]["labels"].get(of_chart.USE_LABEL) for each in pods]
            return bool(uses) and set(uses) == {"true" if SWITCH in steps else None}

        server.until("its pods are replaced", all_new)


@pytest.mark.soak
def test_none_of_twelve_charts_ends_silently_wrong(site: Site, tmp_path: Path) -> None:
    assert len(CHARTS) == 12
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(running(site, tmp_path))
        webhook = stack.enter_context(workload_identity.running(site.api_server))
        places: dict[str, Place] = {}
        theirs: dict[str, dict[str, Theirs]] = {}
        out = tmp_path / "out"
        for name, each in CHARTS.items():
            place = places[name] = stack.enter_context(migration_site.place(site, webhook))
            place.identity(trusted=False)
            of_place = {"namespace": place.namespace, "selector": place.namespace, "client": place.client_id}
            each.apply(place, Template(each.text).substitute(of_place))
            theirs[name] = {}
            for key in each.rows:
                raw = live(place, key)
                home = folder(raw["kind"], place.namespace, raw["metadata"]["name"])
                theirs[name][key] = Theirs(place, raw, out / "localhost" / home, tmp_path / "theirs" / home)
        options = {"until": "switch", "accept": ["cannot_surge"], "exchange_samples": 1, "directory": str(out)}
        played = world.migrate(places, **options)
        print(played.output)
        rows = played.rows()
        for name, place in places.items():
            as_told(name, place, played, rows)
            as_written(name, place, played, theirs[name])
        merged_and_not(world, places, theirs, out, options)
        for name in places.keys() - MERGED:
            as_patched(theirs[name].values())


# By whom the first step is merged, merged otherwise, merged and taken back, and not looked at, and what is told then.
MERGED: dict[str, tuple[str, str, str]] = {
    "cert-manager": ("Deployment/cert-manager", SWITCHED, ""),
    "external-dns": (
        "Deployment/external-dns",
        AWAITS,
        "Its owner has merged 1-switch otherwise: the label azure.workload.identity/use is 'True' and must be 'true'.",
    ),
    "keda": (
        "Deployment/keda-operator",
        AWAITS,
        "It had what 1-switch changes, and somebody took it back: what is missing is the label "
        "azure.workload.identity/use.",
    ),
    "argocd-repo-server": ("Deployment/argocd-repo-server", AWAITS, "Its owner has to merge 1-switch."),
}


def merged_and_not(
    world: World, places: Mapping[str, Place], theirs: Mapping[str, Mapping[str, Theirs]], out: Path, options: Raw
) -> None:
    """The next run sees it, and writes the same files again."""
    theirs["cert-manager"]["Deployment/cert-manager"].merge(SWITCH)
    theirs["keda"]["Deployment/keda-operator"].merge(SWITCH)
    theirs["keda"]["Deployment/keda-operator"].merge()
    otherwise = {"spec": {"template": {"metadata": {"labels": {of_chart.USE_LABEL: "True"}}}}}
    place = places["external-dns"]
    place.client.merge(DEPLOYMENT, place.namespace, "external-dns", otherwise)
    written = {path: path.read_bytes() for path in out.rglob("*.yaml")}
    given = theirs["argocd-repo-server"]["Deployment/argocd-repo-server"].given
    request = (given / "PULL_REQUEST.md").read_bytes()
    played = world.migrate({name: places[name] for name in MERGED}, **options)
    print(played.output)
    rows = played.rows()
    for name, (key, state, why) in MERGED.items():
        row = rows[key.replace("/", f"/{places[name].namespace}/")]
        assert row[0] == state and why in row[2] and (why or not row[2]), (name, row)
    assert {path: path.read_bytes() for path in out.rglob("*.yaml")} == written
    assert (given / "PULL_REQUEST.md").read_bytes() == request


def live(place: Place, key: str) -> Raw:
    kind, _slash, name = key.partition("/")
    found = place.client.get(KINDS[kind], place.namespace, name)
    assert found is not None, key
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, **found}


def as_told(name: str, place: Place, played: Played, rows: Mapping[str, tuple[str, str, str]]) -> None:
    """Each workload that gets an identity has a row, with what is next and why; who takes tokens through it is told."""
    each, namespace = CHARTS[name], place.namespace
    mine = {key: row for key, row in rows.items() if key.split("/")[1] == namespace}
    short = {f"{key.split('/')[0]}/{key.split('/')[2]}": row for key, row in mine.items()}
    assert short.keys() == each.rows.keys(), (name, short)
    for key, (state, why) in each.rows.items():
        assert short[key][0] == state and short[key][2].startswith(why), (name, short[key])
        assert short[key][1] and short[key][2], (name, short[key])
    consumers = played.stats["workload_identity_migration_plan"]["localhost"]["consumers"]
    found = {
        each["object"].replace(f" {namespace}/", "/"): each["product"]
        for each in consumers
        if f" {namespace}/" in each["object"]
    }
    assert each.consumers.items() <= found.items(), (name, found)
    assert each.told <= played.plan_of(namespace), (name, played.plan_of(namespace))


def as_written(name: str, place: Place, played: Played, theirs: Mapping[str, Theirs]) -> None:
    """Nothing of a template that somebody owns is written, and each of them gets files."""
    each, namespace = CHARTS[name], place.namespace
    awaiting = {key for key, (state, _why) in each.rows.items() if state == AWAITS}
    patched = {
        f"{kind}/{line.split()[-1]}"
        for line in played.writes(namespace)
        for kind in KINDS
        if line.startswith(f"patch {kind.lower()}s ")
    }
    assert patched == {key for key, (state, _why) in each.rows.items() if state == SWITCHED}, (name, patched)
    for key, one in theirs.items():
        assert one.given.exists() is (key in awaiting), key
        if key not in awaiting:
            continue
        assert one.now() == pod_template(one.raw), key
        assert {path.name for path in one.given.iterdir()} == {SWITCH, LEAVE, "PULL_REQUEST.md", *each.files}, key
        said = (one.given / "PULL_REQUEST.md").read_text()
        others = [each.replace("/", f" {namespace}/") for each in each.consumers]
        for told in (owners.find(sources.of_template(one.kind, one.raw)).label, *others, *each.notes):
            assert told in said, (key, told)


def as_patched(theirs: Iterable[Theirs]) -> None:
    """kustomize makes of the live object what a patch would, which is really made."""
    for one in theirs:
        for steps, state in (((SWITCH,), switching.SWITCHED), ((SWITCH, LEAVE), switching.LEFT)):
            if not one.given.exists():
                continue
            name = one.raw["metadata"]["name"]
            wanted = switching.Wanted(state, pod_template(one.raw)["spec"]["serviceAccountName"])
            patch = switching.decide(one.kind, live(one.place, f"{one.kind}/{name}"), wanted).patch
            one.place.client.merge(KINDS[one.kind], one.place.namespace, name, dict(patch))
            assert pod_template(one.built(*steps)) == one.now(), (name, steps)
