# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the playbook leftovers: what it may detach, what is written down before, and what it tells in the end."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import arm_id, node_refusals
from ..names import listed
from ..ownership import USED
from ..roles.part import Nothing, Part, Raw, Refused, Run, refuse


@dataclass(frozen=True)
class Options:
    """Variables without their common prefix."""

    artifact_target: str = ""
    cluster_name: str = ""
    resource_group: str = ""
    leftovers_remove: bool = False
    leftovers_confirm: str = ""
    leftovers_node_resource_group: str = ""
    leftovers_look_into_cluster: bool = True
    leftovers_without_cluster: bool = False

    @property
    def place(self) -> str:
        """Whose scale sets they are."""
        return self.cluster_name or self.leftovers_node_resource_group


# options


@dataclass(frozen=True)
class Checked:
    """``removes``: what is proved to be a leftover is detached; ``saves``: also in Azure, so that what the scale sets
    carry is written down before. ``looks``: into the cluster. ``resource_group`` of the cluster, if that is named."""

    removes: bool
    saves: bool
    looks: bool
    resource_group: str


def check(options: Options, _nothing: Nothing, run: Run) -> Checked:
    """Refuses to detach anything without a confirmation, and without a directory for the way back."""
    saves = options.leftovers_remove and not run.check_mode
    refuse(_contradictions(options, saves=saves))
    return Checked(
        removes=options.leftovers_remove,
        saves=saves,
        looks=bool(options.cluster_name) and options.leftovers_look_into_cluster,
        resource_group=options.resource_group if options.cluster_name else "",
    )


def _contradictions(options: Options, *, saves: bool) -> t.Iterator[str]:
    if not options.place or (options.cluster_name and not options.resource_group):
        yield (
            "No scale sets are named; set pod_identity_cluster_name and pod_identity_resource_group, or "
            "pod_identity_leftovers_node_resource_group."
        )
    if saves and (not options.place or options.leftovers_confirm.lower() != options.place.lower()):
        yield (
            "Nothing was detached: with pod_identity_leftovers_remove, pod_identity_leftovers_confirm must repeat "
            f"{options.place or 'the name of the cluster'} outside check mode."
        )
    if saves and (not options.artifact_target or options.artifact_target.startswith("secret:")):
        yield (
            "Nothing was detached: what the scale sets carry is written down first, and pod_identity_artifact_target "
            "must name a directory on this machine for that."
        )


# detachment


@dataclass(frozen=True)
class Looked:
    """What scale sets carry, and whether it is ``known`` what the cluster uses, or else why not. ``began``: the time.

    ``removable``: there is an identity that may be detached.
    """

    known: bool
    failure: str
    removable: bool
    host: str
    began: str

    @classmethod
    def parse(cls, observed: Raw) -> Looked:
        texts = {name: str(observed[name]) for name in ("failure", "host", "began")}
        removable = any(each["removable"] for place in observed["resources"] for each in place["identities"])
        return cls(known=bool(observed["known"]), removable=removable, **texts)


@dataclass(frozen=True)
class Detachment:
    """``bundle``: the file that what the scale sets carry is written to before; empty where nothing is detached."""

    bundle: str


def detachment(options: Options, looked: Looked, run: Run) -> Detachment:
    """Refuses to detach anything while nobody knows what the cluster still uses."""
    if options.leftovers_remove and not looked.known and not options.leftovers_without_cluster:
        raise Refused(
            "Nothing was detached, because it is not known which identities the workloads of the cluster still get. "
            f"{looked.failure or 'The cluster was not looked at.'} Where the cluster is gone, or nothing in it uses "
            "pod identity, set pod_identity_leftovers_without_cluster=true."
        )
    if not options.leftovers_remove or run.check_mode or not looked.removable:
        return Detachment("")
    return Detachment(f"{options.artifact_target}/{looked.host}-{options.place}-{looked.began}.json")


# account

CAN_BE_DETACHED = "can be detached"


@dataclass(frozen=True)
class Done:
    """``before`` and ``after``: what scale sets carry; nothing is known of those that are not among the latter.

    ``residue``: what of pod identity is in the cluster; ``unknown``: sentences about what could not be looked at.
    ``bundle``: the file with what they carried; ``error``: what stopped the playbook.
    """

    before: tuple[Raw, ...] = ()
    after: tuple[Raw, ...] = ()
    residue: tuple[Raw, ...] = ()
    unknown: tuple[str, ...] = ()
    bundle: str = ""
    error: str = ""

    @classmethod
    def parse(cls, observed: Raw) -> Done:
        again = observed["again"]
        return cls(
            before=tuple(observed["before"]),
            after=tuple(observed["cleaned"] if again is None else again),
            residue=tuple(observed["residue"]),
            unknown=tuple(each for each in (observed["failure"], *observed["unread"]) if each),
            bundle=observed["bundle"],
            error=observed["error"],
        )


@dataclass(frozen=True)
class Row:
    """An identity on a scale set."""

    identity: str
    scale_set: str
    ownership: str
    outcome: str
    why: str
    id: str
    resource_id: str


@dataclass(frozen=True)
class Account:
    """The fact ``pod_identity_leftovers``. ``untold``: what could not be told, and the commands that lead on."""

    identities: tuple[Row, ...]
    residue: tuple[Raw, ...]
    untold: tuple[str, ...]
    restore_bundle: str
    error: str


def account(options: Options, done: Done, run: Run) -> Account:
    rows = tuple(_rows(done, run))
    ways = () if done.error else tuple(_ways(options, rows, done.residue))
    return Account(rows, done.residue, (*done.unknown, *ways), done.bundle, done.error)


def _ways(options: Options, rows: t.Sequence[Row], residue: t.Sequence[Raw]) -> t.Iterator[str]:
    """What to do about identities that stay, because workloads still use them, and about those that need not stay."""
    cluster = {"cluster_name": options.cluster_name, "resource_group": options.resource_group}
    used = sorted({each.identity for each in rows if each.ownership == USED})
    if used and options.cluster_name:
        # What runs NMI, as pod_identity_info tells it with audit.
        runs = [each["object"] for each in residue if each["code"] == "installation_left"]
        runs = [each for each in runs if each.startswith("DaemonSet ")]
        away = f'To remove pod identity, identities included: "{node_refusals.uninstall(cluster)}".'
        served = f"NMI ({listed(runs)}) is installed to serve them."
        gone = f"no NMI is installed to serve them. To have it back: {node_refusals.SITE}."
        yield f"{listed(used)} stay, because workloads use them, and {served if runs else gone} {away}"
    free = sorted({each.identity for each in rows if each.outcome == CAN_BE_DETACHED})
    if free:
        place = f"-e pod_identity_leftovers_node_resource_group={options.place}"
        command = node_refusals.leftovers(cluster) if options.cluster_name else f"{node_refusals.LEFTOVERS} {place}"
        command += f" -e pod_identity_leftovers_remove=true -e pod_identity_leftovers_confirm={options.place}"
        target = options.artifact_target or "DIRECTORY"
        yield f'To detach {listed(free)}: "{command} -e pod_identity_artifact_target={target}".'


def _rows(done: Done, run: Run) -> t.Iterator[Row]:
    detached = "would be detached" if run.check_mode else "detached"
    after = {
        arm_id.normal(place["id"]): {arm_id.normal(each["id"]) for each in place["identities"]} for place in done.after
    }
    for place in done.before:
        left = after.get(arm_id.normal(place["id"]))
        for each in place["identities"]:
            outcome = CAN_BE_DETACHED if each["removable"] else "stays"
            if left is not None and arm_id.normal(each["id"]) not in left:
                outcome = detached
            yield Row(
                identity=arm_id.last_segment(each["id"]),
                scale_set=place["name"],
                ownership=each["ownership"],
                outcome=outcome,
                why=each["ownership_because"],
                id=each["id"],
                resource_id=place["id"],
            )


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Nothing, check),
    "detachment": Part(Options, Looked, detachment),
    "account": Part(Options, Done, account),
}
