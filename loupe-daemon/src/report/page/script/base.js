// What all views of the page share. Everything that is shown goes through `textContent`: names and
// outputs come from applications, which may print what they like.
const data = JSON.parse(document.getElementById("data").textContent);
const VERDICTS = ["required", "stub", "fake", "any", "not exercised", "undecided"];
const SHOWN_AS = {
  required: "to implement", stub: "may fail (ENOSYS), not be faked", fake: "may be faked, not fail",
  any: "may fail or be faked", other: "no verdict",
};
const element = (id) => document.getElementById(id);
const collator = new Intl.Collator("en", { numeric: true });
const byName = (a, b) => collator.compare(a, b);

const make = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") made.className = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
};
const link = (address, text, attributes) => make("a", { href: address, ...attributes }, ...[].concat(text));
// A long name goes on below itself behind a slash, and not amid a word.
const breakable = (name) => name.split(/(?<=\/)/).flatMap((part, at) => (at ? [make("wbr"), part] : [part]));
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

// Every row of every application, unpacked once.
const rows = [];
data.applications.forEach((application, index) => {
  const harness = new Set(application.harness || []);
  application.rowOf = new Map();
  for (const [feature, verdict, calls, stub, stubs, fake, fakes, basis, evidence] of application.rows) {
    const row = {
      application: index, id: feature, feature: data.features[feature], number: data.numbers[feature],
      verdict: VERDICTS[verdict], calls, stub, stubs, fake, fakes, basis: data.texts[basis], evidence,
      harness: harness.has(feature),
    };
    application.rowOf.set(feature, row);
    rows.push(row);
  }
});
const applicationByName = new Map(data.applications.map((application, index) => [application.name, index]));
const nameOf = (index) => data.applications[index].name;

// The workload is only told where an application has several.
const applicationOf = (name) => name.split("/")[0];
const several = new Set();
{
  const seen = new Set();
  for (const one of data.applications) {
    const name = applicationOf(one.name);
    if (seen.has(name)) several.add(name);
    seen.add(name);
  }
}
const shortName = (name) => (several.has(applicationOf(name)) ? name : applicationOf(name));

const someImported = data.applications.some((one) => one.imported);
const mixed = someImported && data.applications.some((one) => !one.imported);
// An operation has a colon, a pseudo-file begins with a slash.
const isWhole = (feature) => !feature.includes(":") || feature.startsWith("/");
// Features of which something is done where it is done of one: a syscall with its parts, a part with its syscall.
const wholeName = (feature) => (isWhole(feature) ? feature : feature.split(":")[0]);
const families = new Map();
data.features.forEach((name, index) => {
  if (!families.has(wholeName(name))) families.set(wholeName(name), []);
  families.get(wholeName(name)).push(index);
});
const touched = (feature) => {
  const name = data.features[feature];
  const family = families.get(wholeName(name));
  return isWhole(name) ? family : family.filter((one) => one === feature || isWhole(data.features[one]));
};
const kind = (row) => (row.harness || VERDICTS.indexOf(row.verdict) > 3 ? "other" : row.verdict);
const verdictMark = (row) => make("span", { class: `verdict v-${kind(row)}` }, row.harness ? "measuring tool" : row.verdict);
const tag = (application) => (application.imported
  ? make("span", { class: "tag imported" }, "imported")
  : make("span", { class: "tag measured" }, "measured"));
const names = (list) => {
  const all = make("span", { class: "names" });
  list.forEach((feature, index) => all.append(index ? ", " : "", make("code", {}, data.features[feature])));
  return all;
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
  // A click makes the heading anew, and whoever uses a keyboard stays where they are.
  const before = [...table.tHead.querySelectorAll("button")].indexOf(document.activeElement);
  table.tHead.replaceChildren(head);
  if (before >= 0) head.querySelectorAll("button")[before].focus();
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
