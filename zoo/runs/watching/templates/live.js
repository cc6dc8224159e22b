// The data of the page, and its refreshes where it is served: scroll, slider and folded parts stay as they are.

const live = { version: "", parts: {}, failures: 0 };

function show(state) {
  live.version = state.version;
  showPanels(state);
  showFrames(state);
  for (const [name, text] of Object.entries(state.parts))
    if (live.parts[name] !== text) {
      live.parts[name] = text;
      byId(name).innerHTML = text;
    }
  document.body.dataset.version = state.version;
}

function say(text) {
  byId("connection").textContent = text;
  byId("connection").hidden = !text;
}

async function refresh(seconds) {
  try {
    if (!document.hidden) {
      const answer = await fetch(`state.json?version=${encodeURIComponent(live.version)}`, { cache: "no-store" });
      if (!answer.ok && answer.status !== 204) throw new Error(`status ${answer.status}`);
      if (answer.status !== 204) {
        const state = await answer.json();
        if (state.frames.length && !byId("sample")) return location.reload(); // the first grid
        show(state);
      }
      live.failures = 0;
      say("");
    }
  } catch {
    live.failures += 1;
    say("zoo.watch does not answer any more; this is what it showed last.");
  }
  setTimeout(() => refresh(seconds), 1000 * seconds * Math.min(6, 1 + live.failures));
}

(() => {
  const state = JSON.parse(byId("state").textContent);
  startPlayer();
  show(state);
  if (state.poll) setTimeout(() => refresh(state.poll), 1000 * state.poll);
})();
