# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

from ansible_collections.azureops.pod_identity.plugins.module_utils import _progress
from ansible_collections.azureops.pod_identity.plugins.module_utils._azure.client import Patience


def test_what_one_wait_took_is_gone_for_the_next() -> None:
    patience = Patience(timeout=1, interval=0.3)
    assert 2 <= len(list(patience.looks("", at_most=0.5))) <= 3
    assert patience.left() <= 0.5
    assert len(list(patience.looks(""))) <= 3
    assert patience.left() == 0


def test_whatever_is_waited_for_gets_one_look() -> None:
    spent = Patience(timeout=1, began=time.monotonic() - 60)
    assert len(list(spent.looks(""))) == 1
    assert len(list(spent.looks("", at_most=30))) == 1
    assert spent.anew().left() > 0


def test_what_is_waited_for_is_told_before_each_pause(tmp_path: Path) -> None:
    told = tmp_path / _progress.FILE
    _progress.begin(SimpleNamespace(_tmpdir=str(tmp_path), params={}))
    looks = Patience(timeout=1, interval=0.1).looks("Entra is slow")
    next(looks)
    assert not told.exists()  # nobody has waited yet
    next(looks)
    assert told.read_text() == "Entra is slow"


def test_the_first_pauses_are_short() -> None:
    looks, began = Patience(timeout=60, interval=30).looks(""), time.monotonic()
    next(looks)
    next(looks)
    assert time.monotonic() - began < 10
