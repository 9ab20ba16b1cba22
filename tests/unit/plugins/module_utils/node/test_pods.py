# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.azureops.pod_identity.plugins.module_utils._node import pods


def process(proc: Path, name: str, program: str, network: str) -> None:
    (proc / name / "ns").mkdir(parents=True)
    (proc / name / "comm").write_text(f"{program}\n")
    (proc / name / "ns/net").symlink_to(f"net:[{network}]")


def test_the_sandbox_process_of_a_pod_with_its_own_network(tmp_path: Path) -> None:
    process(tmp_path, "self", "python3", "1")
    process(tmp_path, "20", "pause", "1")  # of a pod with the network of the host
    process(tmp_path, "30", "sleep", "2")
    assert pods.process_with_own_network(str(tmp_path)) is None
    process(tmp_path, "40", "pause", "2")
    (tmp_path / "35").mkdir()  # has just ended
    assert pods.process_with_own_network(str(tmp_path)) == 40


def test_a_hidden_proc_shows_none(tmp_path: Path) -> None:
    assert pods.process_with_own_network(str(tmp_path / "none")) is None
