# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is found that takes tokens through pods of others, or by settings of its own, and with whose service account.

Which pods ask is told by their images, or the labels of a chart. The Secrets Store CSI driver asks in the name of the
pods that mount a class, all others in that of their own service account. The objects are those of tenants: a field that
is not as its kind has it is told, and read no further.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from ..azure import arm_id
from ..kubernetes import sources
from ..kubernetes.fields import Odd, entries, mapping, several, text
from ..kubernetes.objects import labels_of
from ..kubernetes.sources import Source
from ..matching.inventory import subject
from ..matching.matching import Raw
from . import consumer_proofs, containers, products
from .candidate import BOTH, BOUND, POD_IDENTITY, WORKLOAD_ID, Candidate
from .products import CERT_MANAGER, CSI, FLUX, KEDA, VELERO, Product
from .trust import Trust

if t.TYPE_CHECKING:
    from .world import World

OTHER = "other"
_CSI_DRIVER = "secrets-store.csi.k8s.io"
_TRIGGERS, _CLASS = ("TriggerAuthentication", "ClusterTriggerAuthentication"), "SecretProviderClass"
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TRUE = ("1", "t", "true")  # as the provider reads them, in lower case
_OBJECT_LEVEL = "ObjectLevelWorkloadIdentity=true"


@dataclass(frozen=True)
class Asker:
    """A workload with whose service account tokens are asked for. ``subject``: of the one that it will have.

    ``candidate``: None where it gets no identity.
    """

    source: Source
    subject: str
    candidate: Candidate | None = None

    @property
    def label(self) -> str:
        return self.source.label

    @property
    def asks_nmi(self) -> bool:
        return self.candidate is not None and bool(self.candidate.selector)

    @property
    def is_on(self) -> bool:
        """Whether all its pods use Workload ID, be it beside AAD Pod Identity."""
        one = self.candidate
        return one is not None and one.uses in (BOTH, WORKLOAD_ID, BOUND) and not one.stale_pods


Proof = t.Callable[["Noticed"], bool]


@dataclass(frozen=True)
class Noticed:
    """What was found, before it is judged. ``raw``: the object; None for a workload by itself.

    ``client_id``: the one that it names. ``by_pods``: whether its pods have to use Workload ID for it. ``change``: of
    its own, as a patch. ``odd``: which field is not as its kind has it. ``proof``: None where its status proves
    nothing. ``accounts``: subjects of service accounts that it names itself.
    """

    product: Product
    label: str
    setting: str
    uses: str
    askers: tuple[Asker, ...] = ()
    raw: Raw | None = None
    client_id: str = ""
    by_pods: bool = True
    change: t.Callable[[str], products.Values | products.Patch] = lambda _client_id: {}
    odd: str = ""
    proof: Proof | None = None
    accounts: tuple[str, ...] = ()

    @property
    def is_workload(self) -> bool:
        """Whether it is what asks itself."""
        return self.raw is None


def set_to_pod_identity(names: t.Container[str], template: Raw) -> tuple[str, ...]:
    """The kinds whose objects may take tokens by pod identity through the pods of a workload."""
    mounts = any(map(_class, _volumes(template)))
    return (*(_TRIGGERS if KEDA in names else ()), *((_CLASS,) if mounts else ()))


def find(looked: Looked) -> list[Noticed]:
    return [
        *looked.of_kinds(KEDA, _TRIGGERS, _keda),
        *looked.of_kinds(CSI, (_CLASS,), _classes),
        *looked.of_kinds(CERT_MANAGER, ("Issuer", "ClusterIssuer"), _issuers),
        *looked.of_kinds(VELERO, ("BackupStorageLocation",), _backups),
        *looked.of_kinds(FLUX, products.BY_NAME[FLUX].kinds, _flux),
        *looked.controllers(),
    ]


class Looked:
    """The workloads that ask, and what is in the way of judging what they ask for."""

    def __init__(self, world: World) -> None:
        self.world, self.objects = world, world.observed.objects
        self._candidates = {one.label: one for one in reversed(world.candidates)}
        self._sources = sources.find(world.observed.inventory.cluster.workloads, self.objects)
        self._containers = {id(one): containers.parse(one.template) for one in self._sources}
        self._of_product: dict[str, list[Asker]] = {}
        self._mounting: dict[tuple[str, str], list[Asker]] = {}
        for source in self._sources:
            asker = self._asker(source)
            for name in self._products(source):
                self._of_product.setdefault(name, []).append(asker)
            for name in filter(None, map(_class, _volumes(source.template))):
                self._mounting.setdefault((source.workload.pod.namespace, name), []).append(asker)

    def _asker(self, source: Source) -> Asker:
        one = self._candidates.get(source.label)
        told = self.world.subject(one) if one is not None and one.moves else subject(source.workload)
        return Asker(source, told, one)

    def of_kinds(
        self, product: str, kinds: t.Iterable[str], look: t.Callable[..., Noticed | None]
    ) -> t.Iterator[Noticed]:
        """What ``look`` makes of each object of these kinds; one of an odd shape is told, too."""
        line = products.BY_NAME[product]
        for kind in kinds:
            for raw in self.objects.get(kind, ()):
                label = f"{kind} {'/'.join(filter(None, sources.place(raw)))}"
                try:
                    seen = look(self, Noticed(line, label, "", OTHER, raw=raw))
                except Odd as odd:
                    seen = Noticed(line, label, str(odd).partition(" ")[0], OTHER, raw=raw, odd=f"Its {odd}.")
                if seen is not None:
                    yield seen

    def of_product(self, name: str) -> tuple[Asker, ...]:
        return tuple(self._of_product.get(name, ()))

    def mounting(self, raw: Raw) -> tuple[Asker, ...]:
        return tuple(self._mounting.get(sources.place(raw), ()))

    def controllers(self) -> t.Iterator[Noticed]:
        """Those of products that get an identity themselves."""
        for name, askers in self._of_product.items():
            for asker in askers if name != CSI else ():
                one = asker.candidate
                if one is not None and one.moves:
                    uses = POD_IDENTITY if one.selector and not one.labelled else WORKLOAD_ID if one.labelled else OTHER
                    line = products.BY_NAME[name]
                    yield Noticed(line, one.label, "the settings of its chart", uses, (asker,), client_id=one.client_id)

    def _products(self, source: Source) -> set[str]:
        by_image = {each.product for each in self._containers[id(source)]} - {""}
        return by_image or {products.of_labels(labels_of(source.raw))} - {""}

    def versions(self, seen: Noticed) -> list[products.Found]:
        """Of what runs of it; of the CSI driver that of its provider, which runs beside the pods that mount."""
        if seen.product.name == CSI:
            return self._of_provider
        return self._versions(seen.product, [each.source for each in seen.askers])

    @cached_property
    def _of_provider(self) -> list[products.Found]:
        return self._versions(products.BY_NAME[CSI], self._sources)

    def _versions(self, product: Product, several: t.Iterable[Source]) -> list[products.Found]:
        return [
            products.version_of(container.image, labels_of(source.raw), image)
            for source in several
            for container in self._containers[id(source)]
            for image in product.versioned
            if image.fits(container.image)
        ]

    def client_id_of(self, seen: Noticed, asker: Asker) -> str:
        """The one that it is to ask for: its own, or of what takes the place of that, else that of the workload."""
        one = asker.candidate
        if one is None:
            return seen.client_id
        if seen.client_id and seen.uses == POD_IDENTITY:
            wanted = seen.client_id.lower()
            pairs = zip(one.identities, one.targets)
            return next((to.client_id for given, to in pairs if given.client_id.lower() == wanted), seen.client_id)
        return seen.client_id or one.client_id

    def trusts(self, seen: Noticed) -> tuple[Trust, ...]:
        """What identities have to trust, as far as AzureIdentities tell their client ids."""
        found = {}
        for asker in () if seen.accounts else seen.askers:
            identity = self.world.holder_with(self.client_id_of(seen, asker))
            if identity is not None:
                one = self.world.judged(identity, asker.subject)
                found[(one.key, one.subject)] = one
        return tuple(found.values())


def _client_id(raw: Raw, *path: str) -> str:
    """Raises Odd for what looks like none."""
    found = text(raw, *path)
    if found and not _ID.fullmatch(found):
        raise Odd(f"{'.'.join(path)} is no client id")
    return found


def _keda(looked: Looked, seen: Noticed) -> Noticed | None:
    raw = seen.raw or {}
    provider = text(raw, "spec", "podIdentity", "provider")
    if provider not in ("azure", "azure-workload"):
        return None

    def change(client_id: str) -> products.Values:
        if seen_id and not client_id:  # that of what takes its place is not known
            return {}
        named = {"identityId": client_id} if seen_id else {}
        return {"spec": {"podIdentity": {"provider": "azure-workload", **named}}}

    def proof(one: Noticed) -> bool:
        since = _latest(consumer_proofs.changed(raw), _started(one))
        return since is not None and consumer_proofs.scaled(raw, looked.objects, since)

    seen_id = _client_id(raw, "spec", "podIdentity", "identityId")
    return replace(
        seen,
        setting=f"spec.podIdentity.provider: {provider}",
        uses=POD_IDENTITY if provider == "azure" else WORKLOAD_ID,
        client_id=seen_id,
        askers=looked.of_product(KEDA),
        change=change,
        proof=proof,
    )


def _classes(looked: Looked, seen: Noticed) -> Noticed | None:
    raw = seen.raw or {}
    if text(raw, "spec", "provider") != "azure":
        return None
    by_pod = text(raw, "spec", "parameters", "usePodIdentity").lower() in _TRUE
    client_id = _client_id(raw, "spec", "parameters", "clientID")
    if not by_pod and not client_id:
        return None
    askers = looked.mounting(raw)

    def change(of_pods: str) -> products.Values:
        return {"spec": {"parameters": {"usePodIdentity": "false", "clientID": of_pods}}} if of_pods else {}

    def proof(_one: Noticed) -> bool:
        since = consumer_proofs.changed(raw)
        mounting = [each.source for each in askers]
        return since is not None and consumer_proofs.mounted(raw, looked.objects, since, mounting)

    return replace(
        seen,
        setting="spec.parameters.usePodIdentity: true" if by_pod else "spec.parameters.clientID",
        uses=POD_IDENTITY if by_pod else WORKLOAD_ID,
        client_id=client_id,
        askers=askers,
        by_pods=False,
        change=change,
        proof=proof,
    )


def _volumes(template: Raw) -> t.Sequence[Raw]:
    return (template.get("spec") or {}).get("volumes") or ()


def _class(volume: Raw) -> str:
    """The name of the SecretProviderClass that it mounts; '' for none."""
    csi = volume.get("csi") or {}
    name = (csi.get("volumeAttributes") or {}).get("secretProviderClass")
    return str(name or "") if csi.get("driver") == _CSI_DRIVER else ""


def _issuers(looked: Looked, seen: Noticed) -> Noticed | None:
    """One line for all solvers of an issuer. One that names a resource id has to name the client id in its place."""
    raw = seen.raw or {}
    asked: dict[int, str] = {}
    patches: list[products.Values] = []
    for number, solver in enumerate(several(raw, "spec", "acme", "solvers")):
        dns = mapping(solver, "dns01", "azureDNS")
        if not dns or mapping(dns, "clientSecretSecretRef"):
            continue
        asked[number] = _client_id(dns, "managedIdentity", "clientID")
        resource = text(dns, "managedIdentity", "resourceID")
        named = looked.world.managed.get(arm_id.normal(resource)) if resource else None
        if named is not None and named.client_id:
            asked[number] = named.client_id
            path = f"/spec/acme/solvers/{number}/dns01/azureDNS/managedIdentity"
            patches.append({"op": "add", "path": path, "value": {"clientID": named.client_id}})
    if not asked:
        return None
    ids = set(asked.values())
    where = f"[{', '.join(map(str, asked))}]"
    return _with_status(
        looked,
        replace(
            seen,
            setting=f"spec.acme.solvers{where}.dns01.azureDNS",
            client_id=ids.pop() if len(ids) == 1 else "",
            askers=looked.of_product(CERT_MANAGER),
            change=lambda _client_id: patches,
        ),
        consumer_proofs.ordered,
    )


def _backups(looked: Looked, seen: Noticed) -> Noticed | None:
    raw = seen.raw or {}
    config = mapping(raw, "spec", "config")
    # With the key of the storage account it asks for no token.
    if text(raw, "spec", "provider") not in ("azure", "velero.io/azure") or text(config, "storageAccountKeyEnvVar"):
        return None
    by_entra = text(config, "useAAD").lower() == "true"
    noticed = replace(
        seen,
        setting=f"spec.config.useAAD: {'true' if by_entra else 'false'}",
        askers=looked.of_product(VELERO),
    )
    return _with_status(looked, noticed, consumer_proofs.available)


def _flux(looked: Looked, seen: Noticed) -> Noticed | None:
    raw = seen.raw or {}
    if text(raw, "spec", "provider") != "azure":
        return None
    name = "image-reflector-controller" if seen.label.startswith("ImageRepository ") else "source-controller"
    askers = tuple(one for one in looked.of_product(FLUX) if _is_named(one, name))
    account = text(raw, "spec", "serviceAccountName")
    if account and any(_at_object_level(one.source) for one in askers):
        told = f"system:serviceaccount:{sources.place(raw)[0]}:{account}"
        noticed = replace(
            seen, setting="spec.serviceAccountName", uses=WORKLOAD_ID, askers=askers, by_pods=False, accounts=(told,)
        )
    else:
        noticed = replace(seen, setting="spec.provider: azure", askers=askers)
    return _with_status(looked, noticed, consumer_proofs.fetched)


def _is_named(one: Asker, name: str) -> bool:
    return one.source.workload.name == name or any(
        f"/{name}" in f"/{each.image}" for each in containers.parse(one.source.template)
    )


def _at_object_level(source: Source) -> bool:
    words = (word for each in entries(source.template, "spec", "containers") for word in each.get("args") or ())
    return any("feature-gates" in str(word) and _OBJECT_LEVEL in str(word) for word in words)


def _with_status(
    looked: Looked, seen: Noticed, look: t.Callable[[Raw, consumer_proofs.Objects, datetime], bool]
) -> Noticed:
    """With the proof by a status that the pods have written since they started."""

    def proof(one: Noticed) -> bool:
        since = _started(one)
        return since is not None and look(one.raw or {}, looked.objects, since)

    return replace(seen, proof=proof)


def _started(seen: Noticed) -> datetime | None:
    return consumer_proofs.started([each.source for each in seen.askers])


def _latest(*times: datetime | None) -> datetime | None:
    """None where one is not known."""
    known = [each for each in times if each is not None]
    return max(known) if len(known) == len(times) else None
