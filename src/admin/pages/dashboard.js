// Fills the page and looks again every so often. Names come from clients, so everything is
// put in as text, never as markup.
"use strict";

const { refreshMs, resourcesShown } = document.body.dataset;

function cell(content) {
  const td = document.createElement("td");
  if (content && content.mood !== undefined) {
    td.className = content.mood;
    td.textContent = content.text;
  } else {
    td.textContent = content ?? "";
  }
  return td;
}

function fill(id, rows, nothing) {
  const body = document.getElementById(id);
  body.replaceChildren(...rows.map((row) => {
    const tr = document.createElement("tr");
    tr.replaceChildren(...row.map(cell));
    return tr;
  }));
  if (rows.length === 0) {
    const tr = document.createElement("tr");
    const td = cell({ mood: "quiet", text: nothing });
    td.colSpan = 9;
    tr.append(td);
    body.append(tr);
  }
}

function inFlight(flight) {
  if (!flight) return { mood: "bad", text: "cannot be told" };
  const parts = [];
  if (flight.busy) parts.push("takeover under way");
  if (flight.streaming) parts.push(`${flight.streaming} streaming`);
  if (flight.sent) parts.push(`${flight.sent} sent`);
  if (flight.unknown) parts.push(`${flight.unknown} unknown`);
  return parts.join(", ") || "none";
}

function takeover(seen) {
  if (!seen) return "";
  return `${seen.from} to ${seen.to}: ${seen.cut} cut, ${seen.awaited} awaited, ` +
    `${seen.unknown} unknown, ledger ${seen.ledger_ms} ms, quiesce ${seen.quiesce_ms} ms`;
}

async function json(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(10000) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  return body;
}

async function lookAtReplicas() {
  const condition = document.getElementById("condition");
  try {
    const told = await json("/api/replicas");
    condition.className = told.condition === "serving" ? "quiet" : "bad";
    condition.textContent = told.loses ? `${told.detail}; a failover of the ledger can lose marks: ${told.loses}` : told.detail;
    fill("replicas", told.replicas.map((replica) => [
      replica.is_this ? `${replica.session} (this one)` : replica.session,
      { mood: replica.state === "serving" ? "good" : "bad", text: replica.state },
      replica.version, `${replica.age_seconds} s`, `${replica.grants}`,
      `${replica.lag_ms} ms`, `${replica.seen_ms_ago} ms ago`,
    ]), told.problem ?? "none");
  } catch (error) {
    condition.className = "bad";
    condition.textContent = `the replicas cannot be told: ${error.message}`;
  }
}

async function look() {
  const overview = await json("/api/overview");
  const ready = document.getElementById("ready");
  ready.textContent = overview.ready ? "ready" : "not ready";
  ready.className = overview.ready ? "good" : "bad";
  fill("checks", overview.checks.map((check) => [
    check.name, { mood: check.ok ? "good" : "bad", text: check.ok ? "ok" : "failing" }, check.detail,
  ]), "none");
  fill("listeners", overview.listeners.map((listener) => [
    listener.name, listener.speaks, listener.addresses.join(", "), listener.guarantee,
  ]), "none");
  const refusals = overview.recent.filter((entry) => entry.event === "refused");
  fill("refusals", refusals.map((entry) => [
    entry.time, entry.reason, entry.resource, entry.token, entry.mark, entry.identity, entry.address,
  ]), "none since the start");
  const others = overview.recent.filter((entry) => entry.event !== "refused");
  fill("events", others.map((entry) => [
    entry.time, entry.event, entry.resource, entry.token, entry.holder, entry.identity, entry.outcome,
  ]), "none since the start");

  if (document.getElementById("replicas")) await lookAtReplicas();

  const page = await json(`/api/resources?limit=${resourcesShown}`);
  fill("resources", page.resources.map((resource) => [
    resource.resource, resource.mark, resource.holder, inFlight(resource.in_flight),
    resource.history.at(-1)?.at, takeover(resource.last_takeover),
  ]), "no token was admitted for any resource yet");
  document.getElementById("more").textContent = page.next === null ? "" :
    `The first ${resourcesShown} by name; \`palisade resources list\` shows all.`;
}

async function loop() {
  const age = document.getElementById("age");
  try {
    await look();
    age.textContent = `as of ${new Date().toLocaleTimeString()}`;
    age.className = "quiet";
  } catch (error) {
    age.textContent = `cannot look again: ${error.message}`;
    age.className = "bad";
  }
  setTimeout(loop, Number(refreshMs));
}

loop();
