# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bill of materials names the artifact and each package by its hash."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.tests import sbom


def package(name: str, version: str, digest: str, *, requested: bool = False, license: str = "") -> dict[str, Any]:
    """As in a report of pip."""
    return {
        "download_info": {"url": "https://x/y.whl", "archive_info": {"hashes": {"sha256": digest} if digest else {}}},
        "requested": requested,
        "metadata": {"name": name, "version": version, **({"license_expression": license} if license else {})},
    }


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    of = {"namespace": "azureops", "name": "pod_identity", "version": "1.0.0"}
    info = {**of, "license": ["GPL-3.0-or-later"], "dependencies": {"kubernetes.core": ">=6.0.0"}}
    content = json.dumps({"collection_info": info}).encode()
    path = tmp_path / "azureops-pod_identity-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("MANIFEST.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


def test_it_names_all_by_their_hashes(artifact: Path) -> None:
    report = {
        "install": [
            package("azure-identity", "1.27.0", "a1", requested=True, license="MIT"),
            package("typing_extensions", "4.15.0", "b2"),
        ]
    }
    made = sbom.bill(artifact, report)
    own = made["metadata"]["component"]
    assert (own["name"], own["version"]) == ("azureops.pod_identity", "1.0.0")
    assert own["licenses"] == [{"license": {"id": "GPL-3.0-or-later"}}]
    assert own["hashes"][0]["content"] == hashlib.sha256(artifact.read_bytes()).hexdigest()
    collection, identity, typing = made["components"]
    assert collection["properties"] == [{"name": sbom.REQUIREMENT, "value": ">=6.0.0"}] and "version" not in collection
    assert identity["purl"] == "pkg:pypi/azure-identity@1.27.0" and identity["licenses"] == [{"expression": "MIT"}]
    assert typing["purl"] == "pkg:pypi/typing-extensions@4.15.0"
    assert [each["hashes"] for each in (identity, typing)] == [
        [{"alg": "SHA-256", "content": digest}] for digest in ("a1", "b2")
    ]
    assert made["dependencies"] == [
        {"ref": own["bom-ref"], "dependsOn": ["pkg:generic/kubernetes.core", "pkg:pypi/azure-identity@1.27.0"]}
    ]
    assert made == sbom.bill(artifact, report)


def test_a_package_without_a_hash_is_refused(artifact: Path) -> None:
    with pytest.raises(ValueError, match=r"azure-identity 1\.27\.0 without a SHA-256 hash"):
        sbom.bill(artifact, {"install": [package("azure-identity", "1.27.0", "", requested=True)]})
