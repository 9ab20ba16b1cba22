# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What applications and credentials hold is in no output, whatever verbosity, also where something is refused."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes.restarts import ANNOTATION
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import kinds
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import Client
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.errors import ApiFailure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind
from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.imported_roles import imported
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer, Runner
from ansible_collections.azureops.pod_identity.tests.support.fixed import fixed
from ansible_collections.azureops.pod_identity.tests.support.players import Player, role

PLANTED = "planted-7d1c9e"


def deploy(client: Client, namespace: str, mark: str = "old") -> None:
    metadata = {"labels": {"app": "api", "aadpodidbinding": "billing"}, "annotations": {ANNOTATION: mark}}
    container = {"name": "app", "image": "app", "env": [{"name": "PASSWORD", "value": PLANTED}]}
    spec = {
        "selector": {"matchLabels": {"app": "api"}},
        "template": {"metadata": metadata, "spec": {"containers": [container]}},
    }
    place = {"name": "api", "namespace": namespace}
    client.create(
        kinds.DEPLOYMENT, namespace, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place, "spec": spec}
    )


def noted(client: Client, namespace: str) -> str:
    found = client.get(kinds.DEPLOYMENT, namespace, "api")
    assert found
    return str(found["spec"]["template"]["metadata"]["annotations"][ANNOTATION])


@contextlib.contextmanager
def refusing(
    api_server: ApiServer, client: Client, namespace: str, kind: Kind = kinds.DEPLOYMENT, planted: str = PLANTED
) -> Iterator[None]:
    """No object of the kind can be changed, of which there is ``api``; the reason quotes it whole."""
    change = {"metadata": {"labels": {"changed": "true"}}}
    with obstacles.refusal(api_server, quoting=True) as place:
        with obstacles.webhook(client, namespace, kind.plural, place, group=kind.group):
            end = time.monotonic() + 300
            while time.monotonic() < end:  # until the API server has taken notice
                try:
                    client.merge(kind, namespace, "api", change, dry_run=True)
                except ApiFailure as failure:
                    assert planted in str(failure.error)
                    break
                time.sleep(0.1)
            yield


@pytest.fixture
def restart(api_server: ApiServer) -> Runner:
    return Runner(api_server, "workload_restart")


def test_a_restart_and_its_refusal_name_the_workload_only(
    restart: Runner, api_server: ApiServer, client: Client, namespace: str
) -> None:
    place = {"namespace": namespace, "name": "api"}
    given: dict[str, Any] = {**place, "matches": [{"selector": "billing", "content": ["billing"]}]}
    assert restart(**given).ok()["restart"] == {"exists": False, "noted": "", "now": ""}
    deploy(client, namespace)
    with refusing(api_server, client, namespace):
        for check in (True, False):
            outcome = restart(**given, check=check)
            assert f"kubectl -n {namespace} rollout restart deployment/api" in outcome.failure()
            assert outcome.result["error"] == {"status": 403, "code": "403", "message": ""}
            assert PLANTED not in outcome.output
    assert noted(client, namespace) == "old"
    predicted, done = restart(**given, check=True), restart(**given)
    now = done.ok()["restart"]["now"]
    assert predicted.ok()["diff"] == done.ok()["diff"] == {"before": {ANNOTATION: "old"}, "after": {ANNOTATION: now}}
    assert done.ok()["changes"] == predicted.ok()["changes"]
    assert done.ok()["actions"] == predicted.ok()["actions"] == [f"restart Deployment {namespace}/api"]
    assert (noted(client, namespace), restart(**given).ok()["changed"]) == (now, False)
    assert PLANTED not in predicted.output + done.output


@pytest.mark.parametrize("refused", fixed([True, False], False))
def test_the_role_restarts_without_a_word_of_what_pods_hold(
    api_server: ApiServer, client: Client, crds: None, namespace: str, tmp_path: Path, refused: bool
) -> None:
    deploy(client, namespace)
    metadata = {"name": "billing", "namespace": namespace}
    for kind, spec in (
        (kinds.AZURE_IDENTITY, {"type": 0, "resourceID": "/none", "clientID": "none"}),
        (kinds.AZURE_IDENTITY_BINDING, {"azureIdentity": "billing", "selector": "billing"}),
    ):
        client.create(
            kind, namespace, {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}
        )
    options = {
        "pod_identity_bindings_restart": [{"namespace": namespace, "name": name} for name in ("api", "absent")],
        "pod_identity_kubeconfig": api_server.kubeconfig(),
    }
    arguments = ("--tags", "pod_identity_bindings_restart", "--diff", "-vvvv")
    with refusing(api_server, client, namespace) if refused else contextlib.nullcontext():
        status, output = Player(tmp_path).play(imported("bindings"), *arguments, **options)
    assert (status, PLANTED in output) == (2 if refused else 0, False)
    assert (noted(client, namespace) == "old") == refused
    if refused:
        assert "its reason is not told here" in " ".join(output.split())


@pytest.mark.parametrize("passed", [True, False])
def test_the_password_of_a_proxy_is_not_told(api_server: ApiServer, tmp_path: Path, passed: bool) -> None:
    """A proxy that is not there and, ``passed`` by, has no part in an answer."""
    (port,) = server.free_ports(1)
    proxy = {"proxy": f"http://user:{PLANTED}@127.0.0.1:{port}", "no_proxy": "127.0.0.1" if passed else "none"}
    asking = {"module": "k8s_info", "kind": "Namespace", "kubeconfig": api_server.kubeconfig()}
    play = {
        "hosts": "localhost",
        "module_defaults": {"group/azureops.pod_identity.kubernetes": proxy},
        "tasks": [{"azureops.pod_identity.kubernetes_core": asking}],
    }
    status, output = Player(tmp_path, {"ANSIBLE_INJECT_INVOCATION": "1"}).play(play, "-vvvv")
    assert (status, PLANTED in output) == (0 if passed else 2, False)
    assert not passed or ("kube-system" in output and '"no_proxy": "127.0.0.1"' in output)


@pytest.fixture
def helm(api_server: ApiServer, namespace: str) -> Iterator[str]:
    """The program; what it installs in the namespace goes."""
    binaries, _charts = server.programs()
    yield str(binaries / "helm")
    api_server.helm("uninstall", "planted", "--namespace", namespace, "--ignore-not-found")


@pytest.mark.soak
def test_the_role_shows_no_credential_among_the_values_of_the_chart(
    api_server: ApiServer, client: Client, crds: None, namespace: str, helm: str, tmp_path: Path
) -> None:
    player, (_binaries, charts) = Player(tmp_path), server.programs()
    secret = dict.fromkeys(("cloud", "subscriptionID", "resourceGroup", "vmType", "tenantID", "clientID"), PLANTED)
    adminsecret = {**secret, "clientSecret": PLANTED, "useMSI": "false", "userAssignedMSIClientID": ""}
    binding = {"name": "a", "selector": "a"}
    identity = {"type": 0, "resourceID": "/none", "clientID": "none", "clientPassword": PLANTED, "binding": binding}

    def play(*arguments: str, **values: Any) -> str:
        status, output = player.play(
            # Not as extra variables, which Ansible itself shows.
            {"hosts": "localhost", "vars": {"pod_identity_chart_values": values}, "tasks": imported("chart")},
            *("--tags", "pod_identity_chart_install", "--diff", "-vvvv", *arguments),
            pod_identity_chart_release_name="planted",
            pod_identity_chart_namespace=namespace,
            pod_identity_chart_ref=str(charts / server.CHART),
            pod_identity_chart_helm_binary=helm,
            pod_identity_kubeconfig=api_server.kubeconfig(),
        )
        assert (status, PLANTED in output) == (0, False)
        return output

    values = {"adminsecret": adminsecret, "azureIdentities": {"a": identity}}
    for arguments in (("--check",), ()):
        assert "(not shown)" in play(*arguments, **values)
    assert PLANTED in api_server.helm("get", "values", "planted", "--namespace", namespace)
    # What is installed already takes the same way.
    output = play("--check", adminsecret={**adminsecret, "clientSecret": f"{PLANTED}-2"}, mic={"logVerbosity": 3})
    assert "(not shown, changed)" in output


@pytest.mark.parametrize("refused", fixed([True, False], False))
def test_a_secret_that_goes_is_in_no_output(
    api_server: ApiServer, client: Client, namespace: str, tmp_path: Path, refused: bool
) -> None:
    """One that somebody holds by a finalizer is what the API server answers its deletion with."""
    data = base64.b64encode(PLANTED.encode()).decode()
    metadata = {"name": "api", "namespace": namespace, "finalizers": ["example.com/held"]}
    client.create(kinds.SECRET, namespace, {"metadata": metadata, "data": {"password": data}})
    options = {
        "pod_identity_session": {"connection": {"kubeconfig": api_server.kubeconfig()}},
        "__pod_identity_uninstall_in_cluster": {"plan": {"going_secrets": [f"{namespace}/api"]}},
    }
    task = role("pod_identity_uninstall", "secrets")
    with refusing(api_server, client, namespace, kinds.SECRET, data) if refused else contextlib.nullcontext():
        status, output = Player(tmp_path).play([task], "--diff", "-vvvv", **options)
    assert (status, PLANTED in output, data in output) == (2 if refused else 0, False, False)
    found = client.get(kinds.SECRET, namespace, "api")
    assert found and ("deletionTimestamp" in found["metadata"]) != refused
    client.merge(kinds.SECRET, namespace, "api", {"metadata": {"finalizers": None}})
    if refused:
        told = " ".join(output.split())
        assert f"refuses to delete Secret {namespace}/api (403); its reason is not told here" in told
