# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `sandbox build` can be asked for, and which command asks for it by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from azsandbox import execution_environment, programs, progress, toolenvs
from azsandbox.progress import BuildError, Item


@dataclass(frozen=True)
class Part:
    about: str
    items: Callable[[], list[Item]]


def other_ansible() -> toolenvs.Environment:
    environment = toolenvs.other_ansible()
    if environment is None:
        raise BuildError("This machine has no Python 3.12 or newer, so there is only one line of ansible-core here.")
    return environment


def _sandbox() -> list[Item]:
    # What fails where something is wrong with the machine comes first.
    return [toolenvs.debian_item(), toolenvs.item(toolenvs.ANSIBLE), toolenvs.collections_item(), *programs.items()]


WORKLOAD_IDENTITY = "workload-identity"
BROWSER = "browser"
EXECUTION_ENVIRONMENT = "execution-environment"
PARTS = {
    "sandbox": Part("what every sandbox needs; built by up", _sandbox),
    "debian": Part("of that, the Debian packages", lambda: [toolenvs.debian_item()]),
    "collections": Part("of that, the collections", lambda: [toolenvs.collections_item()]),
    "ansible": Part("of that, the environment of ansible", lambda: [toolenvs.item(toolenvs.ANSIBLE)]),
    "az": Part("the Azure CLI; built by exec -- az", lambda: [toolenvs.item(toolenvs.AZ)]),
    "azcollection": Part(
        "what azure.azcollection runs on; built by exec --tools azcollection",
        lambda: [toolenvs.collections_item(), toolenvs.azcollection_item()],
    ),
    "other": Part(
        "another line of ansible-core; built by exec --tools other", lambda: [toolenvs.item(other_ansible())]
    ),
    WORKLOAD_IDENTITY: Part(
        f"the Workload ID webhook, azwi and a client; built by up --with {WORKLOAD_IDENTITY} and exec -- azwi",
        lambda: [*programs.row_items(WORKLOAD_IDENTITY), toolenvs.item(toolenvs.TOKEN_APP)],
    ),
    BROWSER: Part("headless Chromium; built by the tests of the report's page", lambda: [toolenvs.browser_item()]),
    "ansible-builder": Part(
        "it makes the context of an image; built by the test of execution-environment.yml",
        lambda: [toolenvs.item(toolenvs.BUILDER)],
    ),
    EXECUTION_ENVIRONMENT: Part(
        "what the image of execution-environment.yml holds; built by the test of it",
        lambda: [
            *(toolenvs.item(toolenvs.BUILDER), toolenvs.collections_item(), *programs.row_items("helm")),
            execution_environment.item(),
        ],
    ),
    "kwok": Part("simulated nodes; built by make bench", lambda: programs.row_items("kwok")),
    "flux": Part(
        "Flux's kustomize-controller; built by tests of the kube level",
        lambda: programs.row_items("kustomize-controller"),
    ),
}
CLIENTS = {"az": "az", "azwi": WORKLOAD_IDENTITY}
"""Programs of the workstation that not every sandbox has, and the parts that bring them."""
_ALL = "all"


def abouts() -> dict[str, str]:
    """What can be built, and what each of it is."""
    return {**{name: part.about for name, part in PARTS.items()}, _ALL: "all of it"}


def build(names: Iterable[str], out: TextIO | None = None) -> None:
    """Build the parts and say nothing about what is built already. Raises BuildError.

    out is where the progress goes, by default standard error.
    """
    names = list(names)
    if _ALL in names:
        wanted = {"other": toolenvs.other_ansible(), EXECUTION_ENVIRONMENT: execution_environment.python()}
        names = [name for name in PARTS if wanted.get(name, name)]
    items = {item.title: item for name in names for item in PARTS[name].items()}
    progress.build(list(items.values()), out)
