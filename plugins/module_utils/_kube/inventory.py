# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The objects that an inventory is made of: one list per kind of a cluster, or what kubectl wrote into files."""

from __future__ import annotations

import json
import typing as t

from .._domain import dumps
from .._domain.errors import Failure
from .client import Client
from .errors import ApiFailure
from .kinds import (
    AAD_POD_IDENTITY,
    AZURE_ASSIGNED_IDENTITY,
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    NODE,
    POD,
    TEMPLATES,
    Object,
)

_KINDS = (
    AZURE_IDENTITY,
    AZURE_IDENTITY_BINDING,
    AZURE_POD_IDENTITY_EXCEPTION,
    AZURE_ASSIGNED_IDENTITY,
    POD,
    *TEMPLATES,
    NODE,
)

Objects = dict[str, t.Sequence[Object]]


def read(client: Client) -> Objects:
    """By kind; a kind of AAD Pod Identity that is not installed is left out."""
    found: Objects = {}
    for kind in _KINDS:
        try:
            found[kind.name] = client.list_all(kind)
        except ApiFailure as failure:
            if not (failure.kind_missing and kind.group == AAD_POD_IDENTITY):
                raise
    return found


def read_files(paths: t.Iterable[str]) -> Objects:
    """By kind; of an object that is there twice the last one counts."""
    found: dict[str, dict[tuple[str, str], Object]] = {}
    for path in paths:
        for kind, raw in dumps.parse(path, _load(path)):
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
