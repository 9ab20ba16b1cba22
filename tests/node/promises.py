# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a clean-up promises, seen on a node. Each fails with AssertionError where the promise is broken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible_collections.azureops.pod_identity.tests.node.lab import BACK_ENDS, Node, running
from ansible_collections.azureops.pod_identity.tests.node.states import CHAIN, State, lay


def hold(node: Node, state: State) -> None:
    """The promise for every state: ours gone, foreign bytes as before, check mode right, a second run unchanged.

    So the node is afterwards as it was, and can be laid out anew.
    """
    untouched = node.saves()
    laid = lay(node, state)
    stale, kept = node.saves(), set(node.folder.glob("nat-*"))
    options: dict[str, Any] = {"nmi_port": state.port}
    options |= {"metadata_address": state.metadata[0], "metadata_port": state.metadata[1]}
    predicted = node.cleanup(check=True, **options)
    if node.raw:
        assert node.cleanup(check=True, raw=False, **options) == predicted, "with Python it is something else"
    assert node.saves() == stale, "check mode changed the table"
    assert set(node.folder.glob("nat-*")) == kept, "check mode saved a table"
    real = node.cleanup(**options)
    after = node.saves()
    for back_end in BACK_ENDS:
        assert after[back_end] == untouched[back_end], f"the {back_end} table is not what it was before NMI"
    dirty = stale != untouched
    assert (real["changed"], predicted["changed"]) == (dirty, dirty)
    assert real["actions"] == predicted["actions"]
    assert real["changes"] == predicted["changes"] and len(real["changes"]) == len(real["actions"])
    assert real["diff"] == predicted["diff"]
    for back_end in BACK_ENDS:
        result = real["result"]["backends"][back_end]
        changed = stale[back_end] != untouched[back_end]
        assert ("saved_to" in result) == changed
        assert result["counts"]["removed"] == len(result["removed"]) == (laid if changed else 0)
        if changed:
            assert result.pop("concurrent_changes") == {"gone": [], "new": [], "reordered": []}
            file = Path(result.pop("saved_to"))
            assert (file.stat().st_mode & 0o777, file.stat().st_uid) == (0o600, 0)
            lines = file.read_text(encoding="latin-1").splitlines(keepends=True)
            assert "".join(line for line in lines if not line.startswith("# ")) == stale[back_end]
    assert real["result"] == predicted["result"]
    again = node.cleanup(**options)
    assert not again["changed"] and not again["actions"]
    assert node.saves() == untouched


# Connections of two kinds of clients, and of others that look like them in one respect each.
CONNECTIONS = f"""
import socket, subprocess, sys
def run(command):
    subprocess.run(command.split(), check=True)
for address in ("169.254.169.254", "10.9.9.9"):
    run(f"ip address add {{address}}/32 dev lo")
# The kernel remembers connections only where some rule translates addresses.
run("iptables-nft -t nat -A OUTPUT -d 10.8.8.8 -p tcp -j DNAT --to 10.8.8.9")
def listen(*address):
    return socket.create_server(address, backlog=9)
def connect(server, *address):
    client = socket.create_connection(address)
    client.settimeout(10)
    return client, server.accept()[0]
imds, nmi, other = listen("169.254.169.254", 80), listen("127.0.0.1", 2579), listen("10.9.9.9", 80)
elsewhere = listen("127.0.0.1", 8579)
kept = [connect(imds, "169.254.169.254", 80), connect(nmi, "127.0.0.1", 2579), connect(other, "10.9.9.9", 80)]
def redirect(chain, address, port, to):
    options = "-p tcp -m tcp --dport {{}} -j DNAT --to-destination 127.0.0.1:{{}}"
    run(f"iptables-nft -t nat -A {{chain}} -d {{address}} " + options.format(port, to))
run("iptables-nft -t nat -N {CHAIN}")
run("iptables-nft -t nat -A OUTPUT -j {CHAIN}")
redirect("{CHAIN}", "169.254.169.254", 81, 8579)
redirect("OUTPUT", "169.254.169.254", 80, 2579)
redirect("OUTPUT", "169.254.169.254", 8080, 2579)
redirect("OUTPUT", "10.9.9.9", 80, 2579)
kept += [connect(nmi, "169.254.169.254", 80), connect(elsewhere, "169.254.169.254", 81)]
kept += [connect(nmi, "169.254.169.254", 8080), connect(nmi, "10.9.9.9", 80)]
for server in (imds, nmi, other, elsewhere):
    server.close()
print("connected", flush=True)
sys.stdin.read()
"""


def ends_connections(node: Node) -> None:
    """Those through the rule of the options and through that of the chain.

    A client of IMDS from before the rule, a client of NMI's own, and connections to another address and to another port
    that NMI answers too stay.
    """
    with running(node, sys.executable, "-c", CONNECTIONS) as output:
        assert output.readline() == "connected\n"

        def entries() -> set[str]:
            lines = node.run("conntrack", "-L", "-p", "tcp").splitlines()
            return {" ".join(word for word in line.split() if "port=" in word or "dst=" in word) for line in lines}

        before = entries()
        ways = (("80", "2579"), ("81", "8579"))
        ours = {
            line
            for line in before
            for port, answers in ways
            if line.startswith("dst=169.254.169.254") and f"dport={port} " in line and f"sport={answers} " in line
        }
        assert len(before) == 7 and len(ours) == 2
        assert node.cleanup(check=True)["result"]["conntrack"]["removed"] == 2
        assert entries() == before
        answer = node.cleanup()
        assert entries() == before - ours
        assert answer["result"]["conntrack"] == {"inspected": True, "reason": "", "found": 2, "removed": 2}
        rules = [line for line in node.save("nft").splitlines() if "--to-destination 127.0.0.1" in line]
        assert len(rules) == 2 and "-d 169.254.169.254/32" in rules[0] and "--dport 8080 " in rules[0]
        assert "-d 10.9.9.9/32" in rules[1]
        assert not node.cleanup()["changed"]


AZWI = """*nat
:OUTPUT ACCEPT [0:0]
:AZWI_PROXY_OUTPUT - [0:0]
:AZWI_PROXY_REDIRECT - [0:0]
-A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j AZWI_PROXY_OUTPUT
-A AZWI_PROXY_OUTPUT -m owner --uid-owner 1501 -j ACCEPT
-A AZWI_PROXY_OUTPUT -j AZWI_PROXY_REDIRECT
-A AZWI_PROXY_REDIRECT -p tcp -j REDIRECT --to-ports 8000
COMMIT
"""
# Each makes of it something that Workload ID does not write.
NOT_AZWI = (
    "OTHERS -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j AZWI_PROXY_OUTPUT",
    "OUTPUT -p tcp -m tcp --dport 80 -j AZWI_PROXY_OUTPUT",
    "OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -g AZWI_PROXY_OUTPUT",
    "OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j AZWI_PROXY_REDIRECT",
    "AZWI_PROXY_OUTPUT -m owner --uid-owner 1501 -j RETURN",
    "AZWI_PROXY_REDIRECT -p udp -j REDIRECT --to-ports 8000",
)


def removes_proxy(node: Node, back_end: str = "nft") -> None:
    """Of Workload ID, when asked to, and only when it is exactly that."""
    node.iptables(back_end, "-N", "OTHERS")
    before = node.saves()
    node.restore(back_end, AZWI)
    laid = node.saves()
    assert not node.cleanup()["changed"]
    for rule in NOT_AZWI:
        node.iptables(back_end, "-A", *rule.split())
        answer = node.cleanup(azwi_proxy_chains=True)
        assert not answer["changed"]
        reasons = {each["reason"] for each in answer["result"]["backends"][back_end]["left"]}
        assert "is not exactly what Workload ID's proxy writes" in reasons
        node.iptables(back_end, "-D", *rule.split())
    assert node.saves() == laid
    assert node.cleanup(azwi_proxy_chains=True)["result"]["backends"][back_end]["counts"]["removed"] == 6
    assert node.saves() == before
