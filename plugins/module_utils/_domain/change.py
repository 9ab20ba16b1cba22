# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What one step of a module changes, as data that roles and users decide by."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

# ``adopt`` only marks an object as this collection's, ``reconcile`` writes again what is there after an operation that
# failed, ``attach`` and ``detach`` change which identities a scale set or machine carries. On a node ``save`` writes a
# table to a file, and ``verify`` writes nothing.
Verb = t.Literal[
    "create",
    "change",
    "delete",
    "adopt",
    "reconcile",
    "attach",
    "detach",
    "restart",
    "reimage",
    "save",
    "verify",
]
FILE = "file"
VERBS: tuple[str, ...] = t.get_args(Verb)


@dataclass(frozen=True)
class Change:
    """``kind``: the resource type of ARM, the kind of a Kubernetes object, FILE, or what it is on a node.

    ``id``: that of ARM, ``namespace/name``, or a path. ``why``: what is changed of it, or for what; may be empty.
    """

    verb: Verb
    kind: str
    id: str
    why: str = ""

    @classmethod
    def of_object(cls, verb: Verb, kind: str, namespace: str | None, name: str, why: str = "") -> Change:
        """Of an object in Kubernetes, which may have no namespace."""
        return cls(verb, kind, f"{namespace}/{name}" if namespace else name, why)

    @classmethod
    def of_file(cls, path: str, *, existed: bool, why: str = "") -> Change:
        """A file that is written."""
        return cls("change" if existed else "create", FILE, path, why)

    @property
    def summary(self) -> str:
        """In words, where kind and id are such as people use."""
        return f"{self.verb} {self.kind} {self.id}"

    def view(self) -> dict[str, str]:
        return asdict(self)
