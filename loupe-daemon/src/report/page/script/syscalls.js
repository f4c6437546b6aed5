// By syscall: who needs it, and can it be faked?
const users = new Map();
for (const row of rows) {
  if (!users.has(row.id)) users.set(row.id, []);
  users.get(row.id).push(row);
}
const answerOf = (system, feature) => {
  if (!system.profile) return "–";
  if (system.profile.implement.includes(feature)) return "implements";
  return system.profile.fake.includes(feature) ? "fakes" : "lacks";
};
const stepOf = (system, feature) => {
  const plan = system.plans[0];
  const step = plan ? plan.steps.findIndex((one) => one.implement.flatMap(touched).includes(feature)) : -1;
  return step < 0 ? null : step;
};
const featureRows = [...users].map(([id, all]) => {
  const own = all.filter((row) => !row.harness);
  const count = (...verdicts) => own.filter((row) => verdicts.includes(row.verdict)).length;
  return {
    id, feature: data.features[id], number: data.numbers[id], used: own.length,
    required: count("required"), fakeable: count("fake", "any"), stubbable: count("stub", "any"),
    other: count("not exercised", "undecided"), step: data.systems[0] ? stepOf(data.systems[0], id) : null,
  };
});
const syscallColumns = [
  { key: "feature", title: "Feature", value: (row) => row.feature, tie: (a, b) => byName(a.feature, b.feature) },
  number("required", "Required by"), number("fakeable", "Fakeable in"), number("stubbable", "Stubbable in"),
  number("used", "Used by"), number("other", "No verdict"),
  ...data.systems.filter((one) => one.profile).map((system, index) => (
    { key: `os${index}`, title: system.os, value: (row) => answerOf(system, row.id), show: (row) => answerOf(system, row.id) })),
  ...(data.systems.some((one) => one.plans.length)
    ? [{ key: "step", title: `Step for ${data.systems[0].os}`, number: true, value: (row) => row.step ?? 1e9, show: (row) => String(row.step ?? "–") }] : []),
  { key: "number", title: "No.", number: true, value: (row) => row.number ?? 1e9, show: (row) => String(row.number ?? "–") },
];

const showOneSyscall = (feature) => {
  const place = element("syscall");
  place.replaceChildren();
  if (!feature) return;
  const row = featureRows.find((one) => one.feature === feature);
  if (!row) {
    place.append(make("p", { class: "notice" }, `None of the workloads uses ${feature}.`));
    return;
  }
  const needs = row.required === 0 ? "nobody needs it implemented" : `${row.required} of them ${row.required === 1 ? "needs" : "need"} it implemented`;
  const panel = make("div", { class: "panel" }, make("h3", {}, make("code", {}, feature), row.number === null ? "" : ` (${row.number})`),
    make("p", {}, `Used by ${row.used} of ${counted(data.applications.length, "workload")}: ${needs}; ${row.fakeable} can do with a fake, ${row.stubbable} with a failure (ENOSYS).`));
  for (const system of data.systems) {
    const step = stepOf(system, row.id);
    const planned = step === null ? "" : `; step ${step} of its plan implements it`;
    if (system.profile) panel.append(make("p", {}, `${system.os} ${answerOf(system, row.id)} it${planned}.`));
  }
  const list = make("dl", { class: "by-verdict" });
  for (const verdict of [...VERDICTS, "measuring tool"]) {
    const all = users.get(row.id).filter((one) => (one.harness ? "measuring tool" : one.verdict) === verdict)
      .sort((a, b) => byName(nameOf(a.application), nameOf(b.application)));
    if (!all.length) continue;
    const cell = make("dd");
    all.forEach((one, index) => {
      cell.append(index ? ", " : "", evidenceLink(one, shortName(nameOf(one.application))));
    });
    list.append(make("dt", {}, verdictMark(all[0]), ` ${all.length}`), cell);
  }
  panel.append(list);
  place.append(panel);
};

const showSyscalls = () => {
  const table = element("syscall-table");
  const { path, query } = current;
  const by = query.get("by") || "required";
  const down = query.has("order") ? query.get("order") === "down" : by === "required";
  const wanted = (query.get("find") || "").trim().toLowerCase();
  element("find-syscall").value = query.get("find") || "";
  showOneSyscall(path);
  heading(syscallColumns, table, by, down, (column) => {
    query.set("order", by === column.key ? (down ? "up" : "down") : (column.number && column.key !== "step" && column.key !== "number" ? "down" : "up"));
    query.set("by", column.key);
    replace({});
    showSyscalls();
  });
  const list = sortRows(featureRows.filter((row) => !wanted || row.feature.includes(wanted) || String(row.number) === wanted), syscallColumns, by, down);
  table.tBodies[0].replaceChildren(...list.map((row) => {
    const line = make("tr", { class: "row" }, make("th", { scope: "row" },
      link(`#syscalls/${encodeURIComponent(row.feature)}`, make("code", {}, row.feature))));
    for (const column of syscallColumns.slice(1)) line.append(make("td", { class: column.number ? "number" : "" }, column.show(row)));
    return line;
  }));
  element("syscall-count").textContent = `${list.length} of ${counted(featureRows.length, "feature")}`;
};

const syscallFilter = () => {
  element("find-syscall").addEventListener("input", (event) => {
    if (event.target.value) current.query.set("find", event.target.value);
    else current.query.delete("find");
    replace({});
    showSyscalls();
  });
};
