# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Azure modules as real processes, and what every one of them must keep."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible_collections.azureops.pod_identity.tests.support import forks
from azsandbox.azure.loopback import Credentials, SimulatedAzure

PROGRAM = Path(__file__).with_name("run_module.py")
WRITES = ("PUT", "PATCH", "POST", "DELETE")
# POSTs that only read: tokens, and the credentials of a cluster.
READING_POSTS = ("/oauth2/", "listcluster", "listassociated")
LONGEST = 300


def run(module: str, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a module."""
    at_start = {name: os.environ[name] for name in ("PATH", "MODULES_IN_FORKS") if name in os.environ}
    at_start |= {"LC_ALL": "C.UTF-8", "PYTHONPATH": environment.get("PYTHONPATH", "")}
    order = {"module": module, "arguments": arguments, "environment": environment}
    return forks.run(PROGRAM, at_start, order, LONGEST)


class Modules:
    """Calls modules with the credential of the subscription's owner, or of somebody else."""

    def __init__(self, azure: SimulatedAzure, home: Path) -> None:
        self.azure = azure
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "REQUESTS_CA_BUNDLE": str(azure.ca_file),
            "AZURE_CLOUD_ENVIRONMENT": azure.endpoints.arm,
            "AZURE_SUBSCRIPTION_ID": azure.subscription_id,
            **self.login(azure.owner),
        }

    def login(self, who: Credentials) -> dict[str, str]:
        return {"AZURE_TENANT": self.azure.tenant_id, "AZURE_CLIENT_ID": who.client_id, "AZURE_SECRET": who.secret}

    def __call__(
        self,
        module: str,
        /,
        *,
        check: bool = False,
        who: Credentials | None = None,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """The result of the module. Nothing else may be printed, and no secret."""
        login = self.login(who) if who else {}
        arguments = {**options, "_ansible_module_name": module, "_ansible_check_mode": check, "_ansible_diff": True}
        code, stdout, stderr = run(module, arguments, {**self.environment, **login, **(environment or {})})
        assert stderr == ""
        secrets = [self.environment["AZURE_SECRET"], login.get("AZURE_SECRET"), "eyJ"]
        assert not [secret for secret in secrets if secret and secret in stdout]
        result: dict[str, Any] = json.loads(stdout)
        assert bool(result.get("failed")) == (code != 0)
        result.pop("invocation", None)
        return result

    def succeed(self, module: str, /, **options: Any) -> dict[str, Any]:
        result = self(module, **options)
        assert not result.get("failed"), result
        return result

    def fail(self, module: str, /, **options: Any) -> dict[str, Any]:
        """The result of a failure: one sentence, and nothing that looks like Python."""
        result = self(module, **options)
        assert result.get("failed"), result
        message = result["msg"]
        assert "\n" not in message
        assert "Traceback" not in message
        assert "does not know" not in message
        return result

    def check_and_do(self, module: str, /, **options: Any) -> dict[str, Any]:
        """Predict a change, make it, and see that it stays made: four runs. Returns the result of the real one."""
        mark = self.mark()
        predicted = self.succeed(module, check=True, **options)
        assert self.writes(mark) == []
        done = self.succeed(module, **options)
        assert predicted["changed"]
        assert done["changed"]
        assert predicted["diff"] == done["diff"]
        assert predicted["actions"] == done["actions"]
        assert predicted["changes"] == done["changes"]
        assert done["diff"]["before"] != done["diff"]["after"]
        mark = self.mark()
        for check in (False, True):
            again = self.succeed(module, check=check, **options)
            assert not again["changed"], again
            assert again["diff"]["before"] == again["diff"]["after"]
        assert self.writes(mark) == []
        return done

    def mark(self) -> int:
        return int(self.azure.control("GET", "/log")["last"])

    def requests(self, since: int = 0, **query: str) -> list[dict[str, Any]]:
        return list(self.azure.control("GET", f"/log?{urlencode({'since': since, **query})}")["entries"])

    def writes(self, since: int) -> list[str]:
        return [
            f"{entry['method']} {entry['path']}"
            for entry in self.requests(since)
            if entry["method"] in WRITES and not any(part in entry["path"].lower() for part in READING_POSTS)
        ]

    def refuse_writes(self) -> None:
        """From now on, so that one run leaves to the next what it has found."""
        refused = {"status": 403, "body": {"error": {"code": "AuthorizationFailed", "message": "no"}}, "count": 0}
        for method in ("PUT", "PATCH", "DELETE"):
            self.fault(method, ".", **refused)
        self.fault("POST", f"^(?!.*({'|'.join(READING_POSTS)}))", **refused)

    def hand_out(self, server: str, user: Mapping[str, Any]) -> dict[str, Any]:
        """Let AKS answer with a kubeconfig of the cluster demo for that server and user, which is returned."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": {"server": server}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "u"}}],
            "current-context": "demo",
            "users": [{"name": "u", "user": user}],
        }
        fetched = {"name": "clusterUser", "value": base64.b64encode(json.dumps(config).encode()).decode()}
        self.fault("POST", "listClusterUserCredential", status=200, body={"kubeconfigs": [fetched]}, count=0)
        return config

    def fault(self, method: str, path: str, **rule: Any) -> None:
        self.azure.control("POST", "/faults", {"method": method, "path": path, **rule})
