# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The question who answers pods, put on a node without Python: by commands that the controller sends."""

from __future__ import annotations

import secrets
import typing as t

from .._domain.errors import Failure
from .._domain.nodes import imds_answer
from .._domain.tokens import token_request
from . import pods, throw_away
from .raw import Send, run, shell

Asked = tuple[imds_answer.Finding, list[str]]

# Runs its arguments in the network of the first pod that is found.
_IN_POD = """ours=$(readlink /proc/self/ns/net)
users=$(readlink /proc/self/ns/user)
for file in $(grep -lx -e pause /proc/[0-9]*/comm 2>/dev/null); do
process=${file%/comm}
theirs=$(readlink "$process/ns/net")
[ -n "$theirs" ] && [ "$theirs" != "$ours" ] && [ "$(readlink "$process/ns/user")" = "$users" ] || continue
echo "entered ${process#/proc/}"
exec nsenter "--net=$process/ns/net" -- "$@"
done"""
_CNI = """for file in /etc/cni/net.d/*; do
case $file in *.conf|*.conflist|*.json) exec cat "$file" ;; esac
done"""
_USED = """find /var/lib/cni/networks 2>/dev/null
ip -4 -oneline address && ip -4 -oneline route show table all && ip -4 -oneline neighbour"""
# Runs its further arguments in a new namespace, as throw_away does. Should nobody be left to take the namespace away,
# it goes after so many seconds.
_BESIDE = """address=$1 link=$2 ours=$3 its=$4 metadata=$5 seconds=$6
shift 6
here=$(readlink /proc/self/ns/net)
unshare --net sleep "$seconds" >/dev/null &
keeper=$!
trap 'ip link delete "$link" 2>/dev/null; kill "$keeper" 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM
tries=0
until there=$(readlink "/proc/$keeper/ns/net") && [ "$there" != "$here" ]; do
kill -0 "$keeper" 2>/dev/null && [ "$tries" -lt 50 ] || exit 1
tries=$((tries + 1))
sleep 0.1
done
within() { nsenter "--net=/proc/$keeper/ns/net" -- "$@"; }
set -e
ip link add "$link" address "$ours" type veth peer name pod address "$its" netns "$keeper"
within ip address add "$address/32" dev pod
within ip link set pod up
within ip neighbour replace "$metadata" lladdr "$ours" dev pod nud permanent
within ip route add "$metadata/32" dev pod
ip link set "$link" up
ip neighbour replace "$address" lladdr "$its" dev "$link" nud permanent
ip route add "$address/32" dev "$link"
within "$@"
"""


def ask(send: Send, method: str, pod_cidr: str | None, timeout: int) -> Asked:
    """Ask with the method ``pod_network`` or ``throw_away_namespace``."""
    if method == "pod_network":
        return _in_running_pod(send, timeout)
    return _in_new_namespace(send, pod_cidr, timeout)


def _in_running_pod(send: Send, timeout: int) -> Asked:
    (answer,) = run(send, [shell(_IN_POD, *_question(timeout))])
    entered, dummy, output = answer.out.partition("\n")
    if not entered.startswith("entered "):
        return imds_answer.unknown(imds_answer.NO_POD), []
    if answer.code != 0:
        return imds_answer.unknown(f"The network of a pod could not be entered: {answer.complaint}."), []
    return imds_answer.find(output), [f"asked in the network of process {entered.rpartition(' ')[2]}"]


def _in_new_namespace(send: Send, pod_cidr: str | None, timeout: int) -> Asked:
    config, used = run(send, [shell(_CNI), shell(_USED)])
    pod_cidr = pod_cidr or pods.addresses_in(config.out)
    if not pod_cidr:
        return imds_answer.unknown(imds_answer.NO_RANGE), []
    if not pods.is_range(pod_cidr):
        raise Failure(imds_answer.wrong_range(pod_cidr))
    if used.code != 0:
        return imds_answer.unknown(imds_answer.no_namespace(f"{used.complaint}.")), []
    address = throw_away.unused(pod_cidr, throw_away.addresses_in(used.out))
    if address is None:
        return imds_answer.unknown(imds_answer.none_free(pod_cidr)), []
    link, ours, its = f"podid{secrets.token_hex(4)}", throw_away.hardware_address(), throw_away.hardware_address()
    place = (address, link, ours, its, token_request.METADATA_ADDRESS, str(2 * timeout + 30))
    (answer,) = run(send, [shell(_BESIDE, *place, *_question(timeout))])
    if answer.code != 0:
        return imds_answer.unknown(imds_answer.no_namespace(f"{answer.complaint}.")), []
    return imds_answer.find_beside(answer.out, address), [imds_answer.asked_beside(address)]


def _question(timeout: int) -> t.Sequence[str]:
    return token_request.shell_command(imds_answer.NO_RESOURCE, None, timeout)
