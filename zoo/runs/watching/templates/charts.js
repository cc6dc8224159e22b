"use strict";
// Curves as SVG: one panel for each entry of state.panels, with the recorded values under the pointer.

const byId = (id) => document.getElementById(id);
const HEIGHT = 210, LEFT = 58, RIGHT = 10, TOP = 12, BOTTOM = 24;
const charts = new Map();
let marked = null;

function element(name, attributes, parent, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function shape(name, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(3);
  return String(Number(value.toPrecision(5)));
}

function count(images) { return images.toLocaleString("en-US"); }

function brief(images) {
  if (images >= 1e6) return `${Number((images / 1e6).toPrecision(3))}M`;
  return images >= 1000 ? `${Number((images / 1000).toPrecision(3))}k` : String(images);
}

function niceTicks(low, high, wanted) {
  const raw = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  const decades = Math.log10(high / low);
  const within = decades > 2.5 ? [1] : decades > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const each of within) {
      const tick = each * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  return ticks;
}

class Chart {
  constructor(key, place) {
    this.key = key;
    this.hidden = new Set();
    this.log = null;
    this.at = null;
    this.figure = element("figure", { class: "chart", "data-key": key }, place);
    const head = element("header", {}, this.figure);
    this.title = element("h3", {}, head);
    this.where = element("span", { class: "at" }, head);
    this.choice = element("button", { class: "axis-choice", type: "button" }, head, "log axis");
    this.choice.addEventListener("click", () => { this.log = !this.isLog(); this.draw(); });
    this.legend = element("ul", {}, this.figure);
    this.svg = shape("svg", { tabindex: "0", role: "img" }, this.figure);
    this.note = element("p", { class: "note" }, this.figure);
    this.svg.addEventListener("pointermove", (event) => pointAt(this.imagesAt(event)));
    this.svg.addEventListener("pointerdown", (event) => pointAt(this.imagesAt(event)));
    this.svg.addEventListener("pointerleave", () => pointAt(null));
    this.svg.addEventListener("blur", () => pointAt(null));
    this.svg.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(() => this.draw()).observe(this.figure);
  }

  set(panel, state) {
    const names = panel.series.map((each) => each.name).join("\n");
    this.panel = panel;
    this.length = state.length;
    this.alarms = state.alarms;
    this.title.textContent = panel.title;
    const facts = [panel.note];
    if (panel.x.length < panel.total)
      facts.push(`${count(panel.x.length)} of ${count(panel.total)} rows are drawn, with all smallest and largest values.`);
    if (panel.notFinite) facts.push(`${count(panel.notFinite)} values are not finite and not drawn.`);
    this.note.textContent = facts.filter(Boolean).join(" ");
    this.choice.hidden = !panel.canLog;
    if (names !== this.names) this.buildLegend(names);
    this.draw();
  }

  buildLegend(names) {
    this.names = names;
    this.legend.replaceChildren();
    this.values = this.panel.series.map((series, i) => {
      const item = element("li", { style: `--stroke: var(--line-${i % 6})` }, this.legend);
      const button = element("button", { type: "button", "aria-pressed": "true" }, item);
      element("i", series.dashed ? { class: "dashed" } : {}, button);
      element("span", {}, button, series.name);
      button.addEventListener("click", () => {
        if (!this.hidden.delete(series.name)) this.hidden.add(series.name);
        button.setAttribute("aria-pressed", String(!this.hidden.has(series.name)));
        this.draw();
      });
      return element("b", {}, button);
    });
  }

  isLog() { return this.panel.canLog && (this.log === null ? this.panel.log : this.log); }

  shown() { return this.panel.series.filter((each) => !this.hidden.has(each.name)); }

  scales() {
    const values = this.shown().flatMap((each) => each.values).filter((each) => each !== null);
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    if (low > high) [low, high] = [0, 1];
    const log = this.isLog();
    if (log) [low, high] = low === high ? [low / 2, high * 2] : [low / 1.08, high * 1.08];
    else {
      const pad = (high - low || Math.abs(high) || 1) * 0.06;
      [low, high] = [low >= 0 && low < (high - low) ? 0 : low - pad, high + pad];
    }
    const width = this.width - LEFT - RIGHT, height = HEIGHT - TOP - BOTTOM;
    const part = log ? (v) => Math.log(v / low) / Math.log(high / low) : (v) => (v - low) / (high - low);
    return {
      ticks: log ? logTicks(low, high) : niceTicks(low, high, 4),
      x: (images) => LEFT + width * images / this.length,
      y: (value) => TOP + height * (1 - part(value)),
    };
  }

  draw() {
    const width = Math.round(this.figure.clientWidth);
    if (!width || !this.panel) return;
    this.width = width;
    this.choice.setAttribute("aria-pressed", String(this.isLog()));
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", `${this.panel.title} over images seen; arrow keys read values`);
    const { x, y, ticks } = this.scale = this.scales();
    for (const tick of ticks) {
      shape("line", { class: "tick", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }, this.svg);
      shape("text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, this.svg, short(tick));
    }
    for (const tick of niceTicks(0, this.length, width < 600 ? 3 : 7))
      shape("text", { x: x(tick), y: HEIGHT - 6, "text-anchor": tick ? "middle" : "start" }, this.svg, brief(tick));
    for (const alarm of this.alarms) {
      const place = x(alarm.images);
      const line = shape("line", { class: "alarm", x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM }, this.svg);
      const head = shape("path", { class: "alarm-head", d: `M${place - 5} ${TOP - 10}h10l-5 8z` }, this.svg);
      for (const each of [line, head]) shape("title", {}, each, `${alarm.name}, ${count(alarm.images)} images seen`);
    }
    this.frame = shape("line", { class: "shown", y1: TOP, y2: HEIGHT - BOTTOM }, this.svg);
    this.panel.series.forEach((series, i) => {
      if (this.hidden.has(series.name)) return;
      let path = "";
      series.values.forEach((value, row) => {
        if (value !== null) path += `${path ? "L" : "M"}${x(this.panel.x[row]).toFixed(1)} ${y(value).toFixed(1)}`;
      });
      const css = `curve${series.dashed ? " dashed" : ""}`;
      const style = `--stroke: var(--line-${i % 6})`;
      shape("path", { class: css, d: path || "M0 0", style }, this.svg);
      const rows = series.values.flatMap((value, row) => (value === null ? [] : [row]));
      for (const row of rows.length < 4 ? rows : []) // a line of so few points is hard to see, and none of a single one
        shape("circle", { class: "point", r: 3.5, cx: x(this.panel.x[row]), cy: y(series.values[row]), style }, this.svg);
    });
    this.over = shape("g", {}, this.svg);
    this.mark();
    this.point(this.at);
  }

  mark() {
    if (!this.scale || !this.frame) return;
    this.frame.setAttribute("visibility", marked === null || marked > this.length ? "hidden" : "visible");
    if (marked !== null) for (const end of ["x1", "x2"]) this.frame.setAttribute(end, this.scale.x(marked));
  }

  imagesAt(event) {
    const box = this.svg.getBoundingClientRect();
    const place = (event.clientX - box.left) * this.width / box.width;
    return Math.max(0, Math.min(1, (place - LEFT) / (this.width - LEFT - RIGHT))) * this.length;
  }

  nearest(images) {
    const seen = this.panel.x, shown = this.shown();
    let best = -1;
    for (let row = 0; row < seen.length; row++)
      if (shown.some((each) => each.values[row] !== null))
        if (best < 0 || Math.abs(seen[row] - images) < Math.abs(seen[best] - images)) best = row;
    return best;
  }

  point(images) {
    this.at = images;
    if (!this.scale || !this.over) return;
    this.over.replaceChildren();
    const row = images === null ? -1 : this.nearest(images);
    if (row >= 0) {
      const place = this.scale.x(this.panel.x[row]);
      shape("line", { class: "pointer", x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM }, this.over);
    }
    const near = row < 0 ? [] : this.alarms.filter((each) => Math.abs(each.images - this.panel.x[row]) < this.length / 100);
    const names = near.map((each) => ` · alarm: ${each.name}`).join("");
    this.where.textContent = row < 0 ? "" : `${count(this.panel.x[row])} images seen${names}`;
    this.where.dataset.images = row < 0 ? "" : this.panel.x[row];
    this.panel.series.forEach((series, i) => {
      const value = row < 0 ? series.values.findLast((each) => each !== null) ?? null : series.values[row];
      this.values[i].textContent = short(value);
      this.values[i].dataset.value = value === null ? "" : value;
      if (row < 0 || value === null || this.hidden.has(series.name)) return;
      const dot = { class: "point", r: 4, cx: this.scale.x(this.panel.x[row]), cy: this.scale.y(value) };
      shape("circle", { ...dot, style: `--stroke: var(--line-${i % 6})` }, this.over);
    });
  }

  step(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const last = this.panel.x.length - 1;
    const row = this.at === null ? last : this.nearest(this.at) + move;
    pointAt(this.panel.x[Math.max(0, Math.min(last, row))]);
  }
}

function pointAt(images) { for (const chart of charts.values()) chart.point(images); }

function markFrame(images) {
  marked = images;
  for (const chart of charts.values()) chart.mark();
}

function showPanels(state) {
  const keys = new Set(state.panels.map((each) => each.key));
  for (const [key, chart] of charts) if (!keys.has(key)) { chart.figure.remove(); charts.delete(key); }
  const places = {};
  for (const panel of state.panels) {
    const place = byId(panel.place === "signals" ? "signals" : "curves");
    if (!charts.has(panel.key)) charts.set(panel.key, new Chart(panel.key, place));
    const chart = charts.get(panel.key);
    const number = places[place.id] ?? 0;
    if (place.children[number] !== chart.figure) place.insertBefore(chart.figure, place.children[number] ?? null);
    places[place.id] = number + 1;
    chart.set(panel, state);
  }
}
