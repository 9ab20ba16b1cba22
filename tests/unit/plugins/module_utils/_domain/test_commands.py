# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that an operator pastes."""

from __future__ import annotations

import json
import shlex

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.commands import (
    Command,
    grant,
    on_screen,
    playbook,
)


def test_commands_for_the_same_thing_stand_together() -> None:
    commands = [Command("To grant", "az a"), Command("To grant", "az b"), Command("To look", "az c")]
    told = ["[demo] To grant:", "az a", "az b", "[demo] To look:", "az c"]
    assert list(on_screen("demo", commands)) == told
    assert list(on_screen("demo", [])) == []


def test_a_command_is_one_line_that_moves_no_cursor() -> None:
    told = ["[demo] A name\\x1b[2J:", "echo a b"]
    assert list(on_screen("demo", [Command("A name\x1b[2J", "echo a\nb")])) == told


def test_a_shell_gives_the_playbook_the_very_values() -> None:
    values = {"name": "c1", "empty": "", "odd": "it's a $name", "several": ["/a", "/b"]}
    command = playbook("leftovers", values, file="site.yml", flags=("--check",))
    words = shlex.split(command)
    assert words[:5] == ["ansible-playbook", "azureops.pod_identity.leftovers", "--check", "-e", "@site.yml"]
    assert words[5:8:2] == ["-e", "-e"] and words[6] == "name=c1"
    assert [json.loads(word) for word in words[8::2]] == [{"odd": values["odd"]}, {"several": values["several"]}]


def test_what_a_shell_would_run_in_quotes_stays_a_text() -> None:
    plain = grant("p", "Managed Identity Operator", "/scope")
    assert plain.endswith(' --role "Managed Identity Operator" --scope "/scope"')
    assert shlex.split(grant("p", '$(id) "`', "/scope"))[-3:] == ['$(id) "`', "--scope", "/scope"]
