// The table of all verdicts, and what holds for the application that is chosen.
const BATCH = 200;
const ratio = (passes, runs) => (runs > 0 ? passes / runs : -1);
// How many replays passed; what was imported says only whether it works.
const passed = (row, way) => {
  const runs = row[`${way}s`];
  if (runs) return `${row[way]}/${runs}`;
  if (row.basis !== "imported" || VERDICTS.indexOf(row.verdict) > 3) return "–";
  return row.verdict === way || row.verdict === "any" ? "yes" : "no";
};
// What matters most comes first: the rest is off the screen of a phone.
const verdictColumns = [
  { key: "feature", title: "Feature", value: (row) => row.feature,
    tie: (a, b) => byName(a.feature, b.feature) || byName(nameOf(a.application), nameOf(b.application)) },
  { key: "verdict", title: "Verdict", value: (row) => VERDICTS.indexOf(row.verdict), show: verdictMark },
  { key: "app", title: "Application", value: (row) => nameOf(row.application), name: true, show: (row) => breakable(nameOf(row.application)) },
  { key: "stub", title: "Stub", number: true, value: (row) => ratio(row.stub, row.stubs), show: (row) => passed(row, "stub") },
  { key: "fake", title: "Fake", number: true, value: (row) => ratio(row.fake, row.fakes), show: (row) => passed(row, "fake") },
  { key: "calls", title: "Calls", number: true, value: (row) => row.calls, show: (row) => (row.calls ? row.calls.toLocaleString("en") : "–") },
  { key: "number", title: "No.", number: true, value: (row) => row.number ?? 1e9, show: (row) => String(row.number ?? "–") },
  { key: "basis", title: "Basis", value: (row) => row.basis, show: (row) => row.basis },
];
// Of one application its name is in no row.
const columnsOf = (app) => (applicationByName.has(app) ? verdictColumns.filter((one) => one.key !== "app") : verdictColumns);
const fresh = { app: "", verdict: "", q: "", sort: "verdict", down: "", open: "" };
const state = { ...fresh };
let listed = [];
let shown = 0;

const rowOf = (row) => {
  const open = make("button", { type: "button", "aria-expanded": "false" }, make("code", {}, row.feature));
  const columns = columnsOf(state.app);
  const made = make("tr", { class: "row", "data-feature": row.feature }, make("th", { scope: "row" }, open));
  for (const column of columns.slice(1)) made.append(make("td", { class: column.number ? "number" : column.name ? "name" : "" }, ...[].concat(column.show(row))));
  const toggle = () => {
    const closed = open.getAttribute("aria-expanded") === "false";
    open.setAttribute("aria-expanded", String(closed));
    if (closed) made.after(make("tr", { class: "evidence" }, make("td", { colspan: String(columns.length) }, ...trials(row))));
    else made.nextElementSibling.remove();
  };
  made.addEventListener("click", (event) => {
    if (!String(getSelection())) toggle();
    event.stopPropagation();
  });
  if (state.open && state.open === row.feature) queueMicrotask(toggle);
  return made;
};

const showMore = (all) => {
  const next = listed.slice(shown, all === true ? listed.length : shown + BATCH);
  element("verdict-table").tBodies[0].append(...next.map(rowOf));
  shown += next.length;
  element("more").hidden = shown >= listed.length;
};

const showWhole = () => {
  const place = element("whole");
  place.replaceChildren();
  const application = data.applications.find((one) => one.name === state.app);
  if (!application) {
    if (state.app) place.append(make("p", { class: "notice" }, `There is no workload ${state.app} on this page.`));
    return;
  }
  const panel = make("div", { class: "panel" },
    make("h3", {}, `${application.name} as a whole `, tag(application)),
    make("p", {}, application.answer));
  const policy = application.policy;
  if (policy) {
    panel.append(make("p", {}, `With everything else left out at once it needs these ${policy.number}; seen to pass so ${policy.passes} of ${policy.runs} times.`));
    const list = make("dl");
    for (const part of ["implement", "stub", "fake"]) {
      if (policy[part].length) list.append(make("dt", {}, part), make("dd", {}, names(policy[part])));
    }
    panel.append(list);
  }
  if (application.notes.length) panel.append(make("ul", {}, ...application.notes.map((note) => make("li", {}, note))));
  const facts = make("dl", { class: "facts" });
  for (const [name, value] of application.provenance) facts.append(make("dt", {}, name), make("dd", {}, value));
  panel.append(facts);
  place.append(panel);
};

const writeState = () => {
  const query = new URLSearchParams();
  for (const key of Object.keys(state)) if (state[key] !== fresh[key]) query.set(key, state[key]);
  replace({ query });
  showVerdicts();
};

const showVerdicts = () => {
  const table = element("verdict-table");
  const columns = columnsOf(state.app);
  const down = state.down === "1";
  element("choose-application").value = state.app;
  element("choose-verdict").value = state.verdict;
  element("find").value = state.q;
  heading(columns, table, state.sort, down, (column) => {
    state.down = state.sort === column.key && !down ? "1" : "";
    state.sort = column.key;
    writeState();
  });
  const wanted = state.q.trim().toLowerCase();
  const chosen = data.applications.findIndex((one) => one.name === state.app);
  listed = sortRows(rows.filter((row) =>
    (chosen < 0 || row.application === chosen)
    && (!state.verdict || row.verdict === state.verdict)
    && (!wanted || row.feature.includes(wanted) || String(row.number) === wanted)), columns, state.sort, down);
  shown = 0;
  table.tBodies[0].replaceChildren();
  showMore();
  element("count").textContent = `${listed.length} of ${rows.length} rows`;
  document.documentElement.dataset.rows = String(listed.length);
  showWhole();
};

const verdictFilters = () => {
  for (const one of data.applications.slice().sort((a, b) => byName(a.name, b.name))) {
    element("choose-application").append(make("option", { value: one.name }, one.name));
  }
  for (const verdict of VERDICTS) element("choose-verdict").append(make("option", { value: verdict }, verdict));
  for (const [id, key, event] of [["choose-application", "app", "change"], ["choose-verdict", "verdict", "change"], ["find", "q", "input"]]) {
    element(id).addEventListener(event, (change) => { state[key] = change.target.value; writeState(); });
  }
  element("more").addEventListener("click", showMore);
};
