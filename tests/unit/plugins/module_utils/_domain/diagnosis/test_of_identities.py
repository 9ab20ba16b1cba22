# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each cause in identities, Secrets and labels, what is nearly one, and text that is made to look like one."""

from __future__ import annotations

import json
import shlex
import time
import typing as t

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis import of_identities
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.cause import LIKELY, PROVED
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.diagnosis.observed import (
    HIDDEN,
    MIC,
    NMI,
    Asked,
    Observed,
)
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.tokens.token import Check, Verdict
from ansible_collections.azureops.pod_identity.tests.support.cluster_objects import (
    ID,
    Raw,
    binding,
    exception,
    identity,
    pod,
    template,
)
from ansible_collections.azureops.pod_identity.tests.support.observed_world import log, told, world
from ansible_collections.azureops.pod_identity.tests.unit.tables import Groups, codes, worlds_by_name

Told = list[tuple[str, str, str]]
IDENTITY, BINDING, DEPLOYMENT = "AzureIdentity team/i", "AzureIdentityBinding team/b", "Deployment team/web"
CLIENT, OTHER = "11111111-aaaa-bbbb-cccc-222222222222", "33333333-aaaa-bbbb-cccc-444444444444"
ASKS = "Pod team/web-1-a (Deployment web) asks NMI for"
SHOWN, OTHER_SHOWN = "1111##### REDACTED #####2222", "3333##### REDACTED #####4444"
SECRET = {"name": "sp", "namespace": "team"}
OWNER = ("ReplicaSet", "web-1")


def spelled(raw: Raw, right: str, wrong: str) -> Raw:
    return {**raw, "spec": {wrong if key == right else key: value for key, value in raw["spec"].items()}}


def applied(raw: Raw, written: Raw | str, **spec: t.Any) -> Raw:
    """An object of which kubectl was given ``written``."""
    text = written if isinstance(written, str) else json.dumps(written)
    kept = {"kubectl.kubernetes.io/last-applied-configuration": text}
    return {**raw, "metadata": {**raw["metadata"], "annotations": kept}, "spec": spec}


def principal(kind: int = 1, **spec: t.Any) -> Raw:
    return identity(**{"type": kind, "resourceID": "", "tenantID": "tenant", "clientPassword": SECRET, **spec})


def with_secret(keys: dict[str, bool] | None, kind: int = 1, place: str = "team", **spec: t.Any) -> Observed:
    """``keys`` of the Secret, whether each is empty; None: there is no Secret."""
    metadata = {"name": "sp", "namespace": place}
    data = {key: "" if empty else HIDDEN for key, empty in (keys or {}).items()}
    secrets = [] if keys is None else [{"metadata": metadata, "data": data}]
    return world(AzureIdentity=[principal(kind, **spec)], Secret=secrets)


def labelled(**more: t.Any) -> Observed:
    """The Deployment has the label instead of its template."""
    raw = template(selector="")
    raw["metadata"]["labels"] = {"aadpodidbinding": "x"}
    lists = {"Deployment": [raw], "Pod": [pod(selector="", owner=OWNER)], "AzureAssignedIdentity": []}
    return world(**{**lists, **more})


def jobs(labels: dict[str, str]) -> Raw:
    """A CronJob with labels of its Jobs."""
    inner = template(selector="")["spec"]
    return {
        "metadata": {"name": "j", "namespace": "team"},
        "spec": {"jobTemplate": {"metadata": {"labels": labels}, "spec": inner}},
    }


def asked(error: str, of: str = "team/web-1-a") -> str:
    return f"failed to get matching identities for pod: {of}, error: {error}"


def not_found(shown: str = OTHER_SHOWN) -> str:
    return asked(f"no azure identity found for request clientID {shown}")


def not_created(shown: str) -> str:
    return asked(
        f"clientID in request: {shown}, getting assigned identities for pod team/web-1-a in CREATED state failed after "
        "16 attempts, retry duration [5]s, error: <nil>. Check MIC pod logs for identity assignment errors"
    )


def took(seconds: float, address: str = "10.0.0.9") -> str:
    path = "/metadata/identity/oauth2/token"
    return f"status (404) took {int(seconds * 1e9)} ns for req.method=GET reg.path={path} req.remote={address}"


def running(
    *texts: str, identities: t.Sequence[Raw] = (), env: str = "", selector: str = "x", **more: t.Any
) -> Observed:
    """The pod runs, with a client id in its environment, and NMI has logged this."""
    containers = [{"name": "app", "env": [{"name": "AZURE_CLIENT_ID", "value": env}] if env else []}]
    one = pod(selector=selector, spec={"containers": containers}, podIP="10.0.0.9", owner=OWNER)
    lists = {"AzureIdentity": list(identities) or [identity(clientID=CLIENT)], "Pod": [one]}
    return world(**{**lists, "logs": (log(NMI, *texts),), **more})


def service_account(client_id: str) -> Raw:
    annotations = {"azure.workload.identity/client-id": client_id}
    return {"metadata": {"name": "web", "namespace": "team", "annotations": annotations}}


def wait(of: str = "team/web-1-a") -> str:
    return asked(
        f"getting assigned identities for pod {of} in CREATED state failed after 16 attempts, retry duration [5]s, "
        "error: <nil>. Check MIC pod logs for identity assignment errors",
        of,
    )


def answer(verdict: str = "wrong_identity", by: str = "nmi", checks: tuple[Check, ...] = ()) -> Asked:
    """To a request in the place of the pod."""
    return Asked("team", "web-1-a", "n1", Verdict(verdict, "V6", by, "It has none.", checks), ("team/i",), "web")


UNKNOWN, UNKNOWN_PROVED = (("client_id_unknown_to_nmi", DEPLOYMENT, each) for each in (LIKELY, PROVED))

GROUPS: Groups[Observed] = {
    ("no", "cause"): {"healthy": world()},
    ("field_misspelled", IDENTITY, PROVED): {
        "ResourceID": world(AzureIdentity=[spelled(identity(), "resourceID", "ResourceID")]),
        "resourceId": world(AzureIdentity=[spelled(identity(), "resourceID", "resourceId")]),
        "client_id": world(AzureIdentity=[spelled(identity(), "clientID", "client_id")]),
        "Type": world(AzureIdentity=[spelled(identity(), "type", "Type")]),
        "an old version, another name": world(
            {"version": (1, 5, 5)}, AzureIdentity=[spelled(identity(), "resourceID", "resource-id")]
        ),
    },
    ("field_misspelled", BINDING, PROVED): {
        "Selector": world(AzureIdentityBinding=[spelled(binding(), "selector", "Selector")]),
        "azureIdentityName": world(AzureIdentityBinding=[spelled(binding(), "azureIdentity", "azureIdentityName")]),
        "a field that the API server dropped": world(
            AzureIdentityBinding=[applied(binding(), spelled(binding(), "selector", "Selector"), azureIdentity="i")]
        ),
    },
    ("field_misspelled", "AzurePodIdentityException team/e", PROVED): {
        "PodLabels": world(AzurePodIdentityException=[spelled(exception(app="x"), "podLabels", "PodLabels")])
    },
    ("no", "field_misspelled"): {
        "a field that was mended since": world(
            AzureIdentityBinding=[applied(binding(), spelled(binding(), "selector", "Selector"), **binding()["spec"])]
        ),
        "two spellings": world(AzureIdentity=[identity(ResourceID="x")]),
        "fields of others": world(AzureIdentity=[identity(owner="team", metadata={}, replicas=1)]),
        "an old version": world(
            {"version": (1, 5, 5)}, AzureIdentity=[spelled(identity(), "resourceID", "ResourceID")]
        ),
        "no JSON was applied": world(
            AzureIdentity=[
                applied(identity(), text, **identity()["spec"]) for text in ("", "[1]", '{"spec": 1}', "[" * 100_000)
            ]
        ),
    },
    ("no", "Secrets"): {
        "a Secret": with_secret({"clientSecret": False}),
        "a Secret by another key": with_secret({"whatever": False}),
        "a certificate": with_secret({"certificate": False, "password": False}, 2),
        "a certificate without password": with_secret({"certificate": False}, 2),
        "a Secret that may not be read": world(
            AzureIdentity=[principal()], Secret=[], unknown=frozenset({"Secret team/sp"})
        ),
        "Secrets not read": world(AzureIdentity=[principal()]),
        "a managed identity needs none": with_secret(None, 0),
    },
    ("secret_missing", IDENTITY, PROVED): {
        "no Secret": with_secret(None),
        "no Secret of a certificate": with_secret(None, 2),
        "no clientPassword": with_secret({}, clientPassword=None),
        "no namespace": with_secret({}, clientPassword={"name": "sp"}),
        "a clientPassword that is a secret": with_secret({}, clientPassword="sesame"),
    },
    ("secret_elsewhere", IDENTITY, PROVED): {
        "a Secret of its own namespace": with_secret({"a": False}, clientPassword={"name": "sp", "namespace": "x"}),
        "a Secret of another namespace": with_secret({"a": False}, place="other"),
    },
    ("secret_empty", IDENTITY, PROVED): {
        "an empty Secret": with_secret({}),
        "an empty key": with_secret({"clientSecret": True}),
        "empty keys": with_secret({"a": True, "b": True}),
        "an empty certificate": with_secret({"certificate": True, "password": False}, 2),
        "a certificate by another key": with_secret({"tls.crt": False, "tls.key": False}, 2),
    },
    ("secret_ambiguous", IDENTITY, PROVED): {
        "two keys": with_secret({"id": False, "secret": False}),
        "two keys, one empty": with_secret({"id": True, "secret": False}),
    },
    ("tenant_missing", IDENTITY, PROVED): {
        "no tenant": with_secret({"a": False}, tenantID=""),
        "no tenant of a certificate": with_secret({"certificate": False}, 2, tenantID=None),
    },
    ("no", "tenant_missing"): {"a managed identity has none": world(AzureIdentity=[identity(tenantID="")])},
    ("label_not_on_template", DEPLOYMENT, PROVED): {"the label of the Deployment": labelled()},
    ("label_not_on_template", "CronJob team/j", PROVED): {
        "the label of a CronJob's Jobs": world(CronJob=[jobs({"aadpodidbinding": "x"})])
    },
    ("no", "label_not_on_template"): {
        "other labels of a CronJob's Jobs": world(CronJob=[jobs({"app": "x"})]),
        "a label that nothing selects": labelled(AzureIdentityBinding=[binding(selector="y")]),
        "pods that got the label elsewhere": labelled(Pod=[pod(owner=OWNER)]),
        "the label on both": world(
            Deployment=[{**template(), "metadata": {**template()["metadata"], "labels": {"aadpodidbinding": "x"}}}]
        ),
    },
    ("unlabelled_pod_asks", DEPLOYMENT, LIKELY): {
        "an unlabelled pod asks": running(wait(), selector="", Deployment=[template(selector="")]),
        "an unlabelled pod gives up": running(asked("context canceled"), selector=""),
        "an unlabelled pod asks for a client id": running(not_created(SHOWN), selector=""),
    },
    ("no", "unlabelled_pod_asks"): {
        "a labelled pod asks": running(wait()),
        "a pod that is not there asks": running(wait("team/other"), selector=""),
        "MIC tells of a pod": running(selector="", logs=(log(MIC, wait()),)),
        "a pod asks in a forged line": running(f"metadata header is not specified, reg.path=/\n{wait()}", selector=""),
    },
    ("client_timeout_short", DEPLOYMENT, LIKELY): {
        "a labelled pod gives up": running(asked("context canceled"), took(10))
    },
    ("no", "client_timeout_short"): {
        "a labelled pod waits to the end": running(wait(), took(80)),
        "an error that ends so": running(asked("x: context canceled")),
    },
    UNKNOWN: {
        "a client id of nobody": running(not_found()),
        "a client id of nobody, after a wait": running(not_created(OTHER_SHOWN)),
        "a client id in another case, unknown whose": running(not_found("1111##### REDACTED #####2222")),
        "a short client id": running(not_found("app")),
        "a resource id": running(not_found("")),
        "the right one in the environment": running(not_found(), env=CLIENT),
    },
    UNKNOWN_PROVED: {
        "a client id of the pod's environment": running(not_found(), env=OTHER),
        "a client id in another case": running(not_found(SHOWN), env=CLIENT.upper()),
        "an answer to a request for it": running(env=OTHER, asked=(answer(),)),
        "an answer and a log": running(not_found(), env=CLIENT, asked=(answer(),)),
    },
    ("no", "client_id_unknown_to_nmi"): {
        "the right client id, not assigned yet": running(not_created(SHOWN)),
        "no identity at all": running(not_found(), AzureIdentityBinding=[]),
        "a forged client id": running(not_found(f"{OTHER_SHOWN} of another")),
        "an answer to a pod that is to get nothing": running(AzureIdentityBinding=[], asked=(answer(),)),
        "a token of another identity": running(asked=(answer(checks=(Check("client_id", "a", "b", ok=False),)),)),
        "an answer of the metadata service": running(asked=(answer(by="imds"),)),
    },
}
CASES = worlds_by_name(GROUPS)


@pytest.mark.parametrize("observed, expected", CASES.values(), ids=CASES)
def test_causes(observed: Observed, expected: Told) -> None:
    assert told(of_identities.TABLE, observed) == expected


def test_every_cause_has_cases() -> None:
    assert codes(CASES) == {row.code for row in of_identities.TABLE.rows}


def one(observed: Observed) -> t.Any:
    (found,) = [each for row in of_identities.TABLE.rows for each in row.look(observed)]
    return found


LISTS_CLIENT_IDS = (
    "kubectl --namespace team get azureidentities --output custom-columns=NAME:.metadata.name,CLIENT_ID:.spec.clientID"
)
PATCH = "kubectl --namespace team patch {} --type merge --patch '{}'".format
CREATES_SECRET = (
    'read -rs secret && printf %s "$secret" | kubectl --namespace team create secret generic sp '
    "--from-file={}=/dev/stdin --dry-run=client --output yaml | kubectl apply --filename -"
).format
SP, NOTHING = "its Secret team/sp", "Its Secret team/sp holds nothing"
SENTENCES: dict[str, tuple[Observed, str, str]] = {
    "misspelled": (
        world(AzureIdentity=[spelled(identity(), "resourceID", "ResourceID")]),
        "The field resourceID of AzureIdentity team/i is not set: it is written as 'ResourceID'.",
        PATCH("azureidentity i", f'{{"spec":{{"resourceID":"{ID}team-i","ResourceID":null}}}}'),
    ),
    "dropped": (
        world(AzureIdentityBinding=[applied(binding(), spelled(binding(), "selector", "Selector"), azureIdentity="i")]),
        "The field selector of AzureIdentityBinding team/b is not set: it is written as 'Selector'.",
        PATCH("azureidentitybinding b", '{"spec":{"selector":"x"}}'),
    ),
    "reference": (
        world(AzureIdentity=[spelled(principal(), "clientPassword", "clientpassword")]),
        "Its clientPassword has no name and namespace of a Secret.",
        "kubectl --namespace team get azureidentity i --output yaml",
    ),
    "missing": (with_secret(None), "Its Secret team/sp does not exist.", CREATES_SECRET("clientSecret")),
    "missing certificate": (with_secret(None, 2), "Its Secret team/sp does not exist.", ""),
    "elsewhere": (
        with_secret({"a": False}, place="other"),
        "Its Secret team/sp does not exist; there is one in other.",
        PATCH("azureidentity i", '{"spec":{"clientPassword":{"name":"sp","namespace":"other"}}}'),
    ),
    "certificate": (
        with_secret({"tls.crt": False}, 2),
        f"The key certificate of {SP} is missing (it has 'tls.crt').",
        "",
    ),
    "empty": (with_secret({"pass.word": True}), f"{NOTHING} (it has 'pass.word').", CREATES_SECRET("pass.word")),
    "several empty keys": (with_secret({"a": True, "b": True}), f"{NOTHING} (it has 'a', 'b').", ""),
    "ambiguous": (
        with_secret({"secret": False, "id": False}),
        "NMI takes any of the 2 keys of its Secret team/sp ('id', 'secret') by chance.",
        "kubectl --namespace team describe secret sp",
    ),
    "label": (
        labelled(),
        "The label aadpodidbinding=x is on Deployment team/web and not on the template of its pods.",
        PATCH("deployment web", '{"spec":{"template":{"metadata":{"labels":{"aadpodidbinding":"x"}}}}}'),
    ),
    "unlabelled": (
        running(wait(), wait(), selector=""),
        "Its pod web-1-a asks NMI for tokens (2 times) and has no label aadpodidbinding.",
        "kubectl --namespace team get azureidentitybindings",
    ),
    "timeout": (
        running(asked("context canceled"), took(3, "10.0.0.8"), took(10)),
        "Its pod web-1-a gave up after 10 seconds (once) while it waited for its identity, which is assigned now.",
        "",
    ),
    "timeout, not assigned": (
        running(asked("context canceled"), AzureAssignedIdentity=[]),
        "Its pod web-1-a gave up (once) while it waited for its identity, which is not assigned.",
        "",
    ),
    "case": (
        running(not_found(SHOWN), env=CLIENT.upper()),
        f"{ASKS} {CLIENT.upper()}, which is written in another case; it has {CLIENT} (team/i).",
        LISTS_CLIENT_IDS,
    ),
    "workload id": (
        running(not_found(), env=OTHER, ServiceAccount=[service_account(OTHER)]),
        f"{ASKS} {OTHER} (of its service account web, for Workload ID), which none of its "
        f"identities has; it has {CLIENT} (team/i).",
        LISTS_CLIENT_IDS,
    ),
    "another identity": (
        running(not_found(), identities=[identity(clientID=CLIENT), identity("j", clientID=OTHER)]),
        f"{ASKS} client id 3333...4444 (shortened by NMI) (of AzureIdentity team/j), which none of its identities has; "
        f"it has {CLIENT} (team/i).",
        LISTS_CLIENT_IDS,
    ),
}


@pytest.mark.parametrize("observed, cause, command", SENTENCES.values(), ids=SENTENCES)
def test_sentences_and_commands(observed: Observed, cause: str, command: str) -> None:
    first = next(each for row in of_identities.TABLE.rows for each in row.look(observed) if each.cause == cause)
    assert first.command == command


def test_no_secret_is_told() -> None:
    """Which somebody wrote in the place of the reference to a Secret."""
    for written in ("sesame", {"name": "sp", "value": "sesame"}):
        raw = spelled(principal(clientPassword=written), "clientPassword", "clientpassword")
        found = [each for row in of_identities.TABLE.rows for each in row.look(world(AzureIdentity=[raw]))]
        assert {row[0] for row in told(of_identities.TABLE, world(AzureIdentity=[raw]))} >= {"field_misspelled"}
        assert "sesame" not in repr(found)


def test_values_of_tenants_are_quoted_in_commands() -> None:
    hostile = "x'; reboot; $(reboot) `reboot` \n\x1b[31m"
    command = one(world(AzureIdentityBinding=[spelled(binding(selector=hostile), "selector", "Selector")])).command
    words = shlex.split(command)
    assert words[:-1] == "kubectl --namespace team patch azureidentitybinding b --type merge --patch".split()
    assert json.loads(words[-1]) == {"spec": {"selector": hostile, "Selector": None}}
    assert command.isprintable()


def test_a_misspelled_selector_concerns_those_who_select_it() -> None:
    found = one(world(AzureIdentityBinding=[spelled(binding(), "selector", "Selector")]))
    assert found.concerns == {BINDING, DEPLOYMENT}


def test_a_workload_is_told_once() -> None:
    pods = [pod(name, selector="", podIP=f"10.0.0.{place}", owner=OWNER) for place, name in enumerate("abc")]
    observed = world(Pod=pods, logs=(log(NMI, *(wait(f"team/{name}") for name in "abcab")),))
    found = one(observed)
    assert found.cause == "Its pod b asks NMI for tokens (5 times) and has no label aadpodidbinding."
    assert found.concerns == {DEPLOYMENT, "Pod team/a", "Pod team/b", "Pod team/c"}


def test_an_object_is_told_once_however_much_is_misspelled_there() -> None:
    spec = {f"resourceI{one}": "x" for one in range(5000)}
    raw = applied(identity(), {"spec": {**spec, "ClientID": "y"}}, type=0, ClientId="z")
    before = time.process_time()
    found = one(world(AzureIdentity=[raw]))
    assert time.process_time() - before < 5
    assert found.cause.startswith(
        "The field clientID of AzureIdentity team/i is not set: it is written as 'ClientId'. The field resourceID of "
        "AzureIdentity team/i is not set: it is written as 'resourceI0', 'resourceI1', "
    )
    assert found.cause.endswith("'resourceI4' and 94 more.")
    assert len(found.evidence) == 5


def test_all_that_is_misspelled_is_set_right() -> None:
    raw = identity()
    raw = spelled(spelled(raw, "resourceID", "ResourceID"), "type", "Type")
    words = shlex.split(one(world(AzureIdentity=[raw])).command)
    value = raw["spec"]["ResourceID"]
    patch = {"type": 0, "Type": None, "resourceID": value, "ResourceID": None}
    assert json.loads(words[-1]) == {"spec": patch}


def test_what_is_misspelled_in_two_ways_with_two_values_is_not_guessed() -> None:
    raw = spelled(identity(), "resourceID", "ResourceID")
    raw["spec"]["resourceId"] = "another"
    assert one(world(AzureIdentity=[raw])).command == ""


def test_many_pods_that_are_refused_take_no_time() -> None:
    pods = [pod(f"p{one}", podIP="10.0.0.9", spec={"containers": []}) for one in range(2000)]
    refused = [
        asked(f"no azure identity found for request clientID {OTHER_SHOWN}", f"team/p{one}") for one in range(2000)
    ]
    observed = world(
        Pod=pods, Deployment=[], ReplicaSet=[], AzureIdentity=[identity(clientID=CLIENT)], logs=(log(NMI, *refused),)
    )
    before = time.process_time()
    assert len(told(of_identities.TABLE, observed)) == 2000
    assert time.process_time() - before < 10


@pytest.mark.parametrize("piece", ["failed to get matching identities for pod: ", "a/", "# ", " REDACTED ", "1", "\n"])
def test_long_hostile_lines_take_no_time(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    observed = running(text, asked(text), not_found(text), not_created(text), f"status (404) took {text}")
    before = time.process_time()
    assert told(of_identities.TABLE, observed) == []
    assert time.process_time() - before < 20
