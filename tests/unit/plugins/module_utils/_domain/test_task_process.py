# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain import task_process
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.task_process import Task
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


@table(
    "change",
    {},
    {"core": "2.19"},
    {"core": "2.20"},
    {"interpreter": "/venv/bin/python"},
    {"executables": ("/bin/bash", "/bin/bash"), "shell": "bash"},
    {"environment": {"HTTPS_PROXY": "http://proxy:3128", "HOME": "/nowhere", "AZURE_SECRET": "", "_x1": "a\nb"}},
    {"user_site": True, "environment": {"A": "1"}, "inherited": {"HOME": "/root"}},
    {"inherited": {"PWD": "/", "SHLVL": "x", "A.B": "", "LC_ALL": "C.UTF-8", "PYTHONPATH": "/x"}},
)
def test_in_a_fork(change: dict[str, Any]) -> None:
    assert task_process.why_not(replace(Task(), **change)) == ""


@table(
    "change, reason",
    ({"switched_off_by": "the variable x"}, "the variable x turns it off"),
    ({"core": "2.18"}, "ansible-core 2.18 is none of 2.19, 2.20, 2.21"),
    ({"core": "2.22"}, "ansible-core 2.22 is none of 2.19, 2.20, 2.21"),
    ({"system": "Darwin"}, "Darwin is not Linux"),
    ({"connection": "ssh"}, "its connection is ssh"),
    ({"become": True}, "it becomes another user"),
    ({"asynchronous": True}, "it is asynchronous"),
    (
        {"interpreter": "/x/python", "own_interpreter": False},
        "its interpreter /x/python is not that of ansible-playbook",
    ),
    ({"missing": "azure.identity"}, "ansible-playbook cannot import azure.identity"),
    ({"module_elsewhere": "/x/y.py"}, "its module is /x/y.py"),
    ({"replaced": "/x/basic.py"}, "/x/basic.py replaces a part of ansible.module_utils"),
    ({"executables": ("/bin/zsh",)}, "its shell executable is /bin/zsh"),
    ({"executables": ("",)}, "its shell has no executable"),
    ({"executables": ("/bin/sh", "/bin/bash")}, "its shell executables are /bin/sh and /bin/bash"),
    ({"shell_type": "fish"}, "its shell type is fish"),
    ({"shell": "busybox"}, "/bin/sh is busybox"),
    ({"shell": ""}, "/bin/sh is unknown"),
    ({"directory_exists": False}, "the directory of the playbook is gone"),
    ({"keep_files": True}, "remote files are kept"),
    ({"extensions": ("_debugpy",)}, "modules run with _debugpy"),
    ({"tracebacks": True}, "tracebacks are shown"),
    ({"open_files": "100"}, "the number of open files of modules is limited"),
    ({"flags": ("isolated",)}, "ansible-playbook was started with flags of Python (isolated)"),
    ({"user_site": True, "environment": {"HOME": "/x"}}, "HOME of its environment says where libraries are"),
    ({"inherited": {"BASH_ENV": "/x"}}, "BASH_ENV is set"),
    ({"inherited": {"IFS": ""}}, "the shell uses IFS of the environment"),
    ({"environment": {"A.B": ""}}, "its environment names 'A.B'"),
    ({"environment": {"A\n": ""}}, "its environment names 'A\\n'"),
    ({"environment": {"IFS": ""}}, "its environment names 'IFS'"),
    ({"environment": {"LC_ALL": "C"}}, "LC_ALL of its environment is read when a process starts"),
    ({"environment": {"RES_OPTIONS": "x"}}, "RES_OPTIONS of its environment is read when a process starts"),
    ({"environment": {"TZ": "UTC"}}, "TZ of its environment is read when a process starts"),
    ({"environment": {"PYTHONPATH": "/x"}}, "PYTHONPATH of its environment is read when a process starts"),
    ({"environment": {"X": "a\0b"}}, "X of its environment has a null character"),
)
def test_left_to_ansible(change: dict[str, Any], reason: str) -> None:
    assert task_process.why_not(replace(Task(), **change)) == reason


def test_what_comes_first_is_told() -> None:
    assert task_process.why_not(replace(Task(), become=True, connection="ssh")) == "its connection is ssh"


@table("version, line", ("2.21.5", "2.21"), ("2.20.0rc1", "2.20"), ("2.22.0.dev0", "2.22"), ("3", "3"))
def test_core(version: str, line: str) -> None:
    assert task_process.core(version) == line


PLACE = {"directory": "/work", "python": "/venv/bin/python"}
FACTS: dict[str, Any] = {**PLACE, "release": "2.20", "logical": True, "old_exists": True}


@table(
    "shell, inherited, own, facts, found",
    ("dash", {"A": "1"}, {"A": "2", "B": ""}, {}, {"A": "2", "B": ""}),
    ("dash", {"A.B": "1", "A": "1"}, {}, {}, {"A": "1"}),
    ("dash", {"PWD": "/link"}, {}, {}, {"PWD": "/link"}),
    ("dash", {"PWD": "/else"}, {}, {"logical": False}, {"PWD": "/work"}),
    ("dash", {}, {}, {"logical": False}, {"PWD": "/work"}),
    ("dash", {"OLDPWD": "/gone"}, {}, {"old_exists": False}, {"OLDPWD": "/gone"}),
    ("dash", {"SHLVL": "2", "_": "x"}, {}, {}, {"SHLVL": "2", "_": "x"}),
    ("dash", {}, {"PWD": "/own"}, {"logical": False}, {"PWD": "/own"}),
    ("bash", {}, {}, {}, {"SHLVL": "1", "_": "/venv/bin/python"}),
    ("bash", {"SHLVL": "2", "A.B": "1"}, {}, {}, {"SHLVL": "3", "A.B": "1", "_": "/venv/bin/python"}),
    ("bash", {"SHLVL": "2"}, {}, {"release": "2.21"}, {"SHLVL": "2", "_": "/venv/bin/python"}),
    ("bash", {}, {}, {"release": "2.21"}, {"SHLVL": "0", "_": "/venv/bin/python"}),
    ("bash", {"SHLVL": "x"}, {}, {}, {"SHLVL": "1", "_": "/venv/bin/python"}),
    ("bash", {"OLDPWD": "/gone"}, {}, {"old_exists": False}, {"SHLVL": "1", "_": "/venv/bin/python"}),
)
def test_variables(
    shell: str, inherited: dict[str, str], own: dict[str, str], facts: dict[str, Any], found: dict[str, str]
) -> None:
    assert task_process.variables(inherited, own, shell=shell, **{**FACTS, **facts}) == found


@table(
    "shell, release, told",
    ("dash", "2.19", (137, "Killed\n")),
    ("dash", "2.21", (137, "Killed\n")),
    ("bash", "2.20", (137, "Killed\n")),
    ("bash", "2.21", (-9, "")),
)
def test_ended(shell: str, release: str, told: tuple[int, str]) -> None:
    assert task_process.ended(9, "Killed", shell=shell, release=release) == told
