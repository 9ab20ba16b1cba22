# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The problems that movers run into, each as a world that has it, and the same world without it.

Each is a function of a place and of whether it is wrong there. Where a problem can be seen in the cluster, the function
itself sees it: what the API server and the webhook 1.3.0 make of a pod. What they cannot show stands there as a double,
which says what it stands for. That a pod of the workload was given its token by Workload ID is told to the module in
each world, because no pod runs here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.azure.federated import LIMIT
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds, migration
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.gates import listening
from ansible_collections.azureops.pod_identity.tests.kube.migration_site import PROXY, USE, WEB, Place, Raw
from ansible_collections.azureops.pod_identity.tests.kube.objects import create
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support import workload_identity
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer

Make = Callable[[Place, bool], None]

OTHER_ID = "00000000-0000-0000-0000-00000000000b"
OF_WORKLOAD_ID = "azure.workload.identity/"
TOKEN_FILE = "/var/run/secrets/azure/tokens/azure-identity-token"
POLICY = Kind("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False)
POLICY_BINDING = Kind(
    *("admissionregistration.k8s.io", "v1"),
    *("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
    False,
)
_TOLD = "what a pod like those of the workload told is given, not asked for"
_SERVED = "the webhook is there as its objects, because only 1.3.0 can be built"


@dataclass(frozen=True)
class World:
    """``row``: of the problems that movers have reported. ``part``: of what is told of the workload, where the code is.

    ``double``: what is not real of it; '' where all is that has to be.
    """

    row: int
    code: str
    part: str
    make: Make
    double: str = ""


WORLDS: dict[str, World] = {}


def _world(row: int, code: str, part: str = "blocked", double: str = "") -> Callable[[Make], Make]:
    def mark(make: Make) -> Make:
        WORLDS[make.__name__] = World(row, code, part, make, double)
        return make

    return mark


# the webhook


@_world(1, "template_not_labelled", "needs")
def label_on_workload_and_account_only(place: Place, wrong: bool) -> None:
    """As charts do that offer no labels of pods."""
    place.identity()
    place.account(labels=USE)
    place.web(metadata={"labels": USE}, labels={} if wrong else USE)
    assert _has_token(place.living_pod()) is not wrong


@_world(2, "pods_older_than_account", "needs")
def account_annotated_after_the_pods(place: Place, wrong: bool) -> None:
    place.identity()
    place.account("" if wrong else None)
    place.web()
    assert _variables(place.living_pod()).get("AZURE_CLIENT_ID") == ("" if wrong else place.client_id)
    if wrong:
        told = {f"{OF_WORKLOAD_ID}client-id": place.client_id}
        place.client.merge(kinds.SERVICE_ACCOUNT, place.namespace, WEB, {"metadata": {"annotations": told}})


@_world(2, "pods_older_than_account", "needs")
def label_after_the_pods(place: Place, wrong: bool) -> None:
    """The pods of a Deployment whose rollout somebody has stopped."""
    place.usual(labels={} if wrong else USE)
    place.living_pod()
    if wrong:
        change = {"paused": True, "template": {"metadata": {"labels": USE}}}
        place.client.merge(kinds.DEPLOYMENT, place.namespace, WEB, {"spec": change})


@_world(3, "webhook_not_installed", "needs")
def no_webhook(place: Place, wrong: bool) -> None:
    place.usual()
    if wrong:
        place.client.delete(kinds.MUTATING_WEBHOOK_CONFIGURATION, None, workload_identity.CONFIGURATION)


@_world(3, "labelled_pod_refused")
def webhook_down_and_failing(place: Place, wrong: bool) -> None:
    assert place.webhook
    place.usual()
    if wrong:
        place.webhook.stop()
        assert "failed calling webhook" in _refused(place)


@_world(3, "labelled_pod_refused")
def webhook_down_and_passed_over(place: Place, wrong: bool) -> None:
    assert place.webhook
    place.usual()
    if wrong:
        place.webhook.configure(failurePolicy="Ignore")
        place.webhook.stop()
        _until(place, lambda made: isinstance(made, dict) and not _has_token(made))


@_world(3, "webhook_may_be_passed_over", "noted")
def webhook_that_may_be_ignored(place: Place, wrong: bool) -> None:
    assert place.webhook
    place.usual()
    if wrong:
        place.webhook.configure(failurePolicy="Ignore")


@_world(3, "webhook_not_ready", double=_SERVED)
def webhook_without_a_ready_pod(place: Place, wrong: bool) -> None:
    place.usual()
    place.serve_as_object("v1.3.0", ready=not wrong)


@_world(4, "fields_would_be_lost")
def resources_of_the_pod(place: Place, wrong: bool) -> None:
    pod = {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}}
    place.usual(pod=pod if wrong else None)
    if wrong:
        made, plain = place.tried(pod=pod), place.tried(pod=pod, labels={})
        assert isinstance(made, dict) and isinstance(plain, dict)
        assert "resources" in plain["spec"] and "resources" not in made["spec"]


# the proxy


@_world(5, "proxy_keeps_job_alive")
def cron_job_with_the_proxy(place: Place, wrong: bool) -> None:
    annotations = PROXY if wrong else {}
    place.usual(kind=kinds.CRON_JOB, annotations=annotations)
    made = place.tried(annotations=annotations)
    assert isinstance(made, dict) and ("azwi-proxy" in _names(made, "containers")) is wrong


@_world(5, "proxy_keeps_job_alive", double=_SERVED)
def proxy_that_is_no_native_sidecar(place: Place, wrong: bool) -> None:
    place.usual(kind=kinds.CRON_JOB, annotations=PROXY)
    place.serve_as_object("v1.4.0" if wrong else "v1.5.0")


@_world(6, "proxy_not_admitted")
def proxy_under_pod_security(place: Place, wrong: bool) -> None:
    level = {"pod-security.kubernetes.io/enforce": "baseline" if wrong else "privileged"}
    place.client.merge(kinds.NAMESPACE, None, place.namespace, {"metadata": {"labels": level}})
    place.usual(annotations=PROXY)
    if wrong:
        assert "violates PodSecurity" in _refused(place, annotations=PROXY)


@_world(6, "proxy_not_admitted")
def proxy_under_a_quota(place: Place, wrong: bool) -> None:
    """Without limits; where a LimitRange sets them, all is well."""
    place.create(kinds.RESOURCE_QUOTA, "cpu", spec={"hard": {"limits.cpu": "20"}})
    if not wrong:
        limits = [{"type": "Container", "default": {"cpu": "100m"}}]
        place.create(kinds.LIMIT_RANGE, "cpu", spec={"limits": limits})
    bounded = {"resources": {"limits": {"cpu": "100m"}}}
    place.usual(annotations=PROXY, container=bounded)
    if wrong:
        _until(
            place,
            lambda made: "must specify limits.cpu for: azwi-proxy" in str(made),
            annotations=PROXY,
            container=bounded,
        )


@_world(6, "proxy_not_admitted")
def proxy_under_a_policy(place: Place, wrong: bool) -> None:
    """Which only a dry run tells."""
    if wrong:
        containers = "object.spec.?initContainers.orValue([])"
        forbidden = f"{containers}.all(c, !c.?securityContext.?privileged.orValue(false))"
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": forbidden}]}
        place.create(POLICY, place.namespace, spec=spec)
        only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}}
        bound = {"policyName": place.namespace, "validationActions": ["Deny"], "matchResources": only}
        place.create(POLICY_BINDING, place.namespace, spec=bound)
    place.usual(annotations=PROXY)
    if wrong:
        _until(place, lambda made: f"ValidatingAdmissionPolicy '{place.namespace}'" in str(made), annotations=PROXY)


@_world(7, "init_container_before_proxy")
def init_container_with_the_proxy(place: Place, wrong: bool) -> None:
    pod = {"initContainers": [{"name": "setup", "image": "setup"}]} if wrong else {}
    place.usual(annotations=PROXY, pod=pod)
    made = place.tried(annotations=PROXY, pod=pod)
    assert isinstance(made, dict)
    assert _names(made, "initContainers") == [*(["setup"] if wrong else []), "azwi-proxy-init"]


@_world(8, "proxy_on_host_network")
def proxy_on_the_host_network(place: Place, wrong: bool) -> None:
    pod = {"hostNetwork": wrong}
    place.usual(annotations=PROXY, pod=pod)
    if wrong:
        assert "hostNetwork is set to true" in _refused(place, annotations=PROXY, pod=pod)


@_world(8, "takes_node_identity")
def identity_of_the_node(place: Place, wrong: bool) -> None:
    """A workload on the host network, which NMI never served."""
    place.identity()
    place.account("" if wrong else None)
    own = {"env": [{"name": "AZURE_CLIENT_ID", "value": place.client_id}]}
    place.web(selector="", labels={} if wrong else USE, pod={"hostNetwork": True}, container=own)


@_world(9, "container_without_token")
def sidecar_of_a_later_webhook(place: Place, wrong: bool) -> None:
    """That of a mesh, where the webhook of Workload ID is not called again behind it."""
    assert place.webhook
    place.ends.enter_context(_mesh(place.site.api_server, place.namespace))
    if wrong:
        place.webhook.configure(reinvocationPolicy="Never")

    def as_wanted(made: Raw | str) -> bool:
        told = (
            {each["name"]: bool(each.get("env")) for each in made["spec"]["containers"]}
            if isinstance(made, dict)
            else {}
        )
        return told == {"app": True, "mesh": not wrong}

    place.identity()
    place.account()
    _until(place, as_wanted)
    place.web()
    assert as_wanted(place.living_pod())


@_world(9, "container_without_token")
def container_that_is_skipped(place: Place, wrong: bool) -> None:
    annotations = {f"{OF_WORKLOAD_ID}skip-containers": "app"} if wrong else {}
    place.usual(annotations=annotations)
    assert _has_token(place.living_pod()) is not wrong


@_world(14, "proxy_ignores_parameters", "noted")
def proxy_asked_by_resource_id(place: Place, wrong: bool) -> None:
    place.identity()
    place.account()
    place.web(annotations=PROXY, container={"args": [f"--identity={place.identity_id}"] if wrong else []})


@_world(15, "asks_metadata_service")
def metadata_service_in_the_arguments(place: Place, wrong: bool) -> None:
    address = "http://169.254.169.254/metadata/identity/oauth2/token?resource=https://vault.azure.net"
    place.usual(container={"args": ["--token-url", address if wrong else "https://login.microsoftonline.com"]})


# tokens


@_world(10, "token_path_hard_coded")
def path_of_the_token_in_the_arguments(place: Place, wrong: bool) -> None:
    place.usual(container={"args": [f"--token-file={TOKEN_FILE if wrong else '$(AZURE_FEDERATED_TOKEN_FILE)'}"]})
    assert _variables(place.living_pod())["AZURE_FEDERATED_TOKEN_FILE"] == TOKEN_FILE


@_world(10, "token_path_hard_coded", double=_SERVED)
def path_of_the_token_with_the_webhook_1_6(place: Place, wrong: bool) -> None:
    """Which has another one; with an older webhook a person is warned."""
    place.usual(container={"args": [f"--token-file={TOKEN_FILE}"] if wrong else []})
    place.serve_as_object("v1.6.0")


@_world(10, "token_path_hard_coded", "noted", double=_SERVED)
def path_of_the_token_with_the_webhook_1_3(place: Place, wrong: bool) -> None:
    place.usual(container={"args": [f"--token-file={TOKEN_FILE}"] if wrong else []})
    place.serve_as_object("v1.3.0")


@_world(11, "library_too_old")
def variable_of_an_old_library(place: Place, wrong: bool) -> None:
    name = "AzureServicesAuthConnectionString" if wrong else "AZURE_TOKEN_CREDENTIALS"
    place.usual(container={"env": [{"name": name, "value": "RunAs=App"}]})


@_world(12, "falls_back_to_node", double=_TOLD)
def token_of_nmi(place: Place, wrong: bool) -> None:
    place.usual()
    place.proof(served_by="nmi" if wrong else "workload_identity")


@_world(18, "assertion_expires", double=_TOLD)
def assertion_older_than_it_lives(place: Place, wrong: bool) -> None:
    place.usual()
    place.proof(granted=19, codes={"AADSTS700024" if wrong else "AADSTS700213": 1})


@_world(22, "login_host_not_reached")
def egress_closed_by_a_policy(place: Place, wrong: bool) -> None:
    """Nothing but the proof of a pod tells that it is open."""
    open_ports = [{"protocol": "UDP", "port": 53}, *([] if wrong else [{"protocol": "TCP", "port": 443}])]
    spec = {"podSelector": {"matchLabels": {"app": WEB}}, "policyTypes": ["Egress"], "egress": [{"ports": open_ports}]}
    place.create(kinds.NETWORK_POLICY, "closed", spec=spec)
    place.usual()
    if wrong:
        place.options["exchanges"] = []


@_world(22, "login_host_not_reached", double=_TOLD)
def egress_closed_behind_the_cluster(place: Place, wrong: bool) -> None:
    place.usual()
    if wrong:
        place.proof(asked=0, granted=0, reached=False)


# trust


@_world(13, "account_tells_other_client_id", "needs")
def account_with_another_client_id(place: Place, wrong: bool) -> None:
    place.identity()
    place.account(OTHER_ID if wrong else None)
    place.web()


@_world(13, "account_tells_other_client_id", "needs")
def account_without_a_client_id(place: Place, wrong: bool) -> None:
    """For which webhooks up to 1.5.0 set an empty one."""
    place.identity()
    place.account("" if wrong else None)
    place.web()
    assert _variables(place.living_pod())["AZURE_CLIENT_ID"] == ("" if wrong else place.client_id)


@_world(13, "own_client_id_differs")
def client_id_of_the_template(place: Place, wrong: bool) -> None:
    place.identity()
    place.account()
    own = OTHER_ID if wrong else place.client_id
    place.web(container={"env": [{"name": "AZURE_CLIENT_ID", "value": own}]})
    assert _variables(place.living_pod())["AZURE_CLIENT_ID"] == own


@_world(16, "not_federated", "needs")
def no_credential(place: Place, wrong: bool) -> None:
    place.usual(trusted=not wrong)


@_world(16, "federated_by_other_spelling", "needs")
def issuer_with_a_slash(place: Place, wrong: bool) -> None:
    place.usual(trusted=False)
    place.trust(issuer=f"{place.site.issuer}/" if wrong else "")


@_world(16, "exchanges_fail")
def exchanges_that_entra_refuses(place: Place, wrong: bool) -> None:
    place.usual()
    if wrong:
        place.options["exchanges"] = []
        rule = place.site.azure.control("POST", "/faults", {"aadsts": 700213, "count": 0})
        place.ends.callback(place.site.azure.control, "DELETE", "/faults", id=rule["id"])


@_world(17, "too_many_credentials")
def credentials_of_many_clusters(place: Place, wrong: bool) -> None:
    place.usual(trusted=False)
    for number in range(LIMIT if wrong else LIMIT - 1):
        place.trust(f"cluster-{number}", f"https://westeurope.oic.prod-aks.azure.com/t/{number}/")


@_world(19, "issuer_not_enabled")
def cluster_without_an_issuer(place: Place, wrong: bool) -> None:
    place.usual()
    if wrong:
        before = {"enabled": True, "issuerURL": place.site.issuer}
        place.ends.callback(place.site.properties, oidcIssuerProfile=before)
        place.site.properties(oidcIssuerProfile={"enabled": False})


# the installation and others


@_world(
    20, "two_webhooks", double="the chart's Deployment is there as its object, and Azure says that the add-on is on"
)
def chart_beside_the_add_on(place: Place, wrong: bool) -> None:
    place.usual()
    place.serve_as_object("v1.3.0")
    if wrong:
        place.ends.callback(place.site.properties, securityProfile={})
        place.site.properties(securityProfile={"workloadIdentity": {"enabled": True}})


@_world(20, "two_webhooks")
def two_configurations(place: Place, wrong: bool) -> None:
    place.usual()
    if wrong:
        place.create(
            kinds.MUTATING_WEBHOOK_CONFIGURATION, "second", webhooks=[workload_identity.entry(place.site.api_server)]
        )


@_world(21, "others_take_tokens_by_it", double="KEDA is there as its objects")
def trigger_of_keda(place: Place, wrong: bool) -> None:
    """Which the operator's pods ask for."""
    place.site.define(_optional("TriggerAuthentication"))
    place.usual(image="ghcr.io/kedacore/keda:2.14.0")
    provider = "azure" if wrong else "azure-workload"
    place.create(_optional("TriggerAuthentication"), "queue", spec={"podIdentity": {"provider": provider}})


@_world(21, "others_take_tokens_by_it", double="the Secrets Store CSI driver is there as its objects")
def class_of_the_csi_driver(place: Place, wrong: bool) -> None:
    kind = _optional("SecretProviderClass")
    place.site.define(kind)
    csi = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"}, "readOnly": True}
    place.usual(pod={"volumes": [{"name": "secrets", "csi": csi}]})
    parameters = {"usePodIdentity": "true"} if wrong else {"clientID": place.client_id}
    place.create(kind, "vault", spec={"provider": "azure", "parameters": parameters})


@_world(23, "namespace_not_covered", double="AKS leaves such a namespace out; here the webhook alone would not")
def namespace_of_a_control_plane(place: Place, wrong: bool) -> None:
    labels = {"control-plane": "true" if wrong else None}
    place.client.merge(kinds.NAMESPACE, None, place.namespace, {"metadata": {"labels": labels}})
    place.usual()


@_world(23, "namespace_not_covered")
def namespace_that_is_not_selected(place: Place, wrong: bool) -> None:
    assert place.webhook
    place.usual()
    if wrong:
        place.webhook.configure(namespaceSelector={"matchLabels": {"team": "others"}})
        _until(place, lambda made: isinstance(made, dict) and not _has_token(made))


@_world(23, "windows_has_no_proxy")
def proxy_on_windows(place: Place, wrong: bool) -> None:
    place.usual(annotations=PROXY, pod={"nodeSelector": {"kubernetes.io/os": "windows" if wrong else "linux"}})


@_world(23, "runs_on_virtual_nodes")
def pods_on_virtual_nodes(place: Place, wrong: bool) -> None:
    place.usual(pod={"nodeSelector": {"type": "virtual-kubelet"} if wrong else {"kubernetes.io/os": "linux"}})


# what is looked at


def _optional(name: str) -> Kind:
    return next(versions[0] for versions in migration.OPTIONAL if versions[0].name == name)


def _variables(pod: Mapping[str, Any]) -> dict[str, str]:
    """Of its first container."""
    return {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0].get("env") or ()}


def _has_token(pod: Mapping[str, Any]) -> bool:
    return "AZURE_FEDERATED_TOKEN_FILE" in _variables(pod)


def _names(pod: Mapping[str, Any], which: str) -> list[str]:
    return [each["name"] for each in pod["spec"].get(which) or ()]


def _refused(place: Place, **more: Any) -> str:
    """Why the API server would not create a pod of the workload."""
    made = place.tried(**more)
    assert isinstance(made, str), made
    return made


def _until(place: Place, as_wanted: Callable[[Raw | str], bool], **more: Any) -> None:
    """The API server acts on a change of what it admits a little later."""
    server.until("the API server does as wanted", lambda: as_wanted(place.tried(**more)))


@contextlib.contextmanager
def _mesh(api_server: ApiServer, namespace: str) -> Iterator[None]:
    """A webhook that adds a container to pods of the namespace, and is called after that of Workload ID."""

    class Adding(obstacles.Admission):
        def response(self, request: Any) -> Raw:
            added = {"op": "add", "path": "/spec/containers/-", "value": {"name": "mesh", "image": "mesh"}}
            return obstacles.patching([] if "mesh" in _names(request["object"], "containers") else [added])

    entry, client, kind = workload_identity.entry(api_server), api_server.client(), kinds.MUTATING_WEBHOOK_CONFIGURATION
    with listening(Adding, api_server.ca, api_server.folder / "key.pem") as url:
        own = {
            "name": "mesh.example.com",
            "clientConfig": {**entry["clientConfig"], "url": f"{url}/"},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "objectSelector": {},
            "reinvocationPolicy": "Never",
        }
        create(client, kind, None, "z-mesh", webhooks=[{**entry, **own}])
        try:
            yield
        finally:
            client.delete(kind, None, "z-mesh")
