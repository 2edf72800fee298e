// The list of tickets: j and k move, Enter opens (the focused link does that by itself), filters leave clean addresses.

const typing = (element) => element.closest?.("input:not([name=ticket]), textarea, select, [contenteditable], dialog[open], .composer");

function subjects() {
  return [...document.querySelectorAll("[data-rows] .subject")].filter((link) => link.offsetParent);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if ((event.key !== "j" && event.key !== "k") || typing(event.target)) return;
  const links = subjects();
  if (!links.length) return;
  event.preventDefault();
  let at = links.findIndex((link) => link.closest(".row").contains(document.activeElement));
  if (at < 0) at = links.findIndex((link) => link.closest('[aria-current="true"]'));
  const next = at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)));
  links[next].focus();
  links[next].closest(".row").scrollIntoView({ block: "nearest" });
});

// "Any status" and the statuses exclude each other.
document.addEventListener("change", (event) => {
  if (event.target.name !== "status" || !event.target.checked) return;
  const isAny = event.target.value === "any";
  for (const box of event.target.form.querySelectorAll("[name=status]")) {
    if (box !== event.target && (box.value === "any") !== isAny) box.checked = false;
  }
});

// What was left empty stays out of the address, so that a link to a list is short.
document.addEventListener("formdata", (event) => {
  if (!event.target.hasAttribute("data-tidy")) return;
  const empty = [...event.formData].filter(([, value]) => value === "").map(([name]) => name);
  for (const name of new Set(empty)) event.formData.delete(name);
  if (event.formData.get("sort") === "-created") event.formData.delete("sort");
});

// The open ticket is in sight in the list beside it.
document.querySelector('[data-rows] [aria-current="true"]')?.scrollIntoView({ block: "nearest" });
