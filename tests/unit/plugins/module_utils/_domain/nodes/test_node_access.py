# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.nodes import node_access
from ansible_collections.azureops.pod_identity.tests.unit.tables import case, for_each

RUN = node_access.Run("laptop", 42, "ansible-local-42abc")
ACCESS = node_access.Access("n1", "ns", "default", RUN, "", 300, 7200)
UBUNTU = "Ubuntu 22.04.5 LTS"
PAUSE = "mcr.microsoft.com/oss/kubernetes/pause"
PLACE = "0123abcd"
HOST = f"/node-{PLACE}"


def node(os_image: str = UBUNTU, arch: str = "amd64", ready: str = "True", **status: Any) -> dict[str, Any]:
    images = [
        {"names": ["mcr.microsoft.com/oss/kubernetes/kube-proxy:v1.33.4"], "sizeBytes": 9},
        {"names": ["<none>@<none>"], "sizeBytes": 1},
        {"names": ["tenant.azurecr.io/pause:3.6"], "sizeBytes": 2},
        {"names": [f"{PAUSE}@sha256:ab", f"{PAUSE}:3.6"], "sizeBytes": 3},
    ]
    condition = {"type": "Ready", "status": ready, "message": "Kubelet stopped.", "lastTransitionTime": "T"}
    return {
        "metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux"}},
        "status": {
            "conditions": [condition],
            "images": images,
            "addresses": [{"type": "InternalIP", "address": "10.0.0.4"}],
            "nodeInfo": {"osImage": os_image, "architecture": arch},
            **status,
        },
    }


def pod_spec(access: node_access.Access, raw: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = node_access.job(access, raw, 1000.5, PLACE)["spec"]["template"]["spec"]
    return spec


def test_the_pod_needs_no_scheduler_and_no_registry() -> None:
    spec = pod_spec(ACCESS, node())
    assert (spec["nodeName"], spec["tolerations"]) == ("n1", [{"operator": "Exists"}])
    assert spec["hostPID"] and spec["hostNetwork"] and not spec["automountServiceAccountToken"]
    (container,) = spec["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (f"{PAUSE}:3.6", "Never")
    assert container["securityContext"] == {"privileged": True}


def test_the_cluster_ends_the_job_unaided() -> None:
    spec = node_access.job(ACCESS, node(), 1000.5, PLACE)["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"], spec["backoffLimit"]) == (300, 60, 0)
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 7200
    pod = spec["template"]
    assert node_access.renewed(ACCESS, pod, 1500) == {"spec": {"activeDeadlineSeconds": 800}}
    assert node_access.renewed(ACCESS, pod, 900) == {"spec": {"activeDeadlineSeconds": 300}}, "the clock was set back"


@for_each(
    (UBUNTU, "amd64", f"{HOST}/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    (UBUNTU, "arm64", f"{HOST}/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"),
    ("Microsoft Azure Linux 3.0", "amd64", f"{HOST}/usr/lib64/ld-linux-x86-64.so.2"),
    ("CBL-Mariner/Linux", "arm64", f"{HOST}/usr/lib/ld-linux-aarch64.so.1"),
)
def test_the_nodes_own_programs_are_started_by_its_loader(os_image: str, arch: str, loader: str) -> None:
    spec = pod_spec(ACCESS, node(os_image, arch))
    assert spec["containers"][0]["command"][0] == loader
    entered = node_access.enter({"spec": spec}, ["/bin/sh", "-c", "id"])
    assert spec["containers"][0]["command"][1] == "--inhibit-cache"
    assert entered[0] == loader and f"{HOST}/usr/bin/nsenter" in entered and entered[-3:] == ["/bin/sh", "-c", "id"]
    assert entered[entered.index("/usr/bin/env") + 1] == "-i"


def test_a_named_image_brings_its_own_programs() -> None:
    spec = pod_spec(replace(ACCESS, image="r/tools:1"), node(arch="riscv64"))
    assert (spec["containers"][0]["image"], spec["containers"][0]["imagePullPolicy"]) == ("r/tools:1", "IfNotPresent")
    entered = node_access.enter({"spec": spec}, ["id"])
    assert entered[:3] == ["chroot", HOST, "/usr/bin/nsenter"]


def test_what_cannot_be_done_says_what_to_do() -> None:
    with pytest.raises(Failure, match="riscv64.*name an image"):
        node_access.job(ACCESS, node(arch="riscv64"), 0, PLACE)
    assert node_access.obstacle(node()) == ""
    for ready in ("False", "Unknown"):
        assert "is not Ready since T (Kubelet stopped)" in node_access.obstacle(node(ready=ready))
    windows = node()
    windows["metadata"]["labels"]["kubernetes.io/os"] = "windows"
    assert "does not run Linux" in node_access.obstacle(windows)


@for_each(
    (f"{PAUSE}:3.6", True),
    ("mcr.microsoft.com/oss/v2/kubernetes/pause:3.10", True),
    ("mcr.microsoft.com/oss/v2/kubernetes-csi/azurefile-csi:v1.33.2", True),
    ("shop.azurecr.io:5000/base/pause:1", True),
    case("digest", f"{PAUSE}@sha256:{'a' * 64}", False),
    case("tag and digest", f"{PAUSE}:3.6@sha256:{'a' * 64}", False),
    case("no tag", PAUSE, False),
    case("below it", f"{PAUSE}/x:1", False),
    case("another registry", f"evil.io/{PAUSE}:3.6", False),
    case("its name continued", "mcr.microsoft.com.evil.io/oss/kubernetes/pause:3.6", False),
    case("no registry", "oss/kubernetes/pause:3.6", False),
    case("no registry, though named", "base/pause:1", False),
    case("short", "pause:3.6", False),
    case("line break", f"{PAUSE}:3.6\n", False),
    case("upper case", f"{PAUSE.upper()}:3.6", False),
    case("public", "docker.io/library/pause:3.6", False),
)
def test_only_images_that_no_tenant_can_have_made_are_used(name: str, used: bool) -> None:
    access = replace(ACCESS, repositories=("shop.azurecr.io:5000/base/pause", "base/pause"))
    raw = node(images=[{"names": [name], "sizeBytes": 1}])
    if used:
        assert pod_spec(access, raw)["containers"][0]["image"] == name
    else:
        with pytest.raises(Failure, match=r"^Node n1 names no image of AKS.*_pod_image_repositories.*_pod_image\.$"):
            node_access.job(access, raw, 0, PLACE)


def test_nothing_that_an_image_has_for_the_loader_counts() -> None:
    """Its environment is overridden, its /etc is hidden, and it cannot know where the node's root is."""
    (container,) = pod_spec(ACCESS, node())["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH"):
        assert environment[name] == ""
    assert environment["LC_ALL"] == "C", "the C library loads code for other character sets"
    # These act even where they are empty.
    assert not {"LD_TRACE_LOADED_OBJECTS", "LD_SHOW_AUXV", "LD_DYNAMIC_WEAK"} & set(environment)
    assert [each["mountPath"] for each in container["volumeMounts"]] == [HOST, "/etc"]
    volumes = {each["name"]: each for each in pod_spec(ACCESS, node())["volumes"]}
    assert volumes["etc"] == {"name": "etc", "emptyDir": {}}
    command = container["command"]
    assert all(each.startswith(HOST) for each in (command[0], *command[3].split(":"), command[4])), command


def test_a_container_that_was_put_beside_ours_is_not_asked() -> None:
    spec = pod_spec(ACCESS, node())
    spec["containers"].insert(0, {"name": "mesh", "image": "mesh", "command": ["x"]})
    assert node_access.enter({"spec": spec}, ["id"])[0].startswith(HOST)


def test_a_node_has_a_name_or_an_address() -> None:
    assert node_access.at_address("10.0.0.4", [node()]) == node()
    assert node_access.at_address("10.0.0.5", [node()]) is None
    with pytest.raises(Failure, match=r"^More than one node says that it has the address 10\.0\.0\.4 \(n1 and n1\)"):
        node_access.at_address("10.0.0.4", [node(), node()])
    assert node_access.is_name("aks-1") and not node_access.is_name("fd00::4")


def test_each_run_and_each_node_has_a_job_of_its_own() -> None:
    others = (
        replace(ACCESS, target="n2"),
        replace(ACCESS, owner="other"),
        replace(ACCESS, run=replace(RUN, token="x")),
    )
    assert len({access.name for access in (ACCESS, *others)}) == 4
    assert len({access.namespace for access in (ACCESS, *others)}) == 3, "all nodes of a run have one namespace"
    assert replace(ACCESS, idle_timeout=1).name == ACCESS.name


def test_a_name_that_no_namespace_can_have_is_refused() -> None:
    assert node_access.namespace(replace(ACCESS, prefix="a" * 46), 0)["metadata"]["name"].startswith("aaaa")
    for prefix in ("a" * 47, "Upper", "a.b", ""):
        with pytest.raises(Failure, match=r"ansible_aks_node_pod_namespace to at most 46 "):
            node_access.namespace(replace(ACCESS, prefix=prefix), 0)


@for_each(
    case("a run beside this one", "laptop/7", 0, True, False),
    case("a killed run", "laptop/7", 0, False, True),
    case("a run of this machine that lasts", "laptop/7", 90_000, True, False),
    case("of another machine", "elsewhere/7", 3_600, False, False),
    case("a day ago, of another machine", "elsewhere/7", 90_000, False, True),
    case("of nobody", "", 0, False, False),
)
def test_leftovers(run: str, age: int, alive: bool, expected: bool) -> None:
    left = node_access.namespace(replace(ACCESS, run=replace(RUN, token="other")), 1_000)
    left["metadata"]["annotations"][node_access.RUN] = run

    def is_left(found: dict[str, Any], *jobs: dict[str, Any]) -> bool:
        return node_access.is_left(ACCESS, found, jobs, lambda pid: alive, 1_000 + age)

    assert is_left(left) is expected
    if run == "elsewhere/7":
        ended = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
        assert (is_left(left, ended), is_left(left, ended, {})) == (expected, False), "a run of it may go on"
    for name in (ACCESS.namespace, "ns", "other-0123456789abcdef", "ns-0123456789abcdef-x"):
        other = {**left, "metadata": {**left["metadata"], "name": name}}
        assert not is_left(other), name
    left["metadata"]["labels"].clear()
    assert not is_left(left)
