# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every option of the roles, one at a time, on a finished site. Needs root.

What changes is predicted, shown in the diff and done, and nothing else is touched; a second run changes nothing. The
cases are in option_cases.py. A run takes a sample of them, `make soak` all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import yaml
from operators import Operator, Run, only
from option_cases import (
    CHANGES,
    CLUSTER,
    CREATIONS,
    GROUP,
    MADE,
    MIC_ROLES,
    REFUSALS,
    SUBSCRIPTION,
    VARIABLES,
    VERDICTS,
    Case,
    Change,
    Creation,
    Refusal,
    Verdict,
)
from sandboxes import PROGRAM, running

pytestmark = [pytest.mark.story, pytest.mark.soak]

# What changes by itself, or as a consequence of what is written.
VOLATILE = re.compile(
    r"^(pods|nodes|events|endpoints|endpointslices|leases|replicasets|controllerrevisions|azureassignedidentities"
    r"|componentstatuses|apiservices|configmaps|ipaddresses|flowschemas|prioritylevelconfigurations)\b"
)
SECRETS = {"credential": ["client_secret"], "newer": ["client_secret"], "certificate": ["certificate", "password"]}
Site = Operator


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A finished site with one running workload, a second resource group, and two secrets."""
    with running("options") as sandbox:
        operator = Operator(sandbox, tmp_path_factory.mktemp("operator"), VARIABLES)
        operator.play(only("cluster")).ok()
        sandbox.exec("az", "group", "create", "-n", "second", "-l", "westeurope")
        for namespace in ("billing", "spare"):
            sandbox.exec("kubectl", "create", "namespace", namespace)
            for secret, keys in SECRETS.items():
                literals = [f"--from-literal={key}=none" for key in keys]
                sandbox.exec("kubectl", "create", "secret", "generic", secret, "-n", namespace, *literals)
        sandbox.exec("kubectl", "apply", "-f", str(PROGRAM.with_name("demo-workload.yml")))
        operator.site().ok()
        yield operator


@pytest.fixture(scope="module")
def subscription(site: Site) -> str:
    return str(json.loads(site.sandbox.exec("az", "account", "show"))["id"])


def cases_of(table: Sequence[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in table])


def named(value: Any, subscription: str) -> Any:
    """The value with the sandbox's subscription in it."""
    if isinstance(value, Mapping):
        return {key: named(each, subscription) for key, each in value.items()}
    if isinstance(value, list):
        return [named(each, subscription) for each in value]
    return value.replace(SUBSCRIPTION, subscription) if isinstance(value, str) else value


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield ".".join(path), value
    else:
        for key, each in inner:
            yield from leaves(each, (*path, str(key)))


def difference(before: Any, after: Any) -> dict[str, Any]:
    """Path and new value of what differs; None for what is gone."""
    old, new = dict(leaves(before)), dict(leaves(after))
    return {path: new.get(path) for path in {**old, **new} if old.get(path) != new.get(path)}


def shown(run: Run, task: str) -> dict[str, Any]:
    diff = {side: yaml.safe_load(text) if isinstance(text, str) else text for side, text in run.diff(task).items()}
    found = difference(diff["before"], diff["after"])
    return {re.sub(r"^AzureIdentity(Binding)? [^.]*", _part, path): value for path, value in found.items()}


def _part(label: re.Match[str]) -> str:
    """A case is about one pair."""
    return "binding" if label[1] else "identity"


def is_whole(run: Run, task: str) -> bool:
    """Whether something was created or removed, so that every line of it differs."""
    diff = run.diff(task)
    return any(not value for side in ("before", "after") for value in (diff[side], *_parts(diff[side])))


def _parts(side: Any) -> list[Any]:
    """The objects or role assignments of one task."""
    named = ("AzureIdentity", *MIC_ROLES)
    return [value for key, value in side.items() if key.startswith(named)] if isinstance(side, dict) else []


def agrees(expected: Any, value: Any) -> bool:
    return expected is ... or bool(expected == value)


def objects(site: Site) -> dict[str, str]:
    """Every object of the cluster that does not change by itself, with its version."""
    listed = site.sandbox.exec("kubectl", "api-resources", "--verbs=list,get", "-o", "name").split()
    kinds = ",".join(kind for kind in listed if not VOLATILE.match(kind))
    found = {}
    for each in site.kubectl("get", kinds, "-A")["items"]:
        place = "/".join(filter(None, (each["metadata"].get("namespace"), each["metadata"]["name"])))
        found[f"{each['kind']} {place}"] = str(each["metadata"]["resourceVersion"])
    return found


def written(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The objects that were written; a helm release is one, however many records it has."""
    differing = {name for name in {**before, **after} if before.get(name) != after.get(name)}
    return sorted({re.sub(r"(sh\.helm\.release\.v1\..*)\.v\d+$", r"\1", name) for name in differing})


def brief(write: str) -> str:
    """A write of the request log as the table has it."""
    method, path = write.split()
    kind, name = path.split("/")[-2:]
    return f"{method} {kind if kind == 'roleAssignments' else f'{kind}/{name}'}"


@pytest.mark.soak
@cases_of(CHANGES)
def test_a_change_is_predicted_shown_and_made_and_nothing_else(site: Site, subscription: str, case: Change) -> None:
    play = only(case.role)
    for command in case.given:
        site.sandbox.exec(*command.split())
    try:
        after = changed(site, subscription, case)
        back = site.play(play).ok()
        assert back.changes() == sorted(case.shown if case.back is None else case.back)
        if case.back is None:
            assert written(after, objects(site)) == sorted(case.kubernetes)
    except AssertionError:
        site.play(play)  # for the cases that follow
        raise
    finally:
        for command in case.afterwards:
            site.sandbox.exec(*command.split())


def changed(site: Site, subscription: str, case: Change) -> dict[str, str]:
    """The objects after the change."""
    variables, play = named(case.variables, subscription), only(case.role)
    before = objects(site)
    site.forget_requests()

    predicted = site.play(play, "--check", "--diff", variables=variables).ok()
    assert predicted.changes() == sorted(case.shown)
    for task, values in case.shown.items():
        if values is not None:
            expected, found = named(values, subscription), shown(predicted, task)
            assert [path for path in expected if not agrees(expected[path], found.get(path))] == [], found
            assert is_whole(predicted, task) or expected.keys() == found.keys(), found
    assert (site.azure_writes(), written(before, objects(site))) == ([], [])

    done = site.play(play, "--diff", variables=variables).ok()
    assert done.changed_items() == predicted.changed_items()
    assert sorted(map(brief, site.azure_writes())) == sorted(case.azure)
    after = objects(site)
    assert written(before, after) == sorted(case.kubernetes)

    site.forget_requests()
    assert site.play(play, variables=variables).ok().changes() == []
    assert (site.azure_writes(), written(after, objects(site))) == ([], [])
    return after


@pytest.mark.soak
@cases_of(REFUSALS)
def test_what_cannot_be_is_refused_before_anything_is_written(site: Site, subscription: str, case: Refusal) -> None:
    before = objects(site)
    site.forget_requests()
    for arguments in (("--check",), ()):
        assert case.reason in site.play(only(case.role), *arguments, variables=dict(case.variables)).refused()
    assert (site.azure_writes(), written(before, objects(site))) == ([], [])


@pytest.fixture(scope="module")
def new(site: Site) -> Any:
    """What is predicted for another cluster without further options."""
    return prediction(site, {})


def prediction(site: Site, variables: Mapping[str, Any]) -> Any:
    another = {"pod_identity_cluster_name": "two", **variables}
    return site.play(only("cluster"), "--check", "--diff", variables=another).ok().diff(MADE)["after"]


@pytest.mark.soak
@cases_of(CREATIONS)
def test_an_option_of_a_new_cluster_is_predicted(site: Site, subscription: str, new: Any, case: Creation) -> None:
    variables, expected = (named(each, subscription) for each in (case.variables, case.shown))
    found = difference(new, prediction(site, variables))
    # What follows from others by itself: the names of groups and identities, the version of nodes.
    consequences = {"id", "node_resource_group", "kubelet_identity.resource_id"}
    consequences |= {"identity.principal_id", "identity.tenant_id", "agent_pools.0.orchestrator_version"}
    assert {path: found.get(path) for path in expected} == expected
    assert found.keys() - expected.keys() <= consequences


VERIFY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.include_role": {"name": "azureops.pod_identity.pod_identity_verify"}},
            {"name": "Tell", "ansible.builtin.debug": {"msg": "{{ pod_identity_verification }}"}},
        ],
    }
]


@pytest.mark.soak
@cases_of(VERDICTS)
def test_an_option_of_a_verification_decides_the_verdict(site: Site, case: Verdict) -> None:
    site.forget_requests()
    run = site.play(VERIFY, *case.arguments, variables=dict(case.variables))
    if case.reason:
        assert case.reason in run.refused()
    else:
        (row,) = run.ok().message("Tell")
        said = dict(leaves(row))
        assert [path for path in case.row if not agrees(case.row[path], said.get(path))] == [], row
        assert run.changes() == []
    assert site.azure_writes() == []


@pytest.mark.soak
def test_the_site_is_as_it_was(site: Site) -> None:
    """After all the tests above, and for every role at once."""
    assert CLUSTER in site.sandbox.exec("az", "aks", "list", "-g", GROUP)
    assert site.site("--check", "--diff").ok().changes() == []
