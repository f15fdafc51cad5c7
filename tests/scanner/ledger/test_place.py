from dataclasses import replace
from pathlib import Path

import pytest

from scanner.errors import LedgerPlaceError
from scanner.ledger.place import choose_place, default_place
from scanner.survey.filesystems import FilesystemPlace

LOCAL = FilesystemPlace("uuid:x", "/", "ext4", "/", "/dev/sda1", network=False, rotational=None)


def local(path):
    """Everything lies on one local disk."""
    return replace(LOCAL, root=str(path))


def choose(explicit, repositories=(), environment=None, place_of=local):
    return choose_place(explicit, repositories, environment or {}, place_of)


def test_default_place_of_a_service_is_its_state_directory():
    assert default_place({"STATE_DIRECTORY": "/var/lib/bakproof"}) == Path(
        "/var/lib/bakproof/ledger.sqlite"
    )
    assert default_place({"STATE_DIRECTORY": "/a:/b"}) == Path("/a/ledger.sqlite")


def test_default_place_of_a_user_is_the_state_folder(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/home/me/state")
    assert default_place({}) == Path("/home/me/state/bakproof/ledger.sqlite")


def test_explicit_place_beside_the_repository_is_taken(tmp_path):
    (tmp_path / "backups").mkdir()
    place = choose(tmp_path / "backups.sqlite", [tmp_path / "backups"])
    assert place == tmp_path / "backups.sqlite"


@pytest.mark.parametrize("inside", ["ledger.sqlite", "deep/er/ledger.sqlite", "../b/x"])
def test_explicit_place_in_the_repository_is_refused(tmp_path, inside):
    repository = tmp_path / "b"
    repository.mkdir()
    with pytest.raises(LedgerPlaceError, match=r"would lie in the repository '.*/b'"):
        choose(repository / inside, [tmp_path, repository][1:])
    assert list(repository.iterdir()) == []


def test_link_into_the_repository_is_seen_through(tmp_path):
    (tmp_path / "backups").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "backups")
    (tmp_path / "file.sqlite").symlink_to(tmp_path / "backups" / "ledger.sqlite")
    for explicit in (tmp_path / "link" / "ledger.sqlite", tmp_path / "file.sqlite"):
        with pytest.raises(LedgerPlaceError, match="would lie in the repository"):
            choose(explicit, [tmp_path / "backups"])
    with pytest.raises(LedgerPlaceError, match="would lie in the repository"):
        choose(tmp_path / "backups" / "ledger.sqlite", [tmp_path / "link"])


def test_other_mount_of_the_same_folder_is_seen_through(tmp_path):
    (tmp_path / "bind").mkdir()
    (tmp_path / "backups").mkdir()

    def bound(path):
        inside = str(path).replace(str(tmp_path / "bind"), "/data/x")
        return replace(LOCAL, root=inside.replace(str(tmp_path / "backups"), "/data"))

    with pytest.raises(LedgerPlaceError, match="would lie in the repository"):
        choose(tmp_path / "bind" / "ledger.sqlite", [tmp_path / "backups"], place_of=bound)


def test_same_folder_on_another_disk_is_another_place(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    def disks(path):
        return replace(LOCAL, filesystem=f"uuid:{path.name}", root="/")

    path = choose(tmp_path / "one" / "ledger.sqlite", [tmp_path / "two"], place_of=disks)
    assert path == tmp_path / "one" / "ledger.sqlite"


def test_default_place_in_a_scanned_folder_is_allowed(tmp_path):
    environment = {"STATE_DIRECTORY": str(tmp_path / "state")}
    assert choose(None, [tmp_path], environment) == tmp_path / "state" / "ledger.sqlite"


def test_repository_that_is_not_there_is_no_obstacle(tmp_path):
    choose(tmp_path / "ledger.sqlite", [tmp_path / "not there"])


@pytest.mark.parametrize("how", ["explicit", "default"])
def test_network_file_system_is_refused(tmp_path, how):
    asked = []

    def network(path):
        asked.append(path)
        return replace(LOCAL, network=True, kind="nfs4", mount_point="/net")

    explicit = tmp_path / "not" / "yet" / "ledger.sqlite"
    environment = {"STATE_DIRECTORY": str(explicit.parent)}
    message = r"would lie on a network file system \(nfs4 at '/net'\)"
    with pytest.raises(LedgerPlaceError, match=message):
        choose(explicit if how == "explicit" else None, [], environment, network)
    assert asked == [tmp_path]
