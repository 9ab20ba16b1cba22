# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several requests for tokens at a client that only pretends: what breaks, what changes meanwhile, what was done."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from websocket import WebSocketConnectionClosedException

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import token_questions
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube import token_probes
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.kinds import Kind, Object
from ansible_collections.azureops.pod_identity.plugins.modules import pod_token_info


def questions(*entries: dict[str, Any]) -> list[token_questions.Question]:
    options = {name: option.get("default") for name, option in pod_token_info.argument_spec().options.items()}
    return token_questions.parse({**options, "workloads": [{"namespace": "n", **entry} for entry in entries]})


def pod(name: str, **labels: str) -> Object:
    metadata = {"name": name, "namespace": "n", "uid": name, "labels": labels}
    spec = {"nodeName": "node", "containers": [{"name": "app"}]}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


class Stream:
    """What a command in a pod prints, or how its connection ends."""

    def __init__(self, said: str | Exception) -> None:
        self._said, self.closed = said, False

    def is_open(self) -> bool:
        return isinstance(self._said, Exception)

    def run_forever(self, timeout: float) -> None:
        assert isinstance(self._said, Exception)
        raise self._said

    def read_stdout(self, timeout: float) -> bytes:
        return str(self._said).encode()

    def close(self) -> None:
        self.closed = True


class Cluster:
    """A client whose lists are ``objects`` by the resource of their kind."""

    def __init__(self, **objects: list[Object]) -> None:
        self.objects = objects
        self.streams: dict[str, Stream] = {}

    def list_all(self, kind: Kind, namespace: str | None = None, *, labels: str = "") -> tuple[Object, ...]:
        return tuple(self.objects.get(kind.resource, ()))

    def start(self, namespace: str, pod: str, container: str, command: Any) -> Stream:
        return self.streams[pod]


def ask(cluster: Cluster, *entries: dict[str, Any], strict: bool = False) -> list[token_questions.Asked]:
    return token_probes.ask(cluster, questions(*entries), at_once=2, strict=strict)  # type: ignore[arg-type]


ANSWER = '{"tool":"curl"}\n{"status":"403"}\n'
BROKEN = [
    WebSocketConnectionClosedException("Connection to remote host was lost."),
    ConnectionResetError(104, "Connection reset by peer"),
    ssl.SSLError(1, "bad record mac"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_connection_that_breaks_takes_no_other_verdict_away(error: Exception) -> None:
    cluster = Cluster(pods=[pod("one"), pod("two")])
    cluster.streams = {"one": Stream(error), "two": Stream(ANSWER)}
    one, two = ask(cluster, {"pod": "one", "method": "exec"}, {"pod": "two", "method": "exec"})
    assert one.reason.startswith(f"The connection to Pod n/one broke before its answer ({type(error).__name__}: ")
    assert "method: probe_pod" in one.reason and cluster.streams["one"].closed
    assert (two.reason, two.output) == ("", ANSWER)
    with pytest.raises(Failure, match="broke before its answer"):
        ask(cluster, {"pod": "one", "method": "exec"}, strict=True)


def test_an_unknown_error_takes_no_other_verdict_away() -> None:
    cluster = Cluster(pods=[pod("one"), pod("two")])
    cluster.streams = {"one": Stream(KeyError("odd")), "two": Stream(ANSWER)}
    one, two = ask(cluster, {"pod": "one", "method": "exec"}, {"pod": "two", "method": "exec"})
    assert "met an error that is not known (KeyError: 'odd')" in one.reason and two.output == ANSWER
    with pytest.raises(KeyError):
        ask(cluster, {"pod": "one", "method": "exec"}, strict=True)
