// The page of `mxdrill up --control`: it shows what the API has, and asks the API to change it.
//
// Whatever comes from a message, a client or a zone is put on the page as text (`textContent`), never as HTML.
// The stream of events says when something changed; what is shown then is fetched, at most a few times a second.
"use strict";

const $ = (id) => document.getElementById(id);

/** Events that are listed; the API keeps more. */
const MOST_EVENTS = 300;
/** Attempts that are listed and drawn, the latest. */
const MOST_ATTEMPTS = 300;
/** Messages that are listed, the latest. */
const MOST_MESSAGES = 200;
/** Faults that are drawn although they are lifted, the latest. */
const MOST_PAST = 100;
/** Milliseconds between two looks at the API. */
const PAUSE = 250;

const state = { lab: null, words: null, faults: [], past: [], attempts: [], queries: [], open: new Map(), shown: null, told: 0, last: 0 };

/** An element with a class, attributes and children; strings are text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Says something, to people who see the page and to those who hear it. */
function say(text, wrong = false) {
  const said = $("said");
  said.textContent = text;
  said.classList.toggle("wrong", wrong);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { said.textContent = ""; }, wrong ? 12000 : 4000);
}

/** Asks the API; what it refuses is an error with its reason. */
async function ask(path, options = {}) {
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.detail ?? `${response.status} ${response.statusText}`);
  return body;
}

/** Does what a button is for, and says what came of it. */
async function act(work, done) {
  try {
    const result = await work();
    if (done) say(typeof done === "function" ? done(result) : done);
  } catch (error) {
    say(error.message, true);
  }
  changed();
}

const seconds = (at) => (at < 10 ? at.toFixed(2) : at < 1000 ? at.toFixed(1) : Math.round(at).toString());

function clock(at) {
  const moment = new Date((state.lab.started + at) * 1000);
  return moment.toLocaleTimeString(undefined, { hour12: false });
}

// --- The lab and its faults ---

const nameOf = (host) => host.names[0] ?? host.address;
const isAbout = (fault, host) => fault.stage !== null
  && (fault.host.length === 0 ? !host.names.includes("bounces.sender.test")
    : fault.host.some((name) => name === host.address || host.names.includes(name)));
const isOver = (fault) => (fault.first !== null && fault.struck >= fault.first)
  || (fault.until !== null && Date.now() / 1000 - state.lab.started >= fault.until);

/** The exchangers by preference, then what is no exchanger. */
function hostsInOrder() {
  const preference = (host) => Math.min(...host.exchanges.filter((one) => one.domain !== "sender.test").map((one) => one.preference), 1e9);
  return [...state.lab.hosts].sort((a, b) => preference(a) - preference(b) || a.address.localeCompare(b.address, undefined, { numeric: true }));
}

function drawLab() {
  const { lab } = state;
  $("lab").textContent = lab.domain
    ? `${lab.domain} · name server ${lab.resolver} (UDP, TCP) · ${lab.summary || lab.scenario}`
    : `name server ${lab.resolver} · no records yet: PUT /v1/lab puts up a scenario`;
  document.title = lab.domain ? `${lab.domain} · mxdrill` : "mxdrill";
  if (!$("query").value) $("query").value = lab.domain ? `${lab.domain} MX` : "";
  $("hosts").replaceChildren(...hostsInOrder().map(tile));
  drawFaults();
}

/** A tile is made once for each lab, so that what somebody types or has under the keyboard stays. */
function tile(host, index) {
  const id = `host-${index}`;
  const exchanges = host.exchanges.map((one) => `${one.preference} of ${one.domain}`).join(", ");
  const stage = make("select", { id: `${id}-stage`, name: "stage" }, ...state.words.stages.map((one) => make("option", { value: one.stage }, one.stage)));
  const list = make("datalist", { id: `${id}-effects` });
  const effect = make("input", { id: `${id}-effect`, name: "effect", list: list.id, required: true, autocomplete: "off", spellcheck: "false" });
  const offer = () => {
    const { effects } = state.words.stages.find((one) => one.stage === stage.value);
    // An example of a reply stands in quotes: `a reply such as "451 4.3.0 busy"`.
    const words = effects.map((word) => /"(.*)"/.exec(word)?.[1] ?? word);
    list.replaceChildren(...words.map((word) => make("option", { value: word })));
    effect.value = stage.value === "connect" ? words[0] : words[words.length - 1];
  };
  stage.addEventListener("change", offer);
  offer();
  const name = nameOf(host);
  const fail = (event) => {
    event.preventDefault();
    const body = JSON.stringify({ host: host.names[0] ?? host.address, stage: stage.value, effect: effect.value });
    act(() => ask("/v1/faults", { method: "POST", headers: { "content-type": "application/json" }, body }), (fault) => `${fault.text}`);
  };
  const restore = () => {
    const about = state.faults.filter((fault) => isAbout(fault, host));
    act(() => Promise.all(about.map((fault) => ask(`/v1/faults/${fault.id}`, { method: "DELETE" }))), `${name} is restored`);
  };
  const form = make("form", { autocomplete: "off", onsubmit: fail },
    make("label", { for: stage.id }, "Stage", stage),
    make("label", { for: effect.id }, "Effect", effect), list,
    make("div", { class: "does" },
      make("button", { type: "submit", class: "fail", "aria-label": `Fail ${name}` }, "Fail"),
      make("button", { type: "button", class: "restore", "aria-label": `Restore ${name}`, hidden: true, onclick: restore }, "Restore")));
  const isAside = !host.exchanges.some((one) => one.domain !== "sender.test");
  return make("article", { class: `tile${isAside ? " aside" : ""}`, "data-host": name, "aria-labelledby": `${id}-name` },
    make("h3", { id: `${id}-name` }, make("span", {}, name), make("span", { class: "state" }, "up")),
    make("p", { class: "where" },
      ...(exchanges ? [make("span", { class: "preference" }, exchanges), make("br")] : []),
      `${host.address}, listens at ${host.listens}`,
      ...(host.names.length > 1 ? [make("br"), `also ${host.names.slice(1).join(", ")}`] : [])),
    make("ul", { class: "faults", "aria-label": `Faults of ${name}` }), form);
}

function faultItem(fault) {
  const lift = () => act(() => ask(`/v1/faults/${fault.id}`, { method: "DELETE" }), `lifted: ${fault.text}`);
  const what = fault.stage ? `${fault.stage}: ${fault.effect}` : `${fault.query}: ${fault.effect}`;
  const more = [
    fault.recipient && `for ${fault.recipient}`, fault.sender && `from ${fault.sender}`, fault.port && `port ${fault.port}`,
    fault.first && `${fault.struck} of ${fault.first} times`, fault.every && `every ${fault.every}`, fault.chance && `chance ${fault.chance}`,
    fault.until !== null && `until +${seconds(fault.until)} s`, isOver(fault) && "over",
  ].filter(Boolean).join(", ");
  return make("li", { title: fault.text }, make("span", {}, what, more ? ` (${more})` : ""),
    make("button", { type: "button", "aria-label": `Lift ${fault.text}`, onclick: lift }, "Lift"));
}

function drawFaults() {
  const tiles = [...$("hosts").children];
  hostsInOrder().forEach((host, index) => {
    const faults = state.faults.filter((fault) => isAbout(fault, host));
    const fails = faults.some((fault) => !isOver(fault));
    const one = tiles[index];
    one.classList.toggle("fails", fails);
    one.querySelector(".state").textContent = fails ? "fails" : "up";
    one.querySelector(".faults").replaceChildren(...faults.map(faultItem));
    const restore = one.querySelector(".restore");
    // The button goes away under the keyboard: the other one has it then.
    if (faults.length === 0 && document.activeElement === restore) one.querySelector(".fail").focus();
    restore.hidden = faults.length === 0;
  });
  $("query-faults").replaceChildren(...state.faults.filter((fault) => fault.query !== null).map(faultItem));
}

// --- Attempts and the timeline ---

/** Whether it went well, as a class of colour. */
function kind(attempt) {
  if (attempt.result === "accepted") return "good";
  if (/^4\d\d$/.test(attempt.result)) return "soft";
  if (attempt.stage === null || ["left", "probe"].includes(attempt.result)) return "idle";
  return "bad";
}

function drawAttempts() {
  const rows = state.attempts.slice(-MOST_ATTEMPTS).reverse().map((attempt) => {
    const ended = attempt.stage && attempt.stage !== "connect" ? ` at ${attempt.stage}` : "";
    return make("tr", {},
      make("td", { title: `${seconds(attempt.at)} s after the lab was put up` }, clock(attempt.at)),
      make("td", {}, attempt.host, make("span", { class: "reply" }, attempt.address)),
      make("td", {}, make("span", { class: `${kind(attempt)}-text` }, `${attempt.result}${ended}`),
        attempt.reply ? make("span", { class: "reply" }, attempt.reply) : null, attempt.tls ? make("span", { class: "reply" }, "in TLS") : null),
      make("td", {}, attempt.offered.join(", ")));
  });
  $("attempts").replaceChildren(...rows);
  $("no-attempts").hidden = rows.length > 0;
}

/** Remembers the faults that are gone since the last look, for the timeline. */
function keepPast(lab, faults) {
  if (lab.started !== state.lab?.started) {
    state.past = [];
    return;
  }
  const ended = Date.now() / 1000 - lab.started;
  const gone = state.faults.filter((old) => !faults.some((one) => one.id === old.id));
  state.past.push(...gone.map((fault) => ({ ...fault, until: Math.min(fault.until ?? ended, ended) })));
  state.past.splice(0, state.past.length - MOST_PAST);
}

function drawTimeline() {
  const attempts = state.attempts.slice(-MOST_ATTEMPTS);
  const now = Math.max(Date.now() / 1000 - state.lab.started, 0.001);
  const starts = [...attempts.map((one) => one.at), ...state.queries.map((one) => one.at), ...[...state.faults, ...state.past].filter((one) => one.by_hand).map((one) => one.from)];
  const from = starts.length ? Math.max(Math.min(...starts) - 0.5, 0) : Math.max(now - 60, 0);
  const length = Math.max(now - from, 1);
  const place = (at) => Math.min(Math.max((at - from) / length, 0), 1) * 100;
  const span = (begin, end, style, title) => {
    const one = make("span", { class: `span ${style}`, title });
    // Styles are set one by one: the policy of the page forbids them in attributes.
    one.style.left = `${Math.min(place(begin), 99.4)}%`;
    one.style.width = `${Math.max(place(end) - place(begin), 0)}%`;
    return one;
  };
  const lane = (name, ...spans) => make("div", { class: "lane" },
    make("span", { class: "name", title: name }, name), make("div", { class: "track" }, ...spans));
  const lanes = [lane("lookups", ...state.queries.map((one) => span(one.at, one.at, "lookup", `${one.name} ${one.type}: ${one.answer}`)))];
  for (const host of hostsInOrder()) {
    const down = [...state.faults.filter((fault) => !isOver(fault)), ...state.past].filter((fault) => isAbout(fault, host))
      .map((fault) => span(fault.from, fault.until ?? now, "down", fault.text));
    const sessions = attempts.filter((one) => one.address === host.address)
      .map((one) => (state.open.has(one.session) ? span(one.at, now, "open", `${one.text}, under way`) : span(one.at, one.ended, kind(one), one.text)));
    lanes.push(lane(nameOf(host), ...down, ...sessions));
  }
  const marks = [0, .25, .5, .75, 1].map((part) => {
    const at = from + length * part;
    const mark = make("span", { class: "mark" }, length < 60 ? `+${seconds(at)} s` : clock(at));
    mark.style.left = `${part * 100}%`;
    return mark;
  });
  const scale = make("div", { class: "lane scale" }, make("span", { class: "name" }), make("div", { class: "track" }, ...marks));
  $("timeline").replaceChildren(...lanes, scale);
}

// --- Messages ---

function drawMessages({ messages, dropped }) {
  const items = messages.slice(-MOST_MESSAGES).reverse().map((one) => make("li", {},
    make("button", { type: "button", "data-id": one.id, "aria-expanded": String(one.id === state.shown), "aria-controls": "message", onclick: () => show(one.id) },
      make("span", { class: "subject" }, one.subject ?? "(no subject)"), make("span", { class: "by" }, one.host),
      make("span", { class: "to" }, `to ${one.to.join(", ")}`), make("span", { class: "by" }, clock(one.at)))));
  // What has the keyboard keeps it.
  const held = document.activeElement?.dataset?.id;
  $("messages").replaceChildren(...items);
  if (held) $("messages").querySelector(`[data-id="${CSS.escape(held)}"]`)?.focus();
  $("no-messages").hidden = items.length > 0;
  if (dropped > state.told) say(`${dropped} messages were dropped: only the latest are kept`, true);
  state.told = dropped;
}

const pairs = (list) => list.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);

async function show(id) {
  if (state.shown === id) return close();
  await act(async () => {
    const one = await ask(`/v1/messages/${id}`);
    state.shown = id;
    $("message-subject").textContent = one.subject ?? "(no subject)";
    $("message-envelope").replaceChildren(...pairs([
      ["from", `<${one.from}>`], ["to", one.to.join(", ")], ["taken by", `${one.host} [${one.address}]${one.tls ? " in TLS" : ""}`],
      ["octets", String(one.octets)], ...one.attachments.map((part) => ["attached", `${part.name ?? "(no name)"}, ${part.media}, ${part.octets} octets`]),
    ]));
    $("message-text").textContent = (one.text ?? "(no text)") + (one.text_is_cut ? "\n…" : "");
    $("message-headers").replaceChildren(...pairs(one.headers.map(({ name, value }) => [name, value])));
    $("message-eml").href = one.eml;
    $("message").hidden = false;
    $("message").focus({ preventScroll: true });
  });
}

function close() {
  const id = state.shown;
  state.shown = null;
  $("message").hidden = true;
  const button = $("messages").querySelector(`[data-id="${id}"]`);
  button?.setAttribute("aria-expanded", "false");
  button?.focus();
}

// --- The verdict ---

function drawVerdict(verdict) {
  const count = verdict.findings.length;
  const sum = $("verdict-sum");
  sum.className = `sum ${verdict.passed === null ? "" : verdict.passed ? "good-text" : "bad-text"}`;
  sum.textContent = verdict.passed === null ? "not judged"
    : verdict.passed ? `nothing is wrong (${verdict.attempts} attempts)` : `${count} ${count === 1 ? "thing is" : "things are"} wrong`;
  $("findings").replaceChildren(...verdict.findings.map((one) => {
    const lines = [["expected", one.expected], ["observed", one.observed], ["because", one.because]].filter(([, texts]) => texts.length > 0);
    return make("li", { class: one.level === "MUST" ? "" : "mild" }, make("p", {}, one.claim),
      make("p", { class: "rule" }, [one.level, one.rule && `rule ${one.rule}`, ...one.cites].filter(Boolean).join(" · ")),
      ...lines.map(([name, texts]) => make("dl", { class: "pair" }, make("dt", {}, name), ...texts.map((text) => make("dd", {}, text)))));
  }));
  $("notes").replaceChildren(...verdict.notes.map((note) => make("li", {}, note)));
}

// --- Events ---

/** An event in a line. */
function line(event) {
  const host = event.hosts?.[0] ?? event.address ?? "";
  const said = event.code ? `${event.code} ${event.reply ?? ""}` : event.effect ?? "";
  switch (event.event) {
    case "query": return `${event.name} ${event.type}: ${event.answer}${event.fault ? ` (${event.fault})` : ""}`;
    case "connect": return `${event.session}: ${host} ${event.result}`;
    case "reply": return `${event.session}: ${event.stage}${event.argument !== undefined ? ` <${event.argument}>` : ""} ${said}`;
    case "command": return `${event.session}: ${event.verb} ${event.code}`;
    case "secured": return `${event.session}: TLS`;
    case "taken": return `${event.session}: taken for ${event.to.join(", ")}`;
    case "end": return `${event.session}: ended (${event.how})`;
    case "changed": return event.change;
    case "unseen": return `${host}: connections ${event.result === "accepted" ? "are seen again" : `are ${event.result}, and nobody sees them`}`;
    default: return [event.event, host || event.session].filter(Boolean).join(" ");
  }
}

function addEvent(event) {
  const list = $("events");
  list.prepend(make("li", { class: event.event === "changed" ? "changed" : "" }, make("time", {}, `+${seconds(event.at)} s`), make("span", {}, line(event))));
  while (list.children.length > MOST_EVENTS) list.lastChild.remove();
  $("no-events").hidden = true;
  if (event.event === "query") {
    state.queries.push({ id: event.id, at: event.at, name: event.name, type: event.type, answer: event.answer });
    state.queries.splice(0, state.queries.length - MOST_EVENTS);
  }
  if (event.event === "connect" && event.result === "accepted") state.open.set(event.session, event.id);
  if (event.event === "end") state.open.delete(event.session);
  if (event.event === "taken" && event.id > state.last) say(`${event.to.join(", ")}: a message was taken`);
}

// --- What is fetched, and when ---

/** Fetches what is shown; what is asked for meanwhile is done once, after a pause. */
function refresh() {
  if (refresh.timer) return;
  refresh.timer = setTimeout(async () => {
    try {
      const [lab, faults, attempts, messages, verdict] = await Promise.all([
        ask("/v1/lab"), ask("/v1/faults"), ask("/v1/attempts"), ask("/v1/messages"), ask(`/v1/verdict?sender=${$("sender").value}`)]);
      const isAnother = JSON.stringify(lab.hosts) !== JSON.stringify(state.lab?.hosts) || lab.started !== state.lab?.started;
      if (lab.started !== state.lab?.started) {
        // Sessions and moments count from the lab: those of the one before mean nothing now.
        state.queries = state.queries.filter((one) => one.id >= lab.first_event);
        state.open = new Map([...state.open].filter(([, id]) => id >= lab.first_event));
      }
      keepPast(lab, faults.faults);
      Object.assign(state, { lab, faults: faults.faults, attempts: attempts.attempts });
      if (isAnother) drawLab(); else drawFaults();
      drawAttempts();
      drawTimeline();
      drawMessages(messages);
      drawVerdict(verdict);
    } catch (error) {
      say(error.message, true);
    } finally {
      refresh.timer = null;
      if (refresh.again) { refresh.again = false; refresh(); }
    }
  }, PAUSE);
}

/** Something happened: what is under way may have missed it. */
function changed() {
  if (refresh.timer) refresh.again = true; else refresh();
}

function follow(after) {
  const source = new EventSource(`/v1/events/stream?after=${after}`);
  const link = (on) => { $("link").dataset.state = on ? "on" : "off"; $("link").textContent = on ? "live" : "not connected"; };
  source.addEventListener("open", () => { link(true); changed(); });
  source.addEventListener("error", () => link(false));
  source.addEventListener("message", ({ data }) => { addEvent(JSON.parse(data)); changed(); });
  source.addEventListener("dropped", ({ data }) => { say(`${JSON.parse(data).dropped} events were dropped`); changed(); });
}

async function begin() {
  state.words = await ask("/v1/words");
  $("query-effect").replaceChildren(...state.words.query_effects.map((word) => make("option", { value: word }, word)));
  $("restore-all").addEventListener("click", () => act(() => ask("/v1/faults", { method: "DELETE" }), "everything is restored"));
  $("forget").addEventListener("click", () => act(async () => { await ask("/v1/messages", { method: "DELETE" }); if (state.shown) close(); }, "messages are forgotten"));
  $("message-close").addEventListener("click", close);
  $("sender").addEventListener("change", refresh);
  $("query-fault").addEventListener("submit", (event) => {
    event.preventDefault();
    const body = JSON.stringify({ query: $("query").value, effect: $("query-effect").value });
    act(() => ask("/v1/faults", { method: "POST", headers: { "content-type": "application/json" }, body }), (fault) => fault.text);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && state.shown) close(); });
  // A window that was out of sight, and the moving end of the timeline.
  setInterval(() => { if (state.lab && !document.hidden && (state.attempts.length || state.faults.length)) drawTimeline(); }, 2000);
  const [{ last }, { first_event: first }] = await Promise.all([ask("/v1/events?limit=1"), ask("/v1/lab")]);
  state.last = last;
  refresh();
  follow(Math.max(last - MOST_EVENTS, first - 1));
}

begin().catch((error) => say(error.message, true));
