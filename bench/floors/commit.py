"""Bare SQLite group commits: how many rows a second, ROWS of them to a commit, nothing around."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import time

BODY = b"x" * 200


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True, help="commits")
    parser.add_argument("--rows", type=int, required=True, help="rows in each of them")
    parser.add_argument("--folder", required=True, help="on the disk that is to be measured")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        print(json.dumps(rates(os.path.join(folder, "floor.db"), given.count, given.rows)))


def rates(path: str, count: int, rows: int) -> list[float]:
    """Rows a second in each tenth of the commits."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    found = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(count // 10):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO messages (body) VALUES (?)", [(BODY,)] * rows)
            connection.execute("COMMIT")
        found.append(count // 10 * rows / (time.perf_counter() - start))
    return found


if __name__ == "__main__":
    main()
