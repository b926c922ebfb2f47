"""redis-py: on the server itself and through Palisade, it has to print the same.

Environment: REDIS_URL; CA, CERT and KEY where there is TLS.
"""

import asyncio
import hashlib
import os
import threading

import redis
import redis.asyncio

URL = os.environ["REDIS_URL"]
LARGE_BYTES = 32 << 20
TLS = {}
if "CERT" in os.environ:
    TLS = {"ssl_ca_certs": os.environ["CA"], "ssl_certfile": os.environ["CERT"], "ssl_keyfile": os.environ["KEY"]}


def step(name, *told):
    print("ok", name, *told, flush=True)


def failed(call):
    try:
        call()
    except redis.RedisError as error:
        return f"{type(error).__name__} {error}"
    return "nothing failed"


def check(protocol):
    store = redis.from_url(URL, protocol=protocol, decode_responses=True, **TLS)
    p = f"py{protocol}:"
    step("protocol", protocol, store.ping(), store.info("server")["redis_mode"])
    store.set(p + "a", "ä 1", ex=100)
    step("values", store.get(p + "a"), store.ttl(p + "a") > 90, store.get(p + "none"))
    store.hset(p + "h", mapping={"f": 1, "g": "x"})
    store.zadd(p + "z", {"m": 1.5, "n": 2})
    store.sadd(p + "s", "x")
    step("types", store.hgetall(p + "h"), store.zrange(p + "z", 0, -1, withscores=True), store.smembers(p + "s"))
    step("wrong type", failed(lambda: store.lpop(p + "a")), failed(lambda: store.execute_command("NOSUCH", "x")))

    with store.pipeline() as pipe:
        pipe.set(p + "n", 0)
        for _ in range(1000):
            pipe.incr(p + "n")
        step("transaction", sum(pipe.execute()[1:]))
    with store.pipeline(transaction=False) as pipe:
        for n in range(5000):
            pipe.rpush(p + "l", n)
        pipe.lrange(p + "l", 0, 2)
        pipe.lpop(p + "a")
        done = pipe.execute(raise_on_error=False)
        step("pipeline", len(done), done[-2], type(done[-1]).__name__)

    def cleared(pipe):
        current = int(pipe.get(p + "n"))
        if current == 1000:
            # Somebody else, in between, once.
            store.set(p + "n", 5)
        pipe.multi()
        pipe.set(p + "n", current + 1)

    step("watch", store.transaction(cleared, p + "n"), store.get(p + "n"))
    with store.pipeline() as pipe:
        pipe.set(p + "n", 1)
        pipe.execute_command("SET", p + "n")
        step("aborted", failed(pipe.execute).split(":")[0], store.get(p + "n"))

    script = store.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    step("script", script(keys=[p + "n"], args=[10]), script(keys=[p + "n"], args=[10]))
    step("eval_ro", store.eval_ro("return redis.call('GET', KEYS[1])", 1, p + "n"))
    store.function_load("#!lua name=%s\nredis.register_function('f%s', function(k, a) return redis.call('INCR', k[1]) end)" % (f"py{protocol}", protocol), replace=True)
    step("function", store.fcall(f"f{protocol}", 1, p + "n"))

    with store.lock(p + "lock", timeout=20) as lock:
        step("lock", lock.owned(), store.lock(p + "lock", blocking=False).acquire())
        lock.extend(5)
        lock.reacquire()
    step("unlocked", store.exists(p + "lock"))
    lock = store.lock(p + "lock", timeout=20)
    lock.acquire()
    store.delete(p + "lock")
    step("lock lost", failed(lock.release))

    threading.Timer(0.2, lambda: store.rpush(p + "q", "pushed")).start()
    step("blpop", store.blpop([p + "q"], timeout=10), store.blpop([p + "q"], timeout=0.2))
    store.xgroup_create(p + "x", "g", mkstream=True)
    store.xadd(p + "x", {"f": 1}, id="5-1")
    step("stream", store.xreadgroup("g", "c", {p + "x": ">"}), store.xack(p + "x", "g", "5-1"), store.xpending(p + "x", "g")["pending"])

    with store.pubsub() as pubsub:
        pubsub.subscribe(p + "news")
        pubsub.psubscribe(p + "n*")
        heard = []
        for message in pubsub.listen():
            heard.append((message["type"], message["channel"], message["data"]))
            if len(heard) == 2:
                step("published", store.publish(p + "news", "paper"))
            if len(heard) == 4:
                break
        pubsub.ping()
        step("heard", heard, pubsub.get_message(timeout=5)["type"])
        pubsub.unsubscribe()
        step("left", pubsub.get_message(timeout=5)["type"])

    step("scan", sorted(store.scan_iter(p + "*")), store.dbsize() > 5)
    large = os.urandom(1 << 20) * (LARGE_BYTES >> 20)
    raw = redis.from_url(URL, protocol=protocol, **TLS)
    raw.set(p + "big", large)
    back = raw.get(p + "big")
    step("large value", len(back), hashlib.sha256(back).digest() == hashlib.sha256(large).digest())
    raw.delete(p + "big")

    mine = redis.from_url(URL, protocol=protocol, client_name="mine", db=3, **TLS)
    mine.set("other", 1)
    step("name and database", mine.client_getname(), mine.dbsize(), store.exists("other"))
    mine.flushdb()
    single = redis.from_url(URL, protocol=protocol, single_connection_client=True, **TLS)
    step("reset and quit", single.execute_command("QUIT"))


async def check_async(protocol):
    pool = redis.asyncio.BlockingConnectionPool.from_url(URL, protocol=protocol, decode_responses=True, max_connections=10, **TLS)
    store = redis.asyncio.Redis.from_pool(pool)
    p = f"async{protocol}:"
    told = await asyncio.gather(*(store.incr(p + "n") for _ in range(200)))
    step("async", protocol, sorted(told) == list(range(1, 201)))
    async with store.pipeline(transaction=True) as pipe:
        step("async transaction", await pipe.set(p + "a", 1).incr(p + "a").get(p + "a").execute())
    async with store.lock(p + "lock", timeout=10):
        step("async lock", await store.exists(p + "lock"))
    async with store.pubsub() as pubsub:
        await pubsub.subscribe(p + "c")
        await pubsub.get_message(timeout=5)
        await store.publish(p + "c", "x")
        message = await pubsub.get_message(timeout=5)
        step("async heard", message["type"], message["data"])
    waiting = asyncio.create_task(store.blpop([p + "q"], timeout=10))
    await asyncio.sleep(0.2)
    await store.rpush(p + "q", "x")
    step("async blpop", await waiting)
    try:
        async with asyncio.timeout(0.3):
            await store.blpop([p + "q"], timeout=0)
    except TimeoutError:
        step("cancelled", await store.get(p + "a"))
    await store.aclose()


for protocol in (2, 3):
    check(protocol)
    asyncio.run(check_async(protocol))
redis.from_url(URL, **TLS).flushall()
print("done")
