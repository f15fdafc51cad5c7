import os
import sqlite3
import stat
from pathlib import Path

import pytest

from scanner.errors import LedgerPlaceError, NotThereError, ScannerError
from scanner.ledger.errors import LedgerForeignError, LedgerStorageError
from scanner.ledger.opening import connect_writer
from scanner.ledger.schema import APPLICATION_ID
from scanner.ledger.store import Ledger
from tests.damage import cut, flip, zero
from tests.scanner.ledger.stories import MIB, Story, unit


def test_new_ledger_is_made_with_its_folder_and_only_for_its_owner(ledger_path, clock):
    with Ledger.open(ledger_path, clock) as ledger:
        assert ledger.notes == ()
        assert stat.S_IMODE(ledger_path.stat().st_mode) == 0o600
        assert stat.S_IMODE(ledger_path.with_name("ledger.sqlite-wal").stat().st_mode) == 0o600
        assert stat.S_IMODE(ledger_path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in ledger_path.parent.iterdir()] == ["ledger.sqlite"]


def test_connection_is_set_up_for_a_ledger(ledger):
    def pragma(name):
        return ledger._writer.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("application_id") == APPLICATION_ID == 0x62616B70
    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 1
    assert pragma("foreign_keys") == 1
    assert pragma("busy_timeout") == 30_000


def test_every_table_of_ours_is_strict(ledger):
    lax = ledger._reader.execute(
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict"
        " AND name NOT LIKE '%sqlite_%'"
    ).fetchall()
    assert lax == []
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER column"):
        ledger._writer.execute("INSERT INTO runs (repository_id, started_us) VALUES (1, 'x')")


def test_reader_cannot_write(ledger):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger._reader.execute("DELETE FROM files")


def test_opening_again_keeps_everything_and_writes_nothing(ledger_path, clock):
    with Ledger.open(ledger_path, clock) as ledger:
        Story(ledger, clock).read()
    before = ledger_path.read_bytes()
    with Ledger.open(ledger_path, clock) as ledger:
        assert ledger.notes == ()
        assert [row.path for row in ledger.files([1])] == ["a.vhdx"]
    assert ledger_path.read_bytes() == before


def test_view_of_an_older_version_is_brought_up_to_date(ledger_path, clock):
    Ledger.open(ledger_path, clock).close()
    with sqlite3.connect(ledger_path) as old:
        old.execute("DROP VIEW v_runs")
        old.execute("CREATE VIEW v_runs AS SELECT 1 AS one")
    old.close()
    with Ledger.open(ledger_path, clock) as ledger:
        columns = ledger._reader.execute("SELECT * FROM v_runs").description
        assert columns[0][0] == "run_id"


def test_missing_ledger_is_not_made_by_who_only_looks(ledger_path, clock):
    with pytest.raises(NotThereError, match=r"there is no ledger at '.*ledger.sqlite'"):
        Ledger.open(ledger_path, clock, create=False)
    assert not ledger_path.parent.exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: cut(content, len(content) - 8192), id="torn at a page"),
        pytest.param(lambda content: cut(content, 5000), id="torn in a page"),
        pytest.param(lambda content: flip(content, 3), id="wrong magic"),
        pytest.param(lambda content: zero(content, 0, 4096), id="first page zeroed"),
        pytest.param(lambda content: zero(content, 8192, 4096), id="a page zeroed"),
        pytest.param(lambda content: b"no database at all" * len(content), id="other content"),
    ],
)
def test_corrupt_ledger_is_kept_aside_and_a_new_one_begun(damage, ledger_path, clock):
    with Ledger.open(ledger_path, clock) as ledger:
        Story(ledger, clock).read()
    broken = damage(ledger_path.read_bytes())
    ledger_path.write_bytes(broken)

    with Ledger.open(ledger_path, clock) as ledger:
        (note,) = ledger.notes
        assert ledger.repositories() == ()
    assert "is corrupt" in note
    assert "'ledger.sqlite.corrupt-20260301T220000Z'" in note
    aside = ledger_path.with_name("ledger.sqlite.corrupt-20260301T220000Z")
    assert aside.read_bytes() == broken


def test_second_corrupt_ledger_of_the_same_second_replaces_no_first(ledger_path, clock):
    for content in (b"first", b"second"):
        ledger_path.parent.mkdir(exist_ok=True)
        ledger_path.write_bytes(content)
        Ledger.open(ledger_path, clock).close()
    kept = sorted(ledger_path.parent.glob("*.corrupt-*"))
    assert [path.read_bytes() for path in kept] == [b"first", b"second"]


def test_journal_of_a_corrupt_ledger_goes_with_it(ledger_path, clock):
    ledger_path.parent.mkdir()
    ledger_path.write_bytes(b"broken" * 1000)
    ledger_path.with_name("ledger.sqlite-wal").write_bytes(b"journal")
    Ledger.open(ledger_path, clock).close()
    aside = ledger_path.with_name("ledger.sqlite.corrupt-20260301T220000Z-wal")
    assert aside.read_bytes() == b"journal"
    assert not ledger_path.with_name("ledger.sqlite-wal").exists()


def test_file_that_was_never_a_ledger_is_not_renamed(tmp_path, clock):
    backup = tmp_path / "monday.bak"
    backup.write_bytes(b"TAPE" + bytes(5000))
    with pytest.raises(LedgerForeignError, match=r"monday.bak' is no ledger: expected b'SQLite"):
        Ledger.open(backup, clock)
    assert backup.read_bytes() == b"TAPE" + bytes(5000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["monday.bak"]


def test_ledger_with_an_unusual_name_is_told_by_the_locks_beside_it(tmp_path, clock):
    path = tmp_path / "memory"
    path.write_bytes(b"garbage" * 1000)
    (tmp_path / "memory.lock-0123456789").touch()
    with Ledger.open(path, clock) as ledger:
        assert len(ledger.notes) == 1


def test_database_of_another_program_is_left_alone(tmp_path, clock):
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE songs (title)")
    other.execute("PRAGMA application_id = 7")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(
        LedgerForeignError, match="another program: expected application id 0x62616b70, found 0x000"
    ):
        Ledger.open(path, clock)
    assert path.read_bytes() == before


def test_ledger_of_a_newer_version_is_refused_and_left_alone(ledger_path, clock):
    Ledger.open(ledger_path, clock).close()
    newer = sqlite3.connect(ledger_path)
    newer.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('bakproof.ledger', 'm9999_more', '2030')"
    )
    newer.commit()
    newer.close()
    before = ledger_path.read_bytes()
    with pytest.raises(ScannerError, match=r"newer version of bakproof: .*'m9999_more'"):
        Ledger.open(ledger_path, clock)
    assert ledger_path.read_bytes() == before


def test_empty_database_left_by_a_kill_is_filled(ledger_path, clock):
    ledger_path.parent.mkdir()
    early = sqlite3.connect(ledger_path)
    early.execute("PRAGMA journal_mode = WAL")
    early.close()
    with Ledger.open(ledger_path, clock) as ledger:
        assert ledger.notes == ()
        assert ledger.repositories() == ()


def test_folder_that_cannot_be_made_is_said(tmp_path, clock):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerPlaceError, match="cannot be opened for writing"):
        Ledger.open(tmp_path / "file" / "ledger.sqlite", clock)


def test_failed_migration_leaves_the_file_as_it_was(ledger_path, clock, monkeypatch):
    def fail(_connection):
        raise sqlite3.OperationalError("no")

    monkeypatch.setattr("scanner.ledger.opening.refresh_views", fail)
    with pytest.raises(sqlite3.OperationalError, match="no"):
        Ledger.open(ledger_path, clock)
    left = sqlite3.connect(ledger_path)
    assert left.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    left.close()


def test_full_disk_is_a_message_and_what_was_committed_stays(story):
    story.read()
    (pages,) = story.ledger._writer.execute("PRAGMA page_count").fetchone()
    story.ledger._writer.execute(f"PRAGMA max_page_count = {pages}")
    story.start("b.vhdx")
    noise = os.urandom(16 * 64 * 100)
    units = [unit_of(noise, number) for number in range(100)]
    with pytest.raises(LedgerStorageError, match=r"ledger '.*': database or disk is full"):
        record_all(story, units, "b.vhdx")
    assert story.recorded("b.vhdx") == ()
    assert [row.path for row in story.files()] == ["a.vhdx", "b.vhdx"]


def record_all(story, units, path):
    with story.ledger.transaction():
        for one in units:
            story.record(one, path)


def unit_of(noise, number):
    part = noise[number * 1024 : (number + 1) * 1024]
    return unit(number * 64 * MIB, length=64 * MIB, digests=part)


def test_mistake_in_our_sql_is_not_taken_for_a_failing_disk(story):
    with pytest.raises(sqlite3.OperationalError, match="no such table"), story.ledger._writing():
        story.ledger._writer.execute("SELECT * FROM nowhere")


def test_two_processes_may_make_the_same_ledger(ledger_path, clock):
    with Ledger.open(ledger_path, clock) as first:
        second = connect_writer(ledger_path)
        second.close()
        assert first.repositories() == ()


def test_ledger_in_a_folder_with_odd_characters_is_opened(tmp_path, clock):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/50% off?#\xe9/ledger.sqlite"))
    with Ledger.open(path, clock) as ledger:
        ledger.repository("uuid:x", "/", "/srv")
        assert len(ledger.repositories()) == 1
