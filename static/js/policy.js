// A policy: what empty targets inherit, and organisations that are found by name. The form works without.

// --- An empty target shows what holds in its place.
for (const field of document.querySelectorAll("[data-inherits]")) {
  const source = document.getElementById(field.dataset.inherits);
  source?.addEventListener("input", () => (field.placeholder = source.value || "none"));
}

// --- The list suggests names; what is added stands in the text, one on each line.
for (const box of document.querySelectorAll("[data-adds-to]")) {
  const [input, button] = [box.querySelector("input"), box.querySelector("button")];
  const text = document.getElementById(box.dataset.addsTo);
  const add = () => {
    const name = input.value.trim();
    const lines = text.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (name && !lines.some((line) => line.toLowerCase() === name.toLowerCase())) lines.push(name);
    text.value = lines.join("\n");
    input.value = "";
    input.focus();
  };
  button.addEventListener("click", add);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // not the whole form
    add();
  });
}
