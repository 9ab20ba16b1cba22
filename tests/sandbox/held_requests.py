# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A write to the API server that gets no answer, while a play runs at the workstation of a sandbox."""

from __future__ import annotations

import base64
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from operators import Operator
from sandboxes import eventually

from azsandbox.azure.loopback import write_certificate

PROGRAM = Path(__file__).resolve().parents[1] / "kube/gates.py"
ACCOUNT = ("operator", "-n", "kube-system")


class Gate:
    """One that clients ask instead of the API server, see tests/kube/gates.py."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.process = process

    def reached(self) -> bool:
        return (self.folder / "reached").exists()

    def let_go(self) -> None:
        """What is held gets no answer."""
        self.process.send_signal(signal.SIGUSR1)

    def writes(self) -> list[str]:
        path = self.folder / "writes"
        return path.read_text().splitlines() if path.exists() else []


def let_through(operator: Operator) -> None:
    """Make the account whose token goes through gates; certificates of clients do not."""
    operator.sandbox.exec("kubectl", "create", "serviceaccount", *ACCOUNT)
    role = ("--clusterrole=cluster-admin", "--serviceaccount=kube-system:operator")
    operator.sandbox.exec("kubectl", "create", "clusterrolebinding", "operator", *role)


@contextmanager
def gate(operator: Operator, kubeconfig: Path, at: int = 0, *, after: bool = False) -> Iterator[Gate]:
    """A gate for the block; the kubeconfig `through` in the operator's folder leads through it to the same cluster."""
    folder = operator.directory / f"gate{len(list(operator.directory.glob('gate*')))}"
    folder.mkdir()
    certificate, key = write_certificate(folder)
    real = yaml.safe_load(kubeconfig.read_text())
    cluster = real["clusters"][0]["cluster"]
    (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    files = [str(folder / "ca.crt"), str(certificate), str(key), str(folder)]
    options = ["--at", str(at), *(["--after"] if after else [])]
    process = operator.sandbox.start("exec", "--", "python3", str(PROGRAM), cluster["server"], *files, *options)
    try:
        eventually((folder / "url").exists)
        token = operator.sandbox.exec("kubectl", "create", "token", *ACCOUNT, "--duration", "10h").strip()
        ca = base64.b64encode(certificate.read_bytes()).decode()
        through = {"server": (folder / "url").read_text(), "certificate-authority-data": ca}
        changed = {**real, "clusters": [{**real["clusters"][0], "cluster": through}]}
        changed["users"] = [{**real["users"][0], "user": {"token": token}}]
        (operator.directory / "through").write_text(yaml.safe_dump(changed))
        yield Gate(folder, process)
    finally:
        process.kill()
        process.wait()
