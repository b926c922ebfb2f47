"""asyncpg: on the server itself and through Palisade, it has to print the same.

Environment: DSN.
"""

import asyncio
import io
import os

import asyncpg

DSN = os.environ["DSN"]


def step(name, *told):
    print("ok", name, *told, flush=True)


async def failed(call):
    try:
        await call
    except asyncpg.PostgresError as error:
        return f"{type(error).__name__} {error.sqlstate}"
    return "nothing failed"


async def main():
    conn = await asyncpg.connect(DSN)
    await conn.execute("SET client_min_messages = warning; DROP SCHEMA IF EXISTS by_asyncpg CASCADE; CREATE SCHEMA by_asyncpg")
    await conn.execute("CREATE TABLE by_asyncpg.item (id int PRIMARY KEY, name text, tags text[])")
    await conn.execute("SET search_path = by_asyncpg")
    step("settings", conn.get_settings().server_version, conn.get_settings().TimeZone)

    await conn.executemany("INSERT INTO item VALUES ($1, $2, $3)", [(n, f"many {n}", ["a", "b"]) for n in range(500)])
    step("fetch", await conn.fetchval("SELECT count(*) FROM item"), (await conn.fetchrow("SELECT * FROM item WHERE id = $1", 7))["tags"])
    statement = await conn.prepare("SELECT id FROM item WHERE id < $1 ORDER BY id")
    step("prepared", [len(await statement.fetch(n)) for n in (1, 10, 100)], [p.name for p in statement.get_parameters()])

    async with conn.transaction():
        step("savepoint", await failed(inner(conn)))
        step("cursor", [row["id"] async for row in conn.cursor("SELECT id FROM item WHERE id < 5 ORDER BY id", prefetch=2)])
    step("isolation", await isolated(conn))

    await conn.copy_records_to_table("item", records=[(n, "copied", None) for n in range(1000, 3000)], schema_name="by_asyncpg")
    out = io.BytesIO()
    step("copy", await conn.copy_from_query("SELECT id FROM item WHERE id >= 1000 ORDER BY id", output=out), len(out.getvalue()))
    step("bad copy", await failed(conn.copy_records_to_table("item", records=[(1, "twice", None)], schema_name="by_asyncpg")))

    heard = asyncio.Queue()
    await conn.add_listener("news", lambda conn, pid, channel, payload: heard.put_nowait((channel, payload)))
    other = await asyncpg.connect(DSN)
    await other.execute("NOTIFY news, 'paper'")
    step("notify", await asyncio.wait_for(heard.get(), 10))
    noticed = []
    other.add_log_listener(lambda conn, message: noticed.append(message.message))
    await other.execute("DO $$ BEGIN RAISE NOTICE 'noticed'; END $$")
    step("notice", noticed)
    try:
        await other.fetch("SELECT pg_sleep(30)", timeout=0.5)
    except asyncio.TimeoutError:
        step("timeout", await other.fetchval("SELECT 1"))
    await other.close()

    pool = await asyncpg.create_pool(DSN, min_size=2, max_size=4)
    step("pool", sum(await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(40)))))
    await pool.close()
    large = os.urandom(1 << 20) * 16
    step("large value", await conn.fetchval("SELECT $1::bytea", large) == large)
    await conn.execute("DROP SCHEMA by_asyncpg CASCADE")
    await conn.close()
    print("done")


async def inner(conn):
    async with conn.transaction():
        await conn.execute("INSERT INTO item VALUES (1, 'twice', NULL)")


async def isolated(conn):
    async with conn.transaction(isolation="serializable", readonly=True, deferrable=True):
        return await conn.fetchval("SHOW transaction_isolation")


asyncio.run(main())
