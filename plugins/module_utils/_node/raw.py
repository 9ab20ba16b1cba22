# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A node without Python: the controller does the thinking, and sends commands through whatever reaches the node.

Each call may take tens of seconds, so that what can be asked at once is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import typing as t

from .._domain.errors import Failure
from .._domain.nodes import raw_commands
from .._domain.printed import escaped
from . import kernel, processes
from .programs import PROGRAMS, Answer, Arguments, Node, Process

# Runs a command line with this standard input; what it printed.
Send = t.Callable[[str, bytes], str]

_FIND = """IFS=:
for name; do for folder in $PATH; do
[ -x "$folder/$name" ] && [ ! -d "$folder/$name" ] && echo "$name=$folder/$name" && break
done; done; true"""
# A line each: network namespace, number, program; a candidate mentions the name. The first is of this shell itself,
# with the number of the first process where that is not hidden.
_PROCESSES = """echo "$(readlink /proc/self/ns/net) $([ -e /proc/1/cmdline ] && echo 1) sh"
for file in $(grep -l -e "$1" /proc/[0-9]*/cmdline 2>/dev/null); do
number=${file%/cmdline} number=${number#/proc/}
echo "$(readlink "/proc/$number/ns/net") $number $(tr '\\n\\0' ' \\n' < "$file" | head -n 1)"
done; true"""
# The request of kernel.nft_tables; prints what the kernel answers, and leaves with the number of an error.
_NFT_TABLES = """\
alarm 10;
socket(S,16,3,12) && bind(S,pack("SSLL",16,0,0,0)) && send(S,pack("LSSLLCCS",20,2561,769,1,0,2,0,0),0) or exit $!+0;
for(;;){
defined recv(S,$b,65536,0) or exit $!+0;
print unpack("H*",$b),"\\n";
for($a=0;$a+16<=length $b;$a+=($l+3)&~3){($l,$k)=unpack("LS",substr($b,$a));exit 0 if $k==2||$k==3}
}"""
# Prints the sum of what was written, which is read again for that.
_KEEP = """exec 2>&1
umask 077
mkdir -p -- "$1" || exit 1
set -C
: > "$2" || exit 1
set +C
cat > "$2" && { sync "$2" || sync; } && sha256sum < "$2" || { rm -f -- "$2"; exit 1; }"""


_TABLES = (("perl", "-e", _NFT_TABLES), ("grep", "-F", "-e", kernel.NAT, kernel.LEGACY_TABLES))


class Raw(Node):
    """``send`` leads to the node."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._foreseen: dict[tuple[str, ...], Answer] = {}
        find = shell(_FIND, *PROGRAMS, "perl")
        self.foresee(
            [
                find,
                *_TABLES,
                shell(_PROCESSES, processes.NAME),
                *(_lines(path, processes.LISTEN) for path in processes.SOCKETS),
            ]
        )
        self._programs = dict(line.split("=", 1) for line in self.run(find).out.splitlines())

    def run(self, argv: Arguments) -> Answer:
        foreseen = self._foreseen.pop(tuple(argv), None)
        return foreseen or self._ask([argv])[0]

    def run_in_turn(self, argvs: t.Sequence[Arguments]) -> list[Answer]:
        return self._ask(argvs, until_failure=True)

    def foresee(self, argvs: t.Sequence[Arguments]) -> None:
        new = [argv for argv in argvs if tuple(argv) not in self._foreseen]
        if new:
            self._foreseen.update(zip(map(tuple, new), self._ask(new)))

    def program(self, name: str) -> str | None:
        return self._programs.get(name)

    def lines(self, path: str, text: str) -> list[str]:
        answer = self.run(_lines(path, text))
        if answer.code > 1:
            raise _error(answer.complaint, path)
        return answer.out.splitlines()

    def processes(self, name: str) -> list[Process]:
        found = [line.split(" ", 2) for line in self.run(shell(_PROCESSES, name)).out.splitlines()]
        here, first = found[0][:2] if found else ("", "")
        if not here:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/proc/self/ns/net")
        if not first:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), processes.FIRST)
        named = [each for each in found[1:] if os.path.basename(each[2]) == name]
        unknown = next((number for network, number, _program in named if not network), None)
        if unknown:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), f"/proc/{unknown}/ns/net")
        return [Process(int(number), program) for network, number, program in named if network == here]

    def nft_tables(self) -> t.Collection[str]:
        if self.program("perl"):
            self.foresee(_TABLES)
            answer = self.run(_TABLES[0])
            if answer.code != 0:
                return kernel.no_tables(OSError(answer.code, os.strerror(answer.code)))
            try:
                return set(kernel.names(bytes.fromhex(line) for line in answer.out.splitlines()))
            except OSError as error:
                return kernel.no_tables(error)
        # Unlike with legacy tables, looking at a table makes none; so let it be looked at.
        if self.iptables("nft") is None:
            raise Failure(
                "The node has neither Python nor perl nor the program iptables-nft, so nobody can say whether its "
                "kernel holds an nft nat table; install one of them."
            )
        return {kernel.NAT}

    def keep(self, folder: str, name: str, content: bytes) -> str:
        path = os.path.join(folder, name)
        printed = self._send(raw_commands.quoted(shell(_KEEP, folder, path)), content)
        if not printed.startswith(hashlib.sha256(content).hexdigest()):
            raise _error(printed, path)
        return path

    def _ask(self, argvs: t.Sequence[Arguments], *, until_failure: bool = False) -> list[Answer]:
        return run(self._send, argvs, until_failure=until_failure)


def run(send: Send, argvs: t.Sequence[Arguments], *, until_failure: bool = False) -> list[Answer]:
    """Run commands on the node in one call."""
    token = secrets.token_hex(16)
    printed = send("/bin/sh", raw_commands.script(token, argvs, until_failure=until_failure))
    return [Answer(*answer) for answer in raw_commands.answers(token, printed)]


def shell(script: str, *arguments: str) -> list[str]:
    return ["/bin/sh", "-c", script, "sh", *arguments]


def _lines(path: str, text: str) -> list[str]:
    return ["grep", "-F", "-e", text, path]


def _error(complaint: str, path: str) -> OSError:
    """``grep: /proc/net/tcp6: No such file or directory``"""
    reason = escaped(complaint.strip().rpartition(": ")[2]) or "it was not written as it was sent"
    missing = reason == os.strerror(errno.ENOENT)
    return OSError(errno.ENOENT if missing else errno.EIO, reason, path)
