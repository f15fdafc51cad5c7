"""The tables, and the steps that lead from an empty file to the present ones.

Tables are ours to change; the views of `views.py` are what other programs may rely on. ``*_us``
columns are UTC microseconds since 1970, ``*_ns`` what the file system says, sizes are bytes.

What is found (``evidence``) and what is thought of it (``verdicts``) are kept apart: when a rule
changes, verdicts are made anew without reading a byte.
"""

from sqlite_utils import Database, Migrations

APPLICATION_ID = 0x62616B70
"""``bakp``; ``file(1)`` shows it, and a ledger is told from other programs' databases by it."""

MIGRATIONS = Migrations("bakproof.ledger")

TABLES = """
CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    filesystem TEXT NOT NULL,           -- identity of the file system, with its scheme
    root TEXT NOT NULL,                 -- the folder inside that file system
    path TEXT NOT NULL,                 -- where it was mounted the last time
    UNIQUE (filesystem, root)
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    started_us INTEGER NOT NULL,
    finished_us INTEGER,
    files INTEGER NOT NULL DEFAULT 0,
    bytes_read INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER
) STRICT;
CREATE INDEX runs_repository ON runs (repository_id);

CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,              -- this and the next four: stamps, last finished reading
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    allocated_bytes INTEGER,
    state TEXT NOT NULL,
    format TEXT,
    format_revision INTEGER,
    identity_key TEXT,
    read_us INTEGER,
    unchanged_since_us INTEGER,
    bytes_read INTEGER NOT NULL DEFAULT 0,
    traceback TEXT,
    first_seen_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL,
    seen_run_id INTEGER NOT NULL,
    gone_us INTEGER,
    UNIQUE (repository_id, path)
) STRICT;

CREATE TABLE readings (                 -- a file whose reading has begun and is not finished
    file_id INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    allocated_bytes INTEGER,
    format TEXT,
    format_revision INTEGER
) STRICT;

CREATE TABLE units (                    -- what was read so far
    file_id INTEGER NOT NULL REFERENCES readings ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    read_us INTEGER NOT NULL,
    bytes_read INTEGER NOT NULL,
    packing INTEGER NOT NULL,
    digests BLOB NOT NULL,
    evidence TEXT NOT NULL,
    payload TEXT NOT NULL,
    storage TEXT NOT NULL,
    unreadable TEXT NOT NULL,
    PRIMARY KEY (file_id, offset)
) STRICT;

CREATE TABLE tallies (                  -- outlive the reading where a set of files is not complete
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    unit_offset INTEGER NOT NULL,
    image_index INTEGER NOT NULL,
    name TEXT NOT NULL,
    packing INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (file_id, unit_offset, image_index, name)
) STRICT;

CREATE TABLE gaps (                     -- ranges the storage refused, kept as long as tallies are
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (file_id, offset)
) STRICT;

CREATE TABLE baselines (
    file_id INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    identity_key TEXT,
    taken_us INTEGER NOT NULL,
    size INTEGER NOT NULL,              -- this and the next four: stamps when last found equal
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    allocated_bytes INTEGER
) STRICT;
CREATE INDEX baselines_identity ON baselines (identity_key) WHERE identity_key IS NOT NULL;

CREATE TABLE digests (                  -- an empty blob: zeros from end to end
    file_id INTEGER NOT NULL REFERENCES baselines ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    read_us INTEGER NOT NULL,
    packing INTEGER NOT NULL,
    digests BLOB NOT NULL,
    PRIMARY KEY (file_id, offset)
) STRICT;

CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    image_index INTEGER NOT NULL,
    kind TEXT,
    title TEXT,
    identities TEXT NOT NULL,
    lineage TEXT,
    parents TEXT NOT NULL,
    position_first TEXT,                -- decimal: log sequence numbers have up to 25 digits
    position_last TEXT,
    piece TEXT,
    source TEXT,
    created_us INTEGER,
    created_zone TEXT CHECK (created_zone IN ('utc', 'local')),
    source_bytes INTEGER,
    used_bytes INTEGER,
    payload_bytes INTEGER,
    needed_bytes INTEGER,
    seen_bytes INTEGER NOT NULL,
    seen_nonzero_bytes INTEGER NOT NULL,
    seen_nonzero INTEGER NOT NULL,
    members TEXT NOT NULL,
    in_progress INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    facts TEXT NOT NULL,
    UNIQUE (file_id, image_index)
) STRICT;

CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    image_id INTEGER REFERENCES images ON DELETE CASCADE,
    stage TEXT NOT NULL CHECK (stage IN ('file', 'image', 'joint')),
    check_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    offset INTEGER,
    length INTEGER,
    expected TEXT,
    actual TEXT,
    bearing TEXT NOT NULL,
    member TEXT NOT NULL,
    count INTEGER NOT NULL,
    vouched_bytes INTEGER NOT NULL,
    revision INTEGER,
    found_us INTEGER NOT NULL,
    finding_id TEXT
) STRICT;
CREATE INDEX evidence_file ON evidence (file_id);
CREATE INDEX evidence_image ON evidence (image_id);
CREATE INDEX evidence_finding ON evidence (finding_id) WHERE finding_id IS NOT NULL;

CREATE TABLE verdicts (
    image_id INTEGER PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    key_image_id INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    verdict TEXT NOT NULL,
    rule TEXT NOT NULL,
    deciding_image_id INTEGER REFERENCES images ON DELETE SET NULL,
    own_verdict TEXT NOT NULL,
    own_rule TEXT NOT NULL,
    structure_us INTEGER,
    read_us INTEGER,
    unchanged_since_us INTEGER,
    checksums_us INTEGER,
    bytes_vouched INTEGER NOT NULL,
    bytes_needed INTEGER,
    content_us INTEGER,
    restored_us INTEGER,
    judged_us INTEGER NOT NULL
) STRICT;
CREATE INDEX verdicts_key ON verdicts (key_image_id);
CREATE INDEX verdicts_deciding ON verdicts (deciding_image_id);

CREATE TABLE parents (
    image_id INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    number INTEGER NOT NULL,
    wanted TEXT NOT NULL,
    parent_image_id INTEGER REFERENCES images ON DELETE SET NULL,
    linked_by TEXT NOT NULL,
    PRIMARY KEY (image_id, number)
) STRICT;
CREATE INDEX parents_parent ON parents (parent_image_id);

CREATE TABLE inferences (               -- findings that follow from rows, not from bytes
    file_id INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    image_id INTEGER REFERENCES images ON DELETE CASCADE,
    check_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    offset INTEGER,
    length INTEGER,
    expected TEXT,
    actual TEXT,
    bearing TEXT NOT NULL,
    member TEXT NOT NULL,
    count INTEGER NOT NULL,
    found_us INTEGER NOT NULL,
    finding_id TEXT NOT NULL
) STRICT;
CREATE INDEX inferences_file ON inferences (file_id);
CREATE INDEX inferences_image ON inferences (image_id);
CREATE INDEX inferences_finding ON inferences (finding_id);

CREATE TABLE other_verdicts (           -- of files that are no known backup
    file_id INTEGER PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    verdict TEXT NOT NULL,
    rule TEXT NOT NULL,
    judged_us INTEGER NOT NULL
) STRICT;

CREATE TABLE chains (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    name TEXT NOT NULL,
    verdict TEXT NOT NULL,
    restorable_image_id INTEGER REFERENCES images ON DELETE SET NULL,
    judged_us INTEGER NOT NULL
) STRICT;
CREATE INDEX chains_repository ON chains (repository_id);
CREATE INDEX chains_restorable ON chains (restorable_image_id);

CREATE TABLE chain_images (
    chain_id INTEGER NOT NULL REFERENCES chains ON DELETE CASCADE,
    place INTEGER NOT NULL,
    image_id INTEGER NOT NULL REFERENCES images ON DELETE CASCADE,
    PRIMARY KEY (chain_id, place)
) STRICT;
CREATE INDEX chain_images_image ON chain_images (image_id);

CREATE TABLE acknowledgements (
    finding_id TEXT PRIMARY KEY,        -- no reference: it outlives a finding that comes and goes
    until_us INTEGER NOT NULL,
    reason TEXT NOT NULL,
    made_us INTEGER NOT NULL
) STRICT;
"""


@MIGRATIONS()
def m0001_tables(database: Database) -> None:
    """Create every table of the first version."""
    database.executescript(TABLES)


HISTORY_AND_SPACE = """
ALTER TABLE files ADD COLUMN rewritten_us INTEGER;  -- when proven bytes were last found replaced
ALTER TABLE files ADD COLUMN cramped_mtime_ns INTEGER;  -- of the content that ended with the room

CREATE TABLE history (                  -- what images measured, kept when they are gone
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories ON DELETE CASCADE,
    path TEXT NOT NULL,
    image_index INTEGER NOT NULL,
    format TEXT,
    kind TEXT,
    source TEXT,
    piece_number INTEGER,
    piece_count INTEGER,
    created_us INTEGER,
    created_zone TEXT CHECK (created_zone IN ('utc', 'local')),
    mtime_ns INTEGER NOT NULL,
    source_bytes INTEGER,
    used_bytes INTEGER,
    payload_bytes INTEGER,
    needed_bytes INTEGER,
    nonzero_bytes INTEGER,
    file_bytes INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    seen_us INTEGER NOT NULL
) STRICT;
CREATE INDEX history_image ON history (repository_id, path, image_index, id);

CREATE TABLE sources (                  -- how each database and disk stood at the last scan
    source_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    machine TEXT,
    state TEXT NOT NULL,
    points INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    restorable_us INTEGER,
    restorable_image_id INTEGER REFERENCES images ON DELETE SET NULL,
    failing_image_id INTEGER REFERENCES images ON DELETE SET NULL,
    wrong TEXT,
    first_step TEXT,
    judged_us INTEGER NOT NULL
) STRICT;
CREATE INDEX sources_restorable ON sources (restorable_image_id);
CREATE INDEX sources_failing ON sources (failing_image_id);

CREATE TABLE spaces (                   -- what a repository's file system held at its last scan
    repository_id INTEGER PRIMARY KEY REFERENCES repositories ON DELETE CASCADE,
    total_bytes INTEGER NOT NULL,
    available_bytes INTEGER NOT NULL,
    quota_bytes INTEGER,
    quota_used_bytes INTEGER,
    read_only INTEGER NOT NULL,
    measured_us INTEGER NOT NULL
) STRICT;

INSERT INTO history (repository_id, path, image_index, format, kind, source, piece_number,
    piece_count, created_us, created_zone, mtime_ns, source_bytes, used_bytes, payload_bytes,
    needed_bytes, nonzero_bytes, file_bytes, complete, seen_us)
SELECT f.repository_id, f.path, i.image_index, f.format, i.kind, i.source,
    json_extract(i.piece, '$.number'), json_extract(i.piece, '$.count'), i.created_us,
    i.created_zone, f.mtime_ns, i.source_bytes, i.used_bytes, i.payload_bytes, i.needed_bytes,
    i.seen_nonzero_bytes, f.size, i.complete, f.seen_us
FROM images i JOIN files f ON f.id = i.file_id ORDER BY i.id;
"""


@MIGRATIONS()
def m0002_history(database: Database) -> None:
    """Remember what images measured, and how much space there is."""
    database.executescript(HISTORY_AND_SPACE)
