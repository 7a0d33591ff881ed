"""The tables of a watch's history, and how an older file becomes a newer one."""

import sqlite3

MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE runs (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, since_ms INTEGER NOT NULL);
    CREATE TABLE events (
        id TEXT PRIMARY KEY, run INTEGER NOT NULL, camera TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        state TEXT NOT NULL, start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, body BLOB NOT NULL
    );
    CREATE INDEX events_by_time ON events (start_ms, id);
    CREATE INDEX events_by_camera ON events (camera, start_ms, id);
    CREATE INDEX events_by_kind ON events (kind, start_ms, id);
    CREATE INDEX events_by_both ON events (camera, kind, start_ms, id);
    CREATE INDEX events_long ON events (camera, start_ms) WHERE end_ms - start_ms > 600000;
    CREATE INDEX events_open ON events (camera) WHERE state = 'open';
    CREATE TABLE clips (
        camera TEXT NOT NULL, start_ms INTEGER NOT NULL, epoch INTEGER NOT NULL, clip INTEGER NOT NULL,
        start_s REAL NOT NULL, end_s REAL NOT NULL, age_s REAL NOT NULL, state TEXT NOT NULL, labels TEXT NOT NULL,
        PRIMARY KEY (camera, start_ms, epoch, clip)
    ) WITHOUT ROWID;
    CREATE TABLE states (
        camera TEXT NOT NULL, part TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (camera, part)
    ) WITHOUT ROWID;
    CREATE TABLE films (
        event TEXT PRIMARY KEY, camera TEXT NOT NULL, path TEXT NOT NULL, start_ns INTEGER NOT NULL,
        post_s REAL NOT NULL, from_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL, give_up_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE spool (
        id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, at_s REAL NOT NULL, body BLOB NOT NULL,
        refused TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX spool_waiting ON spool (target, id) WHERE refused = '';
    CREATE INDEX spool_refused ON spool (target, id) WHERE refused != '';
    CREATE TABLE discovered (
        device TEXT NOT NULL, component TEXT NOT NULL, platform TEXT NOT NULL, PRIMARY KEY (device, component)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE retained (topic TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
)
"""Each leads from the version of its index to the next. Add to the end; never change one that was released."""
VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to this version, in one transaction. A file of a newer version is left as it is.

    Raises: sqlite3.DatabaseError: it is no database, or damaged, or of a newer version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise sqlite3.DatabaseError(f"it was written by a newer percept (version {version}, this one knows {VERSION})")
    if version == VERSION:
        return
    steps = "".join(MIGRATIONS[version:])
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
