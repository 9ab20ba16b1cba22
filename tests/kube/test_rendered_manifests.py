# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is rendered for owners, applied by kubectl, its kustomize, helm and Flux, and known again by real revisions.

Flux's kustomize-controller is real, see ``flux``. Its helm-controller is not here: it gives postRenderers to kustomize
after helm has rendered the chart, as its documentation of HelmRelease says, which is what is done here with the same
two. Argo CD is not here either: it builds with kustomize and applies as kubectl does, as its documentation says.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import sources
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import pod_template
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import (
    owners,
    rendering,
    switching,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.owners import FLUX, HELM, Owner
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.rendering import (
    LEAVE,
    MERGED,
    OPEN,
    PARTLY,
    REVERTED,
    SWITCH,
    Manifest,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.roles import workload_identity_rendering
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import (
    CONTROLLER_REVISION,
    REPLICA_SET,
    Kind,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.workloads import KINDS
from ansible_collections.azureops.pod_identity.tests.kube import flux, rollouts
from ansible_collections.azureops.pod_identity.tests.kube.flux import Flux
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed

Raw = dict[str, Any]
PLANTED = "planted-in-a-variable"
NAME, ACCOUNT = "orders", "orders-money"


@pytest.fixture(scope="module")
def own_server() -> Iterator[ApiServer]:
    with server.running(*rollouts.CONTROLLERS) as started:
        yield started


@pytest.fixture(scope="module")
def its_flux(own_server: ApiServer) -> Iterator[Flux]:
    with flux.running(own_server) as started:
        yield started


@pytest.fixture
def place(own_server: ApiServer) -> Iterator[str]:
    with server.own_namespace(own_server.client()) as namespace:
        yield namespace


class Folder:
    """Where an owner has its manifests, which kubectl applies with its kustomize."""

    def __init__(self, path: Path, own_server: ApiServer) -> None:
        self.path, self.server, self.client = path, own_server, own_server.client()
        self.path.mkdir()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)

    def kustomization(self, *components: str, **more: Any) -> None:
        body = {"resources": ["live.yaml"], "components": list(components), **more}
        (self.path / "kustomization.yaml").write_text(yaml.safe_dump(body))

    def built(self) -> list[Raw]:
        return list(yaml.safe_load_all(self.kubectl("kustomize", str(self.path))))

    def apply(self) -> None:
        self.kubectl("apply", "--server-side", "--field-manager=kustomize-controller", "-k", str(self.path))

    def kubectl(self, *arguments: str) -> str:
        binaries, _charts = server.programs()
        command = [str(binaries / "kubectl"), "--kubeconfig", self.server.kubeconfig(), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def folder(tmp_path: Path, own_server: ApiServer) -> Folder:
    return Folder(tmp_path / "manifests", own_server)


def workload(kind: str, namespace: str) -> Raw:
    template: Raw = {
        "metadata": {"labels": {"app": "web", "aadpodidbinding": "web"}, "annotations": {"note": "a: b"}},
        "spec": {"containers": [{"name": "app", "image": "app", "env": [{"name": "PASSWORD", "value": PLANTED}]}]},
    }
    spec: Raw = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    if kind == "CronJob":
        template["spec"]["restartPolicy"] = "Never"
        spec = {"schedule": "0 6 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": template}}}
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    metadata = {"name": NAME, "namespace": namespace, "labels": {"team": "a"}}
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, "spec": spec}


def manifest(raw: Raw, **changed: Any) -> Manifest:
    made = Manifest(
        api_version=raw["apiVersion"],
        kind=raw["kind"],
        namespace=raw["metadata"]["namespace"],
        name=raw["metadata"]["name"],
        now=switching.fields(pod_template(raw)),
        account=ACCOUNT,
        proxy=True,
        owner=owners.find(sources.of_template(raw["kind"], raw)),
    )
    return replace(made, **changed)


def live(client: Client, kind: str, namespace: str, name: str = NAME) -> Raw:
    found = client.get(KINDS[kind], namespace, name)
    assert found is not None
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, **found}


def patched(client: Client, raw: Raw, state: str) -> Raw:
    """The template as the migration would patch it."""
    wanted = switching.Wanted(state, ACCOUNT, proxy=True)
    patch = switching.decide(raw["kind"], raw, wanted).patch
    place, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
    return dict(pod_template(client.merge(KINDS[raw["kind"]], place, name, dict(patch), dry_run=True)))


def state(client: Client, raw: Raw, kept_by: Kind | None = None, **changed: Any) -> str:
    """What is recognized of a workload, by the revisions that its controller has kept."""
    revisions = client.list_all(kept_by, raw["metadata"]["namespace"]) if kept_by else ()
    former = map(switching.fields, workload_identity_rendering.former(raw, revisions))
    return rendering.recognized(manifest(raw, **changed), former).state


KEPT_BY: dict[str, Kind | None] = {
    "Deployment": REPLICA_SET,
    "StatefulSet": CONTROLLER_REVISION,
    "DaemonSet": CONTROLLER_REVISION,
    "CronJob": None,
}


@pytest.mark.parametrize("kind", fixed(KEPT_BY, "Deployment", "CronJob"))
def test_components_make_of_a_manifest_what_a_patch_would(folder: Folder, place: str, kind: str) -> None:
    """Applied as its owner does it: added, both, and taken out again."""
    client, kept_by = folder.client, KEPT_BY[kind]
    folder.write({"live.yaml": yaml.safe_dump(workload(kind, place))})
    folder.kustomization()
    folder.apply()
    before = live(client, kind, place)
    one = manifest(before)
    files = rendering.files(one)
    home = rendering.folder(kind, place, NAME)
    assert one.owner.kind == FLUX and PLANTED not in json.dumps(files) and home == f"{place}/{kind.lower()}-{NAME}"
    folder.write(files)
    assert state(client, before, kept_by) == OPEN

    expected = patched(client, before, switching.SWITCHED)
    # Of the whole object as it is in the cluster.
    stored = {**before, "metadata": {key: before["metadata"][key] for key in ("name", "namespace", "labels")}}
    folder.write({"live.yaml": yaml.safe_dump(stored)})
    folder.kustomization(f"{home}/{SWITCH}")
    (built,) = folder.built()
    assert pod_template(built) == expected
    untouched = {key: value for key, value in built["spec"].items() if key not in ("template", "jobTemplate")}
    assert untouched.items() <= before["spec"].items() and built["metadata"] == stored["metadata"]

    folder.write({"live.yaml": yaml.safe_dump(workload(kind, place))})
    folder.apply()
    switched = live(client, kind, place)
    assert pod_template(switched) == expected and state(client, switched, kept_by) == MERGED
    assert rendering.files(manifest(switched))[f"{home}/{SWITCH}/patch.yaml"] == files[f"{home}/{SWITCH}/patch.yaml"]
    if kept_by:
        server.until("its revision is kept", lambda: _keeps(client, switched, kept_by))

    expected = patched(client, switched, switching.LEFT)
    assert state(client, switched, kept_by, leaves=True) == OPEN
    folder.kustomization(f"{home}/{SWITCH}", f"{home}/{LEAVE}")
    folder.apply()
    left = live(client, kind, place)
    assert pod_template(left) == expected and state(client, left, kept_by, leaves=True) == MERGED

    folder.kustomization()
    folder.apply()
    back = live(client, kind, place)
    assert pod_template(back) == pod_template(before)
    # Of a CronJob nobody keeps how it was.
    assert state(client, back, kept_by) == (REVERTED if kept_by else OPEN)


def _keeps(client: Client, raw: Raw, kept_by: Kind) -> bool:
    former = workload_identity_rendering.former(raw, client.list_all(kept_by, raw["metadata"]["namespace"]))
    return switching.fields(pod_template(raw)) in map(switching.fields, former)


@pytest.mark.soak
def test_flux_applies_components(its_flux: Flux, folder: Folder, place: str) -> None:
    """Of all kinds in one repository: each commit of its owner makes what a patch would, and a revert what was."""
    client = folder.client

    def seen() -> dict[str, Raw]:
        return {kind: live(client, kind, place) for kind in KEPT_BY}

    folder.write({"live.yaml": yaml.safe_dump_all(workload(kind, place) for kind in KEPT_BY)})
    folder.kustomization()
    its_flux.sync(place, folder.path)
    original = now = seen()
    for raw in original.values():
        assert manifest(raw).owner == Owner(FLUX, f"Kustomization {place}/{flux.NAME}")
        folder.write(rendering.files(manifest(raw)))
    homes = [rendering.folder(kind, place, NAME) for kind in KEPT_BY]
    for steps in ((SWITCH,), (SWITCH, LEAVE)):
        leaves = LEAVE in steps
        step = switching.LEFT if leaves else switching.SWITCHED
        expected = {kind: patched(client, raw, step) for kind, raw in now.items()}
        if leaves:
            # What is patched in place of that, Flux undoes.
            wanted = switching.Wanted(switching.LEFT)
            patch = switching.decide("Deployment", now["Deployment"], wanted).patch
            client.merge(KINDS["Deployment"], place, NAME, dict(patch))
            folder.write({"README.md": "Another commit."})
            its_flux.sync(place, folder.path)
            assert pod_template(live(client, "Deployment", place)) == pod_template(now["Deployment"])
        folder.kustomization(*(f"{home}/{each}" for home in homes for each in steps))
        its_flux.sync(place, folder.path)
        now = seen()
        for kind, raw in now.items():
            kept_by = KEPT_BY[kind]
            assert pod_template(raw) == expected[kind], (steps, kind)
            assert state(client, raw, kept_by, leaves=leaves) == MERGED, (steps, kind)
            if kept_by:
                server.until("its revision is kept", partial(_keeps, client, raw, kept_by))
    folder.kustomization()
    its_flux.sync(place, folder.path)
    for kind, raw in seen().items():
        assert pod_template(raw) == pod_template(original[kind]), kind
        assert state(client, raw, KEPT_BY[kind]) == (REVERTED if KEPT_BY[kind] else OPEN), kind


def test_kustomize_refuses_a_component_of_a_workload_that_is_not_there(folder: Folder, place: str) -> None:
    """So that nobody believes that something was changed."""
    raw = workload("Deployment", place)
    raw["metadata"]["name"] = "orders.v1"  # in which a dot means any sign to what takes it for a regular expression
    folder.write(rendering.files(manifest(raw)))
    raw["metadata"]["name"] = "ordersxv1"
    folder.write({"live.yaml": yaml.safe_dump(raw)})
    folder.kustomization(f"{rendering.folder('Deployment', place, 'orders.v1')}/{SWITCH}")
    with pytest.raises(AssertionError, match="no matches for Id Deployment.v1.apps/orders.v1"):
        folder.built()


CHART: dict[str, str] = {
    "Chart.yaml": "apiVersion: v2\nname: orders\nversion: 1.0.0\n",
    "values.yaml": "podLabels: {aadpodidbinding: web}\npodAnnotations: {}\nserviceAccount: {create: false, name: ''}\n",
    "templates/deployment.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 0
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels:
        app: web
        {{- toYaml .Values.podLabels | nindent 8 }}
      annotations: {{- toYaml .Values.podAnnotations | nindent 8 }}
    spec:
      serviceAccountName: {{ .Values.serviceAccount.name | default "default" }}
      containers: [{name: app, image: app}]
""",
}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    for name, text in CHART.items():
        (tmp_path / "chart" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chart" / name).write_text(text)
    return tmp_path / "chart"


def test_values_of_a_helm_release(own_server: ApiServer, place: str, chart: Path, tmp_path: Path) -> None:
    """Merged in part, whole, and rolled back."""
    client = own_server.client()
    own_server.helm("install", "orders", str(chart), "--namespace", place)
    before = live(client, "Deployment", place, "orders")
    assert manifest(before).owner == Owner(HELM, f"{place}/orders")
    values = [tmp_path / name for name in ("values-1.yaml", "values-2.yaml")]

    def upgrade(*arguments: str) -> Raw:
        own_server.helm("upgrade", "orders", str(chart), "--namespace", place, *arguments)
        raw = live(client, "Deployment", place, "orders")
        server.until("its revision is kept", lambda: _keeps(client, raw, REPLICA_SET))
        return raw

    def rendered(raw: Raw, **changed: Any) -> str:
        return rendering.files(manifest(raw, **changed))[f"{place}/deployment-orders/helm-values.yaml"]

    values[0].write_text(rendered(before))
    partly = upgrade("--set-string", "podLabels.azure\\.workload\\.identity/use=true")
    assert state(client, partly, REPLICA_SET) == PARTLY
    expected = patched(client, before, switching.SWITCHED)
    switched = upgrade("--values", str(values[0]))
    assert pod_template(switched) == expected and state(client, switched, REPLICA_SET) == MERGED

    values[1].write_text(rendered(switched, leaves=True))
    expected = patched(client, switched, switching.LEFT)
    left = upgrade("--values", str(values[0]), "--values", str(values[1]))
    assert pod_template(left) == expected and state(client, left, REPLICA_SET, leaves=True) == MERGED

    own_server.helm("rollback", "orders", "3", "--namespace", place)
    assert state(client, live(client, "Deployment", place, "orders"), REPLICA_SET, leaves=True) == REVERTED
    own_server.helm("rollback", "orders", "1", "--namespace", place)
    back = live(client, "Deployment", place, "orders")
    assert pod_template(back) == pod_template(before) and state(client, back, REPLICA_SET) == REVERTED


def test_a_post_renderer_of_flux(folder: Folder, place: str, chart: Path) -> None:
    """Which has what helm renders, without a namespace."""
    rendered = folder.server.helm("template", "orders", str(chart), "--namespace", place)
    (raw,) = yaml.safe_load_all(rendered)
    raw["metadata"]["namespace"] = place
    folder.write({"live.yaml": rendered})
    for leaves in (False, True):
        one = manifest(raw, owner=Owner(FLUX, f"HelmRelease {place}/orders"), leaves=leaves)
        release = yaml.safe_load(rendering.files(one)[f"{place}/deployment-orders/helmrelease.yaml"])
        folder.kustomization(**release["spec"]["postRenderers"][0]["kustomize"])
        (built,) = folder.built()
        assert switching.fields(pod_template(built)) == {**one.now, **one.due}
        assert pod_template(built)["spec"]["containers"] == pod_template(raw)["spec"]["containers"]
