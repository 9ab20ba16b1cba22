# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that know nothing of the sandbox work in it: the Azure CLI and azure.azcollection. Needs root.

One sandbox, one cluster; the tests follow one story in the order of this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sandboxes import Sandbox, running

pytestmark = [pytest.mark.story, pytest.mark.soak]

GROUP, CLUSTER, LOCATION = "clients", "one", "westeurope"
NODE_GROUP = f"MC_{GROUP}_{CLUSTER}_{LOCATION}"
OPERATOR_ROLE = "f1a07417-d97a-45cb-824c-7a7467783830"
READER_ROLE = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
SUBJECT = "system:serviceaccount:billing:default"
AUDIENCE = "api://AzureADTokenExchange"


@dataclass(frozen=True)
class Azure:
    """The Azure CLI in a sandbox."""

    sandbox: Sandbox

    def __call__(self, *arguments: str) -> Any:
        return self.sandbox.az(*arguments)


@pytest.fixture(scope="module")
def az() -> Iterator[Azure]:
    with running("clients") as sandbox:
        yield Azure(sandbox)


@pytest.fixture(scope="module")
def account(az: Azure) -> dict[str, str]:
    """Ids of subscription and tenant and the operator's credentials, as `exec` hands them out."""
    names = ("AZURE_SUBSCRIPTION_ID", "AZURE_TENANT", "AZURE_CLIENT_ID", "AZURE_SECRET")
    return dict(zip(names, az.sandbox.exec("printenv", *names).split(), strict=True))


@pytest.fixture(scope="module")
def group(az: Azure) -> dict[str, Any]:
    made: dict[str, Any] = az("group", "create", "-n", GROUP, "-l", LOCATION, "--tags", "team=payments")
    return made


@pytest.fixture(scope="module")
def identity(az: Azure, group: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = az("identity", "create", "-g", GROUP, "-n", "billing")
    return made


@pytest.fixture(scope="module")
def cluster(az: Azure, group: dict[str, Any]) -> dict[str, Any]:
    """Created in the foreground: az polls the operation and asks for the cluster at its end."""
    create = ("aks", "create", "-g", GROUP, "-n", CLUSTER, "--node-count", "2", "--enable-oidc-issuer")
    made: dict[str, Any] = az(*create, "--generate-ssh-keys")
    return made


@pytest.fixture(scope="module")
def scale_set(az: Azure, cluster: dict[str, Any]) -> str:
    (found,) = az("vmss", "list", "-g", NODE_GROUP)
    assert (found["sku"]["capacity"], found["provisioningState"]) == (2, "Succeeded")
    return str(found["name"])


def test_login(az: Azure, account: dict[str, str]) -> None:
    credentials = (
        "-u",
        account["AZURE_CLIENT_ID"],
        f"--password={account['AZURE_SECRET']}",
        "-t",
        account["AZURE_TENANT"],
    )
    (logged_in,) = az("login", "--service-principal", *credentials)
    shown = az("account", "show")
    (listed,) = az("account", "list")
    for answer in (logged_in, shown, listed):
        assert answer["id"] == account["AZURE_SUBSCRIPTION_ID"]
        assert answer["tenantId"] == account["AZURE_TENANT"]
        assert answer["user"] == {"name": account["AZURE_CLIENT_ID"], "type": "servicePrincipal"}
        assert (answer["state"], answer["isDefault"]) == ("Enabled", True)


def test_group(az: Azure, account: dict[str, str], group: dict[str, Any]) -> None:
    assert group["id"] == f"/subscriptions/{account['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{GROUP}"
    assert (group["location"], group["tags"]) == (LOCATION, {"team": "payments"})
    assert az("group", "show", "-n", GROUP) == group
    assert az("group", "list") == [group]


def test_provider(az: Azure) -> None:
    assert az("provider", "show", "-n", "Microsoft.ContainerService")["registrationState"] == "Registered"


def test_identity(az: Azure, account: dict[str, str], identity: dict[str, Any]) -> None:
    subscription = account["AZURE_SUBSCRIPTION_ID"]
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    assert identity["id"] == f"/subscriptions/{subscription}/resourcegroups/{GROUP}/providers/{kind}/billing"
    assert (identity["tenantId"], identity["type"]) == (account["AZURE_TENANT"], kind)
    assert len({identity["clientId"], identity["principalId"]}) == 2
    assert az("identity", "show", "-g", GROUP, "-n", "billing") == identity
    assert az("identity", "list", "-g", GROUP) == [identity]


def test_cluster(az: Azure, cluster: dict[str, Any]) -> None:
    assert (cluster["provisioningState"], cluster["nodeResourceGroup"]) == ("Succeeded", NODE_GROUP)
    assert cluster["identityProfile"]["kubeletidentity"]["resourceId"].endswith(f"/{CLUSTER}-agentpool")
    shown = az("aks", "show", "-g", GROUP, "-n", CLUSTER)
    assert shown == cluster
    assert az("aks", "list", "-g", GROUP) == [shown]


@pytest.mark.parametrize("admin", [False, True], ids=["user", "admin"])
def test_kubeconfig(az: Azure, cluster: dict[str, Any], tmp_path: Path, admin: bool) -> None:
    file = tmp_path / "kubeconfig"
    az("aks", "get-credentials", "-g", GROUP, "-n", CLUSTER, "-f", str(file), *(["--admin"] if admin else []))
    content = yaml.safe_load(file.read_text())
    assert content["current-context"] == (f"{CLUSTER}-admin" if admin else CLUSTER)
    assert content["users"][0]["name"] == f"{'clusterAdmin' if admin else 'clusterUser'}_{GROUP}_{CLUSTER}"
    assert content["clusters"][0]["cluster"]["server"] == f"https://{cluster['fqdn']}:443"
    answer = az.sandbox.exec("kubectl", "--kubeconfig", str(file), "get", "nodes", "-o", "json")
    states = [
        condition["status"]
        for node in json.loads(answer)["items"]
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    ]
    assert states == ["True", "True"]


def test_role_assignments(az: Azure, group: dict[str, Any], identity: dict[str, Any], cluster: dict[str, Any]) -> None:
    kubelet = cluster["identityProfile"]["kubeletidentity"]
    create = ("role", "assignment", "create")
    by_application = az(*create, "--assignee", identity["clientId"], "--role", "Reader", "--scope", group["id"])
    assert by_application["principalId"] == identity["principalId"]
    assert by_application["roleDefinitionId"].endswith(f"/roleDefinitions/{READER_ROLE}")
    assert (by_application["scope"], by_application["principalType"]) == (group["id"], "ServicePrincipal")

    assignee = ("--assignee-object-id", kubelet["objectId"], "--assignee-principal-type", "ServicePrincipal")
    by_object = az(*create, *assignee, "--role", "Managed Identity Operator", "--scope", identity["id"])
    assert by_object["principalId"] == kubelet["objectId"]
    assert by_object["roleDefinitionId"].endswith(f"/roleDefinitions/{OPERATOR_ROLE}")
    assert by_object["scope"] == identity["id"]

    reader = (by_application["id"], "Reader", identity["clientId"])
    operator = (by_object["id"], "Managed Identity Operator", kubelet["clientId"])
    everything = _assignments(az, "--all")
    assert {reader, operator} < everything
    assert "Owner" in {role for _, role, _ in everything}
    assert _assignments(az, "--scope", identity["id"]) == {operator}
    assert _assignments(az, "--assignee", identity["clientId"], "--all") == {reader}

    delete = ("role", "assignment", "delete", "--role", "Reader", "--scope", group["id"])
    az(*delete, "--assignee", identity["clientId"])
    assert _assignments(az, "--all") == everything - {reader}


def _assignments(az: Azure, *options: str) -> set[tuple[str, str, str]]:
    """Id, role name and application id of assignments: az takes the last two from role definitions and Graph."""
    listed = az("role", "assignment", "list", *options)
    return {(each["id"], each["roleDefinitionName"], each["principalName"]) for each in listed}


def test_federated_credential(az: Azure, identity: dict[str, Any], cluster: dict[str, Any]) -> None:
    command, where = ("identity", "federated-credential"), ("-g", GROUP, "--identity-name", "billing")
    issuer = cluster["oidcIssuerProfile"]["issuerUrl"]
    trust = ("--issuer", issuer, "--subject", SUBJECT, "--audiences", AUDIENCE)
    made = az(*command, "create", *where, "-n", "pods", *trust)
    assert made["id"] == f"{identity['id']}/federatedIdentityCredentials/pods"
    assert (made["issuer"], made["subject"], made["audiences"]) == (issuer, SUBJECT, [AUDIENCE])
    assert az(*command, "list", *where) == [made]
    assert az(*command, "show", *where, "-n", "pods") == made


def test_federated_credential_of_an_application(
    az: Azure, account: dict[str, str], cluster: dict[str, Any], tmp_path: Path
) -> None:
    """By an owner of the application with the least rights, and not by anybody else."""
    reader = ("--role", "Reader", "--scope", f"/subscriptions/{account['AZURE_SUBSCRIPTION_ID']}")
    least = ("--graph", "Application.ReadWrite.OwnedBy")
    made = json.loads(az.sandbox.run("azure", "principal", "mover", *reader, *least))
    owned = json.loads(az.sandbox.run("azure", "principal", "owned", "--owner", made["object_id"]))
    other = json.loads(az.sandbox.run("azure", "principal", "unowned"))
    trust = {
        "name": "pods",
        "issuer": cluster["oidcIssuerProfile"]["issuerUrl"],
        "subject": SUBJECT,
        "audiences": [AUDIENCE],
    }
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(trust))

    def ad_app(command: str, application: dict[str, str], *more: str, fails: bool = False) -> Any:
        where = ("ad", "app", "federated-credential", command, "--id", application["client_id"], *more)
        done = az.sandbox.call("exec", "--as", "mover", "--", "az", *where, "--output", "json")
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout or "null")

    created = ad_app("create", owned, "--parameters", f"@{file}")
    assert {name: created[name] for name in trust} == trust
    (listed,) = ad_app("list", owned)
    assert ad_app("show", owned, "--federated-credential-id", "pods")["id"] == listed["id"] == created["id"]
    file.write_text(json.dumps({**trust, "subject": f"{SUBJECT}s"}))
    ad_app("update", owned, "--federated-credential-id", created["id"], "--parameters", f"@{file}")
    assert ad_app("list", owned)[0]["subject"] == f"{SUBJECT}s"
    ad_app("delete", owned, "--federated-credential-id", "pods")
    assert ad_app("list", owned) == []
    refused = ad_app("create", other, "--parameters", f"@{file}", fails=True)
    assert "Insufficient privileges to complete the operation." in refused


def test_scale_set_identity(az: Azure, cluster: dict[str, Any], scale_set: str) -> None:
    kubelet = cluster["identityProfile"]["kubeletidentity"]
    shown = az("vmss", "identity", "show", "-g", NODE_GROUP, "-n", scale_set)
    assert shown["type"] == "UserAssigned"
    ((resource_id, carried),) = shown["userAssignedIdentities"].items()
    assert resource_id.lower() == kubelet["resourceId"].lower()
    assert carried == {"clientId": kubelet["clientId"], "principalId": kubelet["objectId"]}


def test_run_command(az: Azure, scale_set: str) -> None:
    """The node itself answers: its name, its root, both outputs."""
    target = ("-g", NODE_GROUP, "-n", scale_set, "--instance-id", "1", "--command-id", "RunShellScript")
    script = 'echo "$(hostname) $(id -u) $1"; ls -d /var/lib/kubelet >&2'
    answer = az("vmss", "run-command", "invoke", *target, "--scripts", script, "--parameters", "word=hello")
    (result,) = answer["value"]
    assert result["code"] == "ProvisioningState/succeeded"
    assert (
        result["message"] == f"Enable succeeded: \n[stdout]\n{scale_set}000001 0 hello\n\n[stderr]\n/var/lib/kubelet\n"
    )


def test_azcollection(az: Azure, cluster: dict[str, Any], account: dict[str, str], tmp_path: Path) -> None:
    """Twice: the second run finds what the first has made."""
    report, playbook = tmp_path / "report.json", tmp_path / "playbook.yml"
    kubelet = cluster["identityProfile"]["kubeletidentity"]
    subscription = f"/subscriptions/{account['AZURE_SUBSCRIPTION_ID']}"
    role = f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{OPERATOR_ROLE}"
    playbook.write_text(json.dumps(_azcollection_play(kubelet["objectId"], role, report)))

    results = []
    for _ in range(2):
        az.sandbox.exec("ansible-playbook", str(playbook), tools="azcollection")
        results.append(json.loads(report.read_text()))
    first, second = results
    assert [first["group"]["changed"], first["assignment"]["changed"]] == [True, True]
    assert [second["group"]["changed"], second["assignment"]["changed"]] == [False, False]
    for result in results:
        state = result["group"]["state"]
        assert (state["id"], state["tags"]) == (f"{subscription}/resourceGroups/azcollection", {"owner": "peer"})
        (found,) = result["cluster"]["aks"]
        assert (found["id"], found["fqdn"]) == (cluster["id"], cluster["fqdn"])
        assert found["oidc_issuer_profile"]["issuer_url"] == cluster["oidcIssuerProfile"]["issuerUrl"]
        assert found["identity_profile"]["kubeletidentity"]["object_id"] == kubelet["objectId"]
        made = result["assignment"]
        assert (made["assignee_object_id"], made["role_definition_id"]) == (kubelet["objectId"], role)
        assert made["scope"] == state["id"]
    assert first["assignment"]["id"] == second["assignment"]["id"]
    (seen,) = az("role", "assignment", "list", "--scope", first["group"]["state"]["id"])
    assert seen["id"] == first["assignment"]["id"]


def _azcollection_play(principal: str, role: str, report: Path) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = [
        {
            "azure.azcollection.azure_rm_resourcegroup": {
                "name": "azcollection",
                "location": LOCATION,
                "tags": {"owner": "peer"},
            },
            "register": "group",
        },
        {
            "azure.azcollection.azure_rm_aks_info": {"resource_group": GROUP, "name": CLUSTER},
            "register": "cluster",
        },
        {
            "azure.azcollection.azure_rm_roleassignment": {
                "scope": "{{ group.state.id }}",
                "assignee_object_id": principal,
                "role_definition_id": role,
            },
            "register": "assignment",
            # The module cannot name the principal's type, so a new principal is not found for a while, as in Azure.
            "until": "assignment is success",
            "retries": 5,
            "delay": 1,
        },
        {
            "ansible.builtin.copy": {
                "dest": str(report),
                "mode": "0600",
                "content": "{{ {'group': group, 'cluster': cluster, 'assignment': assignment} | to_json }}",
            },
        },
    ]
    return [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]


def test_stop_and_start(az: Azure, cluster: dict[str, Any], tmp_path: Path) -> None:
    """The name of a stopped cluster is gone, and with it every answer; what was in it is there when it has started."""
    where = ("-g", GROUP, "-n", CLUSTER)
    file = tmp_path / "kubeconfig"
    az("aks", "get-credentials", *where, "-f", str(file), "--admin")
    kubectl = ("kubectl", "--kubeconfig", str(file))
    az.sandbox.exec(*kubectl, "create", "configmap", "kept")
    az("aks", "stop", *where)
    stopped = az("aks", "show", *where)
    assert (stopped["powerState"]["code"], stopped["provisioningState"]) == ("Stopped", "Succeeded")
    asked = az.sandbox.exec("sh", "-c", f"{' '.join(kubectl)} get configmap kept 2>&1; true")
    assert "no such host" in asked
    az("aks", "start", *where)
    assert az("aks", "show", *where)["powerState"]["code"] == "Running"
    assert "kept" in az.sandbox.exec(*kubectl, "get", "configmap", "kept", "-o", "name")
    az.sandbox.exec(*kubectl, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")


def test_deletion(az: Azure, cluster: dict[str, Any]) -> None:
    az("aks", "delete", "-g", GROUP, "-n", CLUSTER, "--yes", "--no-wait")
    az("aks", "wait", "-g", GROUP, "-n", CLUSTER, "--deleted", "--interval", "1", "--timeout", "120")
    assert az("aks", "list", "-g", GROUP) == []
    az("group", "delete", "-n", GROUP, "--yes")
    assert GROUP not in {group["name"] for group in az("group", "list")}
    assert az("identity", "list") == []
