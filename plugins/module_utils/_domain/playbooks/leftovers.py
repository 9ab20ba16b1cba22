# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The plan of the playbook leftovers: what it may detach, what is written down before, and what it tells in the end."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import commands
from ..azure import arm_id
from ..azure.ownership import USED
from ..commands import FILE, WITH_FILE, Command
from ..names import listed
from ..removal import bundles
from ..roles.part import COMMANDS, Look, Part, Raw, Run, refuse


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
    # The module reads these itself.
    leftovers_protected_identities: tuple[str, ...] = ()
    leftovers_identities: tuple[str, ...] = ()
    leftovers_known_files: tuple[str, ...] = ()
    leftovers_known_identities: tuple[Raw, ...] = field(default=(), metadata={"keys": ("id", "source")})
    leftovers_activity_log_days: int = 90
    leftovers_mic_principals: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Whose scale sets they are."""
        return self.cluster_name or self.leftovers_node_resource_group

    @property
    def names_directory(self) -> bool:
        return bool(self.artifact_target) and not self.artifact_target.startswith(bundles.IN_SECRET)

    @property
    def looks(self) -> bool:
        """Whether it looks into the cluster."""
        return bool(self.cluster_name) and self.leftovers_look_into_cluster

    def saves(self, run: Run) -> bool:
        """Whether something is detached in Azure, so that what the scale sets carry is written down before."""
        return self.leftovers_remove and not run.check_mode


# options


@dataclass(frozen=True)
class Target:
    """``refusal``: why nothing can be written down where it is to be; empty where it can."""

    refusal: str

    @classmethod
    def parse(cls, observed: Raw) -> Target:
        return cls(_message(observed.get("place") or {}))


@dataclass(frozen=True)
class Checked:
    """``removes``: what is proved to be a leftover is detached. ``looks``: into the cluster. ``resource_group`` of the
    cluster, if that is named."""

    removes: bool
    looks: bool
    resource_group: str


def check(options: Options, target: Target, run: Run) -> Checked:
    """Refuses to detach anything without a confirmation, and without a directory for the way back."""
    refuse((*_contradictions(options, run), *((target.refusal,) if target.refusal else ())))
    return Checked(
        removes=options.leftovers_remove,
        looks=options.looks,
        resource_group=options.resource_group if options.cluster_name else "",
    )


def _look_at_target(options: Options, _found: Raw, run: Run) -> t.Iterator[Look]:
    if options.saves(run) and options.names_directory:
        bundle = {"place": f"{options.artifact_target}/bundle.json", "content": "{}"}
        yield Look("place", "pod_identity_bundle", bundle, in_cluster=False, in_check_mode=True, tolerates=_any)


def _contradictions(options: Options, run: Run) -> t.Iterator[str]:
    saves = options.saves(run)
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
    if saves and not options.names_directory:
        yield (
            "Nothing was detached: what the scale sets carry is written down first, and pod_identity_artifact_target "
            "must name a directory on this machine for that."
        )


def _any(_failed: Raw) -> bool:
    return True


def _message(result: Raw) -> str:
    """Why a module failed; empty if it did not."""
    return str(result.get("msg") or "It failed.") if result.get("failed") else ""


# found


@dataclass(frozen=True)
class Looked:
    """What the cluster uses, or the ``failure`` to look, and what scale sets carry, or the ``error`` to look there.

    ``inventory``: None where nobody has looked into the cluster. ``began``: the time.
    """

    failure: str
    error: str
    inventory: Raw | None
    residue: tuple[Raw, ...]
    cluster_id: str
    resources: tuple[Raw, ...]
    unread: tuple[str, ...]
    host: str
    began: str

    @classmethod
    def parse(cls, observed: Raw) -> Looked:
        inside, outside = observed.get("cluster") or {}, observed["scale_sets"]
        reason = observed["unconnected"] or _message(inside)
        return cls(
            failure=f"What is in the cluster is not known: {reason}" if reason else "",
            error=_message(outside),
            inventory=_inventory(inside),
            residue=tuple(inside.get("residue") or ()),
            cluster_id=str(outside.get("cluster_id") or ""),
            resources=tuple(outside.get("resources") or ()),
            unread=tuple(outside.get("unread") or ()),
            host=str(observed["host"]),
            began=str(observed["began"]),
        )

    @property
    def removable(self) -> bool:
        """Whether there is an identity that may be detached."""
        return any(each["removable"] for place in self.resources for each in place["identities"])


@dataclass(frozen=True)
class Found:
    """``detaches``: what may go is detached, or in check mode would be. ``bundle``: the file that what the scale sets
    carry is written to before; empty where nothing is detached. ``error``: why nothing can be done."""

    inventory: Raw | None
    residue: tuple[Raw, ...]
    cluster_id: str
    resources: tuple[Raw, ...]
    unknown: tuple[str, ...]
    detaches: bool
    bundle: str
    error: str


def found(options: Options, looked: Looked, run: Run) -> Found:
    """Nothing is detached while nobody knows what the cluster still uses."""
    error = looked.error or _not_known(options, looked)
    detaches = options.leftovers_remove and not error
    bundle = f"{options.artifact_target}/{looked.host}-{options.place}-{looked.began}.json"
    return Found(
        inventory=looked.inventory,
        residue=looked.residue,
        cluster_id=looked.cluster_id,
        resources=looked.resources,
        unknown=tuple(each for each in (looked.failure, *looked.unread) if each),
        detaches=detaches,
        bundle=bundle if detaches and looked.removable and not run.check_mode else "",
        error=error,
    )


def _look(options: Options, observed: Raw, _run: Run) -> t.Iterator[Look]:
    if options.looks and not observed["unconnected"]:
        yield Look("cluster", "pod_identity_info", {"audit": True}, tolerates=_any)
    arguments = {"inventory": _inventory(observed.get("cluster") or {}), "check_existence": True}
    yield Look("scale_sets", "vmss_identity_info", arguments, in_cluster=False, tolerates=_any)


def _inventory(result: Raw) -> Raw | None:
    if not result or result.get("failed"):
        return None
    return {name: result[name] for name in ("workloads", "identities", "assigned")}


def _not_known(options: Options, looked: Looked) -> str:
    if not options.leftovers_remove or looked.inventory is not None or options.leftovers_without_cluster:
        return ""
    return (
        "Nothing was detached, because it is not known which identities the workloads of the cluster still get. "
        f"{looked.failure or 'The cluster was not looked at.'} Where the cluster is gone, or nothing in it uses "
        "pod identity, set pod_identity_leftovers_without_cluster=true."
    )


# account

CAN_BE_DETACHED, STAYS = "can be detached", "stays"


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
        before, saved, cleaned = (observed[name] for name in ("found", "saved", "cleaned"))
        # What was seen last counts.
        after = (observed.get("again") or {}).get("resources")
        if after is None:
            after = (cleaned.get("state") or {}).get("resources") or ()
        return cls(
            before=tuple(before["resources"]),
            after=tuple(after),
            residue=tuple(before["residue"]),
            unknown=tuple(before["unknown"]),
            bundle=str(saved.get("place") or ""),
            error=before["error"] or _message(saved) or _message(cleaned),
        )


def _look_again(_options: Options, observed: Raw, _run: Run) -> t.Iterator[Look]:
    """What scale sets carry once detaching has failed on the way."""
    if _message(observed["cleaned"]):
        arguments = {"inventory": observed["found"]["inventory"], "activity_log_days": 0}
        yield Look("again", "vmss_identity_info", arguments, in_cluster=False, tolerates=_any)


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
    claimed: bool


@dataclass(frozen=True)
class Account:
    """The fact ``pod_identity_leftovers``. ``undetermined``: what could not be told, ``commands`` what leads on."""

    identities: tuple[Row, ...]
    residue: tuple[Raw, ...]
    undetermined: tuple[str, ...]
    commands: tuple[Command, ...]
    restore_bundle: str
    error: str


def account(options: Options, done: Done, run: Run) -> Account:
    rows = tuple(_rows(done, run))
    ways = () if done.error else tuple(_ways(options, rows, done.residue))
    undetermined = (*done.unknown, *(each for each in ways if isinstance(each, str)))
    to_paste = tuple(each for each in ways if isinstance(each, Command))
    return Account(rows, done.residue, undetermined, to_paste, done.bundle, done.error)


def _ways(options: Options, rows: t.Sequence[Row], residue: t.Sequence[Raw]) -> t.Iterator[str | Command]:
    """What to do about identities that stay, because workloads still use them, and about those that need not stay."""
    used = sorted({each.identity for each in rows if each.ownership == USED})
    if used and options.cluster_name:
        # What runs NMI, as pod_identity_info tells it with audit.
        runs = [each["object"] for each in residue if each["code"] == "installation_left"]
        runs = [each for each in runs if each.startswith("DaemonSet ")]
        doubted = [each["object"] for each in residue if each["code"] == "not_believed"]
        doubted = [each for each in doubted if each.startswith("DaemonSet ")]
        if runs:
            served = f"NMI ({listed(runs)}) is installed to serve them."
        elif doubted:
            served = f"it is not known whether NMI serves them: {listed(doubted)} is not believed to be of it."
        else:
            served = "no NMI is installed to serve them."
            yield Command(f"To have pod identity back{WITH_FILE}", commands.playbook("site", {}, file=FILE))
        yield f"{listed(used)} stay, because workloads use them, and {served}"
        confirmed = {"pod_identity_uninstall_confirm": options.cluster_name}
        away = commands.playbook("uninstall", confirmed, file=FILE)
        yield Command(f"To remove pod identity, identities included{WITH_FILE}", away)
    free = sorted({each.identity for each in rows if each.outcome == CAN_BE_DETACHED})
    if free:
        yield Command(f"To detach {listed(free)}, with the same further variables", _detaching(options))
    claimed = {each.id.lower(): each for each in rows if each.claimed and each.outcome == STAYS}
    if claimed:
        names = listed(sorted(each.identity for each in claimed.values()))
        yield f"Objects of the cluster name {names}, but nothing proves that MIC attached that."
        ids = sorted(each.id for each in claimed.values())
        about = f"To detach {names} all the same, with the same further variables"
        yield Command(about, _detaching(options, pod_identity_leftovers_identities=ids))


def _detaching(options: Options, **further: t.Any) -> str:
    named = {"pod_identity_leftovers_node_resource_group": options.place}
    if options.cluster_name:
        named = {
            "pod_identity_resource_group": options.resource_group or "RG",
            "pod_identity_cluster_name": options.cluster_name,
        }
    confirmed = {
        "pod_identity_leftovers_remove": "true",
        "pod_identity_leftovers_confirm": options.place,
        "pod_identity_artifact_target": options.artifact_target if options.names_directory else "DIRECTORY",
    }
    return commands.playbook("leftovers", {**named, **confirmed, **further})


def _rows(done: Done, run: Run) -> t.Iterator[Row]:
    detached = "would be detached" if run.check_mode else "detached"
    after = {
        arm_id.normal(place["id"]): {arm_id.normal(each["id"]) for each in place["identities"]} for place in done.after
    }
    for place in done.before:
        left = after.get(arm_id.normal(place["id"]))
        for each in place["identities"]:
            outcome = CAN_BE_DETACHED if each["removable"] else STAYS
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
                claimed=bool(each["claimed"]),
            )


PARTS: t.Mapping[str, Part[t.Any, t.Any]] = {
    "options": Part(Options, Target, check, _look_at_target),
    "found": Part(Options, Looked, found, _look),
    "account": Part(Options, Done, account, _look_again),
    "commands": COMMANDS,
}
