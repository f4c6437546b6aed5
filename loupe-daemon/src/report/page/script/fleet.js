// Units of a fleet by features: a square where a unit uses one, the larger the more of its hosts do.
const UNITS_AT_ONCE = 100;
const FEATURES_AT_ONCE = 120;
const USE_SIZES = 5;
// Of the unit's hosts: what at most this part of them has is told apart from the rest.
const FEW_HOSTS = 0.05;

const units = (data.fleet ? data.fleet.rows : []).map(([name, hosts, flat]) => {
  const uses = new Map();
  for (let at = 0; at < flat.length; at += 2) uses.set(flat[at], flat[at + 1]);
  return { name, hosts, uses };
});
const hostsWith = data.features.map((_, feature) => units.reduce((sum, unit) => sum + (unit.uses.get(feature) || 0), 0));

const unitsTable = (list, columns) => {
  const head = make("tr", {}, make("th", { scope: "col", class: "corner" }, "Unit"));
  for (const feature of columns) {
    const name = data.features[feature];
    head.append(make("th", { scope: "col", class: "feature", title: name }, make("span", {}, name)));
  }
  const body = list.map((unit) => {
    const line = make("tr", {}, make("th", { scope: "row", title: unit.name },
      link(`#units/${encodeURIComponent(unit.name)}`, unit.name)));
    for (const feature of columns) {
      const cell = document.createElement("td");
      const hosts = unit.uses.get(feature);
      if (hosts) {
        const said = `${hosts} of ${counted(unit.hosts, "host")}`;
        cell.className = `use-${1 + Math.round((USE_SIZES - 1) * hosts / unit.hosts)}`;
        cell.append(make("span", { class: "unseen" }, said));
      }
      line.append(cell);
    }
    return line;
  });
  const table = make("table", { class: "grid uses" }, make("thead", {}, head), make("tbody", {}, ...body));
  table.style.setProperty("--columns", columns.length);
  return table;
};

// What one unit does, said in full.
const showUnit = (name) => {
  const place = element("unit");
  const unit = units.find((one) => one.name === name);
  if (!unit) return place.replaceChildren();
  const sorted = [...unit.uses].sort((a, b) => b[1] - a[1] || byName(data.features[a[0]], data.features[b[0]]));
  const of = (title, list) => (list.length ? [make("dt", {}, title), make("dd", {}, names(list.map(([feature]) => feature)))] : []);
  const everywhere = sorted.filter(([, hosts]) => hosts === unit.hosts);
  const few = sorted.filter(([, hosts]) => unit.hosts > 2 && (hosts === 1 || hosts <= unit.hosts * FEW_HOSTS));
  const some = sorted.filter((one) => !everywhere.includes(one) && !few.includes(one));
  return place.replaceChildren(make("div", { class: "panel" },
    make("h3", {}, unit.name),
    make("p", {}, `${counted(unit.uses.size, "feature")} on ${counted(unit.hosts, "host")}. `, link("#units", "Close")),
    make("dl", {}, ...of("On all hosts", everywhere), ...of("On some", some), ...of("On few", few))));
};

let unitsShown = "";
const showUnits = ({ path, query }) => {
  const [unit, use, parts] = [query.get("unit") || "", query.get("use") || "", query.has("parts")];
  element("find-unit").value = unit;
  element("find-use").value = use;
  element("use-parts").checked = parts;
  showUnit(path);
  const key = JSON.stringify([unit, use, parts]);
  if (unitsShown === key) return;
  unitsShown = key;
  const has = (text, wanted) => text.toLowerCase().includes(wanted.toLowerCase());
  // Who looks for an operation by name need not ask for all of them.
  const isShown = (name) => has(name, use) && (parts || use.includes(":") || isWhole(name));
  const wanted = data.features.map((_, feature) => feature).filter((feature) => isShown(data.features[feature]));
  const list = units.filter((one) => has(one.name, unit) && wanted.some((feature) => one.uses.has(feature)));
  const columns = wanted.filter((feature) => list.some((one) => one.uses.has(feature)));
  columns.sort((a, b) => hostsWith[b] - hostsWith[a] || byName(data.features[a], data.features[b]));
  const [some, shown] = [list.slice(0, UNITS_AT_ONCE), columns.slice(0, FEATURES_AT_ONCE)];
  const part = (shown, all, noun) => (shown === all ? counted(all, noun) : `${shown} of ${counted(all, noun)}`);
  const beyond = data.fleet.left_out ? `; ${data.fleet.left_out} more, on fewer hosts, are not in this page` : "";
  element("units-count").textContent = `${part(some.length, list.length, "unit")} by ${part(shown.length, columns.length, "feature")}${beyond}`;
  element("units-place").replaceChildren(unitsTable(some, shown));
};

const unitsFilters = () => {
  const change = (key, value) => {
    if (value) current.query.set(key, value);
    else current.query.delete(key);
    replace({});
    showUnits(current);
  };
  // What is pointed at is said; thousands of titles are not written beforehand.
  element("units-place").addEventListener("pointerover", (event) => {
    const cell = event.target.closest("td[class]");
    if (!cell || cell.title) return;
    const feature = cell.closest("table").tHead.rows[0].cells[cell.cellIndex].title;
    cell.title = `${cell.parentElement.cells[0].title}: ${feature}, ${cell.textContent}`;
  });
  element("use-parts-label").hidden = data.features.every(isWhole);
  element("use-parts").addEventListener("change", (event) => change("parts", event.target.checked ? "1" : ""));
  element("find-unit").addEventListener("input", (event) => change("unit", event.target.value));
  element("find-use").addEventListener("input", (event) => change("use", event.target.value));
};
