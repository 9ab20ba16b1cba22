# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Custom resources of AAD Pod Identity as a restore bundle has them, put back where they are missing."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..change import Change
from ..errors import Failure
from ..kubernetes.objects import clean

Object = dict[str, t.Any]
Place = tuple[str, str]

# In this order: an exception lets pods past NMI that have lost their way to Azure, and a binding needs its identity.
KINDS = ("AzurePodIdentityException", "AzureIdentity", "AzureIdentityBinding")
API_VERSION = "aadpodidentity.k8s.io/v1"


@dataclass(frozen=True)
class Document:
    """An object as it was, and what is there now."""

    wanted: Object
    live: Object | None

    @property
    def kind(self) -> str:
        return str(self.wanted["kind"])

    @property
    def label(self) -> str:
        metadata = self.wanted["metadata"]
        return f"{self.kind} {metadata['namespace']}/{metadata['name']}"

    @property
    def change(self) -> Change:
        return Change.of_object(
            "create", self.kind, self.wanted["metadata"]["namespace"], self.wanted["metadata"]["name"]
        )

    @property
    def different(self) -> bool:
        return self.live is not None and _content(self.live) != _content(self.wanted)

    def row(self) -> Object:
        state = "restored" if self.live is None else "different" if self.different else "present"
        metadata = self.wanted["metadata"]
        return {"kind": self.kind, "namespace": metadata["namespace"], "name": metadata["name"], "state": state}


def check(documents: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Refuse what is no such object, before anything is asked."""
    for number, document in enumerate(documents):
        metadata = document.get("metadata")
        named = isinstance(metadata, dict) and all(isinstance(metadata.get(key), str) for key in ("name", "namespace"))
        if document.get("apiVersion") != API_VERSION or document.get("kind") not in KINDS or not named:
            raise Failure(
                f"documents[{number}] is no {', '.join(KINDS[:-1])} or {KINDS[-1]} of {API_VERSION} with a name and a "
                "namespace: take what a restore bundle has under objects."
            )


def compare(
    documents: t.Sequence[t.Mapping[str, t.Any]], live: t.Mapping[str, t.Mapping[Place, Object]]
) -> list[Document]:
    """Every document beside what is there of it, kind by kind."""
    found = []
    for kind in KINDS:
        for document in documents:
            if document["kind"] == kind:
                place = document["metadata"]["namespace"], document["metadata"]["name"]
                found.append(Document(clean(document), live.get(kind, {}).get(place)))
    return found


def _content(raw: Object) -> Object:
    document = clean(raw)
    metadata = document.get("metadata") or {}
    texts = {name: metadata.get(name) or {} for name in ("labels", "annotations")}
    return {**texts, "spec": document.get("spec") or {}}
