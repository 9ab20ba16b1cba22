# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""The program that asks for a token inside a pod, and its answer.

After an answer it asks for the machine's metadata too: NMI passes that request on and answers the one for a token
itself, so both answers together tell who it was. Of the metadata only a refusal's text is printed.

Where a URL is named as the target, the token is shown to it in one GET, with curl or Python, which check its
certificate and follow no redirect; of the answer only the status and a refusal's text are printed, because the rest
may be a secret.

NMI looks whether a new pod has its identity when a request comes, and after that every 5 seconds only. So a request
that is not answered within a second is made anew, three times, before one waits as long as it may; with curl or Python.

It prints one JSON object per line, of decoded claims, headers, status and times; never the token, which stays in a
variable of the shell, and never anything that looks like a part of one. The last line is ``{"end": "1"}``.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, replace
from urllib.parse import urlencode

METADATA_ADDRESS = "169.254.169.254"
METADATA_HOST = f"http://{METADATA_ADDRESS}"
_API_VERSION = "2018-02-01"
_END = '{"end"'
_TARGET = "target_"
_INSTANCE = "instance_"  # before the names of what is printed of the second answer

# The beginning of a token is spelled so that the program itself is not taken for one by who scans for them.
# Needs only sh, tr, base64, head, date and a client. A quote or backslash in a text is replaced rather than escaped,
# because sed is not in every image.
FUNCTIONS = r"""
nl='
'
cr=$(printf '\r')
path= status= token=
say() {
  text=$2
  case "$text" in *ey[J]*) text='(withheld, it looks like a token)' ;; esac
  printf '{"%s":"%s"}\n' "$path$1" "$(printf %s "$text" | tr '\000-\037\177' ' ' | tr '"\\' "'/" | head -c 600)"
}
show() {
  case "$path$status" in instance_[123]*) return ;; esac
  case "$1" in
    *'"access_token"'*) ;;
    *) say body "$1"; return ;;
  esac
  part=${1#*\"access_token\"}
  part=${part#*\"}
  part=${part%%\"*}
  [ -n "$path" ] || token=$part
  decode "$part"
}
decode() {
  part=${1#*.}
  part=${part%%.*}
  case $((${#part} % 4)) in 2) part="$part==" ;; 3) part="$part=" ;; esac
  claims=$(printf %s "$part" | tr '_-' '/+' | base64 -d 2>/dev/null | tr -d '\000-\037')
  case "$claims" in
    *ey[J]*) say unreadable 'a claim looks like a token' ;;
    '{'*'}') printf '{"%s":%s}\n' "${path}claims" "$claims" ;;
    *) say unreadable 'the access token is no JWT' ;;
  esac
}
measured() {
  metrics=${answer##*probe-metrics }
  metrics=${metrics%%"$nl"*}
  status=${metrics%% *}
  say status "$status"
  metrics=${metrics#* }
  say connected "${metrics%% *}"
  say seconds "${metrics##* }"
  case "$answer" in
    *'probe-metrics 000 '*)
      say body "$answer"
      return
      ;;
  esac
  reply "${answer%"$nl"probe-metrics *}"
}
reply() {
  printf '%s\n' "$1" | while IFS= read -r line; do
    line=${line%"$cr"}
    [ -n "$line" ] || break
    say header "$line"
  done
  show "${1#*"$cr$nl$cr$nl"}"
}
show_to_target() {
  case "$token" in *[!A-Za-z0-9._~+/=-]* | '') return ;; esac
  # The token goes through a pipe, so that no list of arguments has it; printf is a part of the shell.
  answer=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl -q -g -sS --config - --proto '=https' \
    --connect-timeout 15 --max-time 30 --max-filesize 1000000 \
    -w '\nprobe-metrics %{http_code}\n' "$target" 2>&1)
  say exit "$?"
  status=${answer##*probe-metrics }
  status=${status%%"$nl"*}
  say status "$status"
  case "$status" in [123]*) ;; *) say body "${answer%"$nl"probe-metrics *}" ;; esac
}
"""
# The end of a program: the token is shown to the target, if there is one.
END = r"""
if [ -n "$target" ] && [ "$tool" = curl ]; then
  path=target_
  show_to_target
  path=
fi
say end 1
"""
# Its arguments: see arguments(); one of curl, python3, wget, bash (with timeout) is the client.
SCRIPT = (
    FUNCTIONS
    + r"""
url=$1 limit=$3 target=$5 impatient=
[ "$limit" -lt 10 ] || impatient='1 1 1'
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
ask_curl() {
  for patience in $impatient "$limit"; do
    answer=$(curl -sS -i --connect-timeout 15 --max-time "$patience" -H 'Metadata: true' -H 'Connection: close' \
      -w '\nprobe-metrics %{http_code} %{time_connect} %{time_total}\n' "$url" 2>&1)
    code=$?
    [ "$code" = 28 ] || break
  done
  say exit "$code"
  measured
}
ask_bash() {
  rest=${url#http://}
  host=${rest%%/*} port=80
  case "$host" in *:*) port=${host##*:} host=${host%:*} ;; esac
  begin=$(date +%s)
  talk='exec 3<>"/dev/tcp/$1/$2" && echo connected && printf "$4" "$3" "$1" >&3 && cat <&3'
  answer=$(timeout "$limit" bash -c "$talk" bash "$host" "$port" "/${rest#*/}" \
    'GET %s HTTP/1.0\r\nHost: %s\r\nMetadata: true\r\nConnection: close\r\n\r\n' 2>&1)
  code=$?
  case "$answer" in connected*) say connected 1 ;; esac
  answer=${answer#connected}
  answer=${answer#"$nl"}
  case "$code $answer" in 124*) code=28 ;; *' HTTP/1.'*) code=0 ;; *efused*) code=7 ;; *) code=56 ;; esac
  say exit "$code"
  say seconds "$(($(date +%s) - begin))"
  case "$answer" in
    HTTP/1.*)
      status=${answer#* }
      status=${status%% *}
      say status "$status"
      reply "$answer"
      ;;
    *) say body "$answer" ;;
  esac
}
ask_wget() {
  more=
  case "$(wget --version 2>&1)" in *GNU*) more='--content-on-error -t 1' ;; esac
  begin=$(date +%s)
  # shellcheck disable=SC2086
  answer=$(wget -S -O - $more --header 'Metadata: true' --header 'Connection: close' "$url" 2>&1)
  code=$?
  case "$answer" in *efused*) code=7 ;; *'timed out'*) code=28 ;; *HTTP/1.*) code=0 ;; esac
  say exit "$code"
  say seconds "$(($(date +%s) - begin))"
  case "$answer" in
    *HTTP/1.*)
      rest=${answer#*HTTP/1.}
      rest=${rest#* }
      rest=${rest%% *}
      status=${rest%%"$nl"*}
      say status "$status"
      printf '%s\n' "$answer" | while IFS= read -r line; do
        case "$line" in ' '*:*) say header "${line%"$cr"}" ;; esac
      done
      ;;
  esac
  show "$answer"
}
say now "$(date +%s)"
if command -v curl >/dev/null 2>&1; then
  tool=curl
elif python3 -c pass >/dev/null 2>&1; then
  exec python3 -c "$4" "$url" "$2" "$limit" "$target"
elif command -v wget >/dev/null 2>&1; then
  tool=wget
elif command -v bash >/dev/null 2>&1; then
  tool=bash
else
  tool=none
fi
say tool "$tool"
if [ "$tool" != none ]; then
  "ask_$tool"
  case "$status" in
    [1-9]*)
      path=instance_ url=$2 limit=10 impatient=
      "ask_$tool"
      path=
      ;;
  esac
fi
"""
    + END
)

# The same for images that have Python but no curl; without single quotes, like any text that goes through a shell.
PYTHON_FUNCTIONS = r"""
import base64, http.client, json, re, socket, sys, time, urllib.parse
MARK = "ey" + "J"
kept = ""
def say(key, value):
    if isinstance(value, str):
        value = "(withheld, it looks like a token)" if MARK in value else value[:600]
    print(json.dumps({path + key: value}), flush=True)
path = ""
def show_to_target(address):
    url, code, answer, body = urllib.parse.urlsplit(address), 0, None, ""
    headers = {"Authorization": "Bearer " + kept, "Connection": "close"}
    query = "?" + url.query if url.query else ""
    try:
        connection = http.client.HTTPSConnection(url.hostname, url.port or 443, timeout=30)
        connection.request("GET", (url.path or "/") + query, headers=headers)
        answer = connection.getresponse()
        body = answer.read(65536).decode("utf-8", "replace")
    except Exception as error:
        code, body = 56, str(error)
    say("exit", str(code))
    say("status", str(answer.status if answer else 0))
    if answer is None or answer.status >= 400:
        say("body", body)
def show(body):
    global kept
    try:
        parsed = json.loads(body)
        token = (parsed[0] if isinstance(parsed, list) else parsed).get("access_token")
    except Exception:
        token = None
    if token is None:
        say("body", body)
        return
    if not path and re.fullmatch("[A-Za-z0-9._~+/=-]+", token):
        kept = token
    decode(token)
def decode(token):
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        if MARK in json.dumps(claims):
            raise ValueError
        say("claims", claims)
    except Exception:
        say("unreadable", "the access token is no JWT, or a claim looks like a token")
"""
PYTHON_END = r"""
if kept and sys.argv[4]:
    path = "target_"
    show_to_target(sys.argv[4])
    path = ""
say("end", "1")
"""
PYTHON = (
    PYTHON_FUNCTIONS
    + r"""
def ask(address, limit, impatient=0):
    url, begin, code, answer = urllib.parse.urlsplit(address), time.monotonic(), 0, None
    patience = 1 if impatient else limit
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=min(15, patience))
    try:
        connection.connect()
        say("connected", str(round(time.monotonic() - begin, 6)))
        connection.sock.settimeout(patience)
        connection.request("GET", url.path + "?" + url.query, headers={"Metadata": "true", "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    except ConnectionRefusedError as error:
        code, body = 7, str(error)
    except (socket.timeout, TimeoutError) as error:
        connection.close()
        if impatient:
            return ask(address, limit, impatient - 1)
        code, body = 28, str(error)
    except Exception as error:
        code, body = 56, str(error)
    say("exit", str(code))
    say("seconds", str(round(time.monotonic() - begin, 3)))
    if answer is None:
        say("body", body)
        return 0
    say("status", str(answer.status))
    for name, value in answer.getheaders():
        say("header", name + ": " + value)
    if not path or answer.status >= 400:
        show(body)
    return answer.status
say("now", str(int(time.time())))
say("tool", "python3")
if ask(sys.argv[1], float(sys.argv[3]), 0 if float(sys.argv[3]) < 10 else 3):
    path = "instance_"
    ask(sys.argv[2], 10)
    path = ""
"""
    + PYTHON_END
)


@dataclass(frozen=True)
class Exchange:
    """What a pod has to get a token by Workload ID: its variables, and the claims of the token of its service account.

    ``claims``: None where the file of that is missing, or holds no such token.
    """

    token_file: str
    client_id: str
    tenant_id: str
    authority: str
    claims: t.Mapping[str, t.Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What the program printed. ``exit_code`` is curl's (0, 7 refused, 28 timeout), None where nothing was asked.

    ``connected``: somebody accepted the connection, as far as the program can tell.
    ``started`` is the clock of the pod when the program started, in seconds since 1970.
    ``instance`` is the answer for the machine's metadata, ``target`` that of the target to which the token was shown;
    None where nothing was asked. ``exchange``: where Entra was asked itself.
    """

    tool: str = ""
    exit_code: int | None = None
    status: int = 0
    seconds: float = 0.0
    connected: bool = False
    started: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    claims: t.Mapping[str, t.Any] | None = None
    unreadable: str = ""
    complete: bool = False
    instance: Answer | None = None
    target: Answer | None = None
    exchange: Exchange | None = None

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def arguments(
    resource: str, client_id: str | None, timeout: int, host: str = METADATA_HOST, target: str = ""
) -> list[str]:
    """The arguments of the program: both URLs, limit in seconds, the Python form of the program itself, the target."""
    query = {"api-version": _API_VERSION, "resource": resource}
    if client_id:
        query["client_id"] = client_id
    return [
        f"{host}/metadata/identity/oauth2/token?{urlencode(query)}",
        f"{host}/metadata/instance?api-version={_API_VERSION}",
        str(timeout),
        PYTHON,
        target,
    ]


def shell_command(
    resource: str, client_id: str | None, timeout: int, host: str = METADATA_HOST, target: str = ""
) -> list[str]:
    return ["sh", "-c", SCRIPT, "token", *arguments(resource, client_id, timeout, host, target)]


def python_command(
    resource: str, client_id: str | None, timeout: int, host: str = METADATA_HOST, target: str = ""
) -> list[str]:
    given = arguments(resource, client_id, timeout, host, target)
    return ["python3", "-c", PYTHON, *given[:3], target]


def parse(output: str) -> Answer:
    """What the program printed; lines of others (a wrapper, a mesh) are passed over."""
    found: dict[str, t.Any] = {}
    headers: dict[str, list[tuple[str, str]]] = {}
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        for key, value in entry.items():
            if key in ("header", f"{_INSTANCE}header"):
                name, dummy, content = str(value).partition(":")
                headers.setdefault(key, []).append((name.strip(), content.strip()))
            else:
                found[key] = value
    instance, target = (
        _answer(found, headers, prefix) if f"{prefix}exit" in found else None for prefix in (_INSTANCE, _TARGET)
    )
    return replace(
        _answer(found, headers, ""),
        tool=str(found.get("tool", "")),
        started=_number(found.get("now")) or 0,
        complete="end" in found,
        instance=instance,
        target=target,
        exchange=_exchange(found),
    )


def parse_all(output: str) -> tuple[Answer, ...]:
    """The answers of a program that was run several times, in their order."""
    runs: list[list[str]] = [[]]
    for line in output.splitlines():
        runs[-1].append(line)
        if line.startswith(_END):
            runs.append([])
    answers = (parse("\n".join(run)) for run in runs)
    return tuple(answer for answer in answers if answer.tool or answer.status)


def _exchange(found: t.Mapping[str, t.Any]) -> Exchange | None:
    if "token_file" not in found:
        return None
    claims = found.get("assertion_claims")
    return Exchange(
        token_file=str(found["token_file"]),
        client_id=str(found.get("client_id", "")),
        tenant_id=str(found.get("tenant_id", "")),
        authority=str(found.get("authority", "")),
        claims=claims if isinstance(claims, dict) else None,
    )


def _answer(found: t.Mapping[str, t.Any], headers: t.Mapping[str, list[tuple[str, str]]], prefix: str) -> Answer:
    claims = found.get(f"{prefix}claims")
    return Answer(
        exit_code=_number(found.get(f"{prefix}exit")),
        status=_number(found.get(f"{prefix}status")) or 0,
        seconds=_decimal(found.get(f"{prefix}seconds")),
        connected=_decimal(found.get(f"{prefix}connected")) > 0,
        headers=tuple(headers.get(f"{prefix}header", ())),
        body=str(found.get(f"{prefix}body", "")),
        claims=claims if isinstance(claims, dict) else None,
        unreadable=str(found.get(f"{prefix}unreadable", "")),
    )


def _number(value: t.Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _decimal(value: t.Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
