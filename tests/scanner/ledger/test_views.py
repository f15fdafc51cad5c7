"""The views are a contract: what is documented is there, and what is there is documented."""

import json

import pytest

from scanner.ledger.views import VIEWS, views_markdown
from tests.scanner.ledger.stories import EVENING, NIGHT, fill


@pytest.fixture
def query(story):
    fill(story)

    def ask(sql):
        return story.ledger._reader.execute(sql).fetchall()

    return ask


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_columns_of_a_view_are_the_documented_ones(view, ledger):
    cursor = ledger._reader.execute(f"SELECT * FROM {view.name}")  # noqa: S608
    assert [column[0] for column in cursor.description] == list(view.columns)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_column_is_documented_in_a_sentence(view):
    for sentence in (view.title, *view.columns.values()):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence[0] in "`1"
        assert "|" not in sentence


def test_every_view_of_the_ledger_is_documented(ledger):
    names = ledger._reader.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
    assert sorted(name for (name,) in names) == sorted(view.name for view in VIEWS)
    assert {"v_files", "v_images", "v_chains", "v_runs", "v_findings"} <= {
        name for (name,) in names
    }


def test_v_files_tells_a_file_that_is_no_backup(query):
    rows = query(
        "SELECT repository, path, size_bytes, state, format, images, findings, verdict, rule,"
        " read_at, seen_at FROM v_files WHERE verdict IS NOT NULL"
    )
    evening = "2026-03-01T22:00:00Z"
    path = "caf\ufffddce9.txt"
    assert rows == [
        (
            "/srv/backups",
            path,
            3 << 20,
            "read",
            None,
            0,
            1,
            "empty",
            "zero length",
            evening,
            evening,
        ),
    ]


def test_v_files_tells_since_when_a_file_is_unchanged(query):
    rows = query("SELECT path, unchanged_since FROM v_files WHERE format = 'vhdx' ORDER BY path")
    assert rows == [("child.vhdx", None), ("full.vhdx", "2026-03-01T22:00:00Z")]


def test_v_images_tells_what_an_image_is(query):
    (row,) = query(
        "SELECT kind, title, source, created_at, position_first, source_bytes, identities, parents,"
        " members, facts, piece, in_progress, complete FROM v_images WHERE verdict = 'damaged'"
    )
    assert row[:3] == ("log", "Nightly", "SRV1")
    assert row[3] == "2026-02-28T23:30:00"
    assert row[4:6] == (str(10**24), 100)
    assert json.loads(row[6])[0] == {"scheme": "vhdx", "value": "aa"}
    assert json.loads(row[7]) == [
        {"identities": [{"scheme": "vhdx", "value": "cc"}], "names": ["base.vhdx"]}
    ]
    assert json.loads(row[8]) == ["base.vhdx"]
    assert json.loads(row[9])["name"] == "käse"
    assert row[10:] == (None, 1, 0)


def test_v_chains_tells_how_far_a_chain_can_be_restored(query):
    rows = query(
        "SELECT repository, name, verdict, images, first_path, last_path, restorable_path,"
        " restorable_created_at, judged_at FROM v_chains"
    )
    assert rows == [
        (
            "/srv/backups",
            "SRV1",
            "damaged",
            2,
            "full.vhdx",
            "child.vhdx",
            "full.vhdx",
            "2026-02-28T23:30:00",
            "2026-03-02T22:00:00Z",
        ),
    ]


def test_v_runs_tells_how_long_a_run_took(query):
    rows = query(
        "SELECT started_at, finished_at, seconds, files, bytes_read, exit_code FROM v_runs"
        " ORDER BY run_id"
    )
    assert rows == [
        ("2026-03-01T22:00:00Z", "2026-03-01T23:00:00Z", 3600.0, 3, 9 << 20, 4),
        ("2026-03-02T22:00:00Z", None, None, 0, 0, None),
    ]


def test_v_findings_tells_where_what_was_found(query, story):
    (finding,) = query("SELECT finding_id FROM v_findings WHERE \"check\" = 'vhdx.header.crc32c'")
    story.ledger.acknowledge(finding[0], EVENING + NIGHT, "known", EVENING)
    rows = query(
        'SELECT path, image_index, stage, "check", outcome, bearing, offset, expected, actual,'
        " found_at, acknowledged_until, acknowledged_because FROM v_findings ORDER BY stage"
    )
    evening, later = "2026-03-01T22:00:00Z", "2026-03-02T22:00:00Z"
    assert rows == [
        (
            "child.vhdx",
            0,
            "chain",
            "chain.parent.present",
            "truncated",
            "needed",
            None,
            "vhdx:cc",
            None,
            evening,
            None,
            None,
        ),
        (
            "caf\ufffddce9.txt",
            None,
            "file",
            "generic.size.zero",
            "truncated",
            "needed",
            None,
            None,
            None,
            evening,
            None,
            None,
        ),
        (
            "child.vhdx",
            0,
            "image",
            "vhdx.header.crc32c",
            "mismatched",
            "needed",
            4096,
            "0x1",
            "0x2",
            evening,
            later,
            "known",
        ),
    ]


def test_documentation_has_a_table_per_view():
    text = views_markdown()
    assert text.startswith("**`v_files`**: One row per file")
    assert "| `finding_id` | What `bakproof ack` takes;" in text
    assert text.count("\n|---|---|\n") == len(VIEWS)
    assert text.endswith(" |\n")
