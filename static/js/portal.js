// The portal's conveniences. The files that were chosen are listed, and one that is too large is said at once; without
// scripts the browser's own control is seen, and the server says what is too large. Where the workspace asks for a
// puzzle (puzzle.js), it is solved while somebody types; without scripts the request goes without.

function inWords(bytes) {
  if (bytes < 1024 * 1024) return `${Math.max(1, Math.round(bytes / 1024))} KB`;
  return `${Number((bytes / 1024 / 1024).toFixed(1))} MB`;
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
      size.textContent = inWords(file.size);
      if (file.size > limit) {
        row.dataset.tone = "bad";
        size.textContent += `, too large: up to ${inWords(limit)} are possible`;
      }
      row.append(name, size);
      return row;
    });
    list.replaceChildren(...rows);
    list.hidden = rows.length === 0;
  }

  input.addEventListener("change", show);
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, () => { drop.dataset.drag = ""; });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => { delete drop.dataset.drag; });
  show(); // a browser that comes back to the page may have kept the choice
}

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
