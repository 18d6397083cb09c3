// The page keeps a list of films and a model; every change asks POST /recommend anew and draws the answer.
const $ = (id) => document.getElementById(id);
const EXAMPLE = [260, 1196, 2571, 1270, 1];
const SHOWN = 3; // reasons of a card before "all reasons"
const state = { history: [], models: [], ranks: null, asked: 0, choices: [], active: -1, typed: 0 };

const make = (tag, text = "", props = {}) => Object.assign(document.createElement(tag), { textContent: text }, props);
const spoken = (title) => title.replace(/^([^(]*?), (The|An?)\b(.*)$/, "$2 $1$3");
const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toPrecision(2);
const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

async function ask(path, body) {
  const request = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, request);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

function say(text, fault = "") {
  $("status").textContent = text;
  $("fault").textContent = fault;
  $("fault").hidden = !fault;
}

// ---- films seen

function drawHistory() {
  $("history").replaceChildren(...state.history.map((film) => {
    const row = make("li");
    const remove = make("button", "✕", { type: "button", ariaLabel: `Remove ${spoken(film.title)}` });
    remove.addEventListener("click", () => removeFilm(film));
    row.append(make("span", spoken(film.title)), remove);
    return row;
  }));
  $("example").hidden = state.history.length > 0;
  $("clear").hidden = state.history.length === 0;
}

function addFilm(film) {
  if (state.history.some((known) => known.item === film.item)) return say(`${spoken(film.title)} is in your list already.`);
  state.history.push(film);
  changed(`Added ${spoken(film.title)}.`);
}

function removeFilm(film) {
  const place = state.history.indexOf(film);
  state.history.splice(place, 1);
  changed(`Removed ${spoken(film.title)}.`);
  ($("history").querySelectorAll("button")[Math.min(place, state.history.length - 1)] ?? $("film")).focus();
}

function changed(what) {
  drawHistory();
  recommend(what);
}

// ---- recommendations

async function recommend(what) {
  const turn = ++state.asked;
  if (!state.history.length) {
    state.ranks = null;
    await drawPicks();
    return say(`${what} Add a film to begin, or take one that many have seen:`.trim());
  }
  const busy = document.querySelector(".found");
  busy.setAttribute("aria-busy", "true");
  try {
    const answer = await ask("recommend", { history: state.history.map((film) => film.item), model: $("model").value });
    if (turn === state.asked) drawList(answer, what);
  } catch (fault) {
    if (turn === state.asked) say("", fault.message);
  } finally {
    if (turn === state.asked) busy.setAttribute("aria-busy", "false");
  }
}

async function drawPicks() {
  const { films } = await ask("films");
  const picks = films.map((film) => {
    const row = make("li"), pick = make("button", spoken(film.title), { type: "button" });
    pick.addEventListener("click", () => { addFilm(film); $("film").focus(); });
    row.append(pick);
    return row;
  });
  $("list").className = "picks";
  $("list").replaceChildren(...picks);
}

function drawList(answer, what) {
  const before = state.ranks;
  state.ranks = new Map(answer.recommendations.map((film) => [film.item, film.rank]));
  const moves = answer.recommendations.map((film) => movement(film, before));
  $("list").className = "";
  $("list").replaceChildren(...answer.recommendations.map((film, n) => card(film, moves[n], answer)));
  const count = (kind) => moves.filter(([found]) => found === kind).length;
  const change = before ? ` ${plural(count("new"), "film")} new in the list, ${count("up")} up, ${count("down")} down.` : "";
  const { method } = answer.recommendations[0].because;
  say(`${what}${change} First: ${spoken(answer.recommendations[0].title)}. Reasons: ${method}.`.trim());
}

function movement(film, before) {
  if (!before) return ["", ""];
  if (!before.has(film.item)) return ["new", "✦ new"];
  const up = before.get(film.item) - film.rank;
  return up > 0 ? ["up", `▲ up ${up}`] : up < 0 ? ["down", `▼ down ${-up}`] : ["same", "= same place"];
}

function card(film, [kind, words], answer) {
  const row = $("card").content.firstElementChild.cloneNode(true);
  const put = (part, text) => Object.assign(row.querySelector(part), { textContent: text });
  put(".rank", film.rank);
  put(".title", spoken(film.title));
  put(".move", words).className = `move ${kind}`;
  const { reasons, base, score, sentence } = film.because;
  put(".why", answer.history.reduce((text, seen) => text.replaceAll(seen.title, spoken(seen.title)), sentence));
  const largest = Math.max(...reasons.map((reason) => Math.abs(reason.weight)), 1e-12);
  const rows = reasons.map((reason) => reasonRow(reason, film, largest));
  const [first, all] = row.querySelectorAll(".reasons");
  first.append(...rows.slice(0, SHOWN));
  all.append(...rows.slice(SHOWN), make("li", `Score of an empty history ${base.toFixed(3)}, with yours ${score.toFixed(3)}.`, { className: "sum" }));
  put("summary", reasons.length > SHOWN ? `${plural(reasons.length - SHOWN, "more reason")} and the sum` : "The sum");
  return row;
}

function reasonRow(reason, film, largest) {
  const row = make("li", "", { className: reason.weight < 0 ? "against" : "" });
  const button = make("button", "", { type: "button", title: "How the model came to this score" });
  const track = make("span", "", { className: "track", ariaHidden: "true" });
  const bar = make("span", "", { className: "bar" });
  bar.style.setProperty("--part", Math.abs(reason.weight) / largest);
  track.append(bar);
  const number = make("span", signed(reason.weight), { className: "number" });
  if (reason.error) number.append(make("small", ` ± ${reason.error.toPrecision(1)}`));
  button.append(make("span", spoken(reason.title)), track, number);
  button.setAttribute("aria-haspopup", "dialog");
  button.addEventListener("click", () => openPath(film));
  row.append(button);
  return row;
}

// ---- decision path

async function openPath(film) {
  const body = { history: state.history.map((seen) => seen.item), model: $("model").value, item: film.item, path: true };
  try {
    const answer = await ask("explain", body);
    $("path-title").textContent = `How ${answer.model.name} comes to ${spoken(film.title)}`;
    $("steps").replaceChildren(...answer.path.map(step));
    $("path").showModal();
    $("path").scrollTop = 0;
  } catch (fault) {
    say("", fault.message);
  }
}

function step({ name, sentence, columns, rows }, n) {
  const block = make("section", "", { className: "step" });
  const scroll = make("div", "", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `Numbers of step ${n + 1}` });
  const table = make("table");
  const numeric = columns.map((_, c) => rows.some((row) => typeof row[c] === "number"));
  const line = (cells, tag) => {
    const row = make("tr");
    row.append(...cells.map((cell, c) => make(tag, shown(cell), { className: numeric[c] ? "value" : "" })));
    return row;
  };
  table.append(make("thead"), make("tbody"));
  table.tHead.append(line(columns, "th"));
  table.tBodies[0].append(...rows.map((row) => line(row, "td")));
  scroll.append(table);
  block.append(make("h3", name[0].toUpperCase() + name.slice(1)), make("p", sentence), scroll);
  return block;
}

function shown(cell) {
  if (typeof cell !== "number") return spoken(cell ?? "");
  return (Number.isInteger(cell) ? String(cell) : cell.toFixed(3)).replace("-", "−");
}

// ---- the combobox (ARIA authoring practices: editable, list autocomplete)

async function suggest() {
  const turn = ++state.typed, typed = $("film").value.trim();
  if (!typed) return closeChoices();
  const { films } = await ask(`films?q=${encodeURIComponent(typed.slice(0, 200))}`);
  if (turn !== state.typed) return;
  state.choices = films;
  $("choices").replaceChildren(...films.map((film, n) => {
    const option = make("li", spoken(film.title), { id: `choice-${n}`, role: "option", ariaSelected: "false" });
    option.append(make("small", film.genres.replaceAll("|", ", ")));
    option.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the input
    option.addEventListener("click", () => choose(n));
    return option;
  }));
  $("choices").hidden = !films.length;
  $("film").setAttribute("aria-expanded", String(films.length > 0));
  activate(-1);
  say(films.length ? `${plural(films.length, "film")}; arrow keys and Enter choose.` : `No film is called “${typed}”.`);
}

function activate(n) {
  state.active = n;
  [...$("choices").children].forEach((option, place) => option.setAttribute("aria-selected", String(place === n)));
  if (n < 0) return $("film").removeAttribute("aria-activedescendant");
  $("film").setAttribute("aria-activedescendant", `choice-${n}`);
}

function choose(n) {
  const film = state.choices[n];
  $("film").value = "";
  closeChoices();
  addFilm(film);
}

function closeChoices() {
  state.typed++;
  state.choices = [];
  $("choices").hidden = true;
  $("film").setAttribute("aria-expanded", "false");
  activate(-1);
}

function key(event) {
  const many = state.choices.length;
  if (event.key === "Escape") {
    if (!many) $("film").value = "";
    closeChoices();
  } else if (event.key === "ArrowDown" && !many) {
    suggest();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const start = event.key === "ArrowDown" ? state.active + 1 : Math.max(state.active, 0) + many - 1;
    activate(start % many);
  } else if (event.key === "Enter" && many) {
    choose(Math.max(state.active, 0));
  } else return;
  event.preventDefault();
}

// ---- start

function about() {
  const chosen = state.models.find((model) => model.name === $("model").value);
  const reads = chosen.reads ? `reads the latest ${chosen.reads} films, in order` : "takes films in no order";
  $("about").textContent = `${chosen.name} ${reads}. Version ${chosen.version}`;
}

async function start() {
  const wait = (run, ms) => { let timer; return () => { clearTimeout(timer); timer = setTimeout(run, ms); }; };
  $("film").addEventListener("input", wait(() => suggest().catch((fault) => say("", fault.message)), 100));
  $("film").addEventListener("keydown", key);
  $("film").addEventListener("blur", closeChoices);
  $("model").addEventListener("change", () => { state.ranks = null; about(); recommend(`Model ${$("model").value}.`); });
  $("clear").addEventListener("click", () => { state.history = []; changed("Removed all films."); $("film").focus(); });
  $("example").addEventListener("click", async () => {
    const { history } = await ask("recommend", { history: EXAMPLE, k: 1 });
    state.history = history;
    changed("Five films to begin with.");
    $("film").focus();
  });
  $("close").addEventListener("click", () => $("path").close());
  $("path").addEventListener("click", (event) => { if (event.target === $("path")) $("path").close(); });
  state.models = (await ask("models")).models;
  $("model").append(...state.models.map(({ name, method }) => make("option", `${name} (reasons: ${method})`, { value: name })));
  about();
  await recommend("");
}

start().catch((fault) => say("", fault.message));
