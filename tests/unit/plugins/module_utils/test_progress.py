# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module tells while it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils import _progress
from ansible_collections.azureops.pod_identity.plugins.module_utils._kube.wait import wait_for


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_progress, "SLOW", 0.2)
    monkeypatch.delenv(_progress.SWITCH, raising=False)
    yield
    _progress.begin(SimpleNamespace(_tmpdir=None))


def begin(directory: Path, **params: Any) -> Path:
    _progress.begin(SimpleNamespace(_tmpdir=str(directory), params=params))
    return directory / _progress.FILE


def test_an_answer_that_takes_long_is_told(tmp_path: Path) -> None:
    """And no more, once it is there."""
    told = begin(tmp_path)
    with _progress.waiting("GET x is not answered yet"):
        assert not told.exists()
        time.sleep(0.5)
        assert told.read_text() == "GET x is not answered yet"
    assert told.read_text() == ""


def test_a_quick_answer_is_not_told(tmp_path: Path) -> None:
    told = begin(tmp_path)
    _progress.tell("before")
    with _progress.waiting("GET x is not answered yet"):
        pass
    time.sleep(0.4)
    assert told.read_text() == "before"


def test_what_is_waited_for_is_told_once_it_takes_long(tmp_path: Path) -> None:
    told = begin(tmp_path)
    seen: list[bool] = []
    wait_for(lambda: seen.append(told.exists()), "the pod has not started yet", timeout=0.7, pause=0.1)
    assert (seen[0], told.read_text()) == (False, "the pod has not started yet")


@pytest.mark.parametrize(
    ("params", "switch", "tells"),
    [
        ({}, None, True),
        ({}, "", True),
        ({}, "false", False),
        ({"progress": None}, "0", False),
        ({"progress": True}, "0", True),
        ({"progress": False}, None, False),
    ],
)
def test_it_can_be_turned_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, params: dict[str, Any], switch: str | None, tells: bool
) -> None:
    """By the option of a module that has one, or the environment."""
    if switch is not None:
        monkeypatch.setenv(_progress.SWITCH, switch)
    told = begin(tmp_path, **params)
    _progress.tell("waits")
    assert told.exists() == tells
