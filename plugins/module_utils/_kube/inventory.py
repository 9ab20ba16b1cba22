# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The objects that an inventory is made of: one list per kind of a cluster, or what kubectl wrote into files."""

from __future__ import annotations

import json
import typing as t

from .._domain.errors import Failure
from .._domain.installation import residue
from .._domain.installation.trusted_namespaces import CHART, SYSTEM
from .._domain.kubernetes import kubectl_output
from .client import Client
from .errors import ApiFailure
from .kinds import (
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINTS,
    NAMESPACE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    SECRET,
    SERVICE_ACCOUNT,
    TEMPLATES,
    Kind,
    Object,
)

CUSTOM = (AZURE_IDENTITY, AZURE_IDENTITY_BINDING, AZURE_POD_IDENTITY_EXCEPTION, AZURE_ASSIGNED_IDENTITY)
KINDS = (*CUSTOM, POD, *TEMPLATES, NODE)

# Only those of one name; of Endpoints and ConfigMaps a cluster has very many.
_FIELDS = {ENDPOINTS: f"metadata.name={residue.LOCK}", CONFIG_MAP: f"metadata.name={residue.SETTINGS}"}
PARTS = (
    CUSTOM_RESOURCE_DEFINITION,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    SERVICE_ACCOUNT,
    POD_DISRUPTION_BUDGET,
    ENDPOINTS,
    CONFIG_MAP,
)

Objects = dict[str, t.Sequence[Object]]


def read(client: Client, optional: t.Container[Kind] = ()) -> tuple[Objects, dict[str, str]]:
    """By kind; a kind of AAD Pod Identity that is not installed is left out. Then why a kind may not be read, by kind.

    ClusterRoles and ClusterRoleBindings are left out where they do not matter, or one of both may not be read, and
    those that are ``optional`` where they may not be read.
    """
    found, unread = _read(client, KINDS, optional)
    programs = [each for kind in (DAEMON_SET, DEPLOYMENT) for each in found.get(kind.name, ()) if residue.program(each)]
    roles, silent = read_roles(client, programs)
    return (found if silent else {**found, **roles}), {**unread, **silent}


def read_roles(client: Client, programs: t.Iterable[Object]) -> tuple[Objects, dict[str, str]]:
    """Who has rights, and why a kind may not be read; empty where it does not matter to what looks like MIC and NMI."""
    found: Objects = {}
    unread: dict[str, str] = {}
    if any(each["metadata"]["namespace"] != SYSTEM for each in programs):
        for kind in (CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
            try:
                found[kind.name] = client.list_all(kind)
            except ApiFailure as failure:
                if not failure.forbidden:
                    raise
                unread[kind.name] = failure.sentence
    return found, unread


def read_custom(client: Client) -> Objects:
    """The custom resources; a kind that is not installed is left out."""
    return _read(client, CUSTOM, ())[0]


def _read(client: Client, kinds: t.Iterable[Kind], optional: t.Container[Kind]) -> tuple[Objects, dict[str, str]]:
    """By kind, and why a kind that is ``optional`` may not be read; without those that are not installed."""
    found: Objects = {}
    unread: dict[str, str] = {}
    for kind in kinds:
        try:
            found[kind.name] = client.list_all(kind)
        except ApiFailure as failure:
            if failure.forbidden and kind in optional:
                unread[kind.name] = failure.sentence
            elif not (kind in CUSTOM and failure.kind_missing):
                raise
    return found, unread


def read_parts(
    look: t.Callable[..., t.Sequence[Object]], found: Objects, namespaces: t.Collection[str] | None = None
) -> None:
    """Add to ``found`` what an installation is made of besides, by ``look``, which is ``Client.list_all`` or alike.

    ``namespaces``: where alone, besides believed ones that a release is said to be in, Secrets are looked for.
    """
    for kind in PARTS:
        found[kind.name] = look(kind, fields=_FIELDS.get(kind, ""))
    # Of all Secrets those of the releases, and what the chart made for MIC.
    names = ",".join(sorted({CHART, *(name for dummy, name in residue.releases(found))}))
    places: t.Sequence[str | None] = (None,)
    of_helm = f"owner=helm,name in ({names})"
    if namespaces is not None:
        places = residue.release_namespaces(found, namespaces)
        of_helm = "owner=helm"
    found[SECRET.name] = [
        each
        for place in places
        for labels in (of_helm, f"app.kubernetes.io/name={CHART}")
        for each in look(SECRET, place, labels=labels)
    ]


def read_residue(client: Client, found: Objects) -> dict[str, str]:
    """Add to ``found`` what an installation is made of besides; why a kind may not be read, by kind."""
    unread: dict[str, str] = {}

    def look(kind: Kind, namespace: str | None = None, **only: t.Any) -> t.Sequence[Object]:
        if kind.name in unread:
            return ()
        try:
            return client.list_all(kind, namespace, **only)
        except ApiFailure as failure:
            if not failure.forbidden:
                raise
            unread[kind.name] = failure.sentence
            return ()

    found[NAMESPACE.name] = look(NAMESPACE)
    read_parts(look, found)
    return unread


def read_files(paths: t.Iterable[str]) -> Objects:
    """By kind; of an object that is there twice the last one counts."""
    found: dict[str, dict[tuple[str, str], Object]] = {}
    for path in paths:
        for kind, raw in kubectl_output.parse(path, _load(path)):
            metadata = raw["metadata"]
            found.setdefault(kind, {})[(metadata.get("namespace", ""), metadata["name"])] = raw
    return {kind: list(objects.values()) for kind, objects in found.items()}


def _load(path: str) -> t.Any:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise Failure(f"The file {path} cannot be read ({error.strerror}): check its name and its mode.") from error
    except (ValueError, RecursionError) as error:
        raise Failure(f"The file {path} holds no JSON ({error}): write it with kubectl get -o json.") from error
