# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of cases: parametrize with a row on a line."""

from __future__ import annotations

import typing as t

import pytest


def table(names: str, *rows: t.Any) -> pytest.MarkDecorator:
    """Run the test with each row: a value for each of the names, or the value itself where there is one name."""
    return pytest.mark.parametrize(names, rows)


def cases(names: str, *rows: tuple[t.Any, ...]) -> pytest.MarkDecorator:
    """Run the test with each row: what the case is called, then a value for each of the names."""
    return pytest.mark.parametrize(names, [pytest.param(*values, id=case) for case, *values in rows])
