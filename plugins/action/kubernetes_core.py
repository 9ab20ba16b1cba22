# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of kubernetes.core that reaches the API server of its kubeconfig, whatever else names one.

Those modules let ``host`` and credentials of environment and module_defaults win over an explicit kubeconfig, take
empty ones for given, tell the password of a proxy, and wait without end for an answer that does not come.
"""

from __future__ import annotations

import re
import shlex
import time
import typing as t
from urllib.parse import urlsplit

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.kubernetes import ways
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.config import way_of
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _changes, _time_limit
from ansible_collections.azureops.pod_identity.plugins.plugin_utils._quiet_environment import QuietEnvironment

# What chooses a server or a user beside a kubeconfig.
_CHOOSING = ("host", "api_key", "username", "password", "client_cert", "cert_file", "client_key", "key_file")
_CHECKING = ("verify_ssl", "ssl_ca_cert", "validate_certs", "ca_cert")
_VARIABLES = (
    *(f"K8S_AUTH_{name.upper()}" for name in ("kubeconfig", "context", *_CHOOSING)),
    # Those that helm reads itself.
    *("HELM_KUBEAPISERVER", "HELM_KUBETOKEN", "HELM_KUBECONTEXT", "HELM_KUBECAFILE", "HELM_KUBETLS_SERVER_NAME"),
    *("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "HELM_KUBEASUSER", "HELM_KUBEASGROUPS"),
)
# What counts no more beside a kubeconfig that was written for a whole run.
_VARIABLES_OF_WAY = (
    *(f"K8S_AUTH_{name.upper()}" for name in ("verify_ssl", "ssl_ca_cert", *ways.KEYS)),
    *(f"K8S_AUTH_PROXY_HEADERS_{name}" for name in ("BASIC_AUTH", "PROXY_BASIC_AUTH", "USER_AGENT")),
)
# Seconds for which a module may be at work, beside those that it is told to wait.
LONGEST = 600
# Of the connection helm knows no more.
_HELM_KNOWS_NOT = (*ways.KEYS, "persist_config")


class ActionModule(QuietEnvironment):
    TRANSFERS_FILES = False
    _interpreter: t.Sequence[str] = ()
    _limit = LONGEST
    _told = ""
    _variables: t.Sequence[str] = ()

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        module = str(arguments.pop("module", ""))
        does = [str(each) for each in arguments.pop("actions", ())]
        told = [dict(each) for each in arguments.pop("changes", ())]
        if not module:
            raise AnsibleActionFail("kubernetes_core runs no module by itself: set module, such as k8s_info.")
        if arguments.get("kubeconfig"):
            of_helm = module.startswith("helm")
            left_out, self._variables = (*_CHOOSING, *(_HELM_KNOWS_NOT if of_helm else ())), _VARIABLES
            way = way_of(str(arguments["kubeconfig"]))
            if way is not None:
                left_out, self._variables = (*left_out, *_CHECKING, *ways.KEYS), (*_VARIABLES, *_VARIABLES_OF_WAY)
            arguments = {name: value for name, value in arguments.items() if name not in left_out}
            if way is not None and not of_helm:  # which reads them from the file
                arguments.update({name: value for name, value in way.items() if value})
        self._limit = LONGEST + _waits(arguments.get("wait_timeout"))
        self._told = _too_long(module, arguments, self._limit)
        began = time.monotonic()
        if does and self._task.check_mode:
            result.update(changed=True)
        else:
            name = f"kubernetes.core.{module}"
            answer = self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)
            result.update(_without_proxy(answer, arguments.get("proxy")))
        result.update(actions=does if result.get("changed") else [], changes=told if result.get("changed") else [])
        _changes.keep(self, task_vars or {}, result, time.monotonic() - began, look=False)
        return result

    def _configure_module(self, *arguments: t.Any, **named: t.Any) -> tuple[t.Any, str]:
        built, path = super()._configure_module(*arguments, **named)
        self._interpreter = shlex.split(str(built.shebang or "").removeprefix("#!"))
        return built, path

    def _compute_environment_string(self, raw_environment_out: dict[str, t.Any] | None = None) -> str:
        """As a prefix of the command, which counts where it runs, be that here or on another host.

        The end of it limits how long the command may take; a task that does not wait for its module has its own limit.
        """
        named: dict[str, t.Any] = {}
        given = str(super()._compute_environment_string(named))
        if self._variables:
            for name in self._variables:
                named.pop(name, None)
            unset = " ".join(f"-u {name}" for name in self._variables)
            written = {name: value for name, value in named.items() if name not in self._inherited}
            given = f"env {unset} {self._connection._shell.env_prefix(**written)}"
        if self._interpreter and not self._task.async_val:
            given = f"{given} {_time_limit.prefix(self._interpreter, self._limit, self._told)}"
        if raw_environment_out is not None:
            raw_environment_out.clear()
            raw_environment_out.update(named)
        return given


def _waits(given: object) -> int:
    """Seconds that a module is told to wait; with helm they have a unit."""
    found = re.fullmatch(r"(\d+)s?", str(given or 0))
    if not found:
        raise AnsibleActionFail(f"kubernetes_core takes no wait_timeout {given}: give it in seconds, such as 600s.")
    return int(found[1])


def _too_long(module: str, arguments: t.Mapping[str, t.Any], seconds: int) -> str:
    of = next((f" of {arguments[name]}" for name in ("release_name", "name", "kind") if arguments.get(name)), "")
    return (
        f"kubernetes.core.{module}{of} had not ended after {seconds} seconds and was killed, because it waits as long "
        "as the API server, or a proxy before it, leaves a request unanswered; see which of them does (kubectl get "
        "--raw /readyz asks the API server), and run again."
    )


def _without_proxy(answer: dict[str, t.Any], given: str | None) -> dict[str, t.Any]:
    """Those modules tell the URL of a proxy among their arguments, and there may be a password in it."""
    told = ((answer.get("invocation") or {}).get("module_args") or {}).get("proxy")
    urls = [str(each) for each in (given, told) if each]
    hidden = [text for url in urls for text in (url, urlsplit(url).password) if text]
    return t.cast("dict[str, t.Any]", remove_values(answer, hidden)) if hidden else answer
