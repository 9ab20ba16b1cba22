# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""helm, whose requests something before the API server takes and does not answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests.kube import obstacles
from ansible_collections.azureops.pod_identity.tests.kube.imported_roles import imported
from ansible_collections.azureops.pod_identity.tests.kube.obstacles import Instead
from ansible_collections.azureops.pod_identity.tests.support import api_server as server
from ansible_collections.azureops.pod_identity.tests.support.api_server import ApiServer
from ansible_collections.azureops.pod_identity.tests.support.players import Player, finish

ENDED = "had not ended after 20 seconds and was killed"


@pytest.fixture
def player(tmp_path: Path) -> Player:
    """Its modules of kubernetes.core are killed soon."""
    callback = {
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callback")),
        "ANSIBLE_CALLBACKS_ENABLED": "steps",
        "STEPS_FILE": str(tmp_path / "steps"),
        "MODULE_ENDS_WITHIN": "20",
    }
    return Player(tmp_path / "player", callback)


@pytest.fixture
def release(api_server: ApiServer, crds: None, namespace: str) -> Iterator[str]:
    """One that has its name from the namespace."""
    values = f"nameOverride={namespace},installMICException=false"
    api_server.helm("install", namespace, "CHART", "--namespace", namespace, "--set", values)
    yield namespace
    api_server.helm("uninstall", namespace, "--namespace", namespace, "--ignore-not-found")


@pytest.mark.soak
def test_helm_is_killed_and_deletes_nothing_any_more(api_server: ApiServer, player: Player, release: str) -> None:
    """Its first deletion waits for an answer; the second one would follow it."""
    binaries, _charts = server.programs()
    with obstacles.gate(api_server, 2) as gate:
        uninstall = {
            "module": "helm",
            "kubeconfig": api_server.kubeconfig(server=gate.url),
            "binary_path": str(binaries / "helm"),
            "release_name": release,
            "release_namespace": release,
            "state": "absent",
        }
        status, output = finish(player.start([{"azureops.pod_identity.kubernetes_core": uninstall}]), 120)
        assert gate.reached.is_set(), output
        assert at_work(release) == []
    assert (status, f"kubernetes.core.helm of {release} {ENDED}" in " ".join(output.split())) == (2, True), output
    assert [each.partition(" ")[0] for each in gate.writes] == ["PUT", "DELETE"]


def at_work(word: str) -> list[str]:
    """Commands of running processes with this word in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [each for each in found if word in each]


class Silent(Instead):
    """Answers nothing about Secrets, in which helm keeps its releases."""

    def odd(self, method: str, path: str) -> bool:
        super().odd(method, path)
        return "/secrets" in path


@pytest.mark.soak
def test_a_role_tells_what_helm_could_not_read(api_server: ApiServer, player: Player, release: str) -> None:
    binaries, charts = server.programs()
    proxy = Silent()
    with obstacles.standing(api_server, proxy):
        play = player.start(
            imported("chart"),
            pod_identity_chart_release_name=release,
            pod_identity_chart_namespace=release,
            pod_identity_chart_ref=str(charts / server.CHART),
            pod_identity_chart_helm_binary=str(binaries / "helm"),
            pod_identity_kubeconfig=api_server.kubeconfig(server=proxy.url),
        )
        status, output = finish(play, 240)
    told = " ".join(output.split())
    assert (status, proxy.writes) == (2, []), output
    assert f"The helm release {release}/{release} cannot be read, because helm failed with" in told, output
    assert f"kubernetes.core.helm_info of {release} {ENDED}" in told, output
