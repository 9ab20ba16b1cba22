# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster with Azure around it in which workloads move: what is there of it, and what is told of it.

The API server, the controllers of workloads and the webhook of Workload ID are real. Azure is simulated; its Entra has
the keys of the API server, so that tokens of service accounts are exchanged as they are with an issuer of AKS. There is
no kubelet: pods are made, and never start.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.installation import (
    workload_identity_webhook as of_chart,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube.installation import READY
from ansible_collections.azureops.pod_identity.tests.kube.objects import create, pair, set_status
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Outcome, Runner
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from ansible_collections.azureops.pod_identity.tests.support.workload_identity import Webhook
from azsandbox.azure.arm import scale_sets
from azsandbox.azure.loopback import Credentials, SimulatedAzure
from azsandbox.azure.null_compute import NullCompute
from azsandbox.azure.state import INSTANCE, SCALE_SET

Raw = dict[str, Any]

USE = {of_chart.USE_LABEL: "true"}
PROXY = {of_chart.PROXY_ANNOTATION: "true"}
HOME = "azure-workload-identity-system"
"""The namespace of the webhook's chart."""
AZURE = {"resource_group": "rg", "cluster_name": "c1"}
WEB = "web"
"""The name of the usual workload and of its service account."""
CONTROLLERS = ("deployment-controller", "replicaset-controller", "resourcequota-controller")
_IDENTITIES = "/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
_CREDENTIALS_VERSION = "2023-01-31"


class _Compute(NullCompute):
    """Its clusters publish the keys of the API server."""

    def __init__(self, keys: Raw) -> None:
        super().__init__()
        self._published = keys

    async def issuer_keys(self, cluster_id: str) -> dict[str, object]:
        return dict(self._published)


@dataclass
class Site:
    """``issuer``: of the tokens of service accounts."""

    api_server: ApiServer
    client: Client
    azure: SimulatedAzure
    modules: Modules
    cluster: Raw
    issuer: str
    _defined: set[str] = field(default_factory=set)

    def properties(self, **changes: Any) -> None:
        """Change what Azure says of the cluster."""

        def change() -> None:
            found = self.azure.server.azure.state.get(self.cluster["id"])
            assert found
            found.properties.update(changes)

        self.azure.in_loop(change)

    def define(self, *listed: Kind) -> None:
        """Make kinds of others known, for as long as the API server runs."""
        new = [kind for kind in listed if kind.resource not in self._defined]
        self._defined.update(kind.resource for kind in new)
        server.install(self.client, [server.definition(kind) for kind in new])

    def info(self, who: Credentials | None = None, **options: Any) -> Outcome:
        """What workload_identity_info does, with Azure as its owner or as somebody else."""
        environment = {**self.modules.environment, **(self.modules.login(who) if who else {})}
        return Runner(self.api_server, "workload_identity_info", environment)(**AZURE, **options)


@contextlib.contextmanager
def running(*controllers: str) -> Iterator[Site]:
    """One that ends with the block; ``controllers`` beside those of Deployments and quotas."""
    with server.running(*CONTROLLERS, *controllers) as api_server, contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="site-")))
        client = api_server.client()
        server.install(client, server.definitions())
        azure = SimulatedAzure(folder, compute=_Compute(api_server.issuer_keys()))
        stack.callback(azure.close)
        cluster = azure.cluster(oidcIssuerProfile={"enabled": True})
        site = Site(api_server, client, azure, Modules(azure, folder), cluster, api_server.url)
        site.properties(oidcIssuerProfile={"enabled": True, "issuerURL": site.issuer})
        for instance in azure.in_loop(lambda: [dict(one.body) for one in azure.server.azure.state.all(INSTANCE)]):
            name = str(instance["properties"]["osProfile"]["computerName"])
            spec = {"providerID": f"azure://{instance['id']}"}
            client.create(kinds.NODE, None, {"metadata": {"name": name}, "spec": spec})
            node = {"conditions": READY, "nodeInfo": {"kubeletVersion": "v1.34.1"}}
            set_status(client, kinds.NODE, None, name, **node)
        yield site


def attach(azure: SimulatedAzure, identity: str) -> None:
    """As MIC does for pods that get it."""
    _carry(azure, attach=[identity], detach=[])


def detach(azure: SimulatedAzure, identity: str) -> None:
    _carry(azure, attach=[], detach=[identity])


def _carry(azure: SimulatedAzure, *, attach: list[str], detach: list[str]) -> None:
    def change() -> None:
        state = azure.server.azure.state
        for one in state.all(SCALE_SET):
            scale_sets.change(state, one, attach=attach, detach=detach)

    azure.in_loop(change)


@dataclass
class Place:
    """A namespace of a site with a workload that moves. ``options``: of the module, beside the usual ones.

    ``webhook``: the real one; none where nothing has to be told of what it does. ``ends``: what is done in the end.
    """

    site: Site
    namespace: str
    webhook: Webhook | None = None
    kind: str = kinds.DEPLOYMENT.name
    options: Raw = field(default_factory=dict)
    identity_id: str = ""
    app_id: str = ""
    client_id: str = ""
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def client(self) -> Client:
        return self.site.client

    # what is made

    def create(self, kind: Kind, name: str, namespace: str = "", *, metadata: Raw | None = None, **more: Any) -> Raw:
        """What is not in the own namespace goes with the place."""
        where = (namespace or self.namespace) if kind.namespaced else None
        made = create(self.client, kind, where, name, metadata=metadata or {}, **more)
        if not kind.namespaced or namespace:
            self.ends.callback(self.client.delete, kind, where, name)
        return made

    def usual(self, *, trusted: bool = True, **more: Any) -> None:
        """A workload for which all is done; ``more`` as ``web`` takes it."""
        self.identity(trusted=trusted)
        self.account()
        self.web(**more)

    def identity(self, name: str = "", *, trusted: bool = True) -> None:
        """A managed identity that AAD Pod Identity gives to the workload; ``trusted``: as Workload ID does, too."""
        answer = self.site.azure.arm("PUT", f"{_IDENTITIES}/{name or self.namespace}", {"location": "westeurope"})
        answer.raise_for_status()
        self.identity_id = str(answer.json()["id"])
        self.client_id = str(answer.json()["properties"]["clientId"])
        attach(self.site.azure, self.identity_id)
        pair(self.client, self.namespace, WEB, self.identity_id, self.client_id)
        if trusted:
            self.trust()

    def principal(self, name: str = WEB, *, owned: bool = True, **spec: Any) -> None:
        """An application that AAD Pod Identity gives to the workload, by a Secret; ``owned``: by the owner of Azure."""
        azure = self.site.azure
        made = azure.principal(self.namespace, owners=[azure.owner.object_id] if owned else [])
        self.app_id = made.client_id
        self.client_id = self.client_id or made.client_id  # what a managed identity is given for goes first
        self.create(kinds.SECRET, name, stringData={"secret": made.secret})
        place = {"namespace": self.namespace, "name": name}
        usual = {"type": 1, "tenantID": azure.tenant_id, "clientID": made.client_id, "clientPassword": place}
        self.create(kinds.AZURE_IDENTITY, name, spec={**usual, **spec})
        self.create(kinds.AZURE_IDENTITY_BINDING, name, spec={"azureIdentity": name, "selector": self.namespace})

    def trusted_by_application(self) -> list[str]:
        """Subjects that the application trusts."""

        def read() -> list[str]:
            found = self.site.azure.server.azure.state.principal_by_app(self.app_id)
            return [str(each.body["subject"]) for each in found.federated] if found else []

        return list(self.site.azure.in_loop(read))

    def trusted_by_identity(self) -> list[str]:
        """Subjects that the managed identity trusts."""
        path = f"{self.identity_id}/federatedIdentityCredentials"
        answer = self.site.azure.arm("GET", path, version=_CREDENTIALS_VERSION)
        answer.raise_for_status()
        return [str(each["properties"]["subject"]) for each in answer.json()["value"]]

    def trust(self, name: str = WEB, issuer: str = "", subject: str = "") -> None:
        """A federated credential of the identity; by default the one that the workload needs."""
        properties = {
            "issuer": issuer or self.site.issuer,
            "subject": subject or f"system:serviceaccount:{self.namespace}:{WEB}",
            "audiences": [of_chart.AUDIENCE],
        }
        path = f"{self.identity_id}/federatedIdentityCredentials/{name}"
        answer = self.site.azure.arm("PUT", path, {"properties": properties}, version=_CREDENTIALS_VERSION)
        answer.raise_for_status()

    def account(self, client_id: str | None = None, **metadata: Any) -> None:
        """The service account; without ``client_id`` it tells that of the identity, with '' none."""
        told = self.client_id if client_id is None else client_id
        annotations = {of_chart.CLIENT_ID: told} if told else {}
        self.create(kinds.SERVICE_ACCOUNT, WEB, metadata={"annotations": annotations, **metadata})

    def web(
        self, *, kind: Kind = kinds.DEPLOYMENT, metadata: Raw | None = None, spec: Raw | None = None, **more: Any
    ) -> Raw:
        """The workload; ``spec`` beside the usual fields of its kind, ``more`` as ``template`` takes it."""
        self.kind = kind.name
        pod = template(**{"selector": self.namespace, **more})
        if kind == kinds.CRON_JOB:
            pod["spec"]["restartPolicy"] = "Never"
            whole: Raw = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pod}}}
        else:
            whole = {"selector": {"matchLabels": {"app": WEB}}, "template": pod}
        return self.create(kind, WEB, metadata=metadata, spec={**whole, **(spec or {})})

    def living_pod(self) -> Raw:
        """That of the workload, as the controllers and the webhook made it."""
        found: list[Raw] = []

        def made() -> bool:
            found[:] = [dict(each) for each in self.client.list_all(kinds.POD, self.namespace, labels=f"app={WEB}")]
            return bool(found)

        server.until("the workload has a pod", made)
        return found[0]

    def tried(self, **more: Any) -> Raw | str:
        """A pod of such a template in a dry run, as the API server would store it, or why it would not."""
        pod = template(**{"selector": self.namespace, **more})
        pod["metadata"]["name"] = "tried"
        try:
            return dict(self.client.create(kinds.POD, self.namespace, pod, dry_run=True))
        except ApiFailure as failure:
            return str(failure.error["message"])

    def serve_as_object(self, version: str, *, ready: bool = True) -> None:
        """In place of the real webhook the objects of one of that version, of which nothing is asked."""
        if self.client.get(kinds.NAMESPACE, None, HOME) is None:
            self.client.create(kinds.NAMESPACE, None, {"metadata": {"name": HOME}})
        self.client.delete(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, workload_identity.CONFIGURATION)
        labels, name = {"azure-workload-identity.io/system": "true"}, f"webhook-{self.namespace}"
        pod = template(
            labels={**labels, "app": name},
            account="",
            image=f"mcr.microsoft.com/oss/azure/workload-identity/webhook:{version}",
        )
        spec = {"selector": {"matchLabels": {"app": name}}, "template": pod}
        self.create(kinds.DEPLOYMENT, name, HOME, metadata={"labels": labels}, spec=spec)
        of_home = {"service": {"namespace": HOME, "name": "webhook"}, "caBundle": "QQ=="}
        entry = {**workload_identity.entry(self.site.api_server), "clientConfig": of_home}
        self.create(kinds.MUTATING_WEBHOOK_CONFIGURATION, "webhook-as-object", webhooks=[entry])

        def made() -> bool:
            pods = self.client.list_all(kinds.POD, HOME, labels=f"app={name}")
            for each in pods if ready else ():
                set_status(self.client, kinds.POD, HOME, each["metadata"]["name"], phase="Running", conditions=READY)
            return bool(pods)

        server.until("the webhook has a pod", made)
        self.options["dry_run"] = False

    def proof(self, **changes: Any) -> None:
        """What a pod like those of the workload has told, other than that all went well."""
        usual = {"service_account": f"{self.namespace}/{WEB}", "client_id": self.client_id, "asked": 20, "granted": 20}
        self.options["exchanges"] = [{**usual, "workload": f"{self.kind} {self.namespace}/{WEB}", **changes}]

    # what is told

    def info(self, **more: Any) -> Raw:
        if "exchanges" not in self.options:
            self.proof()
        usual = {"namespaces": [self.namespace], "dry_run": True, "exchange_samples": 1}
        return self.site.info(**{**usual, **self.options, **more}).ok()

    def row(self) -> Raw:
        """What is told of the workload."""
        done = self.info()
        (found,) = [each for each in done["templates"] if (each["kind"], each["name"]) == (self.kind, WEB)]
        return dict(found)

    def close(self) -> None:
        self.ends.close()


def template(
    *,
    selector: str = "",
    labels: Mapping[str, str] = USE,
    annotations: Mapping[str, str] | None = None,
    pod: Raw | None = None,
    container: Raw | None = None,
    account: str = WEB,
    image: str = "registry.example/web:1",
) -> Raw:
    """Metadata and spec of a pod of the workload; ``pod`` and ``container``: fields beside the usual ones.

    ``selector``: the label of AAD Pod Identity, '' for none, ``labels``: beside it, by default that of Workload ID, so
    that it has moved and may go back.
    """
    marks = {**({"aadpodidbinding": selector} if selector else {}), **labels}
    spec: Raw = {"containers": [{"name": "app", "image": image, **(container or {})}], **(pod or {})}
    if account:
        spec["serviceAccountName"] = account
    return {"metadata": {"labels": {"app": WEB, **marks}, "annotations": dict(annotations or {})}, "spec": spec}


@contextlib.contextmanager
def place(site: Site, webhook: Webhook | None = None) -> Iterator[Place]:
    """A namespace of its own, which goes with the block."""
    with server.own_namespace(site.client) as namespace:
        made = Place(site, namespace, webhook)
        try:
            yield made
        finally:
            made.close()
