"""The public contract for people who query the ledger: views, and what each column says.

A view's columns are exactly those of its documentation here; a test compares them. Columns may be
added, none is renamed or removed. Times are ISO 8601 in UTC, sizes are bytes, unknown is NULL.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """One view: what a row of it is, its query, and a sentence for each column."""

    name: str
    title: str
    query: str
    columns: Mapping[str, str]


def iso(column: str) -> str:
    """Return SQL that spells a column of microseconds as an ISO 8601 time."""
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {column} / 1000000, 'unixepoch')"


V_FILES = View(
    "v_files",
    "One row per file of a repository, known backup or not.",
    f"""
    SELECT f.id AS file_id, r.path AS repository, f.path, f.size AS size_bytes, f.allocated_bytes,
        strftime('%Y-%m-%dT%H:%M:%SZ', f.mtime_ns / 1000000000, 'unixepoch') AS modified_at,
        f.state, f.format, f.format_revision,
        (SELECT count(*) FROM images i WHERE i.file_id = f.id) AS images,
        (SELECT count(*) FROM evidence e WHERE e.file_id = f.id AND e.finding_id IS NOT NULL)
            AS findings,
        {iso("f.read_us")} AS read_at, {iso("f.unchanged_since_us")} AS unchanged_since,
        f.bytes_read, {iso("f.first_seen_us")} AS first_seen_at, {iso("f.seen_us")} AS seen_at,
        {iso("f.gone_us")} AS gone_at, v.verdict, v.rule, f.traceback
    FROM files f JOIN repositories r ON r.id = f.repository_id
        LEFT JOIN other_verdicts v ON v.file_id = f.id
    """,  # noqa: S608 - nothing but literals of this module
    {
        "file_id": "Number of the file in this ledger.",
        "repository": "Where the repository was mounted at its last scan.",
        "path": "Path relative to the repository; � and four hex digits stand for bytes that are "
        "no UTF-8.",
        "size_bytes": "Size at the last reading.",
        "allocated_bytes": "What the file took on the disk then.",
        "modified_at": "Modification time then.",
        "state": "`reading`, `read`, `changed`, `refused`, `failed` or `gone`.",
        "format": "Name of the format; NULL for no known backup.",
        "format_revision": "Revision of the format's code that read the file.",
        "images": "How many images lie in the file.",
        "findings": "How many rows of bad evidence there are about the file and its images.",
        "read_at": "When the oldest byte of the last complete reading was read.",
        "unchanged_since": "Every byte equals the baseline taken then.",
        "bytes_read": "Bytes read from the storage in the last reading.",
        "first_seen_at": "The first survey that found the file.",
        "seen_at": "The last survey that found the file.",
        "gone_at": "When a survey first missed the file.",
        "verdict": "Verdict on a file that is no known backup; backups have theirs in `v_images`.",
        "rule": "The rule that decided this verdict.",
        "traceback": "An error of this program, met while reading the file.",
    },
)

V_IMAGES = View(
    "v_images",
    "One row per image, or per piece of an image that lies in several files.",
    f"""
    SELECT i.id AS image_id, f.id AS file_id, r.path AS repository, f.path, i.image_index,
        f.format, i.kind, i.title, i.identities, i.lineage, i.parents,
        i.position_first, i.position_last, i.piece, i.source,
        CASE i.created_zone WHEN 'utc' THEN {iso("i.created_us")}
            ELSE strftime('%Y-%m-%dT%H:%M:%S', i.created_us / 1000000, 'unixepoch')
        END AS created_at,
        i.source_bytes, i.used_bytes, i.payload_bytes, i.needed_bytes, f.size AS file_bytes,
        i.members, i.in_progress, i.complete, i.facts,
        v.verdict, v.rule, v.own_verdict, v.own_rule, v.key_image_id,
        v.deciding_image_id, d.path AS deciding_path,
        {iso("v.structure_us")} AS structure_at, {iso("v.read_us")} AS read_at,
        {iso("v.unchanged_since_us")} AS unchanged_since, {iso("v.checksums_us")} AS checksums_at,
        v.bytes_vouched, v.bytes_needed, {iso("v.content_us")} AS content_at,
        {iso("v.restored_us")} AS restored_at, {iso("v.judged_us")} AS judged_at
    FROM images i JOIN files f ON f.id = i.file_id JOIN repositories r ON r.id = f.repository_id
        LEFT JOIN verdicts v ON v.image_id = i.id
        LEFT JOIN images di ON di.id = v.deciding_image_id LEFT JOIN files d ON d.id = di.file_id
    """,  # noqa: S608 - nothing but literals of this module
    {
        "image_id": "Number of the image in this ledger.",
        "file_id": "The file it lies in, as in `v_files`.",
        "repository": "Where the repository was mounted at its last scan.",
        "path": "Path of the file relative to the repository.",
        "image_index": "Which image of the file, from 0.",
        "format": "Name of the format.",
        "kind": "`full`, `differential`, `incremental` or `log`.",
        "title": "What the image calls itself.",
        "identities": "JSON list of `{scheme, value}`: the names the image identifies itself by.",
        "lineage": "What images of one series have in common.",
        "parents": "JSON list of `{identities, names}`: the images it says it needs.",
        "position_first": "Number in its chain, or first log sequence number, in decimal.",
        "position_last": "Last log sequence number, in decimal.",
        "piece": "JSON `{identity, number, count}` where the file is one piece of a larger set.",
        "source": "What was backed up.",
        "created_at": "When the backup was made; without `Z` it is local time of that machine.",
        "source_bytes": "Size of what was backed up.",
        "used_bytes": "How much of the source was in use.",
        "payload_bytes": "How much of the source this image stores.",
        "needed_bytes": "The smallest file that can hold everything the image refers to.",
        "file_bytes": "Size of the file.",
        "members": "JSON list of further files the image consists of.",
        "in_progress": "1 while the format's own mark says that it is being written.",
        "complete": "1 where the structure was found whole.",
        "facts": "JSON object: the format's own fields.",
        "verdict": "The worst along the path of images a restore needs; NULL before judging.",
        "rule": "The rule that decided the verdict.",
        "own_verdict": "The verdict on this image alone.",
        "own_rule": "The rule that decided the verdict on this image alone.",
        "key_image_id": "The first piece's `image_id`, the same for all pieces of one image.",
        "deciding_image_id": "The image on the path that decided the verdict.",
        "deciding_path": "The file that image lies in.",
        "structure_at": "When the structure was proven.",
        "read_at": "When the oldest byte of the last complete reading was read.",
        "unchanged_since": "Every byte equals the baseline taken then.",
        "checksums_at": "When the format's checksums were compared.",
        "bytes_vouched": "Bytes under checksums that matched.",
        "bytes_needed": "Bytes a restore needs.",
        "content_at": "When the content was looked at.",
        "restored_at": "When a restore was tried.",
        "judged_at": "When the verdict was made.",
    },
)

V_CHAINS = View(
    "v_chains",
    "One row per chain: images linked by parents, and how far it can be restored.",
    f"""
    SELECT c.id AS chain_id, r.path AS repository, c.name, c.verdict,
        (SELECT count(*) FROM chain_images ci WHERE ci.chain_id = c.id) AS images,
        (SELECT f.path FROM chain_images ci JOIN images i ON i.id = ci.image_id
            JOIN files f ON f.id = i.file_id WHERE ci.chain_id = c.id
            ORDER BY ci.place LIMIT 1) AS first_path,
        (SELECT f.path FROM chain_images ci JOIN images i ON i.id = ci.image_id
            JOIN files f ON f.id = i.file_id WHERE ci.chain_id = c.id
            ORDER BY ci.place DESC LIMIT 1) AS last_path,
        c.restorable_image_id, rf.path AS restorable_path,
        CASE ri.created_zone WHEN 'utc' THEN {iso("ri.created_us")}
            ELSE strftime('%Y-%m-%dT%H:%M:%S', ri.created_us / 1000000, 'unixepoch')
        END AS restorable_created_at,
        {iso("c.judged_us")} AS judged_at
    FROM chains c JOIN repositories r ON r.id = c.repository_id
        LEFT JOIN images ri ON ri.id = c.restorable_image_id
        LEFT JOIN files rf ON rf.id = ri.file_id
    """,  # noqa: S608 - nothing but literals of this module
    {
        "chain_id": "Number of the chain; another one after every judging.",
        "repository": "Where the repository was mounted at its last scan.",
        "name": "Name of the chain.",
        "verdict": "The worst verdict of its images.",
        "images": "How many images it has.",
        "first_path": "File of the chain's root.",
        "last_path": "File of the chain's last image.",
        "restorable_image_id": "The newest image whose whole path is sound or weakened.",
        "restorable_path": "The file that image lies in.",
        "restorable_created_at": "When that image was made; without `Z` it is local time.",
        "judged_at": "When the verdict was made.",
    },
)

V_RUNS = View(
    "v_runs",
    "One row per scan of a repository.",
    f"""
    SELECT u.id AS run_id, r.path AS repository, {iso("u.started_us")} AS started_at,
        {iso("u.finished_us")} AS finished_at,
        (u.finished_us - u.started_us) / 1000000.0 AS seconds,
        u.files, u.bytes_read, u.exit_code
    FROM runs u JOIN repositories r ON r.id = u.repository_id
    """,  # noqa: S608 - nothing but literals of this module
    {
        "run_id": "Number of the run.",
        "repository": "Where the repository was mounted at its last scan.",
        "started_at": "When the run began.",
        "finished_at": "When it ended; NULL while it runs, or after it was killed.",
        "seconds": "How long it took.",
        "files": "How many files it found.",
        "bytes_read": "How many bytes it read.",
        "exit_code": "What it exited with.",
    },
)

V_FINDINGS = View(
    "v_findings",
    "One row per finding: bad evidence, or something missing.",
    f"""
    SELECT e.finding_id, r.path AS repository, f.path, i.image_index, e.stage,
        e.check_id AS "check", e.outcome, e.bearing, e.member, e.offset, e.length,
        e.expected, e.actual, e.count, e.revision, {iso("e.found_us")} AS found_at,
        {iso("a.until_us")} AS acknowledged_until, a.reason AS acknowledged_because
    FROM (
        SELECT finding_id, file_id, image_id, stage, check_id, outcome, bearing, member, offset,
            length, expected, actual, count, revision, found_us FROM evidence
        WHERE finding_id IS NOT NULL
        UNION ALL
        SELECT finding_id, file_id, image_id, 'chain', check_id, outcome, bearing, member, offset,
            length, expected, actual, count, NULL, found_us FROM inferences
    ) e JOIN files f ON f.id = e.file_id
        JOIN repositories r ON r.id = f.repository_id
        LEFT JOIN images i ON i.id = e.image_id
        LEFT JOIN acknowledgements a ON a.finding_id = e.finding_id
    """,  # noqa: S608 - nothing but literals of this module
    {
        "finding_id": "What `bakproof ack` takes; the same in every run that finds the same thing.",
        "repository": "Where the repository was mounted at its last scan.",
        "path": "Path of the file relative to the repository.",
        "image_index": "Which image of the file; NULL where it is about the file itself.",
        "stage": "`file`, `image`, `joint` for what several files together showed, `chain` for "
        "what an image misses of the images and files it needs.",
        "check": "Id of the check.",
        "outcome": "`mismatched`, `unsteady`, `truncated`, `unreadable` or `unsupported`.",
        "bearing": "`needed` by a restore, `redundant`, or `doubtful`.",
        "member": "File of the image the offset counts in; empty for the file itself.",
        "offset": "Where, in bytes from the start of the file.",
        "length": "How many bytes it speaks of.",
        "expected": "What the check expected.",
        "actual": "What it found.",
        "count": "How many elements the row speaks of.",
        "revision": "Revision of the format's code that found it.",
        "found_at": "When the oldest byte of that reading was read.",
        "acknowledged_until": "Accepted by somebody until then, or in the past: until then.",
        "acknowledged_because": "The reason given.",
    },
)

V_SOURCES = View(
    "v_sources",
    "One row per source (a database, or a disk of a machine): how it stood at the last scan.",
    f"""
    SELECT s.source_id, s.name, s.kind, s.machine, s.state, s.points, s.failed,
        {iso("s.restorable_us")} AS restorable_to, rf.path AS restorable_path,
        ff.path AS failing_path, s.wrong, s.first_step, {iso("s.judged_us")} AS judged_at
    FROM sources s
        LEFT JOIN images ri ON ri.id = s.restorable_image_id
        LEFT JOIN files rf ON rf.id = ri.file_id
        LEFT JOIN images fi ON fi.id = s.failing_image_id
        LEFT JOIN files ff ON ff.id = fi.file_id
    """,  # noqa: S608 - nothing but literals of this module
    {
        "source_id": "The same in every run.",
        "name": "SERVER/DATABASE, folder and name of disk images, or what the configuration says.",
        "kind": "`database` or `disk`.",
        "machine": "The machine it is of, where that is known.",
        "state": "`restorable`, `attention` (it restores, and something is to be looked into), "
        "`behind` (only an older backup restores), `unproven` or `lost`.",
        "points": "How many restore points it has, usable or not.",
        "failed": "How many backups newer than the newest usable one do not restore.",
        "restorable_to": "Time of the newest backup that is proven to restore.",
        "restorable_path": "The file of that backup.",
        "failing_path": "The file of the newest backup, where that one does not restore.",
        "wrong": "What is wrong, worst first.",
        "first_step": "What to do first about it.",
        "judged_at": "When this was found.",
    },
)

VIEWS = (V_FILES, V_IMAGES, V_CHAINS, V_RUNS, V_FINDINGS, V_SOURCES)


def stale_views(connection: sqlite3.Connection) -> tuple[View, ...]:
    """Return the views that are not in the file as they are here."""
    standing = dict(
        connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall()
    )
    return tuple(view for view in VIEWS if standing.get(view.name) != statement(view))


def refresh_views(connection: sqlite3.Connection) -> None:
    """Make the views in the file those of this version."""
    for view in stale_views(connection):
        connection.execute(f"DROP VIEW IF EXISTS {view.name}")
        connection.execute(statement(view))


def statement(view: View) -> str:
    """Return the SQL that makes a view, as SQLite keeps it."""
    return f"CREATE VIEW {view.name} AS {view.query.strip()}"


def views_markdown() -> str:
    """Return the views' documentation for the README."""
    parts = []
    for view in VIEWS:
        rows = [f"| `{name}` | {sentence} |" for name, sentence in view.columns.items()]
        table = ["| Column | Says |", "|---|---|", *rows]
        parts.append("\n".join([f"**`{view.name}`**: {view.title}", "", *table]))
    return "\n\n".join(parts) + "\n"
