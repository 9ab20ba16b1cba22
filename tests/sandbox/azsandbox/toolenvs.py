# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox takes from package indexes: Debian packages, Python environments of tools, collections."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from azsandbox import paths
from azsandbox.progress import BuildError, Item, Work, run, whole

DEBIAN_PACKAGES = tuple(
    (
        "bash busybox-static ca-certificates conntrack containernetworking-plugins coreutils curl dash "
        "dnsmasq-base grep ipset iproute2 iptables mount openssh-client openssh-server procps rsync runc sed "
        "util-linux wget"
    ).split()
)
# Opens the page of a report in tests. The fonts have Arabic and Hebrew, and say how wide texts are on every machine.
BROWSER_PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core", "fonts-dejavu-extra")

# The newest `ansible` that still runs on Python 3.11; it carries kubernetes.core 6 and azure.azcollection 3.
ANSIBLE_PACKAGE = "ansible==12.3.0"
COLLECTION_NAMES = ("kubernetes.core", "azure.azcollection")
_REQUIREMENTS = paths.CHECKOUT / "requirements.txt"


@dataclass(frozen=True)
class Environment:
    """A virtual environment of one tool. It cannot be moved once made, so a stamp says that it is whole."""

    name: str
    requirements: tuple[str, ...]  # lines of a requirements file
    program: str  # one of its programs, which must exist
    python: str = sys.executable

    @property
    def path(self) -> Path:
        own = self.python == sys.executable
        interpreter = f"{sys.version} {Path(sys.base_prefix).resolve()}" if own else self.python
        return paths.VENVS / f"{self.name}-{paths.digest(interpreter, *self.requirements)}"

    def ready(self) -> bool:
        return (self.path / "complete").exists() and os.access(self.path / "bin" / self.program, os.X_OK)

    def make(self, work: Work) -> None:
        # What an interrupted installation left is not trusted; pip keeps its downloads, so little is lost.
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        run([self.python, "-m", "venv", self.path], work.log)
        requirements = self.path / "requirements.txt"
        requirements.write_text("".join(f"{line}\n" for line in self.requirements))
        pip: list[str | Path] = [self.path / "bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        run([*pip, "install", "--progress-bar=off", "--requirement", requirements], work.log)
        (self.path / "complete").touch()


def lines(text: str) -> tuple[str, ...]:
    """The requirements in a requirements file, without comments."""
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def interpreter(version: str) -> str | None:
    """The Python of this version that PATH or pyenv has; None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    name = f"python{version}"
    for candidate in filter(None, (shutil.which(name), *map(str, sorted(pyenv.glob(f"{version}.*/bin/{name}"))))):
        # A pyenv shim exists for every version that pyenv knows, but fails for one that is not switched on.
        question = [candidate, "-c", "import ensurepip, sys, venv; print(sys.executable)"]
        answer = subprocess.run(question, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return None


# Runs the collection's own modules, and helm's of kubernetes.core (which wants PyYAML).
_ROLES = ("PyYAML>=6.0", *lines(_REQUIREMENTS.read_text()))
ANSIBLE = Environment("ansible", ("ansible-core>=2.19", *_ROLES), "ansible-playbook")


@functools.cache
def other_ansible() -> Environment | None:
    """The other end of the lines of ansible-core that are supported; ANSIBLE has the newest that its Python runs.

    That is the oldest line with Python 3.11; the newest needs another Python then, and is None where there is none.
    """
    if sys.version_info >= (3, 12):
        return Environment("ansible-oldest", ("ansible-core>=2.19,<2.20", *_ROLES), "ansible-playbook")
    newer = interpreter("3.13") or interpreter("3.12")  # what newer lines of ansible-core want
    return Environment("ansible-newest", ("ansible-core>=2.20", *_ROLES), "ansible-playbook", newer) if newer else None


AZ = Environment("az", ("azure-cli==2.91.0",), "az")
BUILDER = Environment("ansible-builder", ("ansible-builder==3.2.0",), "ansible-builder")
# For an image, not for the workstation.
TOKEN_APP = Environment("token-app", tuple(line for line in _ROLES if line.startswith("azure-identity")), "python")


def azcollection() -> Environment:
    """What azure.azcollection runs on; its requirements are known once the collections are unpacked."""
    listed = paths.COLLECTIONS / "ansible_collections/azure/azcollection/requirements.txt"
    return Environment("azcollection", ("ansible-core>=2.19", *lines(listed.read_text())), "ansible-playbook")


def collections_key() -> str:
    return paths.digest(ANSIBLE_PACKAGE, *COLLECTION_NAMES)


def item(environment: Environment) -> Item:
    return Item(f"Python environment {environment.name}", environment.ready, environment.make)


def azcollection_item() -> Item:
    """To be built after the collections."""
    return Item(
        "Python environment azcollection",
        lambda: _collections_ready() and azcollection().ready(),
        lambda work: azcollection().make(work),
    )


def collections_item() -> Item:
    return Item("collections " + " ".join(COLLECTION_NAMES), _collections_ready, _unpack_collections)


def _collections_ready() -> bool:
    return paths.COLLECTIONS.is_dir()


def _unpack_collections(work: Work) -> None:
    """Take the collections out of the package that carries all of them."""
    with whole(paths.COLLECTIONS) as directory:
        download = directory / "download"
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        run([*pip, "download", "--progress-bar=off", "--no-deps", "--dest", download, ANSIBLE_PACKAGE], work.log)
        (wheel,) = download.glob("*.whl")
        prefixes = tuple(f"ansible_collections/{name.replace('.', '/')}/" for name in COLLECTION_NAMES)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(directory, [name for name in archive.namelist() if name.startswith(prefixes)])
        shutil.rmtree(download)


def debian_item() -> Item:
    return _packages_item("Debian packages", DEBIAN_PACKAGES)


def browser_item() -> Item:
    return _packages_item("chromium and fonts of Debian", BROWSER_PACKAGES)


def _packages_item(title: str, packages: tuple[str, ...]) -> Item:
    return Item(
        title, lambda: not missing_debian_packages(packages), functools.partial(_install_debian_packages, packages)
    )


def missing_debian_packages(packages: tuple[str, ...]) -> list[str]:
    """Those of packages that are not installed. Raises BuildError where there is no dpkg."""
    command = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *packages]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise BuildError(
            "The sandbox takes programs from Debian packages, and this machine has no dpkg: use a machine with Debian"
            f" or Ubuntu, and install there: {' '.join(packages)}"
        ) from None
    installed = {line.split()[0] for line in answer.splitlines() if line.endswith(" installed")}
    return [package for package in packages if package not in installed]


def _install_debian_packages(packages: tuple[str, ...], work: Work) -> None:
    missing = missing_debian_packages(packages)
    # Docker's packages, say, bring a runc of their own; nothing that is installed goes because of us.
    install = ["apt-get", "install", "-y", "--no-install-recommends", "--no-remove", *missing]
    if os.geteuid() != 0:
        raise BuildError(f"Debian packages are missing. Install them as root: {' '.join(install)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # openssh-server is installed for its program alone: nothing may start now or at the next boot because of us.
    policy = Path("/usr/sbin/policy-rc.d")
    own_policy = not policy.exists()
    if own_policy:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        run(["apt-get", "update", "-q"], work.log, env=environment)
        run(install, work.log, env=environment)
    except BuildError as error:
        raise BuildError(
            f"Debian packages are missing and could not be installed by: {' '.join(install)}\n{error}"
        ) from error
    finally:
        if own_policy:
            policy.unlink()
    if "openssh-server" in missing:
        # The helper answers maintainer scripts alone; this is how it knows one.
        environment["DPKG_MAINTSCRIPT_PACKAGE"] = "openssh-server"
        run(["deb-systemd-helper", "disable", "ssh.service", "ssh.socket"], work.log, env=environment)
