# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether all pods of a workload are those of its template as it is now, and what the webhook has made of them.

It changes a pod when that is made. So each pod that has the label tells at once whether it gets its token, long before
the rollout is over.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..installation import nmi, workload_identity_webhook
from ..installation.workload_identity_webhook import CLIENT_ID_VARIABLE, TOKEN_FILE_VARIABLE
from ..kubernetes import progress
from ..kubernetes.progress import Progress
from ..matching.matching import Pod, Raw, pod_template
from ..tokens import mutation
from . import containers, dry_run, of_proxy, of_trust, of_webhook
from .dry_run import DryRun
from .switching import ACCOUNT, LABEL, Refusal, Values, fields

OTHER_CLIENT_ID = of_trust.account_tells_other_client_id.__name__


@dataclass(frozen=True)
class Unproved:
    """A pod of the template without the token in a container, or with another client id, ``told``."""

    pod: Raw
    container: str
    told: str | None = None

    @property
    def label(self) -> str:
        return Pod.parse(self.pod).label


@dataclass(frozen=True)
class Proof:
    """``progress`` as the controller tells. ``mutated``: how many pods get their token in every container.

    ``others``: living pods that are not of the template as it is now. ``unproved``: the first that will not do.
    ``ending``: pods of another template that were deleted; their containers may run, and ask for tokens, until they go.
    """

    progress: Progress
    mutated: int
    others: tuple[Raw, ...]
    unproved: Unproved | None
    pods: tuple[Raw, ...]
    ending: tuple[Raw, ...] = ()

    @property
    def replaced(self) -> bool:
        """Whether all pods are those of the template, and available."""
        enough = len(self.pods) >= self.progress.replicas
        return self.progress.done and enough and not self.others

    @property
    def done(self) -> bool:
        return self.replaced and not self.unproved

    @property
    def next_to_go(self) -> Raw | None:
        """Of pods that are to be replaced one by one, the one whose turn it is; None while another is missing."""
        enough = len(self.pods) >= self.progress.replicas and all(map(nmi.is_ready, self.pods))
        return self.others[0] if self.others and enough else None

    def view(self) -> dict[str, int]:
        told = self.progress
        updated = min(told.updated, len(self.pods) - len(self.others))
        return {"replicas": told.replicas, "updated": updated, "available": told.available, "mutated": self.mutated}


NOTHING = Proof(Progress(), 0, (), None, ())


def prove(kind: str, raw: Raw, pods: t.Iterable[Raw], client_id: str) -> Proof:
    """``pods``: its own. ``client_id``: '' where none is expected."""
    template = pod_template(raw)
    wanted = _of_pods(fields(template))
    every = [(each, Pod.parse(each)) for each in pods]
    living = tuple(each for each, pod in every if pod.lives)
    own = [each for each in living if _of_pods(fields(each)) == wanted]
    ending = (each for each, pod in every if pod.deleting and not pod.ended)
    judged = [(each, _judge(each, template, client_id)) for each in own] if wanted[LABEL] == "true" else []
    return Proof(
        progress=progress.of(kind, raw),
        mutated=sum(unproved is None for dummy, unproved in judged),
        others=tuple(each for each in living if each not in own),
        unproved=next((unproved for dummy, unproved in judged if unproved), None),
        pods=living,
        ending=tuple(each for each in ending if _of_pods(fields(each)) != wanted),
    )


def _of_pods(values: Values) -> Values:
    """A pod whose template names no service account has that of its namespace."""
    return {**values, ACCOUNT: values[ACCOUNT] or "default"}


def _judge(pod: Raw, template: Raw, client_id: str) -> Unproved | None:
    skipped = workload_identity_webhook.skipped(template)
    told = {each.name: each for each in containers.parse(pod)}
    for each in containers.parse(template):
        if each.name in skipped:
            continue
        if not mutation.is_mutated(pod, each.name):
            return Unproved(pod, each.name)
        own = CLIENT_ID_VARIABLE in each.variables  # which the webhook leaves as it is
        got = told[each.name].client_id
        if client_id and not own and got.lower() != client_id.lower():
            return Unproved(pod, each.name, got)
    return None


def refusal(run: DryRun, template: Raw, client_id: str) -> Refusal | None:
    """What a dry run of a pod says against the template, as it is to be."""
    values, skipped = fields(template), workload_identity_webhook.skipped(template)
    if run.code == dry_run.NOT_TRIED:
        return Refusal(run.code, _clause(run.message))
    if run.code == dry_run.LOSES_FIELDS:
        return Refusal(of_webhook.fields_would_be_lost.__name__, _clause(run.message))
    if run.code != dry_run.MUTATED:
        code = of_webhook.labelled_pod_refused if values["proxy"] is None else of_proxy.proxy_not_admitted
        return Refusal(code.__name__, _clause(run.message))
    for each in run.containers:
        if not each.has_token and each.name not in skipped and TOKEN_FILE_VARIABLE not in each.own:
            return Refusal(of_webhook.container_without_token.__name__, f"its container {each.name} would get no token")
        got = each.added.get(CLIENT_ID_VARIABLE, "")
        if client_id and each.has_token and CLIENT_ID_VARIABLE not in each.own and got.lower() != client_id.lower():
            said = (
                f"the service account {values[ACCOUNT] or 'default'} would tell its container {each.name} the client id"
            )
            return Refusal(OTHER_CLIENT_ID, f"{said} {got or '(none)'}, not {client_id}")
    return None


def _clause(sentence: str) -> str:
    return sentence.rstrip(".")
