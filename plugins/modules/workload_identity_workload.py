#!/usr/bin/python
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_identity_workload
short_description: Switch a workload to Workload ID beside AAD Pod Identity, let it leave that, or bring it back
version_added: 1.0.0
author:
  - azureops.pod_identity contributors (@azureops)
description:
  - Adds to the pod template of a workload what the webhook of Microsoft Entra Workload ID goes by, waits until all pods
    are new, and proves of each of them that the webhook has given every container its token.
  - Where the template has all that already, and pods of it were made before the webhook or their service account was
    there, they are restarted, by the annotation C(azureops.pod-identity/restarted) of the template.
  - The label C(aadpodidbinding) stays, so that NMI serves old and new pods all the while, until O(state=left) takes it
    away. Where a pod gets no token of Workload ID then, the label comes back at once, and the task fails.
  - What a field was before is kept in the annotation C(azureops.pod-identity/migration) of the workload itself, which
    its pods do not have. From that alone O(state=original) brings all of it back, from any point, also while a rollout
    hangs, and without the webhook or Azure. A value that somebody else has changed meanwhile stays as it is.
  - O(state=returned) brings the same back, and leaves in the annotation that nobody has proved yet that NMI serves the
    pods, until O(state=original) takes it away. So a run that ends before the proof is known to the next one.
  - While the pods of a Deployment or a DaemonSet are replaced, its C(maxUnavailable) is 0 and its C(maxSurge) at least
    1. Both are as before once all pods are proved; where the rollout hangs, they stay so, and the old pods serve. Where
    pods have a port of their node, both are left as they are, and O(accept_gap) has to accept that.
  - Neither results nor refusals contain anything of the template but the fields that are changed, because it may hold
    secrets in environment variables.
extends_documentation_fragment:
  - azureops.pod_identity._kubernetes_auth
  - azureops.pod_identity._attributes
  - azureops.pod_identity._attributes.actiongroup_kubernetes
attributes:
  check_mode:
    support: full
    details:
      - The server's dry runs of the workload and of a pod of it give the prediction. Nothing is waited for.
      - A service account that does not exist yet cannot be tried with a pod, which is a warning then.
  diff_mode:
    support: full
    details:
      - Shows the fields that the module may change, and its annotation.
  idempotent:
    support: full
options:
  kind:
    description:
      - Kind of the workload. The template of a Job or of a pod cannot be changed.
      - The pods of a ReplicaSet, and of others with the strategy C(OnDelete), are replaced only when somebody deletes
        them; with O(accept_gap) they are evicted, each when all others are ready.
    type: str
    choices: [Deployment, StatefulSet, DaemonSet, ReplicaSet, CronJob]
    default: Deployment
  namespace:
    description: Namespace of the workload.
    type: str
    required: true
  name:
    description: Name of the workload.
    type: str
    required: true
  state:
    description:
      - V(switched) adds the label C(azure.workload.identity/use) to the template, and what O(service_account) and
        O(proxy_sidecar) say. A workload that has left stays so.
      - V(left) takes the label C(aadpodidbinding) off the template, where all pods are proved.
      - V(original) brings back what was before, and waits until no pod is left that was made otherwise. A workload that
        does not exist any more is as it was.
      - V(returned) does the same, but for the annotation, which then says only that the workload has come back. Where
        nothing was changed, or the pods are to use Workload ID all the same, there is none.
    type: str
    choices: [switched, left, returned, original]
    default: switched
  service_account:
    description: Service account that the template is to have with O(state=switched); by default the one that it has.
    type: str
  client_id:
    description:
      - Client id that the webhook has to give to the pods; a container that sets one itself is not looked at.
      - By default any will do.
    type: str
  proxy_sidecar:
    description:
      - Whether the pods are to have the proxy sidecar of Workload ID, for an application whose library knows nothing
        but the metadata service. An annotation that is there stays.
    type: bool
    default: false
  override_owner:
    description: Whether to change what belongs to a helm release, Flux or Argo CD, which may undo it.
    type: bool
    default: false
  accept_gap:
    description:
      - Whether to replace pods though old ones end before new ones serve, also on the way back; without it such a
        workload is refused.
    type: bool
    default: false
  assume_webhook:
    description:
      - Whether the webhook of Workload ID is to be taken for there in check mode, because an earlier task of the same
        playbook enables it. No pod is tried then. Outside of check mode nothing is assumed.
    type: bool
    default: false
  assume_returned:
    description:
      - Whether in check mode the workload is to be taken for one that has come back with O(state=returned), because an
        earlier task of the same playbook does that. Outside of check mode nothing is assumed.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait until the pods are replaced and proved. Without it, C(maxUnavailable) of a Deployment or a
        DaemonSet stays 0 until the module runs again and waits.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait.
    type: int
    default: 600
notes:
  - Needs to get and patch the workload, to list pods, persistentvolumeclaims and events and to create pods in its
    namespace, and to list mutatingwebhookconfigurations; with O(accept_gap), where pods are replaced only when somebody
    deletes them, to create evictions of pods. Pods are created in dry runs only.
  - It is not for O(state=returned) or O(state=original) that pods are created in dry runs.
seealso:
  - module: azureops.pod_identity.workload_identity_info
  - module: azureops.pod_identity.workload_identity_webhook_info
  - module: azureops.pod_identity.pod_token_info
"""

EXAMPLES = r"""
- name: Let the pods of a Deployment use Workload ID beside AAD Pod Identity
  azureops.pod_identity.workload_identity_workload:
    kubeconfig: /etc/ansible/prod.kubeconfig
    namespace: billing
    name: api
    service_account: billing
    client_id: 2f3e6a44-5a6c-4f0d-8d1e-5a8b1f0c9e77

- name: Let a CronJob leave AAD Pod Identity
  azureops.pod_identity.workload_identity_workload:
    kubeconfig: /etc/ansible/prod.kubeconfig
    kind: CronJob
    namespace: billing
    name: invoices
    state: left

- name: Bring a Deployment back to how it was
  azureops.pod_identity.workload_identity_workload:
    kubeconfig: /etc/ansible/prod.kubeconfig
    namespace: billing
    name: api
    state: original
"""

RETURN = r"""
workload:
  description: The workload as it is, or in check mode as it would be. Also with failures of the wait.
  returned: success, or when the wait fails
  type: dict
  contains:
    kind:
      description: Its kind.
      returned: always
      type: str
      sample: Deployment
    namespace:
      description: Its namespace.
      returned: always
      type: str
      sample: billing
    name:
      description: Its name.
      returned: always
      type: str
      sample: api
    stage:
      description:
        - V(switched) where the template has the label of Workload ID, V(left) where it is without C(aadpodidbinding)
          besides, else V(original); whoever has changed it.
      returned: always
      type: str
      sample: switched
    service_account:
      description: The service account of the template.
      returned: always
      type: str
      sample: billing
    rollout:
      description: How far its pods are replaced; in check mode as they are.
      returned: always
      type: dict
      contains:
        replicas:
          description: How many pods there are to be; 0 for a CronJob.
          returned: always
          type: int
          sample: 3
        updated:
          description: How many of them are of the template as it is.
          returned: always
          type: int
          sample: 3
        available:
          description: How many pods are available.
          returned: always
          type: int
          sample: 3
        mutated:
          description: How many pods have their token in every container.
          returned: always
          type: int
          sample: 3
left:
  description:
    - What is not as it was. On the way back the fields that somebody else has changed meanwhile, or has set
      before; besides, what of the strategy of a Deployment waits for the end of the rollout.
  returned: success, or when the wait fails
  type: list
  elements: dict
  contains:
    field:
      description: V(label), V(service_account), V(proxy), V(aadpodidbinding), V(maxUnavailable) or V(maxSurge).
      returned: always
      type: str
      sample: service_account
    was:
      description: The value before; null for none.
      returned: always
      type: raw
      sample: default
    now:
      description: The value that it has; null for none.
      returned: always
      type: raw
      sample: another
  sample: []
refusals:
  description: What stands against the change, before anything was written.
  returned: when the change is refused
  type: list
  elements: dict
  contains:
    code:
      description:
        - V(manifest_has_owner), V(made_by_operator), V(cannot_surge), V(fields_would_be_lost),
          V(labelled_pod_refused), V(proxy_not_admitted), V(container_without_token),
          V(account_tells_other_client_id), as
          M(azureops.pod_identity.workload_identity_info) tells them, or V(dry_run_missing).
      returned: always
      type: str
      sample: cannot_surge
    reason:
      description: Why, as a clause.
      returned: always
      type: str
      sample: all its pods end before new ones begin (Recreate)
    option:
      description: The option that accepts it; may be empty.
      returned: always
      type: str
      sample: accept_gap
permissions:
  description: What whoever makes the change must be allowed to do, apart from reading.
  returned: in check mode, once it is known what would be done
  type: list
  elements: dict
  contains:
    verbs:
      description: Verbs as roles of Kubernetes name them.
      type: list
      elements: str
    resource:
      description: Plural name of the resource.
      type: str
    api_group:
      description: Its API group; empty for the core group.
      type: str
    subresource:
      description: A subresource; empty for the resource itself.
      type: str
    namespace:
      description: Namespace; empty for the whole cluster.
      type: str
  sample:
    - verbs: [patch]
      resource: deployments
      api_group: apps
      subresource: ""
      namespace: billing
actions:
  description: What was done, or in check mode what would be done.
  returned: always
  type: list
  elements: str
  sample:
    - change Deployment billing/api (use Workload ID)
    - change Deployment billing/api (strategy as before the rollout)
changes:
  description: RV(actions) as data, in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    verb:
      description: >-
        V(create), V(change), V(delete), V(adopt), V(reconcile), V(attach), V(detach), V(restart) or V(reimage).
      type: str
    kind:
      description: Resource type of ARM, kind of Kubernetes, or V(file).
      type: str
    id:
      description:
        - Id of the resource in ARM, namespace and name of the object, or path of the file.
        - V((known after apply\)) where only Azure can tell it.
      type: str
    why:
      description: What is changed of it, or for what; may be empty.
      type: str
  sample:
    - verb: change
      kind: Deployment
      id: billing/api
      why: use Workload ID
    - verb: change
      kind: Deployment
      id: billing/api
      why: strategy as before the rollout
failed_action:
  description: The action that failed; what is waited for belongs to the action behind it.
  returned: when an action fails
  type: str
  sample: change Deployment billing/api (strategy as before the rollout)
begun:
  description: Whether RV(failed_action) had changed something before it failed.
  returned: when an action fails
  type: bool
  sample: true
failed_change:
  description: RV(failed_action) as data, with the keys of an entry of RV(changes).
  returned: when an action fails
  type: dict
  sample:
    verb: change
    kind: Deployment
    id: billing/api
    why: strategy as before the rollout
error:
  description:
    - The answer of the API server as data (C(code), C(message), C(status)). The message of a refused change is empty.
    - Without a status the code is that of the first of the RV(refusals), of why the webhook has not changed a pod, or
      of why the API server refuses pods.
  returned: when the API server refuses a request, or the change is refused, or the wait fails
  type: dict
  sample: {code: Forbidden, message: "", status: 403}
"""

import typing as t
from dataclasses import replace

from ansible_collections.azureops.pod_identity.plugins.module_utils import _argspec
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.change import Change
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import patches, progress
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.matching.matching import pod_template
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration import (
    dry_run,
    proving,
    switching,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.proving import Proof
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.migration.switching import (
    Decision,
    Kept,
    Wanted,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.client import connect
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Object
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.workloads import Place
from ansible_collections.azureops.pod_identity.plugins.module_utils._plan import (
    Document,
    Plan,
    Step,
    behind_write,
    predicting,
    run,
)

OPTIONS = _argspec.ArgumentSpec(
    options={
        "kind": {"type": "str", "choices": list(switching.KINDS), "default": "Deployment"},
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": list(switching.STATES), "default": switching.SWITCHED},
        "service_account": {"type": "str"},
        "client_id": {"type": "str"},
        "proxy_sidecar": {"type": "bool", "default": False},
        "override_owner": {"type": "bool", "default": False},
        "accept_gap": {"type": "bool", "default": False},
        "assume_webhook": {"type": "bool", "default": False},
        "assume_returned": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 600},
    }
).merge(_argspec.kubernetes_auth())
_WHY = {
    switching.SWITCHED: "use Workload ID",
    switching.LEFT: "leave AAD Pod Identity",
    switching.RETURNED: "as it was before, not proved yet",
    switching.ORIGINAL: "as it was before",
}
_REPLACED = "its pods, one by one"
_FINISHED = "strategy as before the rollout"


class Job:
    """One run. ``results`` are those that go with success and with a failed wait."""

    def __init__(self, place: Place, params: t.Mapping[str, t.Any], *, predict: bool) -> None:
        self.place, self.params, self.predict = place, params, predict
        self.results: dict[str, t.Any] = {}
        self.warnings: list[str] = []
        self.state: str = params["state"]
        self.client_id: str = params["client_id"] or ""
        account = params["service_account"] or ""
        self.wanted = Wanted(self.state, account, params["proxy_sidecar"])
        self.left: list[Kept] = []
        self.forbidden: Failure | None = None
        self.evicts = False

    def plan(self) -> Plan:
        place, raw = self.place, self.place.get()
        if raw is None:
            return self._gone()
        raw = self._assumed(raw)
        decision, proof = switching.decide(place.kind, raw, self.wanted), place.proof(raw, self.client_id)
        if self._proves and not decision.rolls and proof.unproved:
            self.wanted = replace(self.wanted, restart=True)
            decision = switching.decide(place.kind, raw, self.wanted)
        self._refuse(raw, decision)
        self.left = list(decision.left)
        pending = self.params["wait"] and bool(decision.record.strategy)
        self.evicts = (
            self.params["wait"]
            and self.params["accept_gap"]
            and progress.replaces_nothing(place.kind, raw)
            and bool(proof.others or (decision.rolls and proof.pods))
        )
        # Where nothing was of another state, there is nothing to wait for but the proof.
        waits = self.params["wait"] and (self._proves or decision.rolls or bool(proof.others or proof.ending))
        last = waits and not pending and not self.evicts
        steps = (
            *((self._change(raw, decision, waits=last),) if decision.patch else ()),
            *((self._replace(),) if self.evicts else ()),
            *((self._finish(),) if pending else ()),
        )
        after = patches.merged(raw, decision.patch)
        ended = patches.merged(after, switching.finish(place.kind, after).patch) if pending else after
        self._tell(after)
        result: Document = self._view(decision.after, proof)
        if not steps and waits and not self.predict:
            result = self._wait()[1]
        return Plan(self._shown(raw), self._shown(ended), steps, result=result, watch=self)

    def _assumed(self, raw: Object) -> Object:
        """As an earlier task would have left it, in check mode."""
        if not self.predict or not self.params["assume_returned"]:
            return raw
        return dict(switching.returned(self.place.kind, raw))

    def _gone(self) -> Plan:
        if self._proves:
            raise Failure(f"{self.place.label} does not exist: name one that does.")
        self.warnings.append(f"{self.place.label} does not exist, so that nothing of it is to be brought back.")
        self.results["left"] = []
        nothing = dict.fromkeys(switching.NAMES)
        return Plan({}, {}, result=self._view(nothing, proving.NOTHING), watch=self)

    @property
    def _proves(self) -> bool:
        return self.state not in switching.BACK

    # before the first write

    def _refuse(self, raw: Object, decision: Decision) -> None:
        """All that stands against the change, at once."""
        place, state = self.place, self.state
        held = switching.why_not_yet(place.kind, raw, decision, state)
        if held:
            raise Failure(f"{place.label} was not changed: {held}.")
        if not decision.rolls:
            return
        several = switching.refusals(
            state,
            decision,
            place.owner(raw),
            place.rollout(raw),
            override_owner=self.params["override_owner"],
            accept_gap=self.params["accept_gap"],
        )
        if self._proves:
            several += self._tried(raw, decision)
        if several:
            raise switching.refused(place.label, state, several)
        if decision.before[switching.SELECTOR] is not None and decision.after[switching.SELECTOR] is None:
            self._prove_before_leaving(raw)

    def _tried(self, raw: Object, decision: Decision) -> list[switching.Refusal]:
        """What dry runs of its pods say; whoever may not make them meets that at the step."""
        if self.predict and self.params["assume_webhook"]:
            self.warnings.append(f"No pod of {self.place.label} was tried, because the webhook is still to come.")
            return []
        if self.predict and self.place.lacks_account(self.wanted.account):
            self.warnings.append(
                f"No pod of {self.place.label} was tried, because the service account {self.wanted.account} does not "
                "exist yet."
            )
            return []
        run = self.place.try_pod(raw, decision.patch)
        self.forbidden = self.place.forbids_trying() if run.code == dry_run.NOT_TRIED else None
        if self.forbidden:
            return []
        template = pod_template(patches.merged(raw, decision.patch))
        found = proving.refusal(run, template, self.client_id)
        return [found] if found else []

    def _prove_before_leaving(self, raw: Object) -> None:
        proof = self.place.proof(raw, self.client_id)
        if proof.unproved:
            raise self.place.unproved(proof.unproved, self.client_id)
        if not proof.replaced:
            told = proof.view()
            raise Failure(
                f"{self.place.label} was not changed, because not all its pods are known to use Workload ID: "
                f"{told['mutated']} of {told['replicas']} do, and {told['available']} are available; let them be "
                "switched first."
            )

    # steps

    def _change(self, raw: Object, decision: Decision, *, waits: bool) -> Step:
        place = self.place
        change = Change.of_object("change", place.kind, place.namespace, place.name, _WHY[self.state])
        tries = decision.rolls and self._proves

        def decide(live: Object) -> Document:
            return switching.decide(place.kind, self._assumed(live), self.wanted).patch

        def check() -> None:
            if self.forbidden:
                raise self.forbidden

        def apply() -> Document | None:
            check()
            self._tell(place.change(raw, decide))
            return behind_write(self._wait)[1] if waits else None

        def preview() -> None:
            check()
            place.change(raw, decide, dry_run=True)

        needs = (place.writes, *((place.tries,) if tries else ()))
        return Step(f"{change.summary} ({change.why})", change, apply, preview, needs=needs)

    def _replace(self) -> Step:
        """Pods that nobody else replaces."""
        place = self.place
        change = Change.of_object("restart", place.kind, place.namespace, place.name, _REPLACED)
        return Step(f"{change.summary} ({change.why})", change, lambda: self._wait()[1], needs=(place.evicts,))

    def _finish(self) -> Step:
        """The strategy is as before when the pods are proved."""
        place = self.place
        change = Change.of_object("change", place.kind, place.namespace, place.name, _FINISHED)

        def apply() -> Document:
            raw, view = self._wait()
            self.left += switching.finish(place.kind, raw).left
            self._tell(place.change(raw, lambda live: switching.finish(place.kind, live).patch))
            return view

        return Step(f"{change.summary} ({change.why})", change, apply, needs=(place.writes,))

    def _wait(self) -> tuple[Object, Document]:
        try:
            raw, proof = self.place.wait(
                self.client_id, proved=self._proves, evicts=self.evicts, timeout=self.params["wait_timeout"]
            )
        except Failure as failure:
            seen = failure.results.pop("proof", None)
            if seen:
                self._stand(failure, *seen)
            raise
        self._tell(raw)
        return raw, self._view(switching.fields(pod_template(raw)), proof)

    def _stand(self, failure: Failure, raw: Object, proof: Proof) -> None:
        """Make sure that the pods are served, and tell how the workload stands and what brings it further."""
        if proof.unproved and self.state == switching.LEFT:
            # Its controller would go on to replace pods that have a token by ones that have none.
            raw = self._rejoin(failure, raw)
        self._tell(raw)
        values = switching.fields(pod_template(raw))
        failure.results["workload"] = self._view(values, proof)
        failure.results["left"] = self.results["left"]
        if proof.unproved and values[switching.SELECTOR] is not None:
            failure.sentence += " Its template has the label aadpodidbinding, so that NMI serves such pods."
        elif not proof.unproved and switching.pending(self.place.kind, raw):
            failure.sentence += " Until its pods are replaced, maxUnavailable stays 0, so that old ones serve."
        if proof.unproved and self.state == switching.LEFT:
            failure.sentence += " Once that is mended, let it be switched again before it leaves."
        else:
            failure.sentence += " Once that is mended, the same again brings it further."

    def _rejoin(self, failure: Failure, raw: Object) -> Object:
        place = self.place
        try:
            raw = place.change(raw, lambda live: switching.rejoin(place.kind, live).patch)
        except Failure as refused:
            failure.sentence += f" Its label aadpodidbinding could not be put back: {refused.sentence}"
        else:
            failure.results["changed"] = True
        return raw

    # what is told

    def _tell(self, raw: Object) -> None:
        pending = switching.pending(self.place.kind, raw) if not self.predict or not self.params["wait"] else ()
        self.results["left"] = [each.view() for each in (*self.left, *pending)]

    def _view(self, values: switching.Values, proof: Proof) -> dict[str, t.Any]:
        place = self.place
        return {
            "kind": place.kind,
            "namespace": place.namespace,
            "name": place.name,
            "stage": switching.stage(values),
            "service_account": values[switching.ACCOUNT] or "default",
            "rollout": proof.view(),
        }

    def _shown(self, raw: Object) -> dict[str, t.Any]:
        return switching.shown(self.place.kind, raw)


def main() -> None:
    module = OPTIONS.create_module()
    kind, namespace, name = (str(module.params[option]) for option in ("kind", "namespace", "name"))

    def make_plan() -> Plan:
        place = Place(connect(module.params, module.tmpdir), kind, namespace, name)
        return Job(place, module.params, predict=predicting(module)).plan()

    run(module, make_plan, key="workload")


if __name__ == "__main__":
    main()
