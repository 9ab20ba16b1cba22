# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The program that asks Entra itself for a token inside a pod, as libraries that know Workload ID do, and its verdict.

It presents the token of the service account from the file that the webhook names, to the login host that it names, and
asks nobody else, so that no token of NMI or the metadata service can be taken for one of Workload ID. Of the token that
it presents it prints the claims, as of the one that it gets; neither token leaves it, nor stands in an argument.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from . import responder, token
from .token import ENTRA, NOT_VERIFIED, UNKNOWN, Expectation, Verdict
from .token_request import END, FUNCTIONS, PYTHON_END, PYTHON_FUNCTIONS, Answer, Exchange

# One of curl and python3 is the client; the others of a request to the metadata address know no TLS. What goes into
# the URL and the form is checked here, because it comes from variables of the pod.
SCRIPT = (
    FUNCTIONS
    + r"""
scope=$1 asked=$2 limit=$3 target=$5
plain() {
  case "$1" in '' | *[!A-Za-z0-9._-]*) return 1 ;; esac
}
ask_curl() {
  form="client_id=$client&scope=$scope&grant_type=client_credentials"
  form="$form&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
  answer=$(printf '%s&client_assertion=%s' "$form" "$assertion" | curl -q -g -sS -i --http1.1 --proto '=https' \
    --suppress-connect-headers --connect-timeout 15 --max-time "$limit" -H 'Expect:' --data-binary @- \
    -w '\nprobe-metrics %{http_code} %{time_connect} %{time_total}\n' "$authority/$tenant/oauth2/v2.0/token" 2>&1)
  say exit "$?"
  measured
}
say now "$(date +%s)"
if command -v curl >/dev/null 2>&1; then
  tool=curl
elif python3 -c pass >/dev/null 2>&1; then
  exec python3 -c "$4" "$scope" "$asked" "$limit" "$target"
else
  tool=none
fi
say tool "$tool"
file=${AZURE_FEDERATED_TOKEN_FILE:-} tenant=${AZURE_TENANT_ID:-} authority=${AZURE_AUTHORITY_HOST:-} assertion=
client=${asked:-${AZURE_CLIENT_ID:-}}
say token_file "$file"
say client_id "$client"
say tenant_id "$tenant"
say authority "$authority"
authority=${authority%/}
if [ -f "$file" ] && [ -r "$file" ]; then
  IFS= read -r assertion <"$file"
fi
if plain "$assertion"; then
  path=assertion_
  decode "$assertion"
  path=
fi
host=${authority#https://}
case "$host" in '' | "$authority" | *[!A-Za-z0-9.:-]*) host= ;; esac
if [ "$tool" = curl ] && [ -n "$host" ] && plain "$assertion" && plain "$client" && plain "$tenant"; then
  ask_curl
fi
"""
    + END
)
PYTHON = (
    PYTHON_FUNCTIONS
    + r"""
import os, ssl, urllib.error, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given):
        return None
def code_of(reason):
    for kind, code in ((ssl.SSLCertVerificationError, 60), (socket.gaierror, 6), (ConnectionRefusedError, 7)):
        if isinstance(reason, kind):
            return code
    return 28 if isinstance(reason, (socket.timeout, TimeoutError)) else 56
def ask(address, form, limit):
    begin, code, answer, body = time.monotonic(), 0, None, ""
    request = urllib.request.Request(address, urllib.parse.urlencode(form).encode())
    try:
        answer = urllib.request.build_opener(Stay()).open(request, timeout=limit)
        body = answer.read(262144).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        answer, body = error, error.read(262144).decode("utf-8", "replace")
    except Exception as error:
        reason = getattr(error, "reason", error)
        code, body = code_of(reason), str(reason)
    say("exit", str(code))
    say("seconds", str(round(time.monotonic() - begin, 3)))
    if answer is None:
        say("body", body)
        return
    say("connected", "1")
    say("status", str(answer.getcode()))
    for name, value in answer.headers.items():
        say("header", name + ": " + value)
    show(body)
say("now", str(int(time.time())))
say("tool", "python3")
told = os.environ.get
client, tenant = sys.argv[2] or told("AZURE_CLIENT_ID", ""), told("AZURE_TENANT_ID", "")
file, authority, assertion = told("AZURE_FEDERATED_TOKEN_FILE", ""), told("AZURE_AUTHORITY_HOST", ""), ""
for name, value in (("token_file", file), ("client_id", client), ("tenant_id", tenant), ("authority", authority)):
    say(name, value)
try:
    with open(file) as opened:
        assertion = opened.readline().strip()
except (OSError, ValueError):
    pass
plain = "[A-Za-z0-9._-]+"
if re.fullmatch(plain, assertion):
    path = "assertion_"
    decode(assertion)
    path = ""
authority = authority[:-1] if authority.endswith("/") else authority
ready = all(re.fullmatch(plain, each) for each in (assertion, client, tenant))
if ready and re.fullmatch("https://[A-Za-z0-9.:-]+", authority):
    form = {"client_id": client, "scope": urllib.parse.unquote(sys.argv[1]), "grant_type": "client_credentials"}
    form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    form["client_assertion"] = assertion
    ask(authority + "/" + tenant + "/oauth2/v2.0/token", form, float(sys.argv[3]))
"""
    + PYTHON_END
)
# How curl ends where no answer came.
_UNRESOLVED, _TIMEOUT, _UNTRUSTED = 6, 28, (60, 77)
_BLOCKED = (_UNRESOLVED, 7, _TIMEOUT, 35, 52, 56)


def arguments(resource: str, client_id: str | None, timeout: int, target: str = "") -> list[str]:
    """The arguments of the program: scope, client id or none, limit in seconds, its Python form, the target.

    The scope is that of the proxy: the resource with all its slashes, which become those of the token's audience.
    """
    return [quote(f"{resource}/.default", safe=""), client_id or "", str(timeout), PYTHON, target]


def shell_command(resource: str, client_id: str | None, timeout: int, target: str = "") -> list[str]:
    return ["sh", "-c", SCRIPT, "token", *arguments(resource, client_id, timeout, target)]


def python_command(resource: str, client_id: str | None, timeout: int, target: str = "") -> list[str]:
    given = arguments(resource, client_id, timeout, target)
    return ["python3", "-c", PYTHON, *given[:3], target]


def is_mutated(seen: Exchange | None) -> bool:
    """Whether the webhook of Workload ID has told the container where its token is."""
    return seen is not None and bool(seen.token_file)


def judge(answer: Answer, expected: Expectation) -> Verdict:
    """The verdict over a request to Entra. A token is right only if its claims are those of an exchange, too."""
    seen = answer.exchange
    if seen is None:
        return token.not_verified("The request was not made or its result is incomplete, so nothing is known.")
    found = _not_asked(answer, seen)
    if found is None and not answer.status:
        found = _unreached(answer, seen)
    if found is None:
        found = token.judge_answer(answer, expected, ENTRA)
    return replace(found, path=token.path_of(answer.claims, found.answered_by))


def _not_asked(answer: Answer, seen: Exchange) -> Verdict | None:
    """Why nothing could be asked; None where something was."""
    if not is_mutated(seen):
        text = "AZURE_FEDERATED_TOKEN_FILE is not set, so the webhook of Workload ID has not changed the pod."
        return Verdict("not_mutated", "V13", UNKNOWN, text)
    for wrong, text in (
        (seen.claims is None, f"the file {seen.token_file} holds no token of a service account; make the pod anew"),
        (
            not seen.client_id,
            "AZURE_CLIENT_ID is empty; annotate the service account with its client id, and where it was annotated, "
            "find out who takes that away",
        ),
        (not seen.tenant_id, "AZURE_TENANT_ID is empty; configure the webhook with the tenant"),
        (
            not seen.authority.startswith("https://"),
            f"AZURE_AUTHORITY_HOST is {seen.authority or 'empty'}, which is no https URL; let the webhook set it",
        ),
    ):
        if wrong:
            return Verdict("exchange_incomplete", "V13", UNKNOWN, f"Nothing was asked: {text}.")
    if answer.exit_code is None:
        why = "client id, tenant or login host of the pod have characters that they cannot have"
        if answer.tool == "none":
            why = "the container has neither curl nor python3; use method: probe_pod"
        return token.not_verified(f"Nothing was asked: {why}.")
    return None


def _unreached(answer: Answer, seen: Exchange) -> Verdict:
    text = token.brief(answer.body)
    if answer.exit_code == _TIMEOUT and answer.connected:
        message = f"{seen.authority} accepted the connection, and no answer came within {answer.seconds:.0f} seconds."
        return Verdict("no_answer", "", UNKNOWN, message)
    if answer.exit_code in _BLOCKED:
        remedy = "check its DNS" if answer.exit_code == _UNRESOLVED else "check network policies, firewall and proxy"
        return Verdict(
            "path_blocked",
            "V3",
            responder.NOBODY,
            f"The pod did not reach {seen.authority} ({text}), which Workload ID needs and AAD Pod Identity did not: "
            f"let it reach that host on port 443; {remedy}.",
        )
    if answer.exit_code in _UNTRUSTED:
        return token.not_verified(
            f"The certificate of {seen.authority} is not trusted in the container ({text}): use an image with the "
            "certificates of public authorities, or look for what opens TLS on the way."
        )
    return Verdict(NOT_VERIFIED, "", UNKNOWN, f"The request to {seen.authority} failed before an answer ({text}).")


def view(answer: Answer) -> dict[str, str | int]:
    """What may be told of the token of the service account; empty where there is none."""
    claims = answer.exchange.claims if answer.exchange else None
    if not claims:
        return {}
    audience, expires = claims.get("aud"), claims.get("exp")
    return {
        "issuer": str(claims.get("iss") or ""),
        "subject": str(claims.get("sub") or ""),
        "audience": ", ".join(map(str, audience)) if isinstance(audience, list) else str(audience or ""),
        "seconds_left": expires - answer.started if isinstance(expires, int) and answer.started else 0,
    }
