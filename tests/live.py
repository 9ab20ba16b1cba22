# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make live`: the guides on a cluster of real AKS, which costs money; a report that can be sent, and nothing left.

Everything is made in a resource group of this run alone, whose tags say so and when it has to be gone. The group is
deleted at the end, also after a failure, a signal, or when the time is over; the next run deletes what a run that was
killed left. `az`, `kubectl`, `helm` and `ansible-playbook` are those of PATH, logged in as `az login` left it.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from ansible_collections.azureops.pod_identity.tests.support import guides, reader

TAG = "azureops-pod-identity-live"
EXPIRES = "expires"
GUIDES = ("first_steps", "keep", "look", "broken", "leave")
"""What a run follows. many_clusters takes a second cluster, playbooks a second Python environment, and remove deletes
the resource group with its tags."""
SIZE, NODES = "Standard_D2s_v5", 2
USD_PER_HOUR = 0.30
"""Two nodes with their disks, a load balancer with its address: about twice the list price of 2026 in West Europe."""
MINUTES = 150
REMOVAL_MINUTES = 30
DEBUG_IMAGE = "mcr.microsoft.com/azurelinux/base/core:3.0"
NODE_SECONDS = 180
END_SECONDS = 20
"""What ended may take to end what it has started."""
PROGRAMS = ("az", "kubectl", "helm", "ansible-playbook", "ansible-galaxy")
VERSIONS = (
    "ansible-playbook --version | head -n 1",
    "ansible-galaxy collection list azureops.pod_identity",
    "helm version --short",
    "kubectl version",
    "az aks show -g GROUP -n demo -o json --query '[currentKubernetesVersion, networkProfile.networkPlugin,"
    " networkProfile.networkPluginMode, networkProfile.networkPolicy, agentPoolProfiles[].nodeImageVersion]'",
)
_GUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_SERVER = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.azmk8s\.io\b")
_TOKEN = re.compile(r"\beyJ[\w-]{10,}(?:\.[\w-]*)*")
_PREFIX = "pod-identity-live-"
_GROUP = re.compile(rf"{_PREFIX}[0-9a-f]{{8}}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")


class Refused(Exception):
    """The run does not begin."""


class Over(Exception):
    """The time of the run is over, or somebody ended it."""


@dataclass
class Report:
    """What happened, without what tells whose subscription it was."""

    lines: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)

    def add(self, text: str) -> None:
        self.lines.append(self.masked(text))

    def masked(self, text: str) -> str:
        text = _GUID.sub(self._guid, _TOKEN.sub("<token>", text.replace(str(Path.home()), "~")))
        return _ADDRESS.sub(_public, _SERVER.sub("<API server>", text))

    def _guid(self, found: re.Match[str]) -> str:
        """The same for the same one, so that it can be seen what belongs together."""
        return self.seen.setdefault(found[0].lower(), f"<id {len(self.seen) + 1}>")


def _public(found: re.Match[str]) -> str:
    try:
        return "<address>" if ipaddress.ip_address(found[0]).is_global else found[0]
    except ValueError:
        return found[0]


@dataclass
class Operator(reader.Reader):
    """Somebody at this machine, until the time is over."""

    deadline: float = 0.0
    """Of time.monotonic()."""

    def call(self, script: str) -> tuple[int, str]:
        return run(("bash", "-c", script), self.deadline)

    def on_node(self, node: str, script: str) -> str:
        options = f"--image={DEBUG_IMAGE} --profile=sysadmin"
        made = self.succeed(
            f"kubectl -n default debug node/{node} {options} -- chroot /host bash -c {shlex.quote(script)}"
        )
        (pod,) = re.findall(r"node-debugger-\S+", made)
        phases = ("Succeeded", "Failed")
        asked = f"kubectl -n default get pod {pod} -o jsonpath={{.status.phase}}"
        reader.eventually(lambda: self.succeed(asked) in phases, NODE_SECONDS)
        phase, said = self.succeed(asked), self.succeed(f"kubectl -n default logs {pod}")
        self.succeed(f"kubectl -n default delete pod {pod} --wait=false")
        if phase != "Succeeded":
            raise reader.Surprise(f"on {node}: {script}\n{said}")
        return said


def run(command: Sequence[str], deadline: float) -> tuple[int, str]:
    """Status and output of a command; Over, with nothing of it still running, when the time ends before it does."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        output, _none = process.communicate(timeout=max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        raise Over("the time of the run is over") from None
    finally:
        if process.poll() is None:
            _end(process)
    return process.returncode, output.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, by which ansible-playbook ends its workers, which are in sessions of their own."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.communicate(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def az(*arguments: str, minutes: float = 5) -> str:
    """What az says; Refused when it fails."""
    status, output = run(("az", *arguments, "--only-show-errors"), time.monotonic() + minutes * 60)
    if status:
        raise Refused(f"az {' '.join(arguments[:2])} ended with {status}: {output.strip()[-2000:]}")
    return output


def exists(group: str) -> bool:
    return az("group", "exists", "--name", group).strip() == "true"


def remove(group: str, say: Report) -> bool:
    """Delete a resource group of a run, and say whether it is gone."""
    if exists(group):
        tags = json.loads(az("group", "show", "--name", group, "--query", "tags", "-o", "json")) or {}
        if TAG not in tags or not _GROUP.fullmatch(group):
            raise Refused(f"The resource group {group} has not the tag {TAG} and the name of a run: it stays.")
        began = time.monotonic()
        az("group", "delete", "--name", group, "--yes", minutes=REMOVAL_MINUTES)
        say.add(f"removed the resource group in {time.monotonic() - began:.0f} s")
    return not exists(group)


def remove_expired(now: datetime, say: Report) -> None:
    """What runs left that were killed."""
    listed = json.loads(az("group", "list", "--tag", TAG, "-o", "json"))
    for group in listed:
        name, until = group["name"], str(group["tags"].get(EXPIRES, ""))
        if not _GROUP.fullmatch(name) or not _TIME.fullmatch(until):
            tell(f"{name} has the tag {TAG}, but not the name and the time of a run; it stays.")
        elif datetime.fromisoformat(until) < now:
            remove(name, say)
        else:
            tell(f"{name} is of another run, until {until}; it stays.")


def tell(text: str) -> None:
    print(text, flush=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Signals that end a run become Over, so that what it made goes."""

    def end(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Over(f"it got the signal {signal.Signals(number).name}")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def follow(followed: Sequence[str], folder: Path, names: dict[str, str], deadline: float, report: Report) -> None:
    """Follow guides; Surprise where one does not do what it says, Over when the time ends."""

    def ended(command: str, status: int, output: str, seconds: float) -> None:
        tell(f"{seconds:6.0f} s  {'' if status == 0 else f'[{status}] '}{command}")
        report.add(f"\n$ {command}\n# {seconds:.0f} s, status {status}\n{output}")

    for guide in followed:
        tell(f"{guide}:")
        report.add(f"\n==== {guide}")
        follower = Operator(folder=folder, names=names, ended=ended, deadline=deadline)
        follower.follow(guide)
        if guide == followed[0]:
            for question in VERSIONS:
                question = question.replace("GROUP", names["pod-identity-demo"])
                report.add(f"\n$ {question}\n{follower.type(question)[1]}")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    cost = USD_PER_HOUR * (options.minutes + REMOVAL_MINUTES) / 60
    report = Report()
    try:
        if options.accept_usd is None or options.accept_usd < cost:
            raise Refused(
                f"It makes a cluster of {NODES} nodes {SIZE} for at most {options.minutes:.0f} minutes in the"
                f" subscription {options.subscription}: not more than about {cost:.2f} USD."
                f" Say with ACCEPT_USD={cost:.2f} that it may cost so much."
            )
        status, missing = run(("bash", "-c", f"type -P {' '.join(PROGRAMS)} >&2"), time.monotonic() + 60)
        if status:
            raise Refused(f"It needs {', '.join(PROGRAMS)} on PATH: {missing.strip()}")
        az("account", "set", "--subscription", options.subscription)
        os.environ["AZURE_SUBSCRIPTION_ID"] = options.subscription
        now = datetime.now(UTC)
        remove_expired(now, report)
        outcome = _run(options, now, report)
    except Refused as refusal:
        tell(str(refusal))
        return 2
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.touch()
    options.report.chmod(0o600)  # also where an earlier run left it open to others
    options.report.write_text("\n".join((f"outcome: {report.masked(outcome or 'passed')}", *report.lines)) + "\n")
    tell(f"{outcome or 'passed'}\nThe report is in {options.report}; read it before you send it.")
    return 1 if outcome else 0


def _run(options: argparse.Namespace, now: datetime, report: Report) -> str:
    """Make the resource group, follow the guides in it, and remove it; what went wrong, empty where nothing did."""
    group = f"{_PREFIX}{secrets.token_hex(4)}"
    expires = now + timedelta(minutes=options.minutes + REMOVAL_MINUTES)
    deadline = time.monotonic() + options.minutes * 60
    pool = f"{{name: nodepool1, count: {NODES}, vm_size: {SIZE}}}"
    create = "pod_identity_cluster_create: true\n"
    names = {
        "pod-identity-demo": group,
        "westeurope": options.location,
        create: f"{create}pod_identity_cluster_agent_pools: [{pool}]\n",
    }
    report.add(f"guides: {', '.join(options.guides)}\nlocation: {options.location}\nbegan: {now:%Y-%m-%d %H:%M} UTC")
    outcome = ""
    with interruptible():
        try:
            tags = (f"{TAG}=true", f"{EXPIRES}={expires.isoformat(timespec='seconds')}")
            az("group", "create", "--name", group, "--location", options.location, "--tags", *tags)
            tell(f"The resource group {group} is made; it is to be gone by {expires:%Y-%m-%d %H:%M} UTC.")
            with tempfile.TemporaryDirectory() as folder:
                follow(options.guides, Path(folder), names, deadline, report)
        except (Over, Refused, reader.Surprise) as error:
            outcome = str(error)
            report.add(f"\n==== failed\n{error}")
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            tell(f"Removing the resource group {group}, which takes some minutes.")
            try:
                gone = remove(group, report)
            except (Over, Refused) as error:
                gone, outcome = False, f"{outcome}\n{error}".strip()
    if not gone:
        outcome += f"\nThe resource group {group} is still there, and costs money: az group delete --name {group} --yes"
    return outcome.strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make live", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--subscription", required=True)
    parser.add_argument("--location", default="westeurope")
    parser.add_argument("--accept-usd", type=float, help="what it may cost at most")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after these it ends, done or not")
    parser.add_argument("--guides", nargs="+", choices=GUIDES, default=list(GUIDES))
    parser.add_argument("--report", type=Path, default=guides.CHECKOUT / ".build/live/report.txt")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
