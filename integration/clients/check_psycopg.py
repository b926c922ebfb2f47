"""psycopg 3: on the server itself and through Palisade, it has to print the same.

Environment: DSN.
"""

import asyncio
import hashlib
import os
import threading
import time

import psycopg
from psycopg import pq
from psycopg.rows import dict_row

DSN = os.environ["DSN"]
LARGE_BYTES = 64 << 20


def step(name, *told):
    print("ok", name, *told, flush=True)


def failed(call):
    try:
        call()
    except psycopg.Error as error:
        return f"{type(error).__name__} {error.sqlstate}"
    return "nothing failed"


with psycopg.connect(DSN, autocommit=True) as conn:
    conn.execute("SET client_min_messages = warning")
    conn.execute("DROP SCHEMA IF EXISTS by_psycopg CASCADE")
    conn.execute("CREATE SCHEMA by_psycopg")
    conn.execute("CREATE TABLE by_psycopg.item (id int PRIMARY KEY, name text, data bytea)")
    info = conn.info
    reported = ("server_version", "client_encoding", "standard_conforming_strings", "integer_datetimes", "is_superuser", "session_authorization", "DateStyle", "TimeZone", "in_hot_standby")
    step("reported", [info.parameter_status(name) for name in reported], info.user, info.dbname)

conn = psycopg.connect(DSN, row_factory=dict_row)
conn.execute("SET search_path = by_psycopg")
conn.commit()

with conn.transaction():
    conn.execute("INSERT INTO item VALUES (%s, %s, %s)", (1, "one", b"\x00\xff"))
    step("inner", failed(lambda: conn.transaction().__enter__() and conn.execute("SELECT 1/0")))
conn.rollback()
with conn.transaction():
    conn.execute("INSERT INTO item VALUES (1, 'one', NULL) ON CONFLICT DO NOTHING")
    try:
        with conn.transaction():
            conn.execute("INSERT INTO item VALUES (1, 'twice')")
    except psycopg.errors.UniqueViolation as error:
        step("savepoint", error.sqlstate, error.diag.constraint_name, error.diag.message_detail)
step("rows", conn.execute("SELECT id, name FROM item").fetchall())

cur = conn.cursor()
cur.executemany("INSERT INTO item (id, name) VALUES (%s, %s)", [(n, f"many {n}") for n in range(100, 1100)])
conn.commit()
step("executemany", cur.rowcount, conn.execute("SELECT count(*) AS n FROM item").fetchone())

for _ in range(8):
    got = conn.execute("SELECT %s::int + 1 AS n", (41,), prepare=True).fetchone()
step("prepared", got, conn.execute("SELECT count(*) AS n FROM pg_prepared_statements WHERE statement LIKE '%%int + 1%%'").fetchone())
conn.commit()

with conn.pipeline() as pipeline:
    cursors = [conn.execute("SELECT %s::int AS n", (n,)) for n in range(50)]
    pipeline.sync()
    conn.execute("INSERT INTO item (id, name) VALUES (2000, 'piped')")
    step("pipeline", sum(c.fetchone()["n"] for c in cursors))
conn.commit()


def broken():
    with conn.pipeline() as pipeline:
        conn.execute("INSERT INTO item (id, name) VALUES (2001, 'lost')")
        conn.execute("SELECT 1/0")
        conn.execute("INSERT INTO item (id, name) VALUES (2002, 'lost')")
        pipeline.sync()


step("broken pipeline", failed(broken))
conn.rollback()
step("after it", conn.execute("SELECT id FROM item WHERE id >= 2000").fetchall())
conn.commit()

with conn.cursor().copy("COPY item (id, name) FROM STDIN") as copy:
    for n in range(3000, 8000):
        copy.write_row((n, "copied " * 20))
with conn.cursor().copy("COPY (SELECT id, name FROM item WHERE id >= 3000 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
    copy.set_types(["int4", "text"])
    taken = list(copy.rows())
step("copy", len(taken), taken[0][0], taken[-1][0])
conn.commit()


def given_up():
    with conn.cursor().copy("COPY item (id, name) FROM STDIN") as copy:
        copy.write_row((9000, "half"))
        raise psycopg.DataError("changed my mind")


step("copy given up", failed(given_up), conn.info.transaction_status.name)
conn.rollback()

with conn.cursor(name="served") as served:
    served.itersize = 500
    served.execute("SELECT id FROM item ORDER BY id")
    step("server cursor", sum(1 for _ in served))
conn.commit()

large = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
conn.execute("UPDATE item SET data = %b WHERE id = 1", (large,))
back = conn.execute("SELECT data FROM item WHERE id = 1", binary=True).fetchone()["data"]
step("large value", len(back), hashlib.sha256(back).digest() == hashlib.sha256(large).digest())
conn.rollback()

with psycopg.connect(DSN, autocommit=True) as other:
    other.execute("LISTEN news")
    conn.execute("SELECT pg_notify('news', 'paper')")
    conn.commit()
    step("notify", [(n.channel, n.payload) for n in other.notifies(timeout=10, stop_after=1)])

with psycopg.connect(DSN, autocommit=True) as other:
    threading.Timer(0.5, lambda: other.cancel_safe(timeout=10)).start()
    begun = time.monotonic()
    step("cancel_safe", failed(lambda: other.execute("SELECT pg_sleep(30)")), time.monotonic() - begun < 10)
    threading.Timer(0.5, other.cancel).start()
    step("cancel", failed(lambda: other.execute("SELECT pg_sleep(30)")), time.monotonic() - begun < 20)

conn.tpc_begin(conn.xid(1, "by_psycopg", "branch"))
conn.execute("INSERT INTO item (id, name) VALUES (9100, 'two phases')")
conn.tpc_prepare()
conn.tpc_commit()
step("two phases", conn.execute("SELECT name FROM item WHERE id = 9100").fetchall())
conn.commit()

found = conn.pgconn.exec_params(b"SELECT $1::text", [b"raw"])
step("libpq", pq.ExecStatus(found.status).name, found.get_value(0, 0))
conn.rollback()


async def several():
    conns = [await psycopg.AsyncConnection.connect(DSN, autocommit=True) for _ in range(5)]
    await asyncio.gather(*(c.execute("INSERT INTO by_psycopg.item (id) VALUES (%s)", (9200 + n,)) for n, c in enumerate(conns)))
    pids = {c.info.backend_pid for c in conns}
    for c in conns:
        await c.close()
    return len(pids)


step("async", asyncio.run(several()), conn.execute("SELECT count(*) AS n FROM item WHERE id >= 9200").fetchone())
conn.execute("DROP SCHEMA by_psycopg CASCADE")
conn.commit()
conn.close()
print("done")
