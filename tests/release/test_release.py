# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release, made in a copy by the very commands of release.yml, and installed by somebody who has nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ansible_collections.azureops.pod_identity.tests.release.fold import fold
from ansible_collections.azureops.pod_identity.tests.stage import CHECKOUT, COLLECTION

DEPENDENCY = Path("ansible_collections/kubernetes/core")
NAME = "azureops.pod_identity"
VERSION = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["version"]
ARTIFACT = f"azureops-pod_identity-{VERSION}"
CHANGELOG = "changelogs/changelog.yaml"
FRAGMENTS = "changelogs/fragments"
WORKFLOW = yaml.safe_load((CHECKOUT / ".github/workflows/release.yml").read_text())
# What is installed has been pinned, and the session has it.
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["build"]["steps"] if "name" in step and "run" in step}
KINDS = ("module", "connection", "filter", "inventory", "role")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this one in which the fragments are folded."""
    staged, _dependencies = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
    copy = tmp_path_factory.mktemp("fold") / COLLECTION
    shutil.copytree(Path(staged, COLLECTION), copy)
    fold(copy)
    # The workflow has it in a folder of another name.
    return Path(shutil.copytree(copy, tmp_path_factory.mktemp("checkout") / "work"))


def done(checkout: Path, step: str, tag: str = VERSION) -> subprocess.CompletedProcess[str]:
    """A step of the workflow as a runner does it."""
    given = {name: value.replace("${{ github.ref_name }}", tag) for name, value in STEPS[step].get("env", {}).items()}
    assert not any("${{" in each for each in (*given.values(), STEPS[step]["run"]))
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "RUNNER_TEMP": str(checkout.parent)}
    own["GITHUB_OUTPUT"] = str(checkout.parent / "output")
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]],
        cwd=checkout,
        env={**os.environ, **own, **given},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def dist(checkout: Path) -> Path:
    """What the workflow uploads."""
    for step in STEPS:
        ran = done(checkout, step)
        assert ran.returncode == 0, f"{step}: {ran.stdout}{ran.stderr}"
    return checkout / "dist"


def entries(changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """By section, in an order of their own."""
    return {section: sorted(each) for section, each in changes.items() if isinstance(each, list)}


def test_each_fragment_is_in_the_changelog_and_in_the_notes(checkout: Path, dist: Path) -> None:
    wanted: dict[str, list[str]] = defaultdict(list)
    before = yaml.safe_load((CHECKOUT / CHANGELOG).read_text())["releases"][VERSION]["changes"]
    for changes in (before, *(yaml.safe_load(file.read_text()) for file in (CHECKOUT / FRAGMENTS).glob("*.yml"))):
        for section, found in entries(changes).items():
            wanted[section] += found
    release = yaml.safe_load((checkout / CHANGELOG).read_text())["releases"][VERSION]
    assert entries(release["changes"]) == entries(wanted)
    assert release["changes"]["release_summary"] == before["release_summary"]
    notes = (dist / "notes.md").read_text().replace("\\", "")
    assert notes.count("\n* ") >= sum(map(len, wanted.values())) and before["release_summary"] in notes
    assert not re.search(r"\b[BCEIMOPV]\(", notes), "markup that only documentation has"
    assert f"\nv{VERSION}\n" in (checkout / "CHANGELOG.rst").read_text()


def test_a_tag_with_another_version_or_with_a_fragment_that_is_left_releases_nothing(
    checkout: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(checkout, tmp_path / "work", ignore=shutil.ignore_patterns("dist"))
    other = done(copy, "The tag is the version of galaxy.yml", "9.9.9")
    assert other.returncode == 1 and "::error::The tag is 9.9.9" in other.stdout
    assert done(copy, "The changelog has the version", "9.9.9").returncode != 0
    (copy / FRAGMENTS / "late.yml").write_text("---\nbugfixes:\n  - table - too late.\n")
    late = done(copy, "Every fragment is part of a release")
    assert late.returncode == 1 and "::error::Not in the changelog yet: late.yml" in late.stdout


def packed(artifact: Path) -> dict[str, Any]:
    """The files with their hashes, and what the collection says of itself."""
    with tarfile.open(artifact) as archive:
        read = {name: archive.extractfile(name) for name in ("FILES.json", "MANIFEST.json")}
        return {name: json.loads(file.read()) for name, file in read.items() if file}


def test_it_is_what_was_committed_whoever_builds_it(checkout: Path, dist: Path, tmp_path: Path) -> None:
    assert {path.name for path in dist.iterdir()} == {f"{ARTIFACT}.tar.gz", f"{ARTIFACT}.cdx.json", "notes.md"}
    again = tmp_path / COLLECTION
    shutil.copytree(checkout, again, ignore=shutil.ignore_patterns("dist"))
    run("ansible-galaxy", "collection", "build", cwd=again)
    ours = packed(dist / f"{ARTIFACT}.tar.gz")
    assert ours == packed(again / f"{ARTIFACT}.tar.gz")
    folders = {each["name"].partition("/")[0] for each in ours["FILES.json"]["files"]}
    assert {"plugins", "roles", "playbooks", "docs", "CHANGELOG.rst", "SECURITY.md", "bindep.txt"} <= folders
    assert not folders & {".github", "noxfile.py", "Makefile", "execution-environment.yml", "extensions"}


@pytest.mark.parametrize("job", ["sign", "publish", "release"])
def test_each_job_goes_on_with_what_was_built_alone(checkout: Path, dist: Path, tmp_path: Path, job: str) -> None:
    (step,) = (each for each in WORKFLOW["jobs"][job]["steps"] if each.get("name") == "It is what was built")
    assert "build" in WORKFLOW["jobs"][job]["needs"]
    sums = (checkout.parent / "output").read_text().strip().rpartition("sums=")[2]
    handed = Path(shutil.copytree(dist, tmp_path / "dist"))

    def checked() -> int:
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, "SUMS": sums}, check=False).returncode

    assert checked() == 0
    with (handed / f"{ARTIFACT}.tar.gz").open("ab") as file:
        file.write(b"more")
    assert checked() != 0


def test_its_bill_of_materials_is_one(dist: Path) -> None:
    """As the library of those who define the format says."""
    text = (dist / f"{ARTIFACT}.cdx.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"library"', '"book"', 1)) is not None
    bill = json.loads(text)
    wanted = {line.partition(">")[0] for line in requirements()} | {"kubernetes.core"}
    assert wanted <= {each["name"] for each in bill["components"]}


def requirements() -> list[str]:
    lines = (CHECKOUT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def run(*command: str, cwd: Path, **environment: str) -> str:
    own = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "LANG": "C.UTF-8", **environment}
    ran = subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def home(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with nothing in it but the collection, and the one that it depends on, which Galaxy would give."""
    home = tmp_path_factory.mktemp("home")
    _staged, dependencies = os.environ["ANSIBLE_COLLECTIONS_PATH"].split(":")
    shutil.copytree(Path(dependencies, DEPENDENCY), home / ".ansible/collections" / DEPENDENCY)
    artifact = str(dist / f"{ARTIFACT}.tar.gz")
    run("ansible-galaxy", "collection", "install", "--offline", artifact, cwd=home, HOME=str(home))
    return home


def test_what_is_installed_is_what_was_packed(home: Path) -> None:
    told = run("ansible-galaxy", "collection", "verify", "--offline", NAME, cwd=home, HOME=str(home))
    assert f"Successfully verified that checksums for '{NAME}:{VERSION}' are internally consistent" in told


@pytest.fixture(scope="module")
def told(home: Path) -> dict[str, Any]:
    """What ansible-doc knows of the collection, by kind and name."""
    dump = run("ansible-doc", "--metadata-dump", NAME, cwd=home, HOME=str(home))
    return dict(json.loads(dump)["all"])


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it_explains_itself(home: Path, told: dict[str, Any], kind: str) -> None:
    place = {"module": "plugins/modules", "role": "roles"}.get(kind, f"plugins/{kind}")
    folder = home / ".ansible/collections" / COLLECTION / place
    names = sorted({f"{NAME}.{each.stem}" for each in folder.iterdir() if not each.name.startswith("_")})
    assert sorted(told[kind]) == names
    for each in told[kind].values():
        assert each["entry_points"]["main"]["options"] if kind == "role" else each["doc"]["short_description"]
    text = run("ansible-doc", "-t", kind, *names, cwd=home, HOME=str(home), ANSIBLE_NOCOLOR="1")
    assert all(name in text for name in names)


def test_each_playbook_is_found_with_all_that_it_names(home: Path) -> None:
    playbooks = (home / ".ansible/collections" / COLLECTION / "playbooks").glob("*.yml")
    names = [f"{NAME}.{each.stem}" for each in sorted(playbooks)]
    told = run("ansible-playbook", "--syntax-check", *names, cwd=home, HOME=str(home))
    assert len(names) > 10 and told.count("playbook: ") == len(names)
