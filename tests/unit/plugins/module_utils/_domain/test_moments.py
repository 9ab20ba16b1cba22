# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as the API server, the kubelet and Azure write them."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.moments import moment, of_epoch, written

SECONDS = 1_800_000_000
TEXT = "2027-01-15T08:00:00Z"


@pytest.mark.parametrize("text", [TEXT, "2027-01-15T08:00:00.5Z", "2027-01-15T10:00:00+02:00"])
def test_a_time_is_read_and_written_in_utc(text: str) -> None:
    when = moment(text)
    assert when == datetime.fromtimestamp(SECONDS, timezone.utc)
    assert written(when) == TEXT == of_epoch(SECONDS)


@pytest.mark.parametrize("text", ["", "2027-01-15", "2027-13-15T08:00:00Z", "2027-01-15T08:00:00", 5, None])
def test_what_is_no_time_is_none(text: object) -> None:
    assert moment(text) is None


@pytest.mark.parametrize("seconds", [1e300, -1e300, math.inf, math.nan, 1e15])
def test_seconds_of_no_year_are_no_time(seconds: float) -> None:
    assert of_epoch(seconds) == ""
