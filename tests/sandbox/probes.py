# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods without any binding that ask for the tokens of others the whole time, and what they got."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import applications
from applications import sleeper
from operators import Operator
from sandboxes import eventually

SECONDS_BETWEEN = 0.2
LIMIT = 600
"""Seconds after which a pod stops by itself."""
QUICK_NMI = {
    "nmi": {"retryAttemptsForCreated": 8, "retryAttemptsForAssigned": 20, "findIdentityRetryIntervalInSeconds": 1}
}
"""Values of the chart by which NMI refuses a pod in 8 seconds instead of 80, so that refusals are seen, not silence."""
# Arguments: the names of identities, each followed by a parameter of the query that names it. An answer that comes late
# counts when it comes; no token is printed.
ASK = r"""
end=$((SECONDS + LIMIT))
trap 'end=0' TERM
address='http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01'
ask() {
    began=$EPOCHREALTIME
    answer=$(curl -s -m 20 -w '\n%{http_code}' -H Metadata:true "$address&resource=https://management.azure.com/&$2")
    [[ $answer =~ \"client_id\":\ *\"([^\"]*)\" ]]
    echo "$began $EPOCHREALTIME $1 ${answer##*$'\n'} ${BASH_REMATCH[1]:--}"
}
while ((SECONDS < end)); do
    for ((i = 1; i < $# && SECONDS < end; i += 2)); do
        ask "${!i}" "${@:i+1:1}" &
        sleep "$BETWEEN"
    done
done
wait
"""


@dataclass(frozen=True)
class Ask:
    """One request for the token of the identity ``wanted``, and of whom the token was that it got, if any."""

    node: str
    began: float
    ended: float
    wanted: str
    status: int
    client_id: str

    @property
    def got_token(self) -> bool:
        return self.status == 200


@dataclass
class Watch:
    """What the pods of all nodes asked for from ``began`` to ``ended``; complete when the watch is over."""

    guarded: tuple[str, ...]
    names: Mapping[str, str]
    """Names of identities by their client ids."""
    began: float = 0
    ended: float = 0
    asks: list[Ask] = field(default_factory=list)

    def opened(self, since: float = 0) -> list[str]:
        """Tokens of guarded identities that a pod got since then, as sentences; there must be none."""
        return [
            f"{each.node} got a token of {self.names.get(each.client_id, each.client_id)} at {each.ended:.2f}"
            for each in self.asks
            if each.got_token
            and each.ended >= since
            # A token counts as that of whom it says it is; one that does not say so counts as what was asked for.
            and self.names.get(each.client_id, each.wanted) in self.guarded
        ]

    def others(self) -> Counter[str]:
        """How many tokens of identities that are not guarded there were."""
        named = (self.names.get(each.client_id, each.wanted) for each in self.asks if each.got_token)
        return Counter(name for name in named if name not in self.guarded)

    def statuses(self, wanted: str) -> Counter[int]:
        return Counter(each.status for each in self.asks if each.wanted == wanted)

    def longest_pause(self) -> float:
        """Seconds for which no pod of a node asked for some guarded identity."""
        pauses = [0.0]
        for node in {each.node for each in self.asks} or {""}:
            for name in self.guarded:
                times = [each.began for each in self.asks if (each.node, each.wanted) == (node, name)]
                within = sorted(moment for moment in times if self.began <= moment <= self.ended)
                moments = [self.began, *within, self.ended]
                pauses += [after - before for before, after in zip(moments, moments[1:], strict=False)]
        return max(pauses)


@contextmanager
def asking(operator: Operator, identities: Mapping[str, Mapping[str, Any]], guarded: Sequence[str]) -> Iterator[Watch]:
    """On every node a pod asks for the ``identities`` (by name what az says of them), and for none by name."""
    nodes = [each["metadata"]["name"] for each in operator.kubectl("get", "nodes")["items"]]
    watch = Watch(tuple(guarded), {each["clientId"]: name for name, each in identities.items()})
    selectors = [(name, f"client_id={each['clientId']}") for name, each in identities.items()]
    selectors += [(name, f"msi_res_id={identities[name]['id']}") for name in identities] + [("unnamed", "unnamed=")]
    # One after the other, so that the guarded ones are asked for all the time.
    mine = [each for each in selectors if each[0] in guarded]
    theirs = [each for each in selectors if each[0] not in guarded]
    turns = [word for other in theirs for each in mine for word in (*each, *other)]
    pods = [_pod(f"asking-{number}", node, turns) for number, node in enumerate(nodes)]
    operator.apply(*pods)
    try:
        eventually(lambda: all(_asked(operator, pod["metadata"]["name"], "") for pod in pods), 60)
        watch.began = time.time()
        yield watch
        watch.ended = time.time()
        names = [str(pod["metadata"]["name"]) for pod in pods]
        for name in names:
            operator.sandbox.exec("kubectl", "exec", name, "--", "bash", "-c", "kill -TERM 1")
        # Each ends when all that it asked for is answered.
        ended = ("--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        operator.sandbox.exec("kubectl", "wait", *ended, *(f"pod/{name}" for name in names))
        for name, node in zip(names, nodes, strict=True):
            watch.asks += _asked(operator, name, node)
    finally:
        operator.sandbox.exec("kubectl", "delete", "--now", "--wait", "pod", *(pod["metadata"]["name"] for pod in pods))


def _asked(operator: Operator, pod: str, node: str) -> list[Ask]:
    logs = operator.sandbox.run("exec", "--", "kubectl", "logs", pod, check=False)
    found = []
    for line in logs.splitlines():
        began, ended, wanted, status, client_id = line.split()
        found.append(Ask(node, float(began), float(ended), wanted, int(status), client_id))
    return found


def _pod(name: str, node: str, turns: Sequence[str]) -> dict[str, Any]:
    environment = {"LIMIT": str(LIMIT), "BETWEEN": str(SECONDS_BETWEEN)}
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    container = sleeper("asking", command=["bash", "-c", ASK, "bash", *turns], env=variables)
    return applications.pod(name, container, nodeName=node, restartPolicy="Never")
