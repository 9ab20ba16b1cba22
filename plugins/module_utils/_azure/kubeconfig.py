# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Kubeconfigs of AKS clusters: their content as AKS gives it, and the file that holds one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
import typing as t
from dataclasses import dataclass, field

from .. import _processes
from .._domain.errors import Failure
from .._domain.kubernetes import kubeconfig
from .._domain.moments import of_epoch
from .._libraries import library
from . import managed_clusters
from .client import Arm

_MODE = 0o600
_PREFIX = ".kubeconfig-"


@dataclass(frozen=True)
class Kubeconfig:
    """A kubeconfig as text and parsed. Both are secret: neither may leave the process but into a file."""

    content: bytes = field(repr=False)
    config: t.Mapping[str, t.Any] = field(repr=False)

    def described(self, path: str) -> dict[str, str]:
        return {"path": path, **kubeconfig.summary(self.config)}

    def fingerprint(self) -> dict[str, str]:
        """What a diff may show of the credentials: a digest, and when a token that we put there ends."""
        expiry = kubeconfig.token_expiry(self.config)
        if expiry is None:
            return {"sha256": hashlib.sha256(self.content).hexdigest()}
        rest = json.dumps(kubeconfig.without_token(self.config), sort_keys=True)
        return {"sha256": hashlib.sha256(rest.encode()).hexdigest(), "token_expires": of_epoch(expiry)}


def parse(content: bytes, origin: str) -> Kubeconfig:
    with library("PyYAML"):
        import yaml
    try:
        config = yaml.safe_load(content)
    except yaml.YAMLError as error:  # its text quotes the content
        raise Failure(f"{origin} is not YAML ({type(error).__name__}).") from None
    if config is not None and not isinstance(config, dict):
        raise Failure(f"{origin} is not a kubeconfig.")
    return Kubeconfig(content, config or {})


def of_config(config: t.Mapping[str, t.Any]) -> Kubeconfig:
    with library("PyYAML"):
        import yaml
    return Kubeconfig(yaml.safe_dump(config, sort_keys=False).encode(), config)


def of_cluster(arm: Arm, group: str, name: str, *, admin: bool, old: Kubeconfig | None) -> Kubeconfig:
    """The kubeconfig of a cluster; an interactive login is replaced by a token of the task's credential.

    The token of ``old`` is kept where it lives long enough, and the way to the server that was written for a run.
    """
    found = parse(managed_clusters.kubeconfig(arm, group, name, admin=admin), f"The kubeconfig of the cluster {name}")
    if old is not None:
        config = kubeconfig.with_kept_way(found.config, old.config)
        found = found if config is found.config else of_config(config)
    server = kubeconfig.login_server(found.config)
    if server is None:
        return found
    token, _expiry = arm.token(f"{server}/.default", f"get a token for the API server of the cluster {name}")
    config = kubeconfig.with_token(found.config, token)
    if old is not None:
        config = dict(kubeconfig.with_kept_token(config, old.config, time.time()))
    return of_config(config)


def read(path: str) -> Kubeconfig | None:
    """The file at ``path``; None where there is none."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"The file {path} cannot be read ({error.strerror}); name another path.") from error
    return parse(content, f"The file {path}")


def is_private(path: str) -> bool:
    return stat.S_IMODE(os.stat(path).st_mode) == _MODE


def write(path: str, content: bytes) -> None:
    """Replace the file in one step; nobody but its owner can read it at any moment."""
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        raise Failure(f"The kubeconfig {path} cannot be written: its directory does not exist; create it first.")
    try:
        _remove_left(directory)
        prefix = f"{_PREFIX}{_processes.mark(os.getpid())}-"
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=prefix)  # mkstemp makes it 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Failure(f"The kubeconfig {path} cannot be written ({error.strerror}); name another path.") from error


def _remove_left(directory: str) -> None:
    """What writers that were killed have left there, which has secrets."""
    for entry in os.scandir(directory):
        if _processes.is_of_ended(entry.name, _PREFIX):
            with contextlib.suppress(OSError):
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                    os.unlink(entry.path)


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise Failure(f"The kubeconfig {path} cannot be removed ({error.strerror}).") from error
