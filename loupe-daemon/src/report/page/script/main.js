// The views by name, and the beginning.
if (data.applications.length) {
  applicationFilter();
  verdictFilters();
  matrixControls();
  syscallFilter();
  Object.assign(views, {
    overview: showOverview,
    applications: showApplications,
    verdicts: ({ query }) => {
      Object.assign(state, fresh);
      for (const key of Object.keys(state)) if (query.has(key)) state[key] = query.get(key);
      showVerdicts();
    },
    matrix: showMatrix,
    syscalls: showSyscalls,
    plans: showPlans,
  });
}
if (data.fleet) {
  unitsFilters();
  views.units = showUnits;
}
// On paper there is all of the view that is shown.
addEventListener("beforeprint", () => {
  if (current.view === "verdicts") showMore(true);
  for (const one of document.querySelectorAll("details")) one.open = true;
  printMatrix();
});
addEventListener("afterprint", unprintMatrix);
addEventListener("hashchange", show);
show();
document.documentElement.dataset.ready = "1";
