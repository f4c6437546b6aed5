// The address says what is shown: `#matrix?order=need`, `#syscalls/futex`, `#app=nginx/wrk&q=read`
// (the verdicts). Each view is an entry of the history, so that the back button works.
const views = {};
const sections = [...document.querySelectorAll("section.view")];
const heights = new Map();
let current = { view: "", path: "", query: new URLSearchParams(), open: "", key: "" };
let forward = false;

// A section that is within a view (`#figure-heat-map`) shows that view.
const parse = (fragment) => {
  let [place, query] = fragment.includes("?") ? fragment.split(/\?(.*)/s) : [fragment, ""];
  if (place.includes("=") && !query) [place, query] = ["verdicts", fragment];
  const [name, ...rest] = place.split("/");
  let path = rest.join("/");
  try { path = decodeURIComponent(path); } catch { /* It is shown as it is. */ }
  const inner = name && document.getElementById(name);
  const section = inner && inner.closest("section.view");
  const target = inner && inner !== section ? inner : null;
  const parameters = new URLSearchParams(query);
  const open = parameters.get("evidence") || "";
  parameters.delete("evidence");
  const view = section ? section.id : sections[0].id;
  return { view, path, query: parameters, open, target, key: `${view}/${path}?${parameters}` };
};

const addressOf = ({ view, path, query, open }) => {
  const parameters = new URLSearchParams(query);
  if (open) parameters.set("evidence", open);
  const text = parameters.toString();
  if (view === "verdicts" && text && !open) return "#" + text;
  return `#${view}${path ? "/" + encodeURIComponent(path) : ""}${text ? "?" + text : ""}`;
};
const go = (change) => { forward = true; location.hash = addressOf({ ...current, ...change }); };
// What is typed or sorted changes the address and makes no history.
const replace = (change) => {
  Object.assign(current, change);
  current.key = `${current.view}/${current.path}?${current.query}`;
  try {
    history.replaceState(null, "", addressOf(current));
  } catch {
    // Where another page embeds this one, the address is not ours to change.
  }
};

const show = () => {
  const next = parse(location.hash.slice(1));
  const moved = next.key !== current.key || next.target;
  // A sheet that closes gives the focus back to where it was, so it closes before the view changes.
  if (!next.open) {
    current.open = "";
    showEvidence("");
  }
  if (moved) {
    const turned = next.view !== current.view || next.path !== current.path;
    current = next;
    for (const section of sections) section.hidden = section.id !== next.view;
    for (const one of document.querySelectorAll("nav a")) {
      if (one.hash === "#" + next.view) one.setAttribute("aria-current", "page");
      else one.removeAttribute("aria-current");
    }
    const section = element(next.view);
    const title = section.querySelector("h2");
    element("printed-view").textContent = `“${title.textContent}”`;
    if (views[next.view]) views[next.view](next);
    if (next.target) next.target.scrollIntoView();
    else if (!forward) scrollTo(0, heights.get(next.key) || 0);
    else if (turned) {
      scrollTo(0, 0);
      title.focus({ preventScroll: true });
    }
  }
  current.open = next.open;
  if (next.open) showEvidence(next.open);
  forward = false;
};

// The browser would scroll before the view is there.
try { history.scrollRestoration = "manual"; } catch { /* As above. */ }
addEventListener("scroll", () => heights.set(current.key, scrollY), { passive: true });
addEventListener("click", (event) => {
  const clicked = event.target.closest && event.target.closest("a[href^='#']");
  if (clicked) forward = true;
});
