"use strict";
// The tables of a report. Everything that is shown goes through `textContent`: names and outputs
// come from applications, which may print what they like.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const VERDICTS = ["required", "stub", "fake", "any", "not exercised", "undecided"];
  const WAYS = { stub: "stubbed", fake: "faked" };
  const BATCH = 200;
  const element = (id) => document.getElementById(id);
  const collator = new Intl.Collator("en", { numeric: true });

  const make = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "class") made.className = value;
      else made.setAttribute(name, value);
    }
    for (const child of children) made.append(child);
    return made;
  };

  // Every row of every application, unpacked once.
  const rows = [];
  data.applications.forEach((application, index) => {
    for (const [feature, verdict, calls, stub, stubs, fake, fakes, basis, evidence] of application.rows) {
      rows.push({
        application: index, feature: data.features[feature], number: data.numbers[feature],
        verdict: VERDICTS[verdict], calls, stub, stubs, fake, fakes, basis: data.texts[basis], evidence,
      });
    }
  });

  const nameOf = (index) => data.applications[index].name;
  const ratio = (passes, runs) => (runs > 0 ? passes / runs : -1);
  const kind = (verdict) => (VERDICTS.indexOf(verdict) < 4 ? verdict : "other");

  // What is shown; the fragment of the address says it too, so that a view can be passed on.
  const state = { app: "", verdict: "", q: "", find: "", sort: "verdict", down: "", by: "required", apps: "", open: "" };
  const fresh = { ...state };

  const readFragment = () => {
    Object.assign(state, fresh);
    const given = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(state)) if (given.has(key)) state[key] = given.get(key);
  };
  const writeFragment = () => {
    const given = new URLSearchParams();
    for (const key of Object.keys(state)) if (state[key] !== fresh[key]) given.set(key, state[key]);
    const text = given.toString();
    try {
      history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
    } catch {
      // Where another page embeds this one, the address is not ours to change.
    }
  };

  const heading = (columns, table, sorted, down, choose) => {
    const head = make("tr");
    for (const column of columns) {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => choose(column));
      const cell = make("th", { scope: "col", class: column.number ? "number" : "" }, button);
      if (column.key === sorted) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      head.append(cell);
    }
    table.tHead.replaceChildren(head);
  };

  const sortRows = (list, columns, key, down) => {
    const column = columns.find((one) => one.key === key) || columns[0];
    const sign = down ? -1 : 1;
    return list.slice().sort((a, b) => {
      const [x, y] = [column.value(a), column.value(b)];
      const order = typeof x === "number" && typeof y === "number" ? x - y : collator.compare(String(x), String(y));
      return sign * order || columns[0].tie(a, b);
    });
  };

  // ---- Applications

  const number = (key, title) => ({ key, title, number: true, value: (one) => one[key] ?? -1, show: (one) => one[key] ?? "–" });
  const applicationColumns = [
    { key: "name", title: "Application", value: (one) => one.name, tie: (a, b) => collator.compare(a.name, b.name) },
    ...(data.applications.some((one) => one.static !== null) ? [number("static", "Static")] : []),
    number("used", "Used"), number("required", "Required"), number("stub", "Stub only"),
    number("fake", "Fake only"), number("any", "Any"), number("other", "Other"), number("joint", "All at once"),
  ];

  const showApplications = () => {
    const table = element("application-table");
    const down = state.apps ? state.apps === "down" : state.by !== "name";
    heading(applicationColumns, table, state.by, down, (column) => {
      state.apps = state.by === column.key ? (down ? "up" : "down") : "";
      state.by = column.key;
      update();
    });
    const wanted = state.find.toLowerCase();
    const list = data.applications.filter((one) => one.name.toLowerCase().includes(wanted));
    const body = sortRows(list, applicationColumns, state.by, down).map((one) => {
      const open = make("button", { type: "button" }, one.name);
      open.addEventListener("click", () => {
        state.app = one.name;
        update();
        element("verdicts").scrollIntoView();
      });
      const row = make("tr", { class: "row" }, make("td", {}, open));
      for (const column of applicationColumns.slice(1)) row.append(make("td", { class: "number" }, String(column.show(one))));
      return row;
    });
    table.tBodies[0].replaceChildren(...body);
    element("application-count").textContent = `${list.length} of ${data.applications.length} workloads`;
  };

  // ---- Verdicts

  const columns = [
    { key: "feature", title: "Feature", value: (row) => row.feature,
      tie: (a, b) => collator.compare(a.feature, b.feature) || collator.compare(nameOf(a.application), nameOf(b.application)) },
    { key: "number", title: "No.", number: true, value: (row) => row.number ?? 1e9 },
    { key: "app", title: "Application", value: (row) => nameOf(row.application) },
    { key: "verdict", title: "Verdict", value: (row) => VERDICTS.indexOf(row.verdict) },
    { key: "calls", title: "Calls", number: true, value: (row) => row.calls },
    { key: "stub", title: "Stub", number: true, value: (row) => ratio(row.stub, row.stubs) },
    { key: "fake", title: "Fake", number: true, value: (row) => ratio(row.fake, row.fakes) },
    { key: "basis", title: "Basis", value: (row) => row.basis },
  ];
  let listed = [];
  let shown = 0;

  const trial = ([way, id, outcome, output, injections]) => {
    const how = WAYS[way] || way.replace("stub=", "stubbed with ");
    const times = injections === 1 ? "once" : `${injections} times`;
    const block = make("div", { class: "trial" },
      make("p", {}, make("strong", {}, how), `, replay #${id}: ${data.texts[outcome]}; answered ${times}`));
    if (data.texts[output]) block.append(make("pre", {}, data.texts[output]));
    return block;
  };

  const evidenceOf = (row) => {
    const cell = make("td", { colspan: String(columns.length) });
    for (const one of row.evidence) cell.append(trial(one));
    const application = data.applications[row.application];
    const command = application.imported
      ? `Measured elsewhere (${application.imported}); there are no replays to show.`
      : `All replays: loupe explain ${application.name} ${row.feature}`;
    cell.append(make("div", { class: "trial" }, make("p", { class: "hint" }, command)));
    return make("tr", { class: "evidence" }, cell);
  };

  const rowOf = (row) => {
    const open = make("button", { type: "button", "aria-expanded": "false" }, make("code", {}, row.feature));
    const made = make("tr", { class: "row", "data-feature": row.feature },
      make("td", {}, open),
      make("td", { class: "number" }, row.number === null ? "–" : String(row.number)),
      make("td", {}, nameOf(row.application)),
      make("td", {}, make("span", { class: `verdict v-${kind(row.verdict)}` }, row.verdict)),
      make("td", { class: "number" }, row.calls ? row.calls.toLocaleString("en") : "–"),
      make("td", { class: "number" }, row.stubs ? `${row.stub}/${row.stubs}` : "–"),
      make("td", { class: "number" }, row.fakes ? `${row.fake}/${row.fakes}` : "–"),
      make("td", {}, row.basis));
    const toggle = () => {
      const closed = open.getAttribute("aria-expanded") === "false";
      open.setAttribute("aria-expanded", String(closed));
      if (closed) made.after(evidenceOf(row));
      else made.nextElementSibling.remove();
    };
    made.addEventListener("click", (event) => {
      if (!String(getSelection())) toggle();
      event.stopPropagation();
    });
    if (state.open && state.open === row.feature) queueMicrotask(toggle);
    return made;
  };

  const showMore = () => {
    const next = listed.slice(shown, shown + BATCH);
    element("verdict-table").tBodies[0].append(...next.map(rowOf));
    shown += next.length;
    element("more").hidden = shown >= listed.length;
  };

  const names = (list) => {
    const all = make("span", { class: "names" });
    list.forEach((feature, index) => all.append(index ? ", " : "", make("code", {}, data.features[feature])));
    return all;
  };

  const showWhole = () => {
    const place = element("whole");
    place.replaceChildren();
    const application = data.applications.find((one) => one.name === state.app);
    if (!application) return;
    const panel = make("div", { class: "panel" }, make("h3", {}, `${application.name} as a whole`));
    const policy = application.policy;
    if (policy) {
      panel.append(make("p", {}, `An OS that implements these ${policy.number} runs this workload; seen to pass ${policy.passes} of ${policy.runs} times with everything else stubbed or faked at once.`));
      const list = make("dl");
      for (const part of ["implement", "stub", "fake"]) {
        if (policy[part].length) list.append(make("dt", {}, part), make("dd", {}, names(policy[part])));
      }
      panel.append(list);
    } else {
      panel.append(make("p", {}, "What can be left out all at once was not looked for."));
    }
    if (application.notes.length) panel.append(make("ul", {}, ...application.notes.map((note) => make("li", {}, note))));
    place.append(panel);
  };

  const showVerdicts = () => {
    const table = element("verdict-table");
    const down = state.down === "1";
    heading(columns, table, state.sort, down, (column) => {
      state.down = state.sort === column.key && !down ? "1" : "";
      state.sort = column.key;
      update();
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

  // ---- Together

  const show = () => {
    element("choose-application").value = state.app;
    element("choose-verdict").value = state.verdict;
    element("find").value = state.q;
    element("find-application").value = state.find;
    showApplications();
    showVerdicts();
  };
  const update = () => { writeFragment(); show(); };

  for (const one of data.applications.slice().sort((a, b) => collator.compare(a.name, b.name))) {
    element("choose-application").append(make("option", { value: one.name }, one.name));
  }
  for (const verdict of VERDICTS) element("choose-verdict").append(make("option", { value: verdict }, verdict));
  for (const [id, key, event] of [["choose-application", "app", "change"], ["choose-verdict", "verdict", "change"], ["find", "q", "input"], ["find-application", "find", "input"]]) {
    element(id).addEventListener(event, (change) => { state[key] = change.target.value; update(); });
  }
  element("more").addEventListener("click", showMore);
  // A link to a section changes nothing in the tables.
  addEventListener("hashchange", () => {
    if (location.hash && !location.hash.includes("=")) return;
    readFragment();
    show();
  });
  readFragment();
  show();
  document.documentElement.dataset.ready = "1";
})();
