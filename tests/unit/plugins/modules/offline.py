# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules with whatever people may write into their options, in check mode, while there is no cluster yet."""

from __future__ import annotations

import contextlib
import io
import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.basic import PASS_VARS
from ansible.module_utils.testing import patch_module_args
from hypothesis import strategies as st

# What YAML makes of unquoted words, texts that stand for code elsewhere, and texts in general.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(
        ["", " ", "{{ 1 / 0 }}", "{% raw %}", "$(id)", "`id`", "../..", "a\x00b", "a\nb", "ß", "１", "K", "\ud7ff"]
    ),
    st.sampled_from(
        ["(known after apply)", "default", "kube-system", "a" * 64, "a" * 254, "A", "a.b", "-a", "a-", "0"]
    ),
    st.text(max_size=300),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=70)), max_size=3
    ),
)


def entries(module: ModuleType, option: str, good: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Values of an option that is a list: of what is good, with any values in place of some, and one missing."""
    names = sorted(module.argument_spec().options[option]["options"])
    entry = st.builds(
        lambda changes, missing: {key: value for key, value in {**good, **changes}.items() if key not in missing},
        st.dictionaries(st.sampled_from(names), VALUES, max_size=3),
        st.sets(st.sampled_from(sorted(good)), max_size=1),
    )
    return st.lists(entry, max_size=4)


def run(module: ModuleType, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Exit status and result."""
    printed = io.StringIO()
    known = ("check_mode", "diff", "inject_invocation")  # the last is not known to every ansible-core, and is on there
    told = {f"_ansible_{name}": True for name in known if name in PASS_VARS}
    arguments = {"kubeconfig": "(known after apply)", **options, **told}
    with patch_module_args(arguments), contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as left:
        module.main()
    return int(left.value.code or 0), json.loads(printed.getvalue())


def is_sound(status: int, result: dict[str, Any], option: str, given: list[dict[str, Any]]) -> None:
    """It was predicted as it was written, or refused in a sentence."""
    assert "defect" not in str(result.get("msg"))
    if status:
        assert result["failed"] and str(result["msg"]).strip()
        return
    for one, entry in zip(result["result"][option], given, strict=True):
        assert isinstance(one["name"], str)
        assert one["name"] == str(entry["name"]), "no text is read as anything but itself"
    assert json.loads(json.dumps(result)) == result
