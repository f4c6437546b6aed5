// Applications by features: a mark where one uses the other, its shape and colour the verdict.
// Ordered by the plan of an OS, or by need. One cell has the keyboard's focus, arrows move it.
const PRINTED_COLUMNS = 30;
// Features and applications in their order, with the step of the plan that each belongs to.
const matrixOrder = (order, parts) => {
  const need = new Map();
  const users = new Map();
  for (const row of rows) {
    users.set(row.id, (users.get(row.id) || 0) + 1);
    if (row.verdict === "required" && !row.harness) need.set(row.id, (need.get(row.id) || 0) + 1);
  }
  const system = data.systems.find((one) => one.os === order);
  const plan = system && system.plans[0];
  const steps = new Map();
  const unlocked = new Map();
  if (plan) {
    plan.steps.forEach((step, index) => {
      for (const feature of step.implement.flatMap(touched)) if (!steps.has(feature)) steps.set(feature, index);
      for (const name of step.unlocks) if (!unlocked.has(name)) unlocked.set(name, index);
    });
  }
  const has = new Set(system && system.profile ? system.profile.implement : []);
  const rank = (feature) => (steps.has(feature) ? steps.get(feature) : has.has(feature) ? 1e6 : 1e5);
  const columns = [...users.keys()].filter((feature) => parts || isWhole(data.features[feature]));
  columns.sort((a, b) => rank(a) - rank(b) || (need.get(b) || 0) - (need.get(a) || 0)
    || users.get(b) - users.get(a) || byName(data.features[a], data.features[b]));
  const when = (one) => (unlocked.has(one.name) ? unlocked.get(one.name) : 1e5);
  const list = data.applications.slice().sort((a, b) => (plan ? when(a) - when(b) : 0)
    || a.required - b.required || byName(a.name, b.name));
  return { columns, list, steps, unlocked, has, system };
};

// Of a long path the end tells more than the beginning.
const HEAD_CHARACTERS = 16;
const headName = (name) => (name.startsWith("/") && name.length > HEAD_CHARACTERS ? `…${name.slice(1 - HEAD_CHARACTERS)}` : name);

const matrixTable = (columns, list, { steps, has }, first) => {
  const head = make("tr", {}, make("th", { scope: "col", class: "corner" }, make("span", {}, "Application")));
  let before;
  const starts = columns.map((feature) => {
    const step = steps.has(feature) ? steps.get(feature) : has.has(feature) ? "has" : "rest";
    const starts = before !== undefined && step !== before;
    before = step;
    return starts ? " starts" : "";
  });
  columns.forEach((feature, index) => {
    const name = data.features[feature];
    const told = steps.has(feature) ? `, step ${steps.get(feature)}` : has.has(feature) ? ", implemented" : "";
    head.append(make("th", { scope: "col", class: `feature${starts[index]}`, title: name + told },
      make("span", {}, link(`#syscalls/${encodeURIComponent(name)}`, headName(name), { tabindex: "-1" }))));
  });
  const body = list.map((application) => {
    const line = make("tr", {}, make("th", { scope: "row", class: mixed && application.imported ? "imported" : "" },
      link(`#${new URLSearchParams({ app: application.name })}`, breakable(shortName(application.name)), { tabindex: "-1",
        title: application.name + (application.imported ? " (imported)" : "") })));
    columns.forEach((feature, index) => {
      const row = application.rowOf.get(feature);
      const cell = document.createElement("td");
      if (row) {
        const name = kind(row);
        cell.className = `m-${name}${starts[index]}`;
        cell.tabIndex = -1;
        cell.row = row;
        cell.setAttribute("aria-label", `${row.feature}: ${row.harness ? "measuring tool" : row.verdict}`);
      } else if (starts[index]) {
        cell.className = "starts";
      }
      line.append(cell);
    });
    return line;
  });
  const table = make("table", { class: "grid", role: "grid", "aria-label": first ? "Applications by features" : "Continued" },
    make("thead", {}, head), make("tbody", {}, ...body));
  table.style.setProperty("--columns", columns.length);
  table.style.setProperty("--longest", Math.max(0, ...list.map((one) => shortName(one.name).length)));
  return table;
};

let matrixShown = null;
const showMatrix = () => {
  const order = current.query.get("order") || (data.systems[0] ? data.systems[0].os : "need");
  const find = current.query.get("find") || "";
  const parts = current.query.has("parts");
  element("matrix-order").value = order;
  element("matrix-find").value = find;
  element("matrix-parts").checked = parts;
  const key = JSON.stringify([order, find, parts]);
  if (matrixShown && matrixShown.key === key) return;
  const ordered = matrixOrder(order, parts);
  const wanted = find.toLowerCase();
  const list = ordered.list.filter((one) => one.name.toLowerCase().includes(wanted));
  const columns = ordered.columns.filter((feature) => !wanted || list.some((one) => one.rowOf.has(feature)));
  matrixShown = { key, ordered, columns, list };
  const by = ordered.system
    ? `Columns: as the plan for ${ordered.system.os} implements them, a line before each step; last what it has. Rows: as they come to run.`
    : "Columns: what most need first. Rows: those that need least first.";
  const origin = mixed ? " Names in italics were measured elsewhere and imported." : someImported ? " All were measured elsewhere and imported." : " All were measured here, by replays.";
  element("matrix-hint").textContent = `${counted(list.length, "workload")} by ${counted(columns.length, "feature")}. ${by}${origin} A click on a mark shows the evidence.`;
  const table = matrixTable(columns, list, ordered, true);
  element("matrix-place").replaceChildren(table);
  const start = table.querySelector("td[tabindex]");
  if (start) start.tabIndex = 0;
};

const moveInMatrix = (cell, key) => {
  const along = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[key];
  let next = cell;
  if (along) {
    do next = next[along]; while (next && !next.row);
  } else {
    const column = cell.cellIndex;
    let line = cell.parentElement;
    const step = key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
    do {
      line = line[step];
      next = line && line.cells[column];
    } while (next && !next.row);
  }
  if (!next) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
};

const matrixControls = () => {
  const place = element("matrix-place");
  for (const system of data.systems) element("matrix-order").append(make("option", { value: system.os }, `plan for ${system.os}`));
  element("matrix-order").append(make("option", { value: "need" }, "need"));
  element("order-label").hidden = !data.systems.length;
  element("parts-label").hidden = data.features.every(isWhole);
  const change = (key, value) => {
    if (value) current.query.set(key, value);
    else current.query.delete(key);
    replace({});
    showMatrix();
  };
  element("matrix-order").addEventListener("change", (event) => change("order", event.target.value));
  element("matrix-find").addEventListener("input", (event) => change("find", event.target.value));
  element("matrix-parts").addEventListener("change", (event) => change("parts", event.target.checked ? "1" : ""));
  for (const name of ["required", "fake", "stub", "any", "other"]) {
    element("legend").append(make("li", { class: `m-${name}` }, `${name === "other" ? "other" : name}: ${SHOWN_AS[name]}`));
  }
  place.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (cell && cell.row) openEvidence(cell.row);
  });
  // What is pointed at is said; thousands of titles are not written beforehand.
  place.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("td");
    if (cell && cell.row && !cell.title) cell.title = `${nameOf(cell.row.application)}: ${cell.getAttribute("aria-label")}`;
  });
  place.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell || !cell.row) return;
    if (event.key === "Enter" || event.key === " ") openEvidence(cell.row);
    else if (event.key.startsWith("Arrow")) moveInMatrix(cell, event.key);
    else return;
    event.preventDefault();
  });
};

// On paper nothing scrolls: the columns are cut into tables that fit.
const printMatrix = () => {
  if (current.view !== "matrix" || !matrixShown) return;
  const { columns, list, ordered } = matrixShown;
  const tables = [];
  for (let at = 0; at < columns.length; at += PRINTED_COLUMNS) {
    const part = columns.slice(at, at + PRINTED_COLUMNS);
    tables.push(matrixTable(part, list.filter((one) => part.some((feature) => one.rowOf.has(feature))), ordered, at === 0));
  }
  element("matrix-place").replaceChildren(...tables);
};
const unprintMatrix = () => {
  if (!matrixShown) return;
  matrixShown = null;
  if (current.view === "matrix") showMatrix();
};
