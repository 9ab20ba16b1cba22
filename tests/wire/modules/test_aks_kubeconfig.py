# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.azureops.pod_identity.plugins.module_utils import _processes
from ansible_collections.azureops.pod_identity.tests.support.modules import Modules
from azsandbox.azure.loopback import SimulatedAzure

UNKNOWN = "(known after apply)"
CLUSTER = "/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/demo"


@pytest.fixture
def desired(azure: SimulatedAzure, tmp_path: Path) -> dict[str, Any]:
    azure.cluster(name="demo")
    return {"resource_group": "rg", "cluster_name": "demo", "path": str(tmp_path / "kubeconfig")}


ENTRA = {"command": "kubelogin", "args": ["get-token", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"]}


def test_the_life_of_a_kubeconfig(modules: Modules, azure: SimulatedAzure, desired: dict[str, Any]) -> None:
    path = Path(desired["path"])
    mark = modules.mark()
    written = modules.check_and_do("aks_kubeconfig", **desired, power_state="Running")
    asked = modules.requests(mark, host=azure.endpoints.host("arm"), path="/subscriptions/")
    assert {each["path"].rpartition("/")[2] for each in asked} == {"listClusterUserCredential"}
    fqdn = azure.arm("GET", CLUSTER).json()["properties"]["fqdn"]
    server = f"https://{fqdn}:443"
    assert written["state"] == {"path": str(path), "server": server, "context": "demo", "cluster": "demo"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "clusterUser" in path.read_text()
    admin = modules.check_and_do("aks_kubeconfig", **desired, credentials="admin")
    assert "clusterAdmin" in path.read_text()
    assert admin["diff"]["before"]["sha256"] != admin["diff"]["after"]["sha256"]
    removed = modules.check_and_do("aks_kubeconfig", **desired, state="absent")
    assert removed["state"] == {}
    assert not path.exists()
    assert not [name for name in os.listdir(path.parent) if name.startswith(".kubeconfig-")]


@pytest.mark.parametrize("told", [True, False])
def test_a_stopped_cluster_gets_a_warning(
    modules: Modules, azure: SimulatedAzure, desired: dict[str, Any], told: bool
) -> None:
    """Azure gives its kubeconfig all the same. Whoever does not know the state asks for it."""
    body = azure.arm("GET", CLUSTER).json()
    body["properties"]["powerState"] = {"code": "Stopped"}
    modules.fault("GET", r"managedClusters/demo\?", status=200, body=body, count=0)
    mark = modules.mark()
    written = modules.succeed("aks_kubeconfig", **desired, **({"power_state": "Stopped"} if told else {}))
    assert [each["event"]["msg"] for each in written["warnings"]] == [
        "The cluster demo is stopped, so nothing answers at the address in its kubeconfig; start it with az aks start "
        "--resource-group rg --name demo."
    ]
    assert len(modules.requests(mark, method="GET", path="managedClusters")) == (0 if told else 1)
    assert "warnings" not in modules.succeed("aks_kubeconfig", **desired)  # nothing is written


def test_who_may_not_read_the_cluster_gets_its_kubeconfig(modules: Modules, desired: dict[str, Any]) -> None:
    denied = {"error": {"code": "AuthorizationFailed", "message": "no"}}
    modules.fault("GET", r"managedClusters/demo\?", status=403, body=denied, count=0)
    assert "warnings" not in modules.succeed("aks_kubeconfig", **desired)


@pytest.mark.parametrize(
    "body", ["", {}, {"kubeconfigs": "x"}, {"kubeconfigs": ["x"]}, {"kubeconfigs": [{"value": 5}]}]
)
def test_no_kubeconfig_is_no_success(modules: Modules, desired: dict[str, Any], body: Any) -> None:
    modules.fault("POST", "listClusterUserCredential", status=200, body=body)
    assert "the answer holds none, as that of a proxy" in modules.fail("aks_kubeconfig", **desired)["msg"]
    assert not Path(desired["path"]).exists()


def test_removing_needs_no_azure(modules: Modules, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("", encoding="utf-8")
    mark = modules.mark()
    options = {"resource_group": "rg", "cluster_name": "demo", "path": str(path), "state": "absent"}
    assert modules.succeed("aks_kubeconfig", **options)["changed"]
    assert modules.requests(mark) == []


def test_what_a_killed_writer_left_goes(modules: Modules, desired: dict[str, Any]) -> None:
    """It has secrets. That of a writer who is still at work stays, and what nobody knows whose it is."""
    with subprocess.Popen(["sleep", "60"]) as other:
        alive = _processes.mark(other.pid)
        folder = Path(desired["path"]).parent
        left, writing, unknown = (
            folder / f".kubeconfig-{mark}-abc" for mark in (re.sub("[0-9]+$", "1", alive), alive, "another system-1-2")
        )
        for each in (left, writing, unknown):
            each.write_text("secret")
        modules.succeed("aks_kubeconfig", **desired)
        other.kill()
    assert {each.name for each in folder.glob(".kubeconfig-*")} == {writing.name, unknown.name}


def test_a_file_that_others_can_read_is_closed(modules: Modules, desired: dict[str, Any]) -> None:
    path = Path(desired["path"])
    modules.succeed("aks_kubeconfig", **desired)
    path.chmod(0o644)
    modules.check_and_do("aks_kubeconfig", **desired)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_interactive_login_becomes_a_token(modules: Modules, azure: SimulatedAzure, desired: dict[str, Any]) -> None:
    path = Path(desired["path"])
    modules.hand_out("https://demo.hcp:443", {"exec": ENTRA})
    written = modules.check_and_do("aks_kubeconfig", **desired)
    assert written["diff"]["after"]["token_expires"] == UNKNOWN
    user = yaml.safe_load(path.read_text())["users"][0]["user"]
    assert list(user) == ["token"]
    assert claims(user["token"])["oid"] == azure.owner.object_id
    assert claims(user["token"])["aud"] == "6dae42f8-4368-4678-94ff-3960e28e3630"
    other = azure.principal("other", ("Owner", f"/subscriptions/{azure.subscription_id}"))
    assert modules.succeed("aks_kubeconfig", **desired, who=other)["changed"]


@pytest.mark.parametrize("seconds", [600, 1e300], ids=["soon", "never"])
def test_a_token_that_ends_soon_or_never_is_replaced(modules: Modules, desired: dict[str, Any], seconds: float) -> None:
    path = Path(desired["path"])
    modules.hand_out("https://demo.hcp:443", {"exec": ENTRA})
    modules.succeed("aks_kubeconfig", **desired)
    config = yaml.safe_load(path.read_text())
    user = config["users"][0]["user"]
    old = json.dumps({**claims(user["token"]), "exp": time.time() + seconds}).encode()
    user["token"] = f"h.{base64.urlsafe_b64encode(old).decode().rstrip('=')}.s"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    modules.check_and_do("aks_kubeconfig", **desired)
    assert time.time() + 1800 < claims(yaml.safe_load(path.read_text())["users"][0]["user"]["token"])["exp"] < 1e10


def claims(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))))


def test_a_cluster_that_will_exist(modules: Modules, tmp_path: Path) -> None:
    options = {"resource_group": "new", "cluster_name": "demo", "path": str(tmp_path / "kubeconfig")}
    predicted = modules.succeed("aks_kubeconfig", **options, check=True)
    assert predicted["changed"]
    assert predicted["state"] == {"path": options["path"], "server": UNKNOWN, "context": "demo", "cluster": "demo"}
    failed = modules.fail("aks_kubeconfig", **options)
    assert failed["msg"] == "There is no cluster demo in the resource group new; check both names, or create it first."
    assert not Path(options["path"]).exists()


def test_a_cluster_that_is_being_made(modules: Modules, azure: SimulatedAzure, group: str, tmp_path: Path) -> None:
    azure.compute.pause = asyncio.Event().wait
    desired = {"resource_group": group, "cluster_name": "demo", "path": str(tmp_path / "kubeconfig")}
    modules.succeed("aks_cluster", resource_group=group, name="demo", location="westeurope", wait=False)
    for check in (True, False):
        assert "Could not find the control plane" in modules.fail("aks_kubeconfig", **desired, check=check)["msg"]


def test_a_file_of_other_clusters_is_left_alone(modules: Modules, desired: dict[str, Any]) -> None:
    path = Path(desired["path"])
    path.write_text("clusters: [{name: demo}, {name: work}]", encoding="utf-8")
    for more in ({}, {"state": "absent"}, {"check": True}):
        assert "leads to other clusters than demo (work)" in modules.fail("aks_kubeconfig", **desired, **more)["msg"]
    modules.check_and_do("aks_kubeconfig", **desired, force=True)


@pytest.mark.parametrize(
    ("place", "content", "reason"),
    [
        ("missing/kubeconfig", None, "its directory does not exist; create it first."),
        ("file", b"\x00: [", "is not YAML"),
        ("file", b"just text", "is not a kubeconfig."),
        (".", None, "cannot be read (Is a directory)"),
    ],
)
def test_a_path_that_cannot_be(
    modules: Modules, desired: dict[str, Any], tmp_path: Path, place: str, content: bytes | None, reason: str
) -> None:
    path = tmp_path / place
    if content:
        path.write_bytes(content)
    assert reason in modules.fail("aks_kubeconfig", **{**desired, "path": str(path)})["msg"]
