// The sample grids over time: a slider, arrow keys and a play button.

const player = { frames: [], index: 0, timer: null, total: 0 };
const KEEP = `watch ${location.pathname}`;

function remembered() {
  try { return JSON.parse(sessionStorage.getItem(KEEP)); } catch { return null; }
}

function remember() {
  try {
    const last = player.index === player.frames.length - 1;
    sessionStorage.setItem(KEEP, JSON.stringify(last ? null : player.frames[player.index].images));
  } catch { /* a page from disk may have no storage; then a reload begins with the newest grid */ }
}

function showFrame(index, keep = true) {
  const frame = player.frames[index];
  if (!frame) return;
  player.index = index;
  const picture = byId("sample"), slider = byId("time");
  const source = frame.source || player.first;
  if (picture.getAttribute("src") !== source) picture.src = source;
  slider.max = player.frames.length - 1;
  slider.value = index;
  slider.disabled = byId("play").disabled = player.frames.length < 2;
  const words = `${count(frame.images)} images seen, grid ${count(index + 1)} of ${count(player.frames.length)}`;
  slider.setAttribute("aria-valuetext", words);
  byId("caption").textContent = `Generated after ${words}`;
  byId("newest").disabled = index === player.frames.length - 1;
  const next = player.frames[index + 1];
  if (next && next.source && !next.source.startsWith("data:")) new Image().src = next.source;
  markFrame(index === player.frames.length - 1 ? null : frame.images);
  if (keep) remember();
}

function pause() {
  clearInterval(player.timer);
  player.timer = null;
  const button = byId("play");
  button.textContent = "\u25b6";
  button.setAttribute("aria-label", "play");
}

function play() {
  if (player.timer) return pause();
  if (player.index === player.frames.length - 1) showFrame(0);
  byId("play").textContent = "\u275a\u275a";
  byId("play").setAttribute("aria-label", "pause");
  player.timer = setInterval(() => {
    if (player.index < player.frames.length - 1) showFrame(player.index + 1);
    if (player.index >= player.frames.length - 1) pause();
  }, Math.max(80, Math.min(600, 12000 / player.frames.length)));
}

function sharpen(picture) {
  picture.classList.toggle("enlarged", picture.naturalWidth > 0 && picture.clientWidth >= picture.naturalWidth);
}

function showFrames(state) {
  if (!byId("sample") || !state.frames.length) return;
  const followed = player.index >= player.frames.length - 1;
  const images = player.frames.length ? player.frames[player.index].images : remembered();
  if (!player.frames.length) player.first = byId("sample").getAttribute("src");
  player.frames = state.frames;
  const same = state.frames.findIndex((each) => each.images === images);
  const stay = same >= 0 && (!followed || player.total === 0);
  player.total = state.total;
  showFrame(stay ? same : state.frames.length - 1, false);
  const facts = [];
  if (state.frames.length < state.total)
    facts.push(`${count(state.frames.length)} of ${count(state.total)} saved grids are in this page; zoo.watch serve=true shows all.`);
  if (state.lossy) facts.push("Grids before the newest are compressed with a small loss.");
  byId("frames-note").textContent = facts.join(" ");
  byId("frames-note").hidden = !facts.length;
}

function startPlayer() {
  if (!byId("sample")) return;
  byId("time").addEventListener("input", (event) => { pause(); showFrame(Number(event.target.value)); });
  byId("play").addEventListener("click", play);
  byId("newest").addEventListener("click", () => { pause(); showFrame(player.frames.length - 1); });
  document.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const busy = event.target.closest("input, svg, summary, [tabindex='0'], select, textarea");
    if (move === undefined || busy || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    pause();
    showFrame(Math.max(0, Math.min(player.frames.length - 1, player.index + move)));
  });
  for (const picture of document.querySelectorAll(".pair img")) {
    picture.addEventListener("load", () => sharpen(picture));
    new ResizeObserver(() => sharpen(picture)).observe(picture);
  }
}
