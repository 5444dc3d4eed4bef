"""What the lake promises beyond what PostgreSQL does: it only reads, and it ends what nobody waits for."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest

import servers
from servers import Server

# Rows of a product of three tables: more than anyone can count.
LONG = "select count(*) from neural.spikes a, neural.spikes b, neural.spikes c where a.amplitude <> b.amplitude and b.amplitude <> c.amplitude"
HOSTILE = (Path(__file__).parent.parent / "hostile.sql").read_text().splitlines()


def contents(folder: Path) -> dict[str, str]:
    tables = folder / "buckets"
    files = (path for path in tables.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_nothing_that_is_sent_changes_a_byte(lake: Server) -> None:
    before = contents(lake.data)
    assert before
    for statement in HOSTILE:
        with psycopg.connect(lake.address, autocommit=True) as connection:
            for prepare in (False, True):
                with pytest.raises(psycopg.Error):
                    connection.execute(statement, prepare=prepare)
            assert connection.execute("select 1").fetchone() == (1,), statement
    assert contents(lake.data) == before
    assert not Path("/tmp/stolen").exists()


def test_a_timeout_holds_while_a_statement_runs(lake: Server) -> None:
    with psycopg.connect(lake.address, autocommit=True) as connection:
        connection.execute("set statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(LONG)
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_timeout_holds_in_a_join_that_never_waits(tmp_path: Path) -> None:
    """Small tables are read at once: what is left is work on the processor, which has no reason of its own to pause."""
    tables = ", ".join(f"neural.sessions {name}" for name in "abcdef")
    wanted = "a.session_id + b.session_id <> c.session_id - d.session_id + e.session_id * f.session_id"
    # By a server of its own, since nothing else might be answered by this one; by `psql`, which can be left alone.
    with servers.lake(tmp_path) as (lake, _):
        ask = ["psql", "-X", "-At", "-d", lake.address, "-c", "set statement_timeout = '300ms'", "-c"]
        done = subprocess.run([*ask, f"select count(*) from {tables} where {wanted}"], capture_output=True, text=True, timeout=60)
        assert "canceling statement" in done.stderr, done.stderr
        done = subprocess.run([*ask, "select 'alive'"], capture_output=True, text=True, timeout=60)
        assert "alive" in done.stdout, done.stderr


def test_a_wish_to_end_is_heard(lake: Server) -> None:
    with psycopg.connect(lake.address, autocommit=True) as connection:
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(LONG)
        timer.join()
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_client_that_leaves_takes_its_statement_along(lake: Server) -> None:
    # More of them than may run at once: were they to go on, nothing else would be answered.
    for _ in range(20):
        connection = psycopg.connect(lake.address, autocommit=True)
        connection.pgconn.send_query(LONG.encode())
        connection.pgconn.flush()
        time.sleep(0.05)
        connection.close()
    with psycopg.connect(lake.address, autocommit=True) as connection:
        connection.execute("set statement_timeout = '20s'")
        assert connection.execute("select count(*) from neural.sessions").fetchone() == (105,)


def test_a_slow_reader_holds_up_nobody(lake: Server) -> None:
    slow = psycopg.connect(lake.address, autocommit=True)
    slow.pgconn.send_query(b"select * from neural.spikes a, neural.sessions b")
    slow.pgconn.flush()
    with psycopg.connect(lake.address, autocommit=True) as connection:
        for _ in range(20):
            assert connection.execute("select 1").fetchone() == (1,)
    slow.close()


def test_many_clients_at_once(lake: Server) -> None:
    clients = [psycopg.connect(lake.address, autocommit=True) for _ in range(200)]
    for client in clients:
        assert client.execute("select 1").fetchone() == (1,)
    for client in clients:
        client.close()


@pytest.mark.parametrize("nested", ["not (", "("])
def test_deep_nesting_is_refused_at_once(nested: str, lake: Server) -> None:
    with psycopg.connect(lake.address, autocommit=True) as connection, pytest.raises(psycopg.Error, match="brackets in brackets"):
        connection.execute("select 1 where " + nested * 60 + "true" + ")" * 60)


def test_another_database_is_refused_with_the_right_name(lake: Server) -> None:
    with pytest.raises(psycopg.OperationalError, match='database "nothing" does not exist') as refused:
        psycopg.connect(lake.address.replace(lake.database, "nothing"))
    assert f'connect to the database "{lake.database}"' in str(refused.value)


def test_a_day_may_be_compared_with_an_instant(lake: Server) -> None:
    with psycopg.connect(lake.address) as connection:
        days = "select count(*) from neural.sessions where session_date "
        (wanted,) = connection.execute(days + "between '2026-02-01' and '2026-02-10'").fetchone()
        (found,) = connection.execute(days + "between '2026-02-01T12:00:00Z' and '2026-02-10T12:00:00.5Z'").fetchone()
        assert found == wanted > 0


def test_grafana_gets_what_its_dashboards_ask_for(lake: Server) -> None:
    replay = Path(__file__).parent.parent / "grafana" / "run"
    done = subprocess.run([replay, lake.address], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_names_without_a_database_are_found_on_the_search_path(lake: Server) -> None:
    with psycopg.connect(lake.address, options="-c search_path=neural") as connection:
        assert connection.execute("select count(*) from sessions").fetchone() == (105,)
        assert connection.execute("select current_schema()").fetchone() == ("neural",)


@pytest.mark.parametrize(
    "bytes",
    [b"", b"\0", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\x04\xd2\x16\x2fnonsense", b"\xff" * 64, b"\0\0\0\x09\0\x03\0\0\0Q\xff\xff\xff\xff"],
)
def test_nonsense_ends_nothing_but_itself(bytes: bytes, lake: Server) -> None:
    with socket.create_connection(("127.0.0.1", lake.port), 5) as client:
        client.sendall(bytes)
    with psycopg.connect(lake.address) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
