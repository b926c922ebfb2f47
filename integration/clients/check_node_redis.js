// node-redis: on the server itself and through Palisade, it has to print the same.
// The environment has REDIS_URL, and CA, CERT and KEY where there is TLS.

const fs = require("fs");
const { createClient } = require("redis");

const env = process.env;
const step = (...told) => console.log("ok", ...told.map((one) => (typeof one === "string" ? one : JSON.stringify(one))));
const failed = (promise) => promise.then(() => "nothing failed", (error) => error.message);

function options(RESP) {
  const options = { url: env.REDIS_URL, RESP };
  if (env.CERT) {
    const [ca, cert, key] = [env.CA, env.CERT, env.KEY].map((path) => fs.readFileSync(path, "utf8"));
    options.socket = { tls: true, ca, cert, key };
  }
  return options;
}

async function check(RESP) {
  const p = `node${RESP}:`;
  const client = createClient(options(RESP));
  client.on("error", (error) => console.log("error", error.message));
  await client.connect();
  step("values", RESP, await client.set(p + "a", "1"), await client.get(p + "a"), await client.get(p + "none"));
  await client.hSet(p + "h", { f: "1", g: "x" });
  step("types", { ...(await client.hGetAll(p + "h")) }, await client.zAdd(p + "z", { score: 1.5, value: "m" }), await client.zScore(p + "z", "m"));
  step("wrong type", await failed(client.lPop(p + "a")));
  step("transaction", await client.multi().incr(p + "a").get(p + "a").exec());
  const many = await Promise.all([...Array(2000).keys()].map(() => client.incr(p + "n")));
  step("pipeline", many.length, many[1999]);
  step("script", await client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", { keys: [p + "n"], arguments: ["5"] }));

  const other = client.duplicate();
  await other.connect();
  const waiting = other.blPop(p + "q", 10);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await client.rPush(p + "q", "x");
  step("blPop", await waiting, await other.blPop(p + "q", 0.2));

  const heard = new Promise((resolve) => {
    const got = [];
    other.subscribe(p + "c", (message, channel) => got.push([channel, message]) === 2 && resolve(got));
    other.pSubscribe(p + "n*", (message, channel) => got.push([channel, message]) === 2 && resolve(got));
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await client.publish(p + "c", "paper");
  await client.publish(p + "n1", "pattern");
  step("heard", await heard);
  await other.unsubscribe();
  await other.pUnsubscribe();
  step("left", await other.get(p + "a"));

  await other.watch(p + "a");
  await client.set(p + "a", "7");
  step("watch", await failed(other.multi().set(p + "a", "8").exec()), await client.get(p + "a"));
  const large = "x".repeat(16 << 20);
  await client.set(p + "big", large);
  step("large value", (await client.get(p + "big")) === large);
  const keys = [];
  for await (const some of client.scanIterator({ MATCH: p + "*" })) keys.push(...some);
  step("scan", keys.sort());
  step("name", await client.clientSetName("mine"), await client.clientGetName());
  await client.del(keys);
  await other.close();
  await client.close();
}

async function main() {
  await check(2);
  await check(3);
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
