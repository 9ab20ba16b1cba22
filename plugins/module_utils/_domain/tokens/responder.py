# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""Who answered a request to the metadata address, as far as it can be told, and what silence means.

It stands alone because nodes ask it too, where every byte of a module is sent along. NMI has no name of its own on the
wire, so two marks must agree on it: no Server header on the token path, and what it does with a request for metadata.
"""

from __future__ import annotations

import typing as t

from .token_request import Answer

NMI, IMDS, PROXY, NOBODY, UNKNOWN = "nmi", "imds", "workload_identity_proxy", "nobody", "unknown"
NOT_VERIFIED = "not_verified"
_BRIEF = 200
_BLOCKED = "blocked by AAD Pod Identity NMI"


class Told(t.NamedTuple):
    """A verdict with its class, as ``token`` gives them, and a sentence."""

    verdict: str
    code: str
    message: str


def answered_by(answer: Answer) -> str:
    """Who answered, where all that was seen agrees on it.

    IMDS and the Workload ID proxy send their Server header. NMI sends none with a token, but passes requests for
    metadata on, so that the header of IMDS comes back, or blocks them in words of its own. Who strips headers, as a
    mesh may, strips both. Where no header was seen at all (wget of busybox shows none of a refusal), none is missing.
    """
    if not answer.status:
        return NOBODY if answer.exit_code in (7, 28) and not answer.connected else UNKNOWN
    server, metadata = answer.header("Server").lower(), _who_has_metadata(answer.instance)
    if server.startswith("azure-workload-identity/proxy"):
        return PROXY
    if server.startswith("imds"):
        return UNKNOWN if metadata == NMI else IMDS
    return NMI if answer.headers and not server and metadata in (NMI, IMDS) else UNKNOWN


def _who_has_metadata(answer: Answer | None) -> str:
    if answer is None:
        return UNKNOWN
    server = answer.header("Server").lower()
    if not server and answer.status == 403 and _BLOCKED in answer.body:
        return NMI
    return IMDS if server.startswith("imds") else UNKNOWN


def silence(answer: Answer) -> Told:
    """What it means that no status came."""
    if answer.exit_code is None and answer.tool == "none":
        why = (
            "The container has none of curl, python3, wget and bash, so nothing could be asked: use method: probe_pod."
        )
        return Told(NOT_VERIFIED, "", why)
    if answer.exit_code is None:
        return Told(NOT_VERIFIED, "", "The request was not made or its result is incomplete, so nothing is known.")
    if answer.exit_code == 7:
        return Told(
            "nmi_dead",
            "V2",
            "The connection is refused at once on the way to NMI: let NMI run on the node; where it runs, look for a "
            "firewall there that rejects its port (2579).",
        )
    if answer.exit_code == 28 and answer.connected:
        return Told(
            "no_answer",
            "",
            f"The connection was accepted, and no answer came within {answer.seconds:.0f} seconds: NMI waits up to 100 "
            "seconds for an assignment, so raise timeout above that, or read NMI's log on the node.",
        )
    if answer.exit_code == 28:
        return Told(
            "path_blocked",
            "V3",
            f"Nothing answered within {answer.seconds:.0f} seconds: check network policies (NMI is 127.0.0.1:2579 for "
            "them), firewall rules of the node that drop packets to 169.254.169.254 or to port 2579, "
            "net.ipv4.conf.all.route_localnet there, and Cilium or kube-proxy in nftables mode.",
        )
    return Told(NOT_VERIFIED, "", f"The request failed before an answer ({brief(answer.body)}).")


def unclear(answer: Answer) -> Told:
    """Somebody answered, and it cannot be told who; a server with another name stands between for certain."""
    server = answer.header("Server")
    if server and not server.lower().startswith("imds"):
        return Told(
            "unknown_responder",
            "",
            f"The answer came from a server that calls itself {server!r}, neither NMI nor the Workload ID proxy: a "
            "service mesh or proxy may stand in between; exclude 169.254.169.254 from it.",
        )
    return Told(
        "unclear",
        "",
        f"It is unclear who answered: the request for a token came back with {_signature(answer)}"
        f"{_quoted(answer)}, the one for the machine's metadata with {_signature(answer.instance)}; "
        + (
            "NMI and the metadata service answer otherwise, so look for a mesh or proxy that changes headers, and try "
            "again where NMI has just started or ended."
            if answer.headers
            else "the client in the container does not show headers, so use method: probe_pod."
        ),
    )


def _signature(answer: Answer | None) -> str:
    if answer is None or not answer.status:
        return "no answer"
    server = answer.header("Server")
    return f"status {answer.status} and " + (f"Server {brief(server)!r}" if server else "no Server header")


def _quoted(answer: Answer) -> str:
    """What it says, unless it may be a token."""
    return f" ({brief(answer.body)})" if answer.body and answer.status != 200 else ""


def brief(text: str) -> str:
    """The beginning of a text in one line, for a message; cut after a word where there is one."""
    whole = " ".join(text.split())
    if len(whole) <= _BRIEF:
        return whole.rstrip(".") or "no reason"
    return f"{whole[:_BRIEF].rpartition(' ')[0] or whole[:_BRIEF]} ..."
