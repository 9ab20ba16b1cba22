# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which objects the manifest of a helm release names, and whether the chart aad-pod-identity makes such objects.

helm deletes whatever the record of a release names, and a record can be written by hand. So a manifest is read
strictly: what could be understood in two ways is refused, not interpreted.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

GROUP = "aadpodidentity.k8s.io"
# MIC's, on each AzureAssignedIdentity: it goes when the identity is taken off the nodes.
FINALIZER = f"azureassignedidentity.finalizers.{GROUP}"
CUSTOM = ("AzureIdentity", "AzureIdentityBinding", "AzurePodIdentityException", "AzureAssignedIdentity")
DEFINITIONS = frozenset(
    f"{plural}.{GROUP}"
    for plural in ("azureidentities", "azureidentitybindings", "azurepodidentityexceptions", "azureassignedidentities")
)
# The groups in which charts of any version have these kinds. Those without a namespace are cluster-wide.
_CLUSTER_WIDE: t.Mapping[str, str] = {
    "ClusterRole": "rbac.authorization.k8s.io",
    "ClusterRoleBinding": "rbac.authorization.k8s.io",
    "CustomResourceDefinition": "apiextensions.k8s.io",
    "PodSecurityPolicy": "policy|extensions",
}
_NAMESPACED: t.Mapping[str, str] = {
    "ServiceAccount": "",
    "Secret": "",
    "ConfigMap": "",
    "Deployment": "apps|extensions",
    "DaemonSet": "apps|extensions",
    "PodDisruptionBudget": "policy",
    "Role": "rbac.authorization.k8s.io",
    "RoleBinding": "rbac.authorization.k8s.io",
    "PodMonitor": "monitoring.coreos.com",
    **dict.fromkeys(CUSTOM, GROUP),
}
# Such as aad-pod-identity-mic, mic-pdb, aad-pod-id-nmi-service-account; and the roles that the chart makes for users.
_NAMES = re.compile(r"(.+-)?(mic|nmi)(-.+)?")
_ROLES = re.compile(rf"{_NAMES.pattern}|.+-(view|edit)")
_PRINTED = re.compile(r"[\n -~\xa0-\uD7FF\uE000-\uFEFE\uFF00-\uFFFD\U00010000-\U0010FFFF]*")
_BREAKS = re.compile("[\x85\u2028\u2029]")
_SEPARATOR = re.compile(r"---[ ]*(#.*)?")
_KEY = re.compile(r"([A-Za-z]+):(?:[ ]+(.*))?")
# No string or collection of a list goes on in the next line, where its text could be taken for an item. A value that
# begins as neither is plain text, whatever is in it but a further key.
_PLAIN = re.compile(r"[ ]*(-[ ]+)*([A-Za-z0-9_./-]+:[ ]+)?(?!.*:( |$))[A-Za-z0-9_./(<^$~+=,;\\-].*")
_CLOSED = re.compile(r"""(?:[^"'\\\[\]{}]|"[^"'\\]*"|'[^"'\\]*'|\[[^"'\\\[\]{}]*\]|\{[^"'\\\[\]{}]*\})*""")
_ITEM = re.compile(r"-( .*)?")
_WORD = re.compile(r"""(["']?)([A-Za-z0-9][A-Za-z0-9./:-]*)\1[ ]*( #.*)?""")
_OBJECT_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9:-]|[.](?![.]))*")


@dataclass(frozen=True)
class Named:
    """An object that a manifest names; without ``namespace`` it is in that of the release, or cluster-wide."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    def place(self, release_namespace: str) -> tuple[str, str]:
        """Namespace and name."""
        return "" if self.kind in _CLUSTER_WIDE else self.namespace or release_namespace, self.name

    def label(self, release_namespace: str) -> str:
        return " ".join((self.kind, "/".join(part for part in self.place(release_namespace) if part)))


def read(manifest: str) -> tuple[Named, ...]:
    """The objects of a manifest; raises ValueError, with the reason, where it is not plain YAML as charts render it."""
    if not _PRINTED.fullmatch(manifest) or _BREAKS.search(manifest):
        raise ValueError("its manifest holds characters that are not printed")
    found: list[list[str]] = [[]]
    for line in manifest.split("\n"):
        if line.startswith("---"):
            if not _SEPARATOR.fullmatch(line):
                raise ValueError("its manifest separates objects in an unusual way")
            found.append([])
        elif line.strip(" ") and not line.startswith("#"):
            found[-1].append(line)
    return tuple(named for lines in found if lines for named in _read_document(lines))


def _read_document(lines: t.Sequence[str]) -> t.Iterator[Named]:
    top = _mapping(lines, "")
    if set(top) == {"apiVersion", "kind", "items"} and _word("kind", top["kind"]) == "List":
        for item, indent in _items(top["items"]):
            yield _read_object(_mapping(item, indent))
    else:
        yield _read_object(top)


def _items(values: t.Sequence[str]) -> t.Iterator[tuple[list[str], str]]:
    """The lines of each item of a block sequence, and how far they are indented."""
    lines = [line for line in values[1:] if not line.lstrip(" ").startswith("#")]
    if values[0] or not lines or not all(_CLOSED.fullmatch(line) or _PLAIN.fullmatch(line) for line in lines):
        raise ValueError("its manifest has a list that is not plain")
    indent = len(lines[0]) - len(lines[0].lstrip(" "))
    item: list[str] = []
    for line in lines:
        if line[indent : indent + 2] == "- ":
            if item:
                yield item, " " * (indent + 2)
            item = []
        item.append(line[:indent] + line[indent:].replace("- ", "  ", 1) if not item else line)
    yield item, " " * (indent + 2)


def _read_object(top: t.Mapping[str, t.Sequence[str]]) -> Named:
    # To helm whatever has them is a list, in whichever case they are written.
    if any(key.lower() == "items" for key in top):
        raise ValueError("its manifest has a list that is not plain")
    wanted = {key: top.get(key, []) for key in ("apiVersion", "kind")}
    (api_version, kind) = (_word(key, values) for key, values in wanted.items())
    metadata = top.get("metadata", [])
    if not metadata or metadata[0]:
        raise ValueError("its manifest has an object without plain metadata")
    inner = [line for line in metadata[1:] if not line.lstrip(" ").startswith("#")]
    fields = _mapping(inner, " " * (len(inner[0]) - len(inner[0].lstrip(" ")))) if inner else {}
    namespace = _word("namespace", fields["namespace"]) if "namespace" in fields else ""
    name = _word("name", fields.get("name", []))
    if not all(_OBJECT_NAME.fullmatch(each) for each in (name, namespace or name)):
        raise ValueError("its manifest has an object whose name is none")
    return Named(api_version, kind, namespace, name)


def _mapping(lines: t.Sequence[str], indent: str) -> dict[str, list[str]]:
    """Keys of a block mapping; each with what follows it on its line, and the lines below that are indented more."""
    found: dict[str, list[str]] = {}
    values: list[str] = []
    for line in lines:
        rest = line[len(indent) :]
        if not line.startswith(indent):
            raise ValueError("its manifest is indented in an unusual way")
        key = _KEY.fullmatch(rest)
        if key:
            if key[1] in found:
                raise ValueError(f"its manifest has {key[1]} twice in one object")
            values = found[key[1]] = [(key[2] or "").strip(" ")]
        elif found and (rest.startswith(" ") or (_ITEM.fullmatch(rest) and not values[0])):
            values.append(line)
        else:
            raise ValueError("its manifest has an object that is not written as a plain mapping")
    return found


def _word(key: str, values: t.Sequence[str]) -> str:
    found = _WORD.fullmatch(values[0]) if len(values) == 1 else None
    if not found:
        raise ValueError(f"its manifest has an object without a plain {key}")
    return found[2]


def stranger(named: Named, release_namespace: str) -> bool:
    """Whether the chart makes no such object, or not in that namespace.

    Custom resources may lie in any namespace, because the values of the chart say where.
    """
    groups = {**_CLUSTER_WIDE, **_NAMESPACED}.get(named.kind)
    if groups is None or named.group not in groups.split("|"):
        return True
    if named.kind in CUSTOM:
        return False
    if named.kind == "CustomResourceDefinition":
        return named.name not in DEFINITIONS
    names = _ROLES if named.kind == "ClusterRole" else _NAMES
    return named.place(release_namespace)[0] not in ("", release_namespace) or not names.fullmatch(named.name)
