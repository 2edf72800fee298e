// The portal's one convenience: the files that were chosen are listed, and one that is too large is said at once.
// Without scripts the browser's own control is seen, and the server says what is too large.

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
