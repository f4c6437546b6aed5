// What a verdict rests on, as a part of a table and as a sheet of its own (`evidence=APP FEATURE`).
const WAYS = { stub: "stubbed", fake: "faked" };

const trial = ([way, id, outcome, output, injections, difference]) => {
  const how = WAYS[way] || way.replace("stub=", "stubbed with ");
  const times = injections === 1 ? "once" : `${injections} times`;
  const block = make("div", { class: "trial" },
    make("p", {}, make("strong", {}, how), `, replay #${id}: ${data.texts[outcome]}; answered ${times}`));
  if (data.texts[output]) block.append(make("pre", {}, data.texts[output]));
  if (data.texts[difference]) {
    block.append(make("p", { class: "hint" }, "Against the baseline:"), make("pre", {}, data.texts[difference]));
  }
  return block;
};

const trials = (row) => {
  const application = data.applications[row.application];
  const blocks = row.evidence.map(trial);
  const command = application.imported
    ? `Measured elsewhere (${application.imported}); there are no replays to show.`
    : `All replays: loupe explain ${application.name} ${row.feature}`;
  blocks.push(make("div", { class: "trial" }, make("p", { class: "hint" }, command)));
  return blocks;
};

const why = (row) => {
  if (row.harness) return "The call is that of the tool that measured: no OS is asked for it.";
  const of = (passes, runs) => `${passes} of ${runs}`;
  const said = {
    required: "An OS has to implement it",
    stub: "It may fail with ENOSYS, and must not be faked",
    fake: "It may be faked, and must not fail",
    any: "It may fail with ENOSYS, or be faked",
  }[row.verdict] || `There is no verdict (${row.verdict})`;
  const counts = row.stubs + row.fakes > 0
    ? `: ${of(row.stub, row.stubs)} replays passed with it stubbed, ${of(row.fake, row.fakes)} with it faked`
    : "";
  return `${said}${counts}.`;
};

let closing = false;
const evidenceSheet = element("evidence");

const fillEvidence = (row) => {
  const application = data.applications[row.application];
  const close = make("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => evidenceSheet.close());
  const facts = make("dl", { class: "facts" });
  if (row.calls) facts.append(make("dt", {}, "calls"), make("dd", {}, row.calls.toLocaleString("en")));
  if (!application.imported) facts.append(make("dt", {}, "basis"), make("dd", {}, row.basis));
  for (const [name, value] of application.provenance) facts.append(make("dt", {}, name), make("dd", {}, value));
  evidenceSheet.replaceChildren(
    make("header", {}, make("h2", { id: "evidence-title" }, make("code", {}, row.feature), ` in ${application.name}`), close),
    make("p", {}, verdictMark(row), " ", tag(application)),
    make("p", {}, why(row)),
    make("p", { class: "go" },
      link(`#syscalls/${encodeURIComponent(row.feature)}`, `Who else needs ${row.feature}`), " · ",
      link(`#${new URLSearchParams({ app: application.name })}`, `All of ${application.name}`)),
    ...trials(row),
    facts);
};

// `open`: application and feature, apart by the last space; nothing: none is shown.
const showEvidence = (open) => {
  const at = open.lastIndexOf(" ");
  const index = applicationByName.get(open.slice(0, at));
  const feature = data.features.indexOf(open.slice(at + 1));
  const row = index === undefined ? undefined : data.applications[index].rowOf.get(feature);
  if (row) {
    fillEvidence(row);
    if (!evidenceSheet.open) evidenceSheet.showModal();
    evidenceSheet.scrollTop = 0;
  } else if (evidenceSheet.open) {
    closing = true;
    evidenceSheet.close();
  }
};
let opened = false;
const evidenceName = (row) => `${nameOf(row.application)} ${row.feature}`;
const openEvidence = (row) => {
  opened = true;
  go({ open: evidenceName(row) });
};
const evidenceLink = (row, text) => {
  const made = link(addressOf({ ...current, open: evidenceName(row) }), text, { title: evidenceName(row) });
  made.addEventListener("click", () => { opened = true; });
  return made;
};
evidenceSheet.addEventListener("close", () => {
  // By the back button or a link the address has changed already.
  if (!closing && current.open) {
    if (opened) history.back();
    else { replace({ open: "" }); }
  }
  closing = false;
  opened = false;
});
// A click beside the sheet.
evidenceSheet.addEventListener("click", (event) => { if (event.target === evidenceSheet) evidenceSheet.close(); });
