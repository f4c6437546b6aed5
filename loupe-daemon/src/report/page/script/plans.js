// The plan of an OS as a staircase, and how far the applications are from running on it. Both say
// what is pointed at beneath themselves; a click keeps it, arrows move on.
const NAMESPACE = "http://www.w3.org/2000/svg";
const draw = (tag, attributes, text) => {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const ticksOf = (most, room) => {
  const rough = Math.max(most / room, 1);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * magnitude >= rough) * magnitude;
  const ticks = [];
  for (let tick = 0; tick <= most; tick += step) ticks.push(tick);
  return ticks;
};

// A chart of places along x, each with a shape, of which one is chosen. `tell` fills what is said.
const chart = ({ title, most, places, x, y, paint, tell, chosen, choose }) => {
  const place = make("div", { class: "chart", tabindex: "0", role: "slider", "aria-label": title,
    "aria-valuemin": "0", "aria-valuemax": String(places.length - 1) });
  const said = make("div", { class: "said", "aria-live": "polite" });
  let kept = chosen;
  const say = (index) => {
    said.replaceChildren(...tell(index));
    place.setAttribute("aria-valuenow", String(index));
    place.setAttribute("aria-valuetext", said.textContent);
    for (const one of place.querySelectorAll("[data-place]")) {
      one.classList.toggle("chosen", Number(one.dataset.place) === index);
    }
  };
  const render = () => {
    const width = Math.max(Math.min(place.clientWidth || 700, 1000), 280);
    const height = 300;
    const frame = { left: 40, right: width - 12, top: 26, bottom: height - 40 };
    const scale = {
      x: (value) => frame.left + ((frame.right - frame.left) * value) / Math.max(most.x, 1),
      y: (value) => frame.bottom - ((frame.bottom - frame.top) * value) / Math.max(most.y, 1),
      frame,
    };
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "plot", "aria-hidden": "true" });
    for (const tick of ticksOf(most.y, 6)) {
      svg.append(draw("line", { x1: frame.left, x2: frame.right, y1: scale.y(tick), y2: scale.y(tick), class: tick ? "grid" : "axis" }),
        draw("text", { x: frame.left - 6, y: scale.y(tick) + 4, "text-anchor": "end", class: "tick" }, String(tick)));
    }
    for (const tick of ticksOf(most.x, width / 70)) {
      svg.append(draw("text", { x: scale.x(tick), y: frame.bottom + 17, "text-anchor": "middle", class: "tick" }, String(tick)));
    }
    svg.append(draw("text", { x: frame.right, y: height - 6, "text-anchor": "end", class: "label" }, x),
      draw("text", { x: 4, y: 14, class: "label" }, y));
    places.forEach((one, index) => {
      for (const shape of paint(one, index, scale)) {
        shape.dataset.place = index;
        svg.append(shape);
      }
    });
    place.replaceChildren(svg);
    say(kept);
  };
  const at = (event) => event.target.dataset && event.target.dataset.place;
  const keep = (index) => {
    kept = index;
    say(index);
    choose(index);
  };
  place.addEventListener("pointerover", (event) => { if (at(event) !== undefined) say(Number(at(event))); });
  place.addEventListener("pointerleave", () => say(kept));
  place.addEventListener("click", (event) => { if (at(event) !== undefined) keep(Number(at(event))); });
  place.addEventListener("keydown", (event) => {
    const to = { ArrowRight: kept + 1, ArrowUp: kept + 1, ArrowLeft: kept - 1, ArrowDown: kept - 1, Home: 0, End: places.length - 1 }[event.key];
    if (to === undefined || !places[to]) return;
    keep(to);
    event.preventDefault();
  });
  new ResizeObserver(render).observe(place);
  queueMicrotask(render);
  return [place, said];
};

const applicationLinks = (list) => {
  const all = make("span", { class: "names" });
  list.forEach((name, index) => all.append(index ? ", " : "",
    applicationByName.has(name) ? link(`#${new URLSearchParams({ app: name })}`, shortName(name), { title: name }) : name));
  return all;
};
const featureLinks = (list) => {
  const all = make("span", { class: "names" });
  list.forEach((feature, index) => all.append(index ? ", " : "",
    link(`#syscalls/${encodeURIComponent(data.features[feature])}`, make("code", {}, data.features[feature]))));
  return all;
};

const tellStep = (plan) => (index) => {
  const step = plan.steps[index];
  const list = make("dl");
  if (step.implement.length) list.append(make("dt", {}, "implement"), make("dd", {}, featureLinks(step.implement)));
  if (step.fake.length) list.append(make("dt", {}, "fake"), make("dd", {}, featureLinks(step.fake)));
  if (step.unlocks.length) list.append(make("dt", {}, index ? "then run" : "run"), make("dd", {}, applicationLinks(step.unlocks)));
  if (step.because.length) list.append(make("dt", {}, "because"), make("dd", {}, step.because.join("; ")));
  return [make("p", {}, make("strong", {}, `Step ${index}`), `: ${counted(step.implemented, "feature")} newly implemented, ${counted(step.supported, "application")} run${step.supported === 1 ? "s" : ""}.`), list];
};

const staircase = (system, plan) => {
  const last = plan.steps[plan.steps.length - 1];
  const most = { x: last.implemented, y: last.supported };
  const paint = (step, index, scale) => {
    const before = plan.steps[index - 1] || { implemented: 0, supported: 0 };
    const next = plan.steps[index + 1] || { implemented: most.x };
    const [x, end] = [scale.x(step.implemented), scale.x(next.implemented)];
    const [y, below] = [scale.y(step.supported), scale.y(before.supported)];
    return [
      draw("path", { d: `M${x} ${below}V${y}H${end}`, class: "line line-ours" }),
      draw("rect", { x: x - 3, y: scale.frame.top, width: Math.max(end - x, 6), height: scale.frame.bottom - scale.frame.top, class: "hit" }),
    ];
  };
  const step = Number(current.query.get("step") || 1);
  return chart({
    title: `Steps of the plan for ${system.os}`, most, places: plan.steps, paint, tell: tellStep(plan),
    x: "features newly implemented", y: "applications that run", chosen: plan.steps[step] ? step : 0,
    choose: (index) => { current.query.set("step", String(index)); replace({}); },
  });
};

const histogram = (system) => {
  const by = new Map();
  for (const one of system.profile.distances) {
    const away = one.implement.length;
    if (!by.has(away)) by.set(away, []);
    by.get(away).push(one);
  }
  const places = [...by].sort((a, b) => a[0] - b[0]);
  const furthest = Math.max(...by.keys(), 1);
  const most = { x: furthest + 1, y: Math.max(...places.map(([, list]) => list.length), 1) };
  const paint = ([away, list], index, scale) => {
    const [x, width] = [scale.x(away), Math.max(scale.x(1) - scale.x(0) - 1.5, 1.5)];
    return [
      draw("rect", { x, y: scale.y(list.length), width, height: scale.frame.bottom - scale.y(list.length), class: "fill-used bar" }),
      draw("rect", { x, y: scale.frame.top, width, height: scale.frame.bottom - scale.frame.top, class: "hit" }),
    ];
  };
  const tell = (index) => {
    const [away, list] = places[index];
    const sentence = away ? `${counted(list.length, "application")} lack${list.length === 1 ? "s" : ""} ${counted(away, "feature")}` : `${counted(list.length, "application")} need${list.length === 1 ? "s" : ""} nothing implemented`;
    return [make("p", {}, make("strong", {}, sentence), ": ", applicationLinks(list.map((one) => one.name)), ".")];
  };
  return chart({ title: `Distances to ${system.os}`, most, places, paint, tell, choose: () => {},
    chosen: Math.max(places.findIndex(([away]) => away > 0), 0),
    x: "features to implement", y: "applications" });
};

const distanceTable = (system) => {
  const body = system.profile.distances.map((one) => make("tr", { class: "row" },
    make("th", { scope: "row" }, applicationLinks([one.name])),
    make("td", { class: "number" }, String(one.implement.length)),
    make("td", { class: "number" }, String(one.fake.length + one.unfake.length)),
    make("td", { class: "wrap" }, names(one.implement)), make("td", { class: "wrap" }, names(one.fake)),
    make("td", { class: "wrap" }, names(one.unfake))));
  const head = ["Application", "Implement", "Fakes", "To implement", "To fake", "To fake no longer"].map((title, index) =>
    make("th", { scope: "col", class: index === 1 || index === 2 ? "number" : "" }, title));
  return make("details", {}, make("summary", {}, `What each application lacks on ${system.os}`),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Distances to ${system.os}` },
      make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body))));
};

// Both, side by side where there is room.
const charts = (system) => {
  const both = make("div", { class: "charts" });
  const plan = system.plans[0];
  if (plan && plan.steps.length) {
    both.append(make("div", {}, make("h3", {}, `Applications that run on ${system.os}, step by step`), ...staircase(system, plan)));
  }
  if (system.profile && system.profile.distances.length) {
    both.append(make("div", {}, make("h3", {}, `How far the applications are from running on ${system.os}`), ...histogram(system)));
  }
  return both;
};

const showOverview = () => {
  if (data.systems.length) element("overview-charts").replaceChildren(charts(data.systems[0]));
};

const showPlans = () => {
  const place = element("plan-charts");
  if (!place) return;
  place.replaceChildren();
  const system = data.systems.find((one) => one.os === current.path) || data.systems[0];
  if (!system) return;
  if (data.systems.length > 1) {
    place.append(make("p", { class: "choices" }, ...data.systems.map((one) =>
      link(`#plans/${encodeURIComponent(one.os)}`, one.os, one === system ? { "aria-current": "true" } : {}))));
  }
  place.append(charts(system));
  if (system.profile) place.append(distanceTable(system));
};
