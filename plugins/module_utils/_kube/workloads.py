# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Workloads whose pods are to use Workload ID, or not any more: one is seen, tried, changed and waited for.

Of a template nothing is told but the fields that are changed, because it may hold secrets in environment variables.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._domain.errors import Failure
from .._domain.kubernetes import patches, progress, restarts, sources
from .._domain.migration import dry_run, owners, proving, rollouts, switching
from .._domain.migration.dry_run import DryRun, Template
from .._domain.migration.owners import Owner
from .._domain.migration.proving import Proof, Unproved
from .._domain.migration.rollouts import Rollout
from .._domain.needs import KubernetesNeed
from . import mutations, workload_identity
from .client import Client
from .errors import ApiFailure
from .kinds import (
    CRON_JOB,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE_ACCOUNT,
    TEMPLATES,
    Kind,
    Object,
    label,
)
from .needs import need
from .wait import wait_for
from .withheld import withheld

KINDS: t.Mapping[str, Kind] = {kind.name: kind for kind in TEMPLATES if kind.name in switching.KINDS}
_PAUSE = 2
# Others may write the object meanwhile, above all its status.
_TRIES = 10


@dataclass(frozen=True)
class Place:
    """A workload by its name."""

    client: Client
    kind: str
    namespace: str
    name: str

    @property
    def label(self) -> str:
        return label(KINDS[self.kind], self.namespace, self.name)

    def get(self) -> Object | None:
        return self.client.get(KINDS[self.kind], self.namespace, self.name)

    @property
    def writes(self) -> KubernetesNeed:
        """What a change needs to be allowed."""
        return need(KINDS[self.kind], self.namespace, "patch")

    @property
    def tries(self) -> KubernetesNeed:
        """What a dry run of a pod needs to be allowed."""
        return need(POD, self.namespace, "create")

    @property
    def evicts(self) -> KubernetesNeed:
        """What the replacement of pods that nobody else replaces needs to be allowed."""
        return KubernetesNeed(("create",), POD.plural, subresource="eviction", namespace=self.namespace)

    def pods(self, raw: Object) -> tuple[Object, ...]:
        """Those that it has made; a CronJob makes none."""
        if self.kind == CRON_JOB.name:
            return ()
        found = self.client.list_all(POD, self.namespace, labels=restarts.label_selector(raw))
        return tuple(pod for pod in found if progress.belongs(self.kind, self.name, pod))

    def proof(self, raw: Object, client_id: str) -> Proof:
        return proving.prove(self.kind, raw, self.pods(raw), client_id)

    def owner(self, raw: Object) -> Owner:
        return owners.find(sources.of_template(self.kind, raw))

    def rollout(self, raw: Object) -> Rollout:
        """How its pods are replaced; volumes that may not be listed are not known."""
        source = sources.of_template(self.kind, raw)
        found: dict[str, t.Sequence[Object]] = {}
        if any(each.get("persistentVolumeClaim") for each in (source.template.get("spec") or {}).get("volumes") or ()):
            try:
                found[PERSISTENT_VOLUME_CLAIM.name] = self.client.list_all(PERSISTENT_VOLUME_CLAIM, self.namespace)
            except ApiFailure as failure:
                if not failure.forbidden:
                    raise
        return rollouts.find(source, found)

    # trying

    def try_pod(self, raw: Object, patch: t.Mapping[str, t.Any]) -> DryRun:
        """What becomes of a pod of the template as the patch makes it; nothing is stored."""
        template = Template.parse(self.kind, self.namespace, self.name, patches.merged(raw, patch))
        coverage = workload_identity.coverage(self.client, self.namespace)
        (tried,) = workload_identity.try_out(self.client, coverage, [template], proxy=False)
        return tried.with_label

    def forbids_trying(self) -> Failure | None:
        """Where the user of the connection may not create pods, so that no dry run tells anything."""
        if self.client.may("create", POD, self.namespace):
            return None
        return Failure(
            f"{self.label} was not changed, because the user of this connection may not create pods in namespace "
            f"{self.namespace}, by whose dry run it is known what the webhook makes of them: grant it with a Role or "
            "ClusterRole and a binding.",
            error={"status": 403, "code": "Forbidden", "message": "pods is forbidden"},
        )

    def lacks_account(self, name: str) -> bool:
        return bool(name) and self.client.get(SERVICE_ACCOUNT, self.namespace, name) is None

    # writing

    def change(
        self, raw: Object, decide: t.Callable[[Object], t.Mapping[str, t.Any]], *, dry_run: bool = False
    ) -> Object:
        """Write the patch that ``decide`` makes of the object, which must be as it was when it is written.

        Where somebody has written it meanwhile, the same patch is sent for what it is now, and no other.
        """
        patch = decide(raw)
        if not patch:
            return raw
        for attempt in range(_TRIES):
            version = raw["metadata"]["resourceVersion"]
            body = {**patch, "metadata": {**(patch.get("metadata") or {}), "resourceVersion": version}}
            try:
                return self.client.merge(KINDS[self.kind], self.namespace, self.name, body, dry_run=dry_run)
            except ApiFailure as failure:
                if not failure.conflict:
                    raise self._withheld(failure) from None
                found = self.get()
                if found is None:
                    raise
                again = decide(found)
                if not again:  # another run has written the same
                    return found
                if again != patch or attempt == _TRIES - 1:
                    raise
                raw = found
        raise AssertionError("the last attempt returns or raises")

    def _withheld(self, failure: ApiFailure) -> ApiFailure:
        trial = '-p \'{"spec":{"template":{"metadata":{"annotations":{"tried":"now"}}}}}\''
        if self.kind == CRON_JOB.name:
            trial = '-p \'{"spec":{"jobTemplate":{"spec":{"template":{"metadata":{"annotations":{"tried":"now"}}}}}}}\''
        command = f"kubectl -n {self.namespace} patch {self.kind.lower()} {self.name} --dry-run=server {trial}"
        return withheld(failure, "patch", self.label, "environment variables", command)

    # waiting

    def wait(
        self, client_id: str, *, proved: bool, evicts: bool, timeout: float, pause: float = _PAUSE
    ) -> tuple[Object, Proof]:
        """The object and its pods when all of these are of the template; with ``proved`` each with its token.

        Without ``proved`` nothing may be taken from former pods before they have ended, which is waited for, too.

        ``evicts``: old pods are evicted, one when all others are ready. A pod that will not do ends it at once. The
        Failure says what stands against the rollout, and has the last ``proof`` among its results.
        """
        last: list[tuple[Object, Proof]] = []
        gone: list[bool] = []

        def look() -> tuple[Object, Proof] | None:
            raw = self.get()
            if raw is None:
                raise Failure(f"{self.label} was deleted while its pods were waited for: see who deletes it.")
            proof = self.proof(raw, client_id)
            last[:] = [(raw, proof)]
            if proved and proof.unproved:
                raise self.unproved(proof.unproved, client_id)
            if proof.done if proved else proof.replaced and not proof.ending:
                return raw, proof
            held = progress.held(self.kind, raw)
            if held:
                raise Failure(f"The pods of {self.label} are not replaced: {held}, and run again.")
            going = proof.next_to_go if evicts else None
            if going is not None:
                gone.append(self.client.evict(self.namespace, going["metadata"]["name"], going["metadata"]["uid"]))
            return None

        try:
            found = wait_for(look, f"the pods of {self.label} are not replaced yet", timeout=timeout, pause=pause)
            if found is None:
                raise self._late(*last[0], timeout, evicts)
        except Failure as failure:
            if last:
                failure.results["proof"] = last[0]
            if any(gone):
                failure.results["changed"] = True
            raise
        return found

    def unproved(self, unproved: Unproved, client_id: str) -> Failure:
        if unproved.told is not None:
            return Failure(
                f"{unproved.label} was told the client id {unproved.told or '(none)'} in its container "
                f"{unproved.container}, not {client_id}: correct its service account, and restart {self.label}.",
                error={"code": proving.OTHER_CLIENT_ID, "message": unproved.container},
            )
        reason = mutations.why_not(self.client, self.namespace, unproved.pod, unproved.container)
        return Failure(
            f"{unproved.label} was not changed by the webhook of Workload ID: {reason.sentence}",
            error={"code": reason.code, "message": reason.sentence},
        )

    def _late(self, raw: Object, proof: Proof, timeout: float, evicts: bool) -> Failure:
        told = proof.view()
        code, why = self._stopped_by(raw, proof, evicts)
        return Failure(
            f"{self.label} did not replace its pods within {timeout:g} seconds ({told['updated']} of "
            f"{told['replicas']} are of its template, {told['available']} are available): {why}.",
            error={"code": code, "message": why} if code else None,
        )

    def _stopped_by(self, raw: Object, proof: Proof, evicts: bool) -> tuple[str, str]:
        """A code of dry runs where the API server refuses pods, and a clause."""
        missing = len(proof.pods) - len(proof.others) < proof.progress.replicas
        said = progress.refusal(raw) if missing else ""
        troubles = progress.troubles(each for each in proof.pods if each not in proof.others)
        if troubles and not said:
            return "", troubles
        if progress.replaces_nothing(self.kind, raw) and proof.next_to_go:
            why = (
                "its pods are replaced only when somebody deletes them: delete them one by one, or accept cannot_surge"
            )
            return "", "a PodDisruptionBudget lets no other pod go" if evicts else why
        said = said or (self._refused_pod() if missing else "")
        if proof.replaced and proof.ending:
            name = proof.ending[0]["metadata"]["name"]
            return "", f"former pods that were deleted have not ended yet, such as {name}: see its node"
        if said:
            template = Template.parse(self.kind, self.namespace, self.name, raw)
            refusal = dry_run.refusal(403, said, dry_run.hidden(template))
            return refusal.code, f"the API server refuses its pods ({refusal.said})"
        return "", "its controller has not replaced them, see its events with kubectl describe"

    def _refused_pod(self) -> str:
        """What events of the workload itself tell of it, where they may be read."""
        try:
            events = self.client.events(self.namespace, self.name)
        except ApiFailure as failure:
            if not failure.forbidden:
                raise
            return ""
        refused = [
            str(each.get("message") or "")
            for each in events
            if each.get("reason") == "FailedCreate" and (each.get("involvedObject") or {}).get("kind") == self.kind
        ]
        return refused[-1] if refused else ""
