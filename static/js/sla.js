// Deadlines go on counting: what stands on a badge is as old as the page, the deadline is not.
// The words are those of deadline_tags.py; a change made on the server comes with the next page or part.

const EVERY = 15_000;
const icons = new Map();

function words(milliseconds) {
  const minutes = Math.floor(Math.abs(milliseconds) / 60_000);
  if (minutes < 1) return "<1 m";
  const hours = Math.floor(minutes / 60);
  if (!hours) return `${minutes} m`;
  const days = Math.floor(hours / 24);
  return days ? `${days} d ${hours % 24} h` : `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
}

function stateOf(badge, now) {
  if (now > Date.parse(badge.dataset.due)) return "breached";
  return badge.dataset.risk && now >= Date.parse(badge.dataset.risk) ? "at_risk" : "on_track";
}

const SAID = {
  on_track: (left) => `${left} left`,
  at_risk: (left) => `At risk, ${left}`,
  breached: (left) => `Breached ${left}`,
};
const TONES = { at_risk: "warn", breached: "bad" };
const WORDS = { on_track: "On track", at_risk: "At risk", breached: "Breached" };

// The icons of the states stand in a template on the page.
function icon(state) {
  if (!icons.has(state)) {
    icons.set(state, document.getElementById("sla-icons")?.content.querySelector(`[data-icon="${state}"] > svg`));
  }
  return icons.get(state)?.cloneNode(true);
}

function count(badge, now) {
  const state = stateOf(badge, now);
  if (state !== badge.dataset.state) {
    badge.dataset.state = state;
    if (TONES[state]) badge.dataset.tone = TONES[state];
    else delete badge.dataset.tone;
    const heard = badge.querySelector(".visually-hidden > .state");
    if (heard) heard.textContent = WORDS[state];
    const drawn = icon(state);
    if (drawn) badge.querySelector(":scope > svg")?.replaceWith(drawn);
  }
  let said = SAID[state](words(Date.parse(badge.dataset.due) - now));
  if (state === "on_track" && "long" in badge.dataset) said = `${WORDS.on_track}, ${said}`;
  const left = badge.querySelector(".left");
  if (left.textContent !== said) left.textContent = said;
}

function countAll() {
  const now = Date.now();
  for (const badge of document.querySelectorAll(".promise[data-due]")) count(badge, now);
}

countAll();
setInterval(countAll, EVERY);
// A page that was in the background catches up when one comes back to it; a part that was swapped in is counted at once.
document.addEventListener("visibilitychange", countAll);
document.addEventListener("htmx:afterSettle", countAll);
