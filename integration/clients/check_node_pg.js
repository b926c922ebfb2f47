// node-postgres: on the server itself and through Palisade, it has to print the same.
// The environment has PGHOST and the like, and CA, CERT and KEY where there is TLS.

const fs = require("fs");
const { Client, Pool } = require("pg");

const env = process.env;
const config = { options: env.PGOPTIONS };
if (env.CERT) {
  const [ca, cert, key] = [env.CA, env.CERT, env.KEY].map((path) => fs.readFileSync(path, "utf8"));
  config.ssl = { ca, cert, key, servername: "localhost" };
} else {
  config.ssl = false;
}
const step = (...told) => console.log("ok", ...told.map((one) => (typeof one === "string" ? one : JSON.stringify(one))));
const failed = (promise) => promise.then(() => "nothing failed", (error) => error.code);

async function main() {
  const client = new Client(config);
  await client.connect();
  await client.query("SET client_min_messages = warning; DROP SCHEMA IF EXISTS by_node CASCADE; CREATE SCHEMA by_node; SET search_path = by_node");
  await client.query("CREATE TABLE item (id int PRIMARY KEY, name text)");
  for (let n = 0; n < 100; n++) {
    await client.query({ name: "insert", text: "INSERT INTO item VALUES ($1, $2)", values: [n, `many ${n}`] });
  }
  step("prepared", (await client.query("SELECT count(*)::int AS n FROM item")).rows);
  step("violated", await failed(client.query("INSERT INTO item VALUES (1)")));
  await client.query("BEGIN");
  step("failed", await failed(client.query("SELECT 1/0")), await failed(client.query("SELECT 1")));
  await client.query("ROLLBACK");
  step("several", (await client.query("SELECT 1 AS a; SELECT 2 AS b")).map((result) => result.rows));

  const heard = new Promise((resolve) => client.on("notification", ({ channel, payload }) => resolve([channel, payload])));
  await client.query("LISTEN news");
  const pool = new Pool({ ...config, max: 4 });
  const sums = await Promise.all([...Array(40).keys()].map((n) => pool.query("SELECT $1::int AS n", [n])));
  step("pool", sums.reduce((sum, result) => sum + result.rows[0].n, 0));
  await pool.query("NOTIFY news, 'paper'");
  step("notified", await heard);
  await pool.end();
  await client.query("DROP SCHEMA by_node CASCADE");
  await client.end();
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
