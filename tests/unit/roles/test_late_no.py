# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the variables alone prove wrong is told by the first task of a run, once, before anything is requested.

Each option of each role and playbook gets a value of another type, and one of another format.
"""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.option_formats import FORMATS, FREE, Format
from ansible_collections.azureops.pod_identity.plugins.plugin_utils import _roles
from ansible_collections.azureops.pod_identity.tests.support.format_values import GROUP, GUID, IDENTITY, VALUES
from ansible_collections.azureops.pod_identity.tests.support.players import Player
from ansible_collections.azureops.pod_identity.tests.unit.tables import cases

Raw = Mapping[str, Any]
CLUSTER, SHARED = "pod_identity_cluster", "pod_identity"
# What each playbook reads, by the names of roles and of playbooks that have options of their own.
PLAYBOOKS = {
    "site": (CLUSTER, "pod_identity_chart", "pod_identity_bindings", "pod_identity_verify"),
    "verify": ("pod_identity_verify",),
    "uninstall": ("pod_identity_uninstall",),
    "restore": ("pod_identity_restore",),
    "cleanup_nodes": ("imds_node_cleanup",),
    "leftovers": ("leftovers",),
    "diagnose": ("diagnose",),
    "migrate": ("workload_identity_migration",),
    "report": ("pod_identity_report",),
    "inventory": (),
    "destroy": (CLUSTER, "destroy"),
}
NAMING = [f"{CLUSTER}_{name}" for name in _roles.NAMING]
NAMED = {
    "pod_identity_cluster_name": "demo",
    "pod_identity_resource_group": "rg",
    # Nothing of helm is wanted here.
    "pod_identity_chart_helm_binary": "/bin/true",
    "pod_identity_uninstall_confirm": "demo",
}
ENTRY = {"name": "billing", "namespace": "billing", "selector": "billing"}


def decided(options: Raw, prefix: str = "") -> Iterator[tuple[str, Raw]]:
    """Each option, and each key of an entry, that is not decided by its type alone."""
    for name, given in options.items():
        option = given or {}
        if option.get("options"):
            yield from decided(option["options"], f"{prefix}{name}.")
        elif option.get("type") != "bool" and not option.get("choices"):
            yield f"{prefix}{name}", option


def test_each_option_has_a_format() -> None:
    keys = {key for options in _roles.SPECS.values() for key, _option in decided(options)}
    assert sorted(keys - set(FORMATS)) == [], "say in _domain/option_formats.py what their values look like"
    assert sorted(set(FORMATS) - keys) == [], "there are no such options"


def test_each_role_and_playbook_is_tried() -> None:
    assert {name for several in PLAYBOOKS.values() for name in several} | {"migrate"} == set(_roles.SPECS)


# values that are wrong


def of_another_type(option: Raw) -> Any:
    kind = option.get("type") or "str"
    if option.get("choices") and kind != "list":
        return "nonsense"
    if kind == "list":
        return ["text"] if option.get("options") else [{}]
    return {"bool": "perhaps", "int": "soon", "float": "half", "dict": "text"}.get(kind, {})


def kept(key: str, options: Raw) -> dict[str, Any]:
    """The keys that an entry must have, with values that are right."""
    found: dict[str, Any] = {}
    for name, given in options.items():
        option = given or {}
        if option.get("required"):
            found[name] = option["choices"][0] if option.get("choices") else right(f"{key}.{name}")
    return found


def right(key: str) -> Any:
    return VALUES[FORMATS[key].called][0][0] if FORMATS[key] is not FREE else "text"


def malformed(key: str, options: Raw) -> Iterator[Any]:
    """An entry for each of its keys whose format is not just any value; the rest of it is right."""
    for name, given in options.items():
        option, whole = given or {}, f"{key}.{name}"
        is_list = option.get("type") == "list"
        if option.get("options"):
            inner = list(malformed(whole, option["options"]))
            values = [[each] for each in inner] if is_list else inner
        else:
            kind = FORMATS.get(whole, FREE)
            wrong = VALUES[kind.called][1][0] if kind is not FREE else None
            values = [] if wrong is None else [[wrong] if is_list else wrong]
        for value in values:
            yield {**kept(key, options), name: value}


def of_another_format(name: str, option: Raw) -> Any:
    """None where any value will do."""
    if option.get("options"):
        return list(malformed(name, option["options"]))
    kind = FORMATS.get(name, FREE)
    if kind is FREE:
        return None
    value = VALUES[kind.called][1][0]
    return [value] if option.get("type") == "list" else value


def options_of(playbook: str) -> dict[str, Raw]:
    """Those of its roles and of itself, and those by which the cluster is named and reached."""
    found = {name: each for part in PLAYBOOKS[playbook] for name, each in _roles.SPECS[part].items()}
    # A clean-up of nodes has options of its own for that.
    named = NAMING if playbook != "cleanup_nodes" else ()
    return {**found, **{name: _roles.SPECS[CLUSTER][name] for name in named}}


# the run


class Silence(socketserver.ThreadingTCPServer):
    """Stands for Azure, for the place where its tokens come from, and for the API server; answers nothing."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Count)
        self.requests = 0


class _Count(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Silence)
        self.server.requests += 1


@contextmanager
def silence() -> Iterator[Silence]:
    with Silence() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def told(playbook: str, variables: Raw, directory: Path, *arguments: str) -> list[str]:
    """The sentences of the first task, which has requested nothing."""
    file = directory / "site.json"
    own = {"pod_identity_inventory_file": str(directory / "inventory")} if playbook == "inventory" else {}
    file.write_text(json.dumps({**own, **variables}))
    with silence() as server:
        environment = reached(server)
        player = Player(directory / "player", environment)
        status, output = player.play(f"azureops.pod_identity.{playbook}", "-e", f"@{file}", *arguments)
        assert server.requests == 0, output
    assert status == 2 and "Traceback" not in output, output
    if playbook == "inventory":
        return re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', output)[:1]
    (first, *_rest) = re.findall(r"(?:FAILED! => )(\{.*\})$", output, re.MULTILINE)
    # A sentence about a variable begins with its name.
    return re.split(r"(?<=[.\])]) (?=(?:pod_identity|workload_identity|imds_node_cleanup)_)", json.loads(first)["msg"])


def reached(server: Silence) -> dict[str, str]:
    address = f"http://127.0.0.1:{server.server_address[1]}"
    return {
        **dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), address),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
        **dict.fromkeys(("AZURE_CLIENT_ID", "AZURE_TENANT", "AZURE_SUBSCRIPTION_ID"), GUID),
        "AZURE_SECRET": "s",
        "K8S_AUTH_HOST": address,
        "K8S_AUTH_API_KEY": "k",
    }


def test_what_is_requested_is_counted(tmp_path: Path) -> None:
    with silence() as server:
        player = Player(tmp_path / "player", reached(server))
        task = {"azureops.pod_identity.kubernetes_object_info": {"api_version": "v1", "kind": "Node"}}
        player.play([task])
        kubernetes = server.requests
        player.play([{"azureops.pod_identity.aks_cluster_info": {"resource_group": "rg"}}])
        assert 0 < kubernetes < server.requests


@pytest.mark.parametrize("playbook", [name for name in PLAYBOOKS if name != "inventory"])
def test_each_value_of_another_type_is_told_once(playbook: str, tmp_path: Path) -> None:
    wrong = {name: of_another_type(option) for name, option in options_of(playbook).items()}
    sentences = told(playbook, wrong, tmp_path)
    assert sorted(re.split("[ ,:]", each)[0] for each in sentences) == sorted(wrong), sentences


@pytest.mark.parametrize("playbook", [name for name in PLAYBOOKS if name != "inventory"])
def test_each_value_of_another_format_is_told_once(playbook: str, tmp_path: Path) -> None:
    every = {name: of_another_format(name, option) for name, option in options_of(playbook).items()}
    wrong = {name: value for name, value in every.items() if value}
    sentences = told(playbook, wrong, tmp_path)
    options = options_of(playbook)
    # A list of entries has a wrong one for each key.
    counted = {name: len(value) if options[name].get("options") else 1 for name, value in wrong.items()}
    heard = [re.split("[ ,:]", each)[0] for each in sentences]
    assert {name: heard.count(name) for name in {*counted, *heard}} == counted, sentences
    assert [each for each in sentences if " not " not in each] == [], sentences


def test_the_inventory_tells_it_too(tmp_path: Path) -> None:
    (said,) = told("inventory", {"pod_identity_cluster_name": "demo cluster", "pod_identity_context": {}}, tmp_path)
    assert "pod_identity_cluster_name is 'demo cluster', not a name of a cluster" in said
    assert "pod_identity_context is a dictionary, not a text." in said


def test_an_operators_own_variable_is_named_once(tmp_path: Path) -> None:
    """Three roles read it."""
    wrong = {"pod_identity_cluster_name": "demo", "pod_identity_resource_group": "a b", "pod_identity_mode": "both"}
    group = "pod_identity_resource_group is 'a b', not a name of a resource group in Azure; write "
    sentences = told("site", wrong, tmp_path)
    assert [each[: len(group)] for each in sentences] == [
        group,
        "pod_identity_mode is 'both'; it is one of chart, addon."[: len(group)],
    ]


def bindings(*entries: Raw) -> dict[str, Any]:
    return {"pod_identity_bindings_list": list(entries)}


MIGRATION, DIAGNOSE = "workload_identity_migration", "pod_identity_diagnose"
MISSING = "{} is '/nowhere/a', and there is no such file; correct the path."


@cases(
    "playbook, variables, sentences",
    (
        *("nothing in the list", "site", {"pod_identity_bindings_list": None}),
        ["pod_identity_bindings_list is empty; write [], or leave it out."],
    ),
    (
        *("roles", "site", bindings({**ENTRY, "roles": ["Reader"]})),
        [
            "pod_identity_bindings_list, entry 1 (billing): roles, entry 1 is a text, not a dictionary; write "
            "`- role: Reader`."
        ],
    ),
    (
        *("scope", "site", bindings({**ENTRY, "roles": [{"role": "Reader", "scope": "rg/data"}]})),
        [
            "pod_identity_bindings_list, entry 1 (billing): roles, entry 1: scope is 'rg/data', not an Azure resource "
            "id; write /subscriptions/ID/resourceGroups/NAME, or what lies in it after that."
        ],
    ),
    (
        *("count", "site", {f"{CLUSTER}_agent_pools": [{"name": "a", "count": "two"}]}),
        [f"{CLUSTER}_agent_pools, entry 1 (a): count is 'two', not a whole number."],
    ),
    (
        *("pools", "site", {f"{CLUSTER}_agent_pools": [{"name": "a"}, {"name": "a"}]}),
        [f"{CLUSTER}_agent_pools, entries 1 and 2 have the name a; give each pool a name of its own."],
    ),
    (
        *("addresses", "site", {f"{CLUSTER}_service_cidr": "10.0.0.0/16", f"{CLUSTER}_dns_service_ip": "10.1.0.10"}),
        [
            f"{CLUSTER}_dns_service_ip is 10.1.0.10, which is not in {CLUSTER}_service_cidr, 10.0.0.0/16; name an "
            "address of that range."
        ],
    ),
    (
        *("ranges", "site", {f"{CLUSTER}_service_cidr": "10.0.0.0/16", f"{CLUSTER}_pod_cidr": "10.0.0.0/8"}),
        [
            f"{CLUSTER}_pod_cidr, 10.0.0.0/8, and {CLUSTER}_service_cidr, 10.0.0.0/16, overlap; give pods and services "
            "ranges of their own."
        ],
    ),
    (
        "issuer",
        "site",
        {f"{CLUSTER}_workload_identity_enabled": True, f"{CLUSTER}_oidc_issuer_enabled": False},
        [
            f"{CLUSTER}_workload_identity_enabled needs an issuer, and {CLUSTER}_oidc_issuer_enabled is false; set "
            "both to true, or leave both out."
        ],
    ),
    (
        *("two selectors", "site", bindings(ENTRY, {**ENTRY, "selector": "other"})),
        [
            "pod_identity_bindings_list, entries 1 and 2 (billing) have one binding, billing/billing, but different "
            "names or selectors; leave one of them out, or give it another binding_name."
        ],
    ),
    (
        "absent",
        "site",
        {
            **bindings({**ENTRY, "state": "absent"}),
            "pod_identity_verify_workloads": [{"namespace": "billing", "selector": "billing", "expect": "billing"}],
        },
        [
            "pod_identity_verify_workloads, entry 1: expect is billing, which is absent in pod_identity_bindings_list; "
            "correct one of them, or leave the workload out."
        ],
    ),
    (
        *("files", "site", {"pod_identity_kubeconfig": "/nowhere/a", "pod_identity_chart_ref": "/nowhere/a"}),
        [MISSING.format(each) for each in ("pod_identity_kubeconfig", "pod_identity_chart_ref")],
    ),
    (
        "bundle",
        "restore",
        {"pod_identity_restore_bundle": "/nowhere/a", "pod_identity_restore_sha256": "0" * 64},
        [MISSING.format("pod_identity_restore_bundle")],
    ),
    (
        *("credential", "verify", {"pod_identity_client_id": GUID, "pod_identity_tenant": GUID}),
        [
            "pod_identity_client_id and pod_identity_tenant are set, pod_identity_secret is not; set all three, or "
            "none and log in another way."
        ],
    ),
    ("kubeconfig", "verify", {"pod_identity_kubeconfig": "/nowhere/a"}, [MISSING.format("pod_identity_kubeconfig")]),
    ("context", "uninstall", {"pod_identity_kubeconfig": "/nowhere/a"}, [MISSING.format("pod_identity_kubeconfig")]),
    (
        *("pod", "diagnose", {f"{DIAGNOSE}_pod": "api"}),
        [f"{DIAGNOSE}_pod is api without its namespace; write NAMESPACE/api."],
    ),
    (
        *("namespaces", "diagnose", {f"{DIAGNOSE}_pod": "billing/api", f"{DIAGNOSE}_namespace": "shop"}),
        [f"{DIAGNOSE}_pod is billing/api and {DIAGNOSE}_namespace is shop; leave {DIAGNOSE}_namespace out."],
    ),
    (
        *("saved", "diagnose", {f"{DIAGNOSE}_files": ["/nowhere/a"]}),
        [MISSING.format(f"{DIAGNOSE}_files, entry 1")],
    ),
    ("objects", "migrate", {f"{MIGRATION}_files": ["/nowhere/a"]}, [MISSING.format(f"{MIGRATION}_files, entry 1")]),
    (
        *(
            "saved for a report",
            "report",
            {"pod_identity_report_target": "r", "pod_identity_report_files": ["/nowhere/a"]},
        ),
        [MISSING.format("pod_identity_report_files, entry 1")],
    ),
    (
        *("of a wiki", "leftovers", {"pod_identity_leftovers_known_files": ["/nowhere/a"]}),
        [MISSING.format("pod_identity_leftovers_known_files, entry 1")],
    ),
)
def test_what_contradicts_itself_is_told(playbook: str, variables: Raw, sentences: list[str], tmp_path: Path) -> None:
    assert told(playbook, {**NAMED, **variables}, tmp_path, "--check") == sentences


def test_what_is_right_is_not_refused(tmp_path: Path) -> None:
    """The whole of it goes on to the first request."""
    values = {
        **NAMED,
        "pod_identity_subscription_id": GUID,
        "pod_identity_location": "West Europe",
        **bindings({**ENTRY, "roles": [{"role": "Reader", "scope": GROUP}]}, {**ENTRY, "name": "other"}),
        f"{CLUSTER}_kubelet_identity": IDENTITY,
        "pod_identity_cluster_create": True,
        "pod_identity_mode": "addon",
    }
    file = tmp_path / "site.json"
    file.write_text(json.dumps(values))
    with silence() as server:
        player = Player(tmp_path / "player", reached(server))
        _status, output = player.play("azureops.pod_identity.site", "-e", f"@{file}", "--check")
        assert server.requests > 0 and not re.search(r'"msg": "(?:pod|workload)_identity_', output), output


def test_formats_have_names_of_their_own() -> None:
    """By these the values of tests are kept."""
    called: dict[str, Format] = {}
    for key, kind in FORMATS.items():
        other = called.setdefault(kind.called, kind)
        assert other is kind or other.write == kind.write or key.endswith("_workload"), key
