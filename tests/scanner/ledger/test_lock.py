import os
import signal
import subprocess
import sys

import pytest

from scanner.errors import LedgerPlaceError, LockedError
from scanner.ledger.lock import RepositoryLock, lock_path
from tests.scanner.ledger.stories import EVENING

HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from scanner.ledger.lock import RepositoryLock
now = datetime(2026, 3, 1, tzinfo=UTC)
lock = RepositoryLock.take(Path(sys.argv[1]), "uuid:x", "/", Path("/srv"), now)
print("held", flush=True)
sys.stdin.read()
"""


def take(path, filesystem="uuid:x", root="/"):
    return RepositoryLock.take(path, filesystem, root, path.parent / "repo", EVENING)


def test_second_run_is_told_who_holds_the_repository(ledger_path):
    with take(ledger_path), pytest.raises(LockedError) as caught:
        take(ledger_path)
    assert str(caught.value) == (
        f"repository {str(ledger_path.parent / 'repo')!r} is being scanned by process "
        f"{os.getpid()} since 2026-03-01 22:00:00 UTC"
    )
    assert caught.value.exit_code == 11


def test_released_lock_can_be_taken_again(ledger_path):
    with take(ledger_path) as lock:
        assert lock.path.read_text() == f"process {os.getpid()} since 2026-03-01 22:00:00 UTC\n"
    assert lock.path.read_text() == ""
    lock.close()
    take(ledger_path).close()


def test_locks_of_two_repositories_do_not_meet(ledger_path):
    with take(ledger_path), take(ledger_path, "uuid:y"), take(ledger_path, "uuid:x", "/b") as last:
        assert last.path.parent == ledger_path.parent
        assert len(list(ledger_path.parent.iterdir())) == 3


def test_lock_has_the_same_name_in_every_run(ledger_path):
    name = lock_path(ledger_path, "uuid:x", "/").name
    assert name == lock_path(ledger_path, "uuid:x", "/").name
    assert name.startswith("ledger.sqlite.lock-")
    assert name != lock_path(ledger_path, "uuid:x/", "").name
    assert lock_path(ledger_path, "uuid:x", "/caf\udce9").name != name


def test_lock_of_a_killed_run_is_free(ledger_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, ledger_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            LockedError, match=f"process {holder.pid} since 2026-03-01 00:00:00 UTC"
        ):
            take(ledger_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with take(ledger_path) as lock:
        assert lock.path.read_text().startswith(f"process {os.getpid()} ")


def test_place_where_no_lock_can_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerPlaceError, match="cannot be made: File exists"):
        take(tmp_path / "file" / "ledger.sqlite")
