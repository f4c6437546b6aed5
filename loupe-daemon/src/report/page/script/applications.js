// The table of applications.
const number = (key, title) => ({ key, title, number: true, value: (one) => one[key] ?? -1, show: (one) => String(one[key] ?? "–") });
const applicationColumns = [
  { key: "name", title: "Application", value: (one) => one.name, tie: (a, b) => byName(a.name, b.name) },
  number("required", "Required"), number("used", "Used"), number("joint", "All at once"),
  number("stub", "Stub only"), number("fake", "Fake only"), number("any", "Any"), number("other", "Other"),
  ...(data.applications.some((one) => one.static !== null) ? [number("static", "Static")] : []),
  ...(someImported ? [{ key: "imported", title: "Made", value: (one) => one.imported || "", show: tag }] : []),
];

const showApplications = () => {
  const table = element("application-table");
  const query = current.query;
  const by = query.get("by") || "required";
  const down = query.has("apps") ? query.get("apps") === "down" : by !== "name";
  const wanted = (query.get("find") || "").toLowerCase();
  element("find-application").value = query.get("find") || "";
  heading(applicationColumns, table, by, down, (column) => {
    query.set("apps", by === column.key ? (down ? "up" : "down") : (column.number ? "down" : "up"));
    query.set("by", column.key);
    replace({});
    showApplications();
  });
  const list = data.applications.filter((one) => one.name.toLowerCase().includes(wanted));
  const body = sortRows(list, applicationColumns, by, down).map((one) => {
    const row = make("tr", { class: "row" }, make("th", { scope: "row" },
      link(`#${new URLSearchParams({ app: one.name })}`, breakable(one.name))));
    for (const column of applicationColumns.slice(1)) {
      row.append(make("td", { class: column.number ? "number" : "" }, column.show(one)));
    }
    return row;
  });
  table.tBodies[0].replaceChildren(...body);
  element("application-count").textContent = `${list.length} of ${counted(data.applications.length, "workload")}`;
};

const applicationFilter = () => {
  element("find-application").addEventListener("input", (event) => {
    if (event.target.value) current.query.set("find", event.target.value);
    else current.query.delete("find");
    replace({});
    showApplications();
  });
};
