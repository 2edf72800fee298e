// What every page does when scripts run: colours, menus, dialogs, times, forms that send themselves, toasts.
// Everything here is a convenience; the pages work without it.

const root = document.documentElement;

// --- Colours: the cookie is read by the server, so that the next page comes in the right ones at once.

const YEAR = 60 * 60 * 24 * 365;

function markTheme() {
  const chosen = root.dataset.theme ?? "system";
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  }
}

function chooseTheme(theme) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  if (theme === "system") {
    delete root.dataset.theme;
    document.cookie = `theme=; Path=/; Max-Age=0; SameSite=Lax${secure}`;
  } else {
    root.dataset.theme = theme;
    document.cookie = `theme=${theme}; Path=/; Max-Age=${YEAR}; SameSite=Lax${secure}`;
  }
  markTheme();
}

// --- Toasts: toast("Saved", {tone: "ok"}), or an event `toast` with {message, tone} (an HX-Trigger header sends one).

export function toast(message, { tone = "accent" } = {}) {
  const region = document.getElementById("toasts");
  const template = document.getElementById("toast-template");
  if (!region || !template) return;
  const item = template.content.firstElementChild.cloneNode(true);
  item.dataset.tone = tone;
  item.querySelector("p").textContent = message;
  region.append(item);
  keepShort(item);
}

function keepShort(item) {
  // Bad news and what can be undone stay until they are dismissed; so does everything that is being read.
  if (item.dataset.tone === "bad" || item.dataset.tone === "warn" || item.querySelector("p button")) return;
  const leave = () => (item.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : item.remove());
  setTimeout(leave, 7000);
}

// --- Times: the server writes UTC or the profile's zone; the reader gets their own on hover.

const zone = root.dataset.timezone;
let format;
try {
  format = new Intl.DateTimeFormat(root.lang || "en", { dateStyle: "full", timeStyle: "short", timeZone: zone || undefined });
} catch {
  format = new Intl.DateTimeFormat(root.lang || "en", { dateStyle: "full", timeStyle: "short" });
}

function localiseTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.title = format.format(moment);
  }
}

// --- Menus and dialogs

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!except || !menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-theme-choice], [data-dismiss], [data-opens], [data-closes], [data-copy]");
  closeMenus(event.target);
  if (!target) return;
  if (target.dataset.themeChoice) chooseTheme(target.dataset.themeChoice);
  else if ("dismiss" in target.dataset) target.closest(".toast, .notice")?.remove();
  else if (target.dataset.opens) document.getElementById(target.dataset.opens)?.showModal?.();
  else if ("closes" in target.dataset) target.closest("details.menu") ? closeMenus() : target.closest("dialog")?.close();
  else if (target.dataset.copy) copy(document.getElementById(target.dataset.copy));
});

async function copy(field) {
  if (!field) return;
  const text = field.value ?? field.textContent;
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied", { tone: "ok" });
  } catch {
    field.focus();
    field.select?.();
    toast("Press Ctrl+C to copy", { tone: "accent" });
  }
}

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details.menu[open]");
  if (menu && event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary")?.focus();
    return;
  }
  const inside = event.target.closest?.("details.menu[open]");
  if (!inside || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
  if (event.target.matches("select, textarea, input:not([type=checkbox]):not([type=radio]):not([type=search])")) return;
  const items = [...inside.querySelectorAll(".menu-list :is(a, button, input:not([type=hidden]), select)")].filter((item) => item.offsetParent);
  if (!items.length) return;
  event.preventDefault();
  const step = event.key === "ArrowDown" ? 1 : -1;
  const at = items.indexOf(document.activeElement);
  items[at < 0 ? (step > 0 ? 0 : items.length - 1) : (at + step + items.length) % items.length].focus();
});

// --- Single-key shortcuts: an element with data-hotkey="c" is clicked (a field is focused) when nobody is typing.

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
  const target = document.querySelector(`[data-hotkey="${CSS.escape(event.key)}"]`);
  if (!target || target.disabled) return;
  event.preventDefault();
  if (target.matches("input, textarea, select")) target.focus();
  else target.click();
});

// --- Forms: data-autosubmit sends itself on change; nothing is sent twice by an impatient finger.

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form");
  if (form && (form.hasAttribute("data-autosubmit") || event.target.hasAttribute("data-autosubmit"))) form.requestSubmit();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.matches("[hx-post], [data-hx-post]")) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// --- htmx: new parts get their times; failures are said.

document.addEventListener("htmx:load", (event) => {
  localiseTimes(event.target);
  for (const item of event.target.matches?.(".toast") ? [event.target] : []) keepShort(item);
});
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr?.status;
  const words = { 403: "You may not do that.", 404: "That no longer exists.", 429: "Too many requests; wait a moment." };
  toast(words[status] ?? "The server could not do that. Please try again.", { tone: "bad" });
});
document.addEventListener("htmx:sendError", () => toast("No connection. Nothing was sent.", { tone: "bad" }));
document.addEventListener("toast", (event) => toast(event.detail.message ?? event.detail.value, { tone: event.detail.tone }));

markTheme();
localiseTimes(document);
for (const item of document.querySelectorAll(".toast")) keepShort(item);
