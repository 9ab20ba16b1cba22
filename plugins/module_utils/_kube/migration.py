# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a plan of a migration looks at in a cluster, or in files that kubectl wrote of it: one list for each kind.

What may not be read is told as not looked at, and what the cluster has no kind for is not there. Where nothing may be
read that has pods, nothing can be told.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace
from functools import partial

from .._domain.diagnosis.cause import OBJECTS
from .._domain.diagnosis.observed import Unread
from .._domain.errors import Failure
from .._domain.installation.trusted_namespaces import Belief
from .._domain.kubernetes.kubectl_output import CONSTRAINTS
from .._domain.matching.inventory import Cluster, Inventory
from .._domain.migration import plan
from .._domain.migration.candidate import Candidate
from .._domain.migration.dry_run import NOT_TRIED, DryRun, Template
from .._domain.migration.observed import Observed
from .._domain.migration.world import World
from . import inventory, workload_identity
from .client import Client
from .errors import ApiFailure
from .kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    LIMIT_RANGE,
    MUTATING_WEBHOOK_CONFIGURATION,
    NAMESPACE,
    NETWORK_POLICY,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    TEMPLATES,
    Kind,
    Object,
)

# Beside those of the inventory.
KINDS = (
    NAMESPACE,
    SERVICE_ACCOUNT,
    MUTATING_WEBHOOK_CONFIGURATION,
    NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    PERSISTENT_VOLUME_CLAIM,
    ROLE,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
)
_ROLES = (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
_ADMISSION, _FLUX = "admissionregistration.k8s.io", "source.toolkit.fluxcd.io"
_GATEKEEPER = CONSTRAINTS[1:]
TEMPLATE = Kind(f"templates.{_GATEKEEPER.partition('.')[2]}", "v1", "constrainttemplates", "ConstraintTemplate", False)
# Kinds that not every cluster has; of several versions the first that is served is read.
OPTIONAL: tuple[tuple[Kind, ...], ...] = (
    (TEMPLATE,),
    (Kind(_ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False),),
    (Kind("kyverno.io", "v1", "clusterpolicies", "ClusterPolicy", False),),
    (Kind("kyverno.io", "v1", "policies", "Policy"),),
    (Kind("keda.sh", "v1alpha1", "triggerauthentications", "TriggerAuthentication"),),
    (Kind("keda.sh", "v1alpha1", "clustertriggerauthentications", "ClusterTriggerAuthentication", False),),
    (Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),),
    (Kind("keda.sh", "v1alpha1", "scaledjobs", "ScaledJob"),),
    *(
        tuple(Kind("secrets-store.csi.x-k8s.io", version, plural, name) for version in ("v1", "v1alpha1"))
        for plural, name in (
            ("secretproviderclasses", "SecretProviderClass"),
            ("secretproviderclasspodstatuses", "SecretProviderClassPodStatus"),
        )
    ),
    (Kind("cert-manager.io", "v1", "issuers", "Issuer"),),
    (Kind("cert-manager.io", "v1", "clusterissuers", "ClusterIssuer", False),),
    (Kind("acme.cert-manager.io", "v1", "orders", "Order"),),
    (Kind("velero.io", "v1", "backupstoragelocations", "BackupStorageLocation"),),
    *(
        tuple(Kind(group, version, plural, name) for version in versions)
        for group, plural, name, versions in (
            (_FLUX, "gitrepositories", "GitRepository", ("v1",)),
            (_FLUX, "helmrepositories", "HelmRepository", ("v1", "v1beta2")),
            (_FLUX, "ocirepositories", "OCIRepository", ("v1", "v1beta2")),
            (_FLUX, "buckets", "Bucket", ("v1", "v1beta2")),
            ("image.toolkit.fluxcd.io", "imagerepositories", "ImageRepository", ("v1", "v1beta2")),
        )
    ),
)


def observe(client: Client, settings: t.Mapping[str, t.Any]) -> Observed:
    """Raises Failure where no kind may be read that has pods. ``settings``: see ``Cluster.parse``."""
    found, silent = inventory.read(client, optional=inventory.KINDS)
    if not any(kind.name in found for kind in (POD, *TEMPLATES)):
        raise Failure(f"{silent[POD.name]} No kind of workload may be listed, so that nothing can be told.")
    unread: list[Unread] = []
    for name, why in silent.items():
        kind = next(each for each in (*inventory.KINDS, *_ROLES) if each.name == name)
        belief = f" {Belief.EVERYWHERE}" if kind in _ROLES else ""
        unread.append(Unread(OBJECTS, kind.resource, f"{why}{belief}", _needs(kind)))
    inventoried = Inventory(Cluster.parse(found, settings, silent))
    # Of a kind of AAD Pod Identity that is not installed nothing is there.
    found = {**{kind.name: () for kind in inventory.CUSTOM if kind.name not in silent}, **found}
    for kind in KINDS:
        if kind.name not in found and kind.name not in silent:
            _add(found, unread, kind.name, kind, partial(client.list_all, kind))
    _add_optional(client, found, unread)
    return Observed(inventoried, found, tuple(unread))


def _needs(kind: Kind) -> str:
    return f"list on {kind.resource} in the whole cluster"


def _add(
    found: inventory.Objects,
    unread: list[Unread],
    name: str,
    kind: Kind,
    look: t.Callable[[], t.Sequence[Object]],
) -> None:
    try:
        found[name] = look()
    except Failure as failure:
        unread.append(Unread(OBJECTS, kind.resource, failure.sentence, _needs(kind)))


def _add_optional(client: Client, found: inventory.Objects, unread: list[Unread]) -> None:
    """Of several versions the first that is served; nothing of a kind that the cluster does not have."""
    try:
        served = client.served_versions()
    except Failure as failure:
        names = ", ".join(versions[0].resource for versions in OPTIONAL)
        unread.append(Unread(OBJECTS, names, failure.sentence, "get on the list of groups of the API server (/apis)"))
        return

    def add(name: str, versions: t.Sequence[Kind]) -> None:
        kind = next((each for each in versions if each.api_version in served), None)
        if kind is None:
            found[name] = ()
        else:
            _add(found, unread, name, kind, partial(_listed, client, kind))

    for versions in OPTIONAL:
        add(versions[0].name, versions)
    for kind in _constraints(found):
        add(f"{kind.name}{CONSTRAINTS}", (kind,))


def _listed(client: Client, kind: Kind) -> t.Sequence[Object]:
    try:
        return client.list_all(kind)
    except ApiFailure as failure:
        if not failure.kind_missing:
            raise
    return ()


def _constraints(found: inventory.Objects) -> list[Kind]:
    """The kinds of Gatekeeper's constraints, which its templates define."""
    names = set()
    for raw in found.get(TEMPLATE.name, ()):
        definition = ((raw.get("spec") or {}).get("crd") or {}).get("spec") or {}
        names.add(str((definition.get("names") or {}).get("kind") or ""))
    return [Kind(_GATEKEEPER, "v1beta1", name.lower(), name, False) for name in sorted(names - {""})]


def try_pods(client: Client, world: World, namespaces: t.Collection[str] | None) -> Observed:
    """The same with dry runs of pods of workloads, of these namespaces, that nothing else keeps from Workload ID.

    Nothing is stored. Without a webhook there is nothing to try.
    """
    observed = world.observed
    if not world.webhooks:
        return observed
    seen = workload_identity.Coverage(world.webhooks, observed.objects.get(NAMESPACE.name))
    wanted = [one for one in plan.to_try(world) if namespaces is None or one.namespace in namespaces]
    runs: dict[tuple[str, str], DryRun] = {}
    unread: list[Unread] = []
    for proxied in (False, True):
        several = [one for one in wanted if one.proxied is proxied]
        tried = workload_identity.try_out(client, seen, [_template(one) for one in several], proxy=proxied)
        for one, each in zip(several, tried):
            made = each.with_proxy or each.with_label
            if made.code != NOT_TRIED:
                runs[one.key] = made
            else:
                needs = f"create on pods in the namespace {one.namespace}, and webhooks that support dry runs"
                unread.append(Unread(OBJECTS, f"a dry run of a pod of {one.label}", made.message, needs))
    return replace(observed, dry_runs=runs, unread=(*observed.unread, *unread))


def _template(one: Candidate) -> Template:
    name, raw = one.source.workload.name, one.source.raw
    if one.source.made_by_hand:
        return Template(one.kind, one.namespace, name, raw)
    return Template.parse(one.kind, one.namespace, name, raw)


def read_files(paths: t.Iterable[str], settings: t.Mapping[str, t.Any]) -> Observed:
    """The same of files that ``kubectl get -o json`` wrote."""
    found = inventory.read_files(paths)
    unread = [_not_in_files(kind) for kind in (*inventory.KINDS, *KINDS) if kind.name not in found]
    unread += [_not_in_files(versions[0]) for versions in OPTIONAL if versions[0].name not in found]
    return Observed(Inventory(Cluster.parse(found, settings)), found, tuple(unread))


def _not_in_files(kind: Kind) -> Unread:
    every = " --all-namespaces" if kind.namespaced else ""
    return Unread(OBJECTS, kind.resource, "the files have none", f"kubectl get {kind.resource}{every} -o json")
