// The portal's conveniences: the files that were chosen are listed, and one that is too large is said at once; while a
// subject is typed, what may answer it is looked up; and where the workspace asks for a puzzle (puzzle.js), it is solved
// while somebody types. The pages work without them.

const language = document.documentElement.lang || "en";

// --- Files. Without scripts the browser's own control is seen, and the server says what is too large.

function inWords(bytes) {
  const [unit, value] = bytes < 1024 * 1024 ? ["kilobyte", Math.max(1, Math.round(bytes / 1024))] : ["megabyte", bytes / 1024 / 1024];
  return new Intl.NumberFormat(language, { style: "unit", unit, maximumFractionDigits: 1 }).format(value);
}

for (const input of document.querySelectorAll('input[type="file"][data-max-bytes]')) {
  const list = document.querySelector(`[data-chosen="${CSS.escape(input.id)}"]`);
  const drop = input.closest(".drop");
  const limit = Number(input.dataset.maxBytes);

  function show() {
    const rows = [...input.files].map((file) => {
      const row = document.createElement("li");
      const [name, size] = [document.createElement("span"), document.createElement("span")];
      name.textContent = file.name;
      name.dir = "auto";
      size.textContent = inWords(file.size);
      if (file.size > limit) {
        row.dataset.tone = "bad";
        size.textContent += `, ${list.dataset.tooLarge.replace("{limit}", inWords(limit))}`;
      }
      row.append(name, size);
      return row;
    });
    list.replaceChildren(...rows);
    list.hidden = rows.length === 0;
  }

  input.addEventListener("change", show);
  input.addEventListener("keydown", (event) => { // Enter would send the form in some browsers
    if (event.key !== "Enter") return;
    event.preventDefault();
    input.click();
  });
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, () => { drop.dataset.drag = ""; });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => { delete drop.dataset.drag; });
  show(); // a browser that comes back to the page may have kept the choice
}

// --- The puzzle. Without scripts the request goes without.

for (const hidden of document.querySelectorAll("input[data-challenge]")) {
  const { form } = hidden;
  let puzzle = null; // { at, proof }: a solution is good for one request and ten minutes

  async function solved() {
    const answer = await fetch(hidden.dataset.challenge);
    return solvePuzzle(await answer.json());
  }

  function prove() {
    if (!puzzle || Date.now() - puzzle.at > 8 * 60_000) {
      // What cannot be solved (no network, no https) is left to the server, as without scripts.
      puzzle = { at: Date.now(), proof: solved().catch(() => "") };
    }
    return puzzle.proof;
  }

  let [isWaiting, isReady] = [false, false];
  form.addEventListener("input", prove);
  form.addEventListener("submit", async (event) => {
    if (isReady) return;
    event.preventDefault();
    if (isWaiting) return; // pressed twice
    isWaiting = true;
    form.setAttribute("aria-busy", "true");
    hidden.value = await prove();
    await new Promise((later) => { setTimeout(later); }); // not while the form is still being sent: it would do nothing
    isReady = true;
    form.requestSubmit(event.submitter);
  });
  window.addEventListener("pageshow", () => { // came back to the page: the solution was used
    [puzzle, isWaiting, isReady, hidden.value] = [null, false, false, ""];
    form.removeAttribute("aria-busy");
  });
}

// --- Suggestions. Their place is kept free, so that nothing on the page moves when they come.

const PAUSE = 250; // ms without a key
const FEWEST = 3; // letters

for (const place of document.querySelectorAll("[data-suggestions]")) {
  const subject = place.closest("form").elements.subject;
  const [hint, found, status] = ["hint", "found", "status"].map((part) => place.querySelector(`[data-${part}]`));
  let timer, asking, asked = "";

  function show(html) {
    found.innerHTML = html; // of our own server, which escapes what people wrote
    const said = found.firstElementChild?.dataset.said ?? "";
    hint.hidden = Boolean(said);
    if (status.textContent !== said) status.textContent = said;
    delete place.dataset.open;
  }

  async function ask() {
    const words = subject.value.trim();
    if (words === asked) return;
    asked = words;
    asking?.abort();
    if (words.length < FEWEST) return show("");
    asking = new AbortController();
    try {
      const answer = await fetch(`${place.dataset.suggestions}?${new URLSearchParams({ q: words })}`, { signal: asking.signal });
      show(answer.ok ? await answer.text() : "");
    } catch {
      // A newer question took its place, or there is no connection: the form goes on without.
    }
  }

  subject.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  place.addEventListener("click", (event) => {
    const more = event.target.closest("[data-more]");
    if (!more) return;
    const isOpen = place.toggleAttribute("data-open");
    more.setAttribute("aria-expanded", String(isOpen));
  });
  ask(); // a form that came back filled in
}
