# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make live`, as far as it takes no Azure; tests/sandbox/test_guides.py runs it against the simulated one."""

from __future__ import annotations

import errno
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.tests import live
from ansible_collections.azureops.pod_identity.tests.support import guides
from ansible_collections.azureops.pod_identity.tests.unit.tables import table

ID, OTHER = "2a013ef6-a0bb-5365-a671-d3d44d918262", "5bba3a1c-7a0f-4f43-9a3a-9d2a5e8d7c11"


@table(
    "text, shown",
    (f"/subscriptions/{ID}/x {OTHER} {ID.upper()}", "/subscriptions/<id 1>/x <id 2> <id 1>"),
    ("https://demo-dns-1a2b.hcp.westeurope.azmk8s.io:443", "https://<API server>:443"),
    (f"included: {Path.home()}/.ansible/x", "included: ~/.ansible/x"),
    ("20.31.7.9 and 10.224.0.4, 169.254.169.254", "<address> and 10.224.0.4, 169.254.169.254"),
    ("token: eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln.", "token: <token>"),
    ("chart 4.1.18, 1.34.2, 999.1.1.1", "chart 4.1.18, 1.34.2, 999.1.1.1"),
)
def test_a_report_does_not_tell_whose_subscription_it_was(text: str, shown: str) -> None:
    assert live.Report().masked(text) == shown


def test_what_it_may_cost_has_to_be_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # nothing could be asked
    assert live.main(["--subscription", ID, "--minutes", "90", "--accept-usd", "0.59"]) == 2
    assert "not more than about 0.60 USD" in capsys.readouterr().out


def test_a_command_ends_with_the_time_of_the_run(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(live.Over):
        live.run(("cat", str(pipe)), time.monotonic() + 0.2)
    with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):  # nobody reads it
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)


def test_a_command_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "END_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(live.Over):
        live.run(("bash", "-c", "trap '' INT; while :; do sleep 30; done"), time.monotonic() + 0.2)
    assert time.monotonic() - began < 20


def test_a_group_of_nobody_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    az = tmp_path / "az"
    az.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n'
        'case "$2" in exists) echo true ;; show) echo \'{"team": "shop"}\' ;; *) exit 1 ;; esac\n'
    )
    az.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in ("shop", "pod-identity-live-0123abcd"):
        with pytest.raises(live.Refused, match="has not the tag .* and the name of a run: it stays"):
            live.remove(name, live.Report())
    assert "delete" not in log.read_text()


def test_what_has_only_the_tag_of_a_run_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anybody may write a tag, and a policy may copy it."""
    past, run = "2020-01-01T00:00:00+00:00", "pod-identity-live-0123abcd"
    groups = [
        {"name": name, "tags": {live.TAG: "true", live.EXPIRES: until}}
        for name, until in (("payments", past), (f"{run}-2", past), (run, "long ago"), ("x", ""), (run, past))
    ]
    removed: list[str] = []
    monkeypatch.setattr(live, "az", lambda *arguments, **options: json.dumps(groups))
    monkeypatch.setattr(live, "remove", lambda name, say: removed.append(name))
    live.remove_expired(datetime.now(UTC), live.Report())
    assert removed == [run]
    assert capsys.readouterr().out.count("not the name and the time of a run; it stays") == 4


def test_it_follows_guides_that_exist() -> None:
    assert set(live.GUIDES) <= set(guides.FOLLOWED)
