# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bill of materials of a built collection, as CycloneDX 1.6 in JSON on standard output.

    python tests/sbom.py ARTIFACT REPORT

ARTIFACT is what `ansible-galaxy collection build` made. REPORT is what
`pip install --dry-run --ignore-installed --report REPORT --requirement requirements.txt` found: the packages that the
collection gets on the day of its release. Of the collections that it depends on only the accepted versions are known.
The same files give the same bill.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

REQUIREMENT = "azureops.pod_identity:accepted-versions"


def bill(artifact: Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Raises KeyError for a report or an artifact that is none, ValueError for a package without a hash."""
    with tarfile.open(artifact) as archive:
        manifest = archive.extractfile("MANIFEST.json")
        assert manifest
        info = json.loads(manifest.read())["collection_info"]
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    own = _collection(f"{info['namespace']}.{info['name']}", info["version"])
    own["licenses"] = [{"license": {"id": each}} for each in info["license"]]
    own["hashes"] = [{"alg": "SHA-256", "content": digest}]
    packages = {each["metadata"]["name"]: _package(each) for each in report["install"]}
    collections = [_collection(name, accepted=accepted) for name, accepted in sorted(info["dependencies"].items())]
    direct = [packages[each["metadata"]["name"]]["bom-ref"] for each in report["install"] if each["requested"]]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {"component": own},
        "components": [*collections, *(packages[name] for name in sorted(packages, key=str.lower))],
        "dependencies": [
            {"ref": own["bom-ref"], "dependsOn": sorted([*(each["bom-ref"] for each in collections), *direct])}
        ],
        # Who needs which of the packages that nobody asked for is not told.
        "compositions": [{"aggregate": "incomplete", "assemblies": [own["bom-ref"]]}],
    }


def _collection(name: str, version: str = "", accepted: str = "") -> dict[str, Any]:
    reference = f"pkg:generic/{name}{version and '@' + version}"
    component: dict[str, Any] = {"type": "library", "bom-ref": reference, "name": name, "purl": reference}
    if version:
        component["version"] = version
    if accepted:
        component["properties"] = [{"name": REQUIREMENT, "value": accepted}]
    return component


def _package(found: Mapping[str, Any]) -> dict[str, Any]:
    name, version = found["metadata"]["name"], found["metadata"]["version"]
    digest = found["download_info"]["archive_info"].get("hashes", {}).get("sha256")
    if not digest:
        raise ValueError(f"pip found {name} {version} without a SHA-256 hash; take it from an index that has one.")
    reference = f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    if expression := found["metadata"].get("license_expression"):
        component["licenses"] = [{"expression": expression}]
    return component


if __name__ == "__main__":
    _program, built, pip_report = sys.argv
    print(json.dumps(bill(Path(built), json.loads(Path(pip_report).read_text())), indent=2))
