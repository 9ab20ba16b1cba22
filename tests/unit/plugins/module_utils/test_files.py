# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from ansible_collections.azureops.pod_identity.plugins.module_utils import _files
from ansible_collections.azureops.pod_identity.plugins.module_utils._domain.errors import Failure
from ansible_collections.azureops.pod_identity.tests.unit.tables import table


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path, text: str) -> None:
    with _files.replacing(0o600, str(path)) as (file,):
        file(text)


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    write(path, "one")
    assert (path.read_text(), mode(path)) == ("one", 0o600)
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, "twö")
    assert (path.read_text(), mode(path), link.is_symlink()) == ("twö", 0o640, True)
    assert sorted(tmp_path.iterdir()) == [path, link]


@pytest.mark.parametrize("error", [Failure("No."), KeyboardInterrupt()])
def test_what_does_not_end_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("good")
    with pytest.raises(type(error)), _files.replacing(0o600, str(path)) as (file,):
        file("half")
        raise error
    assert (path.read_text(), list(tmp_path.iterdir())) == ("good", [path])


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert _files.digest(str(path)) == ""
    pieces = ["ä", "\ud800", "b" * 3_000_000]
    found = _files.Digest()
    with _files.replacing(0o600, str(path)) as (file,):
        for piece in pieces:
            found.write(piece)
            file(piece)
    assert str(found) == _files.digest(str(path)) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(Failure, match="cannot be read"):
        _files.digest(str(tmp_path))


@table(
    "name, reason",
    ("nowhere/file", "the folder .*/nowhere does not exist"),
    ("folder", "it is a folder"),
    ("a\0b", "null"),
    ("pipe", "it is no regular file"),
    ("link", "it is a symbolic link of another user"),
)
def test_what_cannot_be_written_is_known_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(_files, "ROOT", os.getuid() + 2)
    _files.require_writable(str(tmp_path / "file"))
    with pytest.raises(Failure, match=reason):
        _files.require_writable(str(tmp_path / name))


def test_a_folder_that_goes_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="No such file"):
        write(tmp_path / "gone/file", "text")


def test_a_full_disk_leaves_both_files_as_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_text("good")
    synced: list[int] = []

    def fsync(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(Failure, match="two cannot be written .No space left.*: make room there, or name another path"):
        with _files.replacing(0o600, *map(str, paths)) as (first, second):
            first("new")
            second("new")
    assert [path.read_text() for path in paths] == ["good", "good"]
    assert sorted(tmp_path.iterdir()) == paths


def test_removal(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text")
    _files.remove(str(path))
    _files.remove(str(path))
    assert not path.exists()
    with pytest.raises(Failure, match="cannot be removed"):
        _files.remove(str(tmp_path))


def test_a_mode_that_is_given_anew(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o666)
    with _files.replacing(0o600, str(path), keep_modes=False) as (file,):
        file("one")
    assert (_files.read(str(path)), mode(path)) == (b"one", 0o600)


def test_folders_are_private_where_they_are_made(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(0o755)
    for _attempt in range(2):
        _files.make_private(str(shared / "a/b"))
    assert [mode(path) for path in (shared, shared / "a", shared / "a/b")] == [0o755, 0o700, 0o700]
    (shared / "file").touch()
    with pytest.raises(Failure, match=f"^The folder {shared}/file/a cannot be created [(]Not a directory[)]"):
        _files.make_private(str(shared / "file/a"))


def test_file_systems(tmp_path: Path) -> None:
    here = tmp_path.stat().st_dev
    assert _files.devices(str(tmp_path), str(tmp_path / "none/there")) == {here}
    assert _files.devices("/proc", "/") == {os.stat("/proc").st_dev, os.stat("/").st_dev}


def test_a_link_of_another_user_is_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    _files.make_private(f"{tmp_path}/link")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    monkeypatch.setattr(_files, "ROOT", os.getuid() + 2)
    for name in ("link", "link/"):
        with pytest.raises(Failure, match="is a symbolic link of another user: name another one"):
            _files.make_private(f"{tmp_path}/{name}")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=f"^The file {tmp_path} cannot be read [(]Is a directory[)]"):
        _files.read(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failure, match=f"^{tmp_path}/pipe cannot be read, because it is no regular file"):
        _files.read(str(tmp_path / "pipe"))
