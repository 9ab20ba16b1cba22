# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python tests/docsite.py FOLDER`: build the documentation as HTML, in FOLDER/build/html; a warning is an error.

antsibull-docs makes the pages of plugins, roles and guides of the collection that Ansible finds, MyST those of
docs/*.md.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"
COLLECTION = "azureops.pod_identity"
REPOSITORY = "https://github.com/azureops/pod_identity"
PAGES = ("migration", "permissions", "codes", "awx", "execution_environment", "versions", "azwi_detect")
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
# What pages of antsibull-docs name of Ansible's documentation, and where it is.
OF_ANSIBLE = {
    "std:label": {
        "action_plugins": "plugins/action.html",
        "ansible_configuration_settings": "reference_appendices/config.html",
        "common_return_values": "reference_appendices/common_return_values.html",
    },
    "std:envvar": {
        f"ANSIBLE_CACHE_PLUGIN{name}": f"reference_appendices/config.html#envvar-ANSIBLE_CACHE_PLUGIN{name}"
        for name in ("", "_CONNECTION", "_PREFIX", "_TIMEOUT")
    },
}
# What antsibull-docs writes asks other sites for their indexes of references, and takes every block for YAML.
SETTINGS = f"""
extensions.append("myst_parser")
myst_heading_anchors = 3
# Pages of others.
nitpick_ignore_regex = [("std:.*", r"ansible_collections\\.(?!{re.escape(COLLECTION)}\\.).*")]
highlight_language = "none"
"""
_LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")


def build(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run(
        folder,
        *("antsibull-docs", "sphinx-init", "--use-current", "--fail-on-error", "--dest-dir", str(folder)),
        *("--index-rst-source", str(DOCS / "docsite/index.rst"), "--project", COLLECTION, "--title", COLLECTION),
        *("--copyright", f"{COLLECTION} contributors", COLLECTION),
    )
    inventory = folder / "ansible.inv"
    inventory.write_bytes(index_of_ansible())
    with (folder / "conf.py").open("a") as settings:
        settings.write(f"{SETTINGS}intersphinx_mapping = {{'ansible': ({ANSIBLE!r}, {str(inventory)!r})}}\n")
    pages = folder / "rst"
    pages.chmod(0o755)
    _run(
        folder,
        *("antsibull-docs", "--config-file", "antsibull-docs.cfg", "collection", "--cleanup", "everything"),
        *("--fail-on-error", "--use-current", "--dest-dir", "rst", COLLECTION),
    )
    for name in PAGES:
        (pages / f"{name}.md").write_text(linked(DOCS / f"{name}.md"))
    _run(folder, "sphinx-build", "-M", "html", "rst", "build", "-c", ".", "-W", "--keep-going", "--quiet")


def index_of_ansible() -> bytes:
    """An index of references as Sphinx reads it, which nobody has to ask Ansible's site for."""
    lines = [
        f"{name} {kind} -1 {place} {name}\n" for kind, places in OF_ANSIBLE.items() for name, place in places.items()
    ]
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n"
    told = "# The remainder of this file is compressed using zlib.\n"
    return (head + told).encode() + zlib.compress("".join(lines).encode())


def linked(page: Path) -> str:
    """A page whose links to what is no page lead to the repository; ValueError for one that leads nowhere."""

    def replaced(link: re.Match[str]) -> str:
        target = (page.parent / link[1]).resolve()
        if not target.is_relative_to(CHECKOUT) or not target.exists():
            raise ValueError(f"{page.name}: nothing is at {link[1]}")
        if target.parent == DOCS and target.stem in PAGES:
            return link[0]
        kind = "tree" if target.is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{target.relative_to(CHECKOUT)}{link[2] or ''})"

    return _LINK.sub(replaced, page.read_text())


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
