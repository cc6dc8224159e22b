// Draws images with the model and lets the reader choose seeds, classes and ways between images.

const $ = (id) => document.getElementById(id);
const state = { seed: 0, label: null, component: 0, truncation: Infinity, chosen: [], walking: false };
let session, busy = Promise.resolve();

// The images of latents, as arrays of RGBA; one call of the model at a time.
function images(latents, labels, components) {
  const call = busy.then(async () => {
    const rows = latents.length, feeds = {}, whole = (values) => BigInt64Array.from(values, BigInt);
    const z = new Float32Array(rows * facts.latent_dim);
    latents.forEach((latent, i) => z.set(latent, i * facts.latent_dim));
    feeds.z = new ort.Tensor("float32", z, [rows, facts.latent_dim]);
    if (facts.inputs.includes("labels")) feeds.labels = new ort.Tensor("int64", whole(labels), [rows]);
    if (facts.inputs.includes("component")) feeds.component = new ort.Tensor("int64", whole(components), [rows]);
    const found = (await session.run(feeds)).images;
    const [, channels, height, width] = found.dims, size = height * width;
    return latents.map((_, row) => {
      const pixels = new Uint8ClampedArray(4 * size);
      for (let i = 0; i < size; i++) {
        for (let c = 0; c < 3; c++) {
          pixels[4 * i + c] = found.data[(row * channels + (channels > 1 ? c : 0)) * size + i];
        }
        pixels[4 * i + 3] = 255;
      }
      return new ImageData(pixels, width, height);
    });
  });
  busy = call.catch(() => {});
  return call;
}

function show(canvas, image) {
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// What the image at a place of the grid is drawn from. Without a chosen class, classes come in turn.
function source(place) {
  const seed = state.seed + place, label = state.label ?? place % Math.max(1, facts.class_names.length);
  return { seed, label, latent: latentOf(seed, facts, state.truncation), component: state.component };
}

function name(source) {
  const label = facts.class_names.length ? `, ${facts.class_names[source.label]}` : "";
  return `seed ${source.seed}${label}`;
}

async function drawGrid() {
  const cells = [...$("grid").children], sources = cells.map((_, place) => source(place));
  const drawn = await images(
    sources.map((s) => s.latent), sources.map((s) => s.label), sources.map((s) => s.component));
  cells.forEach((cell, place) => {
    show(cell.firstChild, drawn[place]);
    cell.source = sources[place];
    cell.setAttribute("aria-label", `${name(sources[place])}: choose for the way between two images`);
    cell.title = name(sources[place]);
  });
  mark();
  document.body.dataset.drawn = `${state.seed}`;
}

function mark() {
  for (const cell of $("grid").children) {
    const place = state.chosen.findIndex((s) => s.seed === cell.source.seed && s.label === cell.source.label);
    cell.setAttribute("aria-pressed", place >= 0);
    cell.dataset.mark = place < 0 ? "" : "AB"[place];
  }
}

async function choose(cell) {
  state.chosen = [...state.chosen.slice(-1), cell.source];
  mark();
  if (state.chosen.length < 2) return;
  const [a, b] = state.chosen, steps = $("way").children.length;
  const fractions = [...Array(steps).keys()].map((i) => i / (steps - 1));
  const near = (fraction) => (fraction < 0.5 ? a : b);
  const drawn = await images(
    fractions.map((fraction) => between(a.latent, b.latent, fraction)),
    fractions.map((fraction) => near(fraction).label), fractions.map((fraction) => near(fraction).component));
  drawn.forEach((image, i) => show($("way").children[i], image));
  $("way-note").textContent = `From ${name(a)} to ${name(b)}.`;
  $("way").hidden = $("way-row").hidden = false;
}

// A walk through the latents of one seed after another, on great circles.
async function walk() {
  let position = state.seed, before = performance.now();
  while (state.walking) {
    const first = Math.floor(position), label = state.label ?? 0;
    const [start, end] = [first, first + 1].map((seed) => latentOf(seed, facts, state.truncation));
    const [image] = await images([between(start, end, position - first)], [label], [state.component]);
    show($("walk"), image);
    const now = await new Promise(requestAnimationFrame);
    position += Math.min(now - before, 200) / 1500;
    before = now;
  }
}

function save(canvases, columns, file) {
  const { width, height } = canvases[0], joined = document.createElement("canvas");
  joined.width = columns * width;
  joined.height = Math.ceil(canvases.length / columns) * height;
  canvases.forEach((canvas, i) => {
    joined.getContext("2d").drawImage(canvas, (i % columns) * width, Math.floor(i / columns) * height);
  });
  const link = document.createElement("a");
  link.download = file;
  link.href = joined.toDataURL("image/png");
  link.click();
}

function button(text, pressed, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-pressed", pressed);
  made.addEventListener("click", () => {
    for (const other of made.parentElement.children) other.setAttribute("aria-pressed", other === made);
    act();
    drawGrid();
  });
  return made;
}

function moveTo(seed) {
  state.seed = Math.min(2 ** 32 - 1 - 16, Math.max(0, Math.trunc(seed) || 0));
  $("seed").value = state.seed;
  drawGrid();
}

function listen() {
  for (let i = 0; i < 16; i++) {
    const cell = document.createElement("button");
    cell.type = "button";
    cell.append(document.createElement("canvas"));
    cell.addEventListener("click", () => choose(cell));
    $("grid").append(cell);
  }
  for (let i = 0; i < 9; i++) $("way").append(document.createElement("canvas"));
  if (facts.class_names.length) {
    $("classes").append(button("all", true, () => { state.label = null; }));
    facts.class_names.forEach((text, i) => $("classes").append(button(text, false, () => { state.label = i; })));
  }
  if (facts.component_weights.length > 1) {
    facts.component_weights.forEach((weight, i) => {
      const text = `${i} (${Math.round(100 * weight)} %)`;
      $("components").append(button(text, i === 0, () => { state.component = i; }));
    });
  }
  $("seed").addEventListener("change", () => moveTo(Number($("seed").value)));
  $("earlier").addEventListener("click", () => moveTo(state.seed - 16));
  $("later").addEventListener("click", () => moveTo(state.seed + 16));
  $("truncation").addEventListener("input", () => {
    const value = Number($("truncation").value), none = value >= Number($("truncation").max);
    state.truncation = none ? Infinity : value;
    $("truncation-value").textContent = none ? "none" : value.toFixed(1);
    drawGrid();
  });
  $("play").addEventListener("click", () => {
    state.walking = !state.walking;
    $("play").textContent = state.walking ? "Stop" : "Walk";
    $("walk").hidden = false;
    walk();
  });
  const canvases = (id) => [...$(id).querySelectorAll("canvas")];
  $("save").addEventListener("click", () => save(canvases("grid"), 4, `${facts.name}-${state.seed}.png`));
  $("save-way").addEventListener("click", () => save(canvases("way"), 9, `${facts.name}-way.png`));
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") moveTo(state.seed + 16);
    if (event.key === "ArrowLeft") moveTo(state.seed - 16);
  });
}

async function start() {
  ort.env.wasm.numThreads = 1; // several threads need headers that a plain server does not send
  const place = (file) => new URL(runtime + file, location).href;
  ort.env.wasm.wasmPaths = { mjs: place("runtime.js"), wasm: place("runtime.wasm") };
  try {
    session = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
    listen();
    await drawGrid();
    $("status").hidden = true;
    $("content").hidden = false;
  } catch (error) {
    $("status").textContent = `The model cannot be loaded: ${error.message}`;
  }
}

start();
