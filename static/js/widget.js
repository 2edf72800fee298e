// A button and a dialog on another site, through which its visitors send a request. portal/views/widget.py serves this
// file together with puzzle.js and the configuration of one portal:
//
//   <script src="https://help.example/portal/acme/widget.js" defer></script>
//
// data-open-on="#help"  a selector: what is clicked to open the dialog, instead of our own button
// data-label="Support"  the words on our button
// data-name, data-email what the form begins with
// data-lang="de"        the language, where the portal does not say one; else that of the page, or of the browser
// data-theme="light"    for a site that is only light (or "dark"); else what the visitor's system asks for
//
// Everything lives in a shadow tree: the site's styles do not reach it, and its styles do not reach the site. Nothing is
// kept in the browser. Made for sites with a strict policy: no inline style, no HTML from texts.

function startWidget(config) {
  const script = document.currentScript;
  const base = script?.src ? new URL(script.src).origin : config.site;
  const options = script?.dataset ?? {};
  if (document.querySelector(`helpdesk-widget[data-portal="${config.workspace_id}"]`)) return;

  const wanted = [config.language, options.lang, document.documentElement.lang, ...navigator.languages];
  const known = (tag) => config.texts[(tag || "").toLowerCase().split("-")[0]];
  const texts = known(wanted.find(known)) ?? config.texts.en;
  const say = (name, values = {}) => texts[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

  const CROSS = "M18 6 6 18M6 6l12 12";
  let chosen = []; // another list whenever it changes

  // --- What is on the page ------------------------------------------------------------------

  // Attributes by name; `on…` are listeners; the rest are children.
  function make(tag, attributes = {}, ...children) {
    const isDrawing = tag === "svg" || tag === "path";
    const element = isDrawing ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  function icon(path) {
    return make("svg", { viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true" }, make("path", { d: path }));
  }

  function field(name, tag, attributes, isOptional = false) {
    const error = `${name}-error`;
    const input = make(tag, { id: name, name, dir: "auto", required: !isOptional, "aria-describedby": error, ...attributes });
    const label = make("label", { for: name }, say(name));
    if (isOptional) label.append(" ", make("span", { class: "muted" }, say("optional")));
    input.addEventListener("input", () => mark(input, ""));
    return make("div", { class: "field" }, label, input, make("p", { id: error, class: "error" }));
  }

  // The label looks like a button; the browser's own control lies over it unseen, for click, keyboard and drop.
  const list = make("ul", { class: "chosen", role: "list", "aria-live": "polite", "aria-label": say("chosen") });

  function filesField() {
    const about = { id: "files", name: "files", type: "file", multiple: true, "aria-describedby": "files-hint files-error" };
    return make(
      "div", { class: "field" },
      make(
        "label", { class: "add", for: "files" },
        icon("m20.5 11.5-8.6 8.6a5 5 0 0 1-7.1-7.1l8.9-8.9a3.4 3.4 0 0 1 4.8 4.8l-8.8 8.8a1.7 1.7 0 0 1-2.4-2.4l8-8"),
        make("span", {}, say("files"), " ", make("span", { class: "muted" }, say("optional"))), make("input", { ...about, onchange: add, onkeydown: press }),
      ),
      make("p", { id: "files-hint", class: "muted" }, say("most_files")),
      make("p", { id: "files-error", class: "error", "aria-live": "polite" }), list,
    );
  }

  const host = make("helpdesk-widget", { "data-portal": config.workspace_id });
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(config.styles);
  root.adoptedStyleSheets = [sheet];

  const trouble = make("div", { class: "trouble", role: "alert" });
  const send = make("button", { class: "main", type: "submit" }, say("send"));
  const form = make(
    "form", { novalidate: true, dir: texts.dir, onsubmit: submit, oninput: prepare },
    make("p", { class: "muted" }, say("intro")),
    trouble,
    field("subject", "input", { maxlength: 255, autocomplete: "off", autofocus: true }),
    field("description", "textarea", { rows: 5, maxlength: 200000, placeholder: say("hint") }),
    field("name", "input", { maxlength: 120, autocomplete: "name" }, true),
    field("email", "input", { type: "email", maxlength: 254, autocomplete: "email", inputmode: "email" }),
    filesField(),
    make(
      "div", { class: "trap", "aria-hidden": "true" },
      make("input", { name: "website", tabindex: -1, autocomplete: "off", "aria-label": say("trap") }),
    ),
    send,
  );
  const title = make("h2", { id: "title", tabindex: -1 });
  const done = make("div", { class: "done", dir: texts.dir, hidden: true });
  const dialog = make(
    "dialog", { "aria-labelledby": "title" }, // stands where lines of the site end; its own texts have their own direction
    make(
      "header", { dir: texts.dir },
      make("div", {}, make("p", { class: "muted", dir: "auto" }, config.name), title),
      make("button", { class: "close", type: "button", "aria-label": say("close"), onclick: () => dialog.close() }, icon(CROSS)),
    ),
    form, done,
  );
  const button = make(
    "button", { class: "main open", type: "button", "aria-haspopup": "dialog", onclick: open },
    icon("M12 17h.01M9.1 9a3 3 0 0 1 5.8 1c0 2-2.9 2.5-2.9 4M21 12a9 9 0 0 1-13.3 7.9L3 21l1.1-4.7A9 9 0 1 1 21 12Z"),
    make("span", {}, options.label || say("label")),
  );
  // A landmark of its own, so that nothing stands outside of all landmarks.
  const place = make("section", { "aria-label": say("region"), lang: texts.lang });
  if (["light", "dark"].includes(options.theme)) place.style.colorScheme = options.theme;
  if (config.accent) {
    place.style.setProperty("--accent", config.accent);
    place.style.setProperty("--accent-text", config.accent_text);
  }

  function isAsked(target) {
    try {
      return target.closest?.(options.openOn);
    } catch {
      return null; // no selector
    }
  }

  if (!options.openOn) root.append(button);
  else document.addEventListener("click", (event) => { if (isAsked(event.target)) { event.preventDefault(); open(); } });
  place.append(...root.childNodes, dialog);
  root.append(place);
  const { elements } = form;
  const inputs = ["subject", "description", "name", "email", "files"].map((name) => elements[name]);
  begin();
  if (document.body) document.body.append(host);
  else document.addEventListener("DOMContentLoaded", () => document.body.append(host));

  function begin() {
    form.reset();
    elements.name.value = options.name ?? "";
    elements.email.value = options.email ?? "";
    choose([]);
    title.textContent = say("title");
    [form.hidden, done.hidden] = [false, true];
    complain();
  }

  function open() {
    if (!done.hidden) begin();
    if (!dialog.open) dialog.showModal(); // keeps the focus inside, closes with Escape, and gives the focus back
  }

  // --- Files --------------------------------------------------------------------------------

  // The control is emptied at once: what is chosen is kept here, from several choices, and whatever is refused.
  function add() {
    const known = ({ name, size, lastModified }) => [name, size, lastModified].join();
    const before = chosen.map(known);
    choose([...chosen, ...[...elements.files.files].filter((file) => !before.includes(known(file)))]);
    elements.files.value = "";
  }

  function press(event) { // Enter would send the form in some browsers
    if (event.key !== "Enter") return;
    event.preventDefault();
    event.target.click();
  }

  function choose(files) {
    chosen = files;
    list.replaceChildren(...files.map((file, place) => make(
      "li", { class: unfit(file) && "unfit" },
      make("span", { dir: "auto" }, file.name), make("span", { class: "muted" }, inWords(file.size)),
      make("button", { class: "close", type: "button", "aria-label": say("remove", { file: file.name }), onclick: () => remove(place) }, icon(CROSS)),
    )));
    mark(elements.files, wrongFiles());
  }

  function remove(place) {
    choose(chosen.filter((file, other) => other !== place));
    const buttons = list.querySelectorAll("button"); // the focus stays in the list as long as there is one
    (buttons[Math.min(place, buttons.length - 1)] ?? elements.files).focus();
  }

  function inWords(bytes) {
    const [unit, value] = bytes < 1024 * 1024 ? ["kilobyte", Math.ceil(bytes / 1024)] : ["megabyte", bytes / 1024 / 1024];
    return new Intl.NumberFormat(texts.lang, { style: "unit", unit, maximumFractionDigits: 1 }).format(value);
  }

  function unfit(file) {
    return file.size > config.file_bytes ? say("too_large") : !file.size && say("empty");
  }

  function wrongFiles() {
    const wrong = chosen.filter(unfit).map((file) => `${file.name}: ${unfit(file)}`);
    if (chosen.length > config.files) wrong.unshift(say("many_files"));
    return wrong.join("\n");
  }

  // --- What is wrong ------------------------------------------------------------------------

  function mark(input, message) {
    input.setAttribute("aria-invalid", String(Boolean(message)));
    root.getElementById(`${input.id}-error`).textContent = message;
  }

  // Above the form, read out at once; `portal` adds the way to the page that always works.
  function complain(message = "", portal = false) {
    trouble.replaceChildren(...(message ? [make("p", {}, message)] : []));
    const address = { href: base + config.portal, target: "_blank", rel: "noopener" };
    if (portal) trouble.append(make("p", {}, make("a", address, say("elsewhere"))));
  }

  function show(errors) {
    for (const input of inputs) mark(input, errors[input.name] ?? "");
    const wrong = inputs.find((input) => errors[input.name]);
    if (!wrong) return false;
    complain(say("check"));
    wrong.focus();
    return true;
  }

  function missing() {
    const errors = {};
    for (const input of inputs) if (input.required && !input.value.trim()) errors[input.name] = say(`no_${input.name}`);
    if (!errors.email && !/^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(elements.email.value.trim())) errors.email = say("bad_email");
    errors.files = wrongFiles();
    return errors;
  }

  // --- The puzzle ---------------------------------------------------------------------------

  let puzzle = null; // { at, proof }: begun with the first key, so that nobody waits for it

  function prepare() {
    if (config.asks_proof) prove().catch(() => {}); // said when the request is sent
  }

  function prove() {
    if (puzzle && Date.now() - puzzle.at < 8 * 60_000) return puzzle.proof;
    const proof = ask(`/api/public/challenge?workspace_id=${config.workspace_id}`).then(async (answer) => {
      if (!answer.ok) throw answer;
      return solvePuzzle(await answer.json());
    });
    puzzle = { at: Date.now(), proof };
    proof.catch(() => { puzzle = null; });
    return proof;
  }

  // --- Sending ------------------------------------------------------------------------------

  let attempt = null; // { typed, files, body, key }: the same request again while nobody answered, so that it is not sent twice
  let sending = false;

  function ask(path, more = {}) {
    const patience = more.body && chosen.length ? 900_000 : 30_000; // 200 MB take a while
    return fetch(base + path, { credentials: "omit", signal: AbortSignal.timeout(patience), ...more });
  }

  async function post() {
    const [subject, description, name, email] = inputs.map((input) => input.value.trim());
    const about = { workspace_id: config.workspace_id, website: elements.website.value };
    const given = { ...about, subject, description, requester_name: name, requester_email: email };
    const typed = JSON.stringify(given);
    if (attempt?.typed !== typed || attempt.files !== chosen) {
      const files = chosen;
      const proof = config.asks_proof ? await prove() : "";
      puzzle = null; // good for one request
      const body = new FormData();
      for (const [key, value] of Object.entries({ ...given, proof })) body.append(key, value);
      for (const file of files) body.append("files", file);
      attempt = { typed, files, body, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
    }
    const headers = { "Idempotency-Key": attempt.key };
    const answer = await ask("/api/public/tickets", { method: "POST", headers, body: attempt.body });
    if (answer.status < 500) attempt = null;
    return answer;
  }

  async function submit(event) {
    event.preventDefault();
    if (sending || show(missing())) return;
    complain();
    busy(true);
    try {
      let answer = await post();
      let said = await answer.json();
      if (said.errors?.proof) [answer, said] = await post().then(async (again) => [again, await again.json()]);
      if (answer.ok) thank(said);
      else refused(answer, said);
    } catch (error) {
      const isOffline = navigator.onLine === false;
      complain(say(isOffline ? "offline" : "failed"), !isOffline);
    } finally {
      busy(false);
    }
  }

  function refused(answer, said) {
    const errors = {};
    for (const [name, messages] of Object.entries(said.errors ?? {})) {
      errors[name.replace("requester_", "")] = messages.join(" ");
    }
    if (show(errors)) return;
    const seconds = Number(answer.headers.get("Retry-After"));
    if (answer.status === 429) complain(say("too_many", { minutes: Math.max(1, Math.ceil(seconds / 60)) }));
    else complain(say(errors.website ? "machine" : "failed"), true);
    elements.website.value = "";
  }

  function busy(is) {
    sending = is;
    send.setAttribute("aria-disabled", is);
    send.textContent = say(is ? "sending" : "send");
  }

  function thank({ ticket, accessToken }) {
    const address = `${base}/portal/tickets/${ticket.id}?token=${encodeURIComponent(accessToken)}`;
    done.replaceChildren(
      make("p", {}, say("number", { number: ticket.ticket_number })),
      make("a", { class: "main", href: address, target: "_blank", rel: "noopener noreferrer" }, say("read")),
      make("button", { class: "quiet", type: "button", onclick: () => { begin(); elements.subject.focus(); } }, say("again")),
    );
    title.textContent = say("thanks");
    [form.hidden, done.hidden] = [true, false];
    title.focus();
  }

  window.addEventListener("online", () => { if (!sending) complain(); });
}
