# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the record keeps of a play, as lines: the same for each run of the same code.

Ids, times, ports and folders are replaced by words; polls and what renews a lock count once; secrets are left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Raw = dict[str, Any]

WRITING = ("create", "update", "patch", "delete", "deletecollection")
"""Verbs of an API server."""
HELM, OF_PODS = "Helm/", "curl/"
"""What helm tells of itself, and the programs in pods of a world, which ask Entra too."""
READING_POSTS = ("/oauth2/", "listcluster", "listassociated")
"""POSTs to Azure that only read."""
OPERATION = re.compile(r"/(operations|operationresults|operationstatuses)/", re.IGNORECASE)
LOGIN = re.compile(r"/\.well-known/|/oauth2/|^/metadata/endpoints", re.IGNORECASE)
LEASE = "/leases/"
QUESTIONS = ("authorization.k8s.io", "authentication.k8s.io")
SENTENCES = frozenset(
    ("reason", "remedy", "message", "cause", "what to do", "why", "needs", "failure", "sentence", "next", "next steps")
)
"""Columns of tables whose cells are sentences; the names of options and codes in them stay."""
COLUMN = re.compile(r"[A-Z][A-Z0-9]*(?: [A-Z0-9]+)*")
NAME = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
NOTHING = "…"
"""Stands for a sentence without such names."""
WIDTH = 200
"""A body that is longer takes several lines."""
LONGEST = 400
"""A longer text in a body, such as a program, is told by its digest."""

_PATTERNS = (
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "TOKEN"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "UUID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "TIME"),
    (re.compile(r"\b\d{8}t\d{6}z", re.IGNORECASE), "TIME"),
    (re.compile(r"(?<=aks-)(\w+)-\d{8}-vmss"), r"\1-NUMBER-vmss"),
    (re.compile(r"(?<=pod-identity-probe-)[a-z0-9]{5}\b"), "LOT"),
    (re.compile(r"(?<=node-access-)[0-9a-f]{16}\b"), "LOT"),
    (re.compile(r"-[b-df-hj-np-tv-xz2-9]{8,10}-[b-df-hj-np-tv-xz2-9]{5}\b"), "-LOT"),
    (re.compile(r"(?<=pod-identity-demo-)[a-z0-9]{8}\b"), "LOT"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"127\.0\.0\.\d+:\d+"), "ADDRESS"),
    (re.compile(r"/tmp/[\w./-]+"), "FOLDER"),
    (re.compile(r"[A-Za-z0-9+/]{120,}={0,2}"), "BASE64"),
)
_BY_KEY = {
    "uid": "UID",
    "resourceVersion": "VERSION",
    "holderIdentity": "HOLDER",
    "azureops.pod-identity/process": "PROCESS",
    "azureops.pod-identity/run": "PROCESS",
    "azureops.pod-identity/created": "TIME",
    "modifiedAt": "TIME",
    "createdAt": "TIME",
    "caBundle": "CERTIFICATE",
    "generation": "NUMBER",
    "azureops.pod-identity/probe": "LOT",
}
_SECRET = re.compile(r"secret|password|assertion|(?<!automount_service_account_)token$|kubeconfig", re.IGNORECASE)


@dataclass
class Took:
    """What a play did: its exit status and output, what tasks told, and what was asked, by the name of a cluster."""

    status: int
    output: str
    told: list[Raw]
    azure: list[Raw]
    kubernetes: dict[str, list[Raw]]


class Words:
    """Replaces what is of one run. ``known``: words for texts, compared without case."""

    def __init__(self, known: Mapping[str, str]) -> None:
        known = {text.lower(): word for text, word in known.items() if text}
        longest = sorted(known, key=len, reverse=True)
        self._known = known
        self._pattern = re.compile("|".join(map(re.escape, longest)) or r"(?!)", re.IGNORECASE)

    def text(self, text: str) -> str:
        text = self._pattern.sub(lambda found: self._known[found[0].lower()], text)
        for pattern, word in _PATTERNS:
            text = pattern.sub(word, text)
        return text

    def body(self, value: Any, kind: str = "") -> Any:
        """The same of JSON, without secrets; ``kind``: of the object in Kubernetes."""
        if isinstance(value, dict):
            kind = str(value.get("kind") or kind)
            return {self.text(str(key)): self._entry(str(key), each, kind) for key, each in value.items()}
        if isinstance(value, list):
            return [self.body(each, kind) for each in value]
        if isinstance(value, str) and len(value) > LONGEST:
            return f"TEXT {_digest(self.text(value))}"
        return self.text(value) if isinstance(value, str) else value

    def _entry(self, key: str, value: Any, kind: str) -> Any:
        if value is not None and key in _BY_KEY and not isinstance(value, dict | list):
            return _BY_KEY[key]
        if key == "openAPIV3Schema":
            return f"SCHEMA {_digest(json.dumps(value, sort_keys=True))}"
        if kind == "Secret" and key in ("data", "stringData") and isinstance(value, dict):
            return {name: self._secret(name, str(each)) for name, each in value.items()}
        if isinstance(value, str) and _SECRET.search(key):
            return "SECRET"
        if key.endswith("/last-applied-configuration") or (isinstance(value, str) and value[:1] in ("{", "[")):
            return self._unpacked(value, kind)
        return self.body(value, kind)

    def _unpacked(self, value: str, kind: str) -> Any:
        """JSON in a text is told as what it says."""
        try:
            return {"JSON": self.body(json.loads(value), kind)}
        except ValueError:
            return self.text(value)

    def _secret(self, name: str, value: str) -> Any:
        """A bundle is no secret, and what is written into it is to stay the same."""
        if name != "bundle.json":
            return "SECRET"
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            text = value
        return {"JSON": self.body(json.loads(text))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def record(took: Took, known: Mapping[str, str], *, waits: bool, pods: bool = False) -> list[str]:
    """Headings begin with `#`, below them each line is one fact, and its further lines are indented.

    Where a run ``waits``, it looks again as often as it takes: a read counts once between two writes then, or once
    where several clusters write beside each other, and logins do not count. What it looks at while it waits for
    ``pods`` depends on how soon they start, so that no read of the cluster counts then.
    """
    words = Words(known)
    lines = [f"exit status {took.status}"]
    parts = {
        "hosts": _hosts(took.told),
        "failures": _failures(took.told, words),
        "changes": _changes(took.told, words),
        "tables": _tables(took.told, words),
        "shown": _shown(took.told),
        "writes to Azure": _writes_to_azure(took.azure, words),
        "reads of Azure": _reads_of_azure(took.azure, words, waits=waits, several=len(took.kubernetes) > 1),
    }
    for name, events in took.kubernetes.items():
        parts[f"writes to {name}"] = _writes_to_kubernetes(events, words)
        parts[f"reads of {name}"] = [] if waits and pods else _reads_of_kubernetes(events, waits=waits)
    for heading, found in parts.items():
        told = list(found)
        lines += [f"# {heading}", *told] if told else []
    return lines


# what tasks tell


def _hosts(told: Iterable[Raw]) -> Iterator[str]:
    for each in told:
        if "ended" in each:
            ended = each["ended"]
            verdict = "failed" if ended["failures"] or ended["unreachable"] else "ok"
            yield f"{each['host']} {verdict}, {'changed' if ended['changed'] else 'nothing changed'}"


def _failures(told: Iterable[Raw], words: Words) -> Iterator[str]:
    """The options and codes that a refusal names."""
    found = [(each["host"], each["failed"]) for each in told if "failed" in each]
    for host, message in sorted(found, key=lambda each: each[0]):
        yield f"{host}: {_names(words.text(message))}"


def _names(sentence: str) -> str:
    return " ".join(sorted(set(NAME.findall(sentence)))) or NOTHING


def _changes(told: Iterable[Raw], words: Words) -> list[str]:
    """By host and what is changed; in order for each of them."""
    found = []
    for each in told:
        for change in each.get("changes", ()):
            if "seconds" not in change:  # else it is the account of a session, which tells them again
                place = f"{each['host']}: {change['kind']} {words.text(change['id'])}"
                why = f" ({words.text(change['why'])})" if change.get("why") else ""
                found.append((place, f"{place} {change['verb']}{why}"))
    return [line for _place, line in sorted(found, key=lambda one: one[0])]


def _tables(told: Iterable[Raw], words: Words) -> list[str]:
    """By host and columns; in order for each of them."""
    found: list[tuple[str, str]] = []
    for each in told:
        (heading, *rows), *others = _whole(each.get("shown", ())) or [("",)]
        columns = _columns(heading)
        if not columns:
            continue
        below = [name.lower() for line in rows for name in COLUMN.findall(line)]
        place = f"{each['host']}: {' | '.join([*(name for name, _start in columns), *below])}"
        found += [(place, f"  {_row(line, more, columns, words)}") for line, *more in others]
    lines: list[str] = []
    for place, row in sorted(found, key=lambda one: one[0]):
        if place not in lines:
            lines.append(place)
        lines.append(row)
    return lines


def _shown(told: Iterable[Raw]) -> Iterator[str]:
    """The options and codes that are named where no table is shown."""
    for each in told:
        rows = _whole(each.get("shown", ()))
        if rows and not _columns(rows[0][0]):
            names = _names(" ".join(" ".join(row) for row in rows))
            if names != NOTHING:
                yield f"{each['host']}: {names}"


def _columns(heading: str) -> list[tuple[str, int]]:
    """Names and places of the columns of a table with this heading; none where it is no heading."""
    columns = [(match[0].lower(), match.start()) for match in COLUMN.finditer(heading)]
    return columns if len(columns) > 1 and heading == heading.upper() else []


def _whole(shown: Iterable[object]) -> list[tuple[str, ...]]:
    """The rows of a table with the lines that follow below them; nothing where there is no line."""
    rows: list[tuple[str, ...]] = []
    for line in map(str, shown):
        if line.startswith(("├ ", "└ ")) and rows:
            rows[-1] = (*rows[-1], line[2:])
        elif line and not line.startswith("See "):
            rows.append((line,))
    return rows


def _row(line: str, more: Sequence[str], columns: list[tuple[str, int]], words: Words) -> str:
    """``more``: lines below the row, with sentences and with objects whose names are too long for their columns.

    A line of a single cell stands behind the table.
    """
    if "  " not in line:
        return words.text(line)
    ends = [start for _name, start in columns[1:]] + [None]
    cells = []
    for (name, start), end in zip(columns, ends, strict=True):
        cell = line[start:end].strip()
        cells.append(_names(cell) if name in SENTENCES and " " in cell else words.text(cell))
    objects = [each for each in more if "/" in each and len(each.split()) <= 2]
    sentences = " ".join(each for each in more if each not in objects)
    return " | ".join([*cells, *map(words.text, objects), *([_names(sentences)] if sentences else [])])


# Azure


def _is_write(entry: Raw) -> bool:
    posts = any(part in entry["path"].lower() for part in READING_POSTS)
    return entry["method"] in ("PUT", "PATCH", "POST", "DELETE") and not posts


def _writes_to_azure(log: Iterable[Raw], words: Words) -> list[str]:
    found = []
    for entry in log:
        if _is_write(entry):
            path = words.text(entry["path"])
            line = f"{entry['method']} {path} {entry['status']}{_error(entry)}"
            found.append((path.lower(), entry["path"].lower(), [line, *_body(entry["body"], words)]))
    return _in_order(found)


def _error(entry: Raw) -> str:
    return f" {entry['error']}" if entry.get("error") else ""


def _reads_of_azure(log: Iterable[Raw], words: Words, *, waits: bool, several: bool) -> list[str]:
    reads = Reads(waits)
    for entry in log:
        if _is_write(entry):
            if not several:
                reads.write()
        elif not (
            OPERATION.search(entry["path"])
            or (waits and LOGIN.search(entry["path"]))
            or "skiptoken" in entry["query"].lower()
            or entry.get("user_agent", "").startswith(OF_PODS)
        ):
            what = f"{entry['method']} {_kind_of(words.text(entry['path']))}{_refused(entry['status'])}"
            reads.add(f"{entry['method']} {entry['host']}{entry['path']}?{entry['query']}", what)
    return _counts(reads.counted)


class Reads:
    """Counts reads by kind. What is asked again at once counts once, and where a run ``waits`` until the next write."""

    def __init__(self, waits: bool) -> None:
        self.counted: Counter[str] = Counter()
        self._waits = waits
        self._seen: set[tuple[str, str]] = set()

    def write(self) -> None:
        self._seen.clear()

    def add(self, asked: str, kind: str) -> None:
        if (asked, kind) not in self._seen:
            self.counted[kind] += 1
        if not self._waits:
            self._seen.clear()
        self._seen.add((asked, kind))


def _kind_of(path: str) -> str:
    """A path of ARM without the names of groups and resources; a list ends in a kind, a resource in a star."""
    parts = path.strip("/").split("/")
    lower = [each.lower() for each in parts]
    if lower[0] != "subscriptions":
        return "/".join("*" if each in ("UUID", "TENANT") else each for each in parts)
    if "providers" not in lower:
        return "/".join(each if number % 2 == 0 else "*" for number, each in enumerate(parts))
    at = len(lower) - 1 - lower[::-1].index("providers")
    below = parts[at + 1 :]
    return "/".join(each if not number or number % 2 else "*" for number, each in enumerate(below))


def _refused(status: int) -> str:
    return f" ({status})" if status >= 400 or not status else ""


# Kubernetes


def _asked(events: Iterable[Raw]) -> list[Raw]:
    return sorted(events, key=lambda each: str(each["requestReceivedTimestamp"]))


def _writes_cluster(event: Raw) -> bool:
    questions = (event.get("objectRef") or {}).get("apiGroup") in QUESTIONS
    return event["verb"] in WRITING and "dryRun=" not in event["requestURI"] and not questions and not _is_dry(event)


def _is_dry(event: Raw) -> bool:
    body = event.get("requestObject")
    return isinstance(body, dict) and bool(body.get("dryRun"))


def _place(event: Raw) -> str:
    told, body = event.get("objectRef") or {}, event.get("requestObject")
    metadata = (body.get("metadata") if isinstance(body, dict) else None) or {}
    name = told.get("name") or metadata.get("name") or f"{metadata.get('generateName', '')}LOT"
    below = f"/{told['subresource']}" if told.get("subresource") else ""
    within = f"{told['namespace']}/" if told.get("namespace") and told.get("resource") != "namespaces" else ""
    return f"{told.get('resource', '')}{below} {within}{name}"


def _writes_to_kubernetes(events: Iterable[Raw], words: Words) -> list[str]:
    found: list[tuple[str, str, list[str]]] = []
    renewed: dict[str, list[str]] = {}
    for event in _asked(events):
        if not _writes_cluster(event):
            continue
        place = words.text(_place(event))
        by = " by helm" if _by_helm(event) else ""
        code = int((event.get("responseStatus") or {}).get("code") or 0)
        told = [f"{event['verb']} {place} {code}{by}", *_body(event.get("requestObject"), words)]
        if LEASE in event["requestURI"]:
            if renewed.get(place) == told:
                continue
            renewed[place] = told
        found.append((place, _place(event), told))
    return _in_order(found)


def _by_helm(event: Raw) -> bool:
    return str(event.get("userAgent", "")).startswith(HELM)


def _reads_of_kubernetes(events: Iterable[Raw], *, waits: bool) -> list[str]:
    """But for those of helm, which asks as it likes."""
    reads = Reads(waits)
    for event in _asked(events):
        uri = urlsplit(event["requestURI"])
        if _writes_cluster(event):
            if LEASE not in event["requestURI"]:
                reads.write()
        elif not (_by_helm(event) or "continue=" in uri.query):
            told = event.get("objectRef") or {}
            below = f"/{told['subresource']}" if told.get("subresource") else ""
            what = f"{told['resource']}{below}" if "resource" in told else uri.path
            dry = " (dry run)" if "dryRun=" in uri.query or _is_dry(event) else ""
            code = int((event.get("responseStatus") or {}).get("code") or 0)
            reads.add(f"{event['verb']} {uri.path}?{uri.query}", f"{event['verb']} {what}{dry}{_refused(code)}")
    return _counts(reads.counted)


# lines


def _in_order(found: Iterable[tuple[str, str, list[str]]]) -> list[str]:
    """By object; in order for each of them. ``found``: its name here, that of this run, and what was written.

    Objects whose names are drawn by lot have one name here, and stand in the order of what was written.
    """
    objects: dict[tuple[str, str], list[str]] = {}
    for name, of_run, told in found:
        objects.setdefault((name, of_run), []).extend(told)
    written = sorted((name, told) for (name, _of_run), told in objects.items())
    return [line for _name, told in written for line in told]


def _counts(counted: Mapping[str, int]) -> list[str]:
    """A line for each verb, with what it was used for and how often."""
    lines: list[str] = []
    for what, number in sorted(counted.items()):
        verb, _blank, kind = what.partition(" ")
        told = f"{kind} {number}"
        if lines and lines[-1].startswith(f"{verb}: ") and len(lines[-1]) + len(told) < WIDTH:
            lines[-1] += f", {told}"
        else:
            lines.append(f"{verb}: {told}")
    return lines


def _body(value: Any, words: Words) -> list[str]:
    if value is None:
        return []
    return [f"  {line}" for line in _flat(words.body(value), "")]


def _flat(value: Any, path: str) -> Iterator[str]:
    """Compact JSON; what is too long for a line is divided, and what is short of it stays together."""
    if not isinstance(value, dict | list) or not value or _fits(value, path):
        yield f"{path} = {_json(value)}" if path else _json(value)
        return
    dicts = isinstance(value, dict)
    entries = sorted(value.items()) if isinstance(value, dict) else list(enumerate(value))
    together: list[tuple[Any, Any]] = []
    for key, each in entries:
        if not _fits({key: each}, path):
            yield from _packed(together, path, dicts=dicts)
            together = []
            yield from _flat(each, f"{path}/{str(key).replace('/', '~1')}")
        elif _fits(dict([*together, (key, each)]), path):
            together.append((key, each))
        else:
            yield from _packed(together, path, dicts=dicts)
            together = [(key, each)]
    yield from _packed(together, path, dicts=dicts)


def _packed(together: list[tuple[Any, Any]], path: str, *, dicts: bool) -> Iterator[str]:
    """``dicts``: entries are named; those of a list are told from the number of the first."""
    if together:
        first = "" if dicts else f"/{together[0][0]}…"
        yield f"{path or '/'}{first} = {_json(dict(together) if dicts else [each for _key, each in together])}"


def _fits(value: Any, path: str) -> bool:
    return len(path) + len(_json(value)) <= WIDTH


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
