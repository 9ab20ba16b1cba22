# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._node import pods
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases


def process(proc: Path, name: str, program: str, network: str, users: str = "1") -> None:
    (proc / name / "ns").mkdir(parents=True)
    (proc / name / "ns/user").symlink_to(f"user:[{users}]")
    (proc / name / "comm").write_text(f"{program}\n")
    (proc / name / "ns/net").symlink_to(f"net:[{network}]")


def test_the_sandbox_process_of_a_pod_with_its_own_network(tmp_path: Path) -> None:
    process(tmp_path, "self", "python3", "1")
    process(tmp_path, "20", "pause", "1")  # of a pod with the network of the host
    process(tmp_path, "30", "sleep", "2")
    assert pods.process_with_own_network(str(tmp_path)) is None
    process(tmp_path, "31", "pause", "3", users="2")  # whoever may start a process may call it so
    assert pods.process_with_own_network(str(tmp_path)) is None
    process(tmp_path, "40", "pause", "2")
    (tmp_path / "35").mkdir()  # has just ended
    assert pods.process_with_own_network(str(tmp_path)) == 40


def test_a_hidden_proc_shows_none(tmp_path: Path) -> None:
    assert pods.process_with_own_network(str(tmp_path / "none")) is None


RANGES = {"ipam": {"type": "host-local", "ranges": [[{"subnet": "fd00::/64"}], [{"subnet": "10.244.1.0/24"}]]}}
SUBNET = {"ipam": {"type": "host-local", "subnet": "10.244.2.0/24"}}
AZURE = {"type": "azure-vnet", "ipam": {"type": "azure-cns"}}


@cases(
    "files, found",
    ("list", {"10-kubenet.conflist": {"plugins": [{"type": "bridge", **RANGES}]}}, "10.244.1.0/24"),
    ("single", {"10-bridge.conf": {"type": "bridge", **SUBNET}}, "10.244.2.0/24"),
    ("azure", {"15-azure.conflist": {"plugins": [AZURE]}}, ""),
    ("first-counts", {"15-azure.conflist": {"plugins": [AZURE]}, "20-old.conf": SUBNET}, ""),
    ("other-file", {"notes.txt": SUBNET}, ""),
    ("wrong-types", {"10-a.conf": {"ipam": {"type": "host-local", "subnet": 7, "ranges": 7}}}, ""),
    ("no-object", {"10-a.conf": ["no object"]}, ""),
    ("no-file", {}, ""),
)
def test_range_of_pods_by_the_configuration_of_their_network(tmp_path: Path, files: dict[str, Any], found: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert pods.addresses(str(tmp_path)) == found


def test_an_unreadable_configuration_names_no_range(tmp_path: Path) -> None:
    assert pods.addresses(str(tmp_path / "none")) == ""
    (tmp_path / "10-a.conf").write_text("{")
    assert pods.addresses(str(tmp_path)) == ""
