// Macros: a menu that is filled when it is opened, with a search; and selecting tickets in a list.

// --- The menu. What it offers is asked for each time it is opened: somebody may have changed it.
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches?.("[data-macros]") && event.target.open) event.target.dispatchEvent(new Event("wanted"));
  },
  true,
);
document.addEventListener("htmx:afterSettle", (event) => {
  if (!event.target.matches?.("[data-macro-list]")) return;
  (event.target.querySelector("[data-macro-search]") ?? event.target.querySelector("[data-macro]"))?.focus();
});

// The menu goes with the head of the ticket; whoever works with the keyboard goes on from where it was.
document.addEventListener("htmx:afterSettle", (event) => {
  if (!event.detail.requestConfig?.elt?.matches?.("[data-macro]") || document.activeElement !== document.body) return;
  document.querySelector("#ticket-header [data-macros] > summary")?.focus();
});

function shown(list) {
  return [...list.querySelectorAll("[data-macro]")].filter((button) => !button.hidden);
}

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-macro-search]")) return;
  const list = event.target.closest("[data-macro-list]");
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const button of list.querySelectorAll("[data-macro]")) {
    const text = `${button.textContent} ${button.title}`.toLowerCase();
    button.hidden = !words.every((word) => text.includes(word));
  }
  list.querySelector("[data-no-macro]").hidden = shown(list).length > 0;
});
// Enter goes to the first that matches and does not run it yet: one sees what it will do.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.("[data-macro-search]")) return;
  event.preventDefault();
  shown(event.target.closest("[data-macro-list]"))[0]?.focus();
});

// --- Selecting tickets
const bulk = document.getElementById("bulk");

if (bulk) {
  const boxes = [...document.querySelectorAll('[data-rows] input[name="ticket"]')];
  const said = bulk.querySelector("[data-selected]");
  const all = bulk.querySelector("[data-select-all]");
  const count = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    said.textContent = `${chosen} selected`;
    all.hidden = chosen === boxes.length;
  };
  const choose = (checked) => {
    for (const box of boxes) box.checked = checked;
    count();
  };

  document.addEventListener("change", (event) => {
    if (boxes.includes(event.target)) count();
  });
  all.addEventListener("click", () => {
    choose(true);
    bulk.querySelector("[data-clear]").focus();
  });
  bulk.querySelector("[data-clear]").addEventListener("click", () => {
    choose(false);
    boxes[0].focus();
  });
  // x selects the row that one has moved to.
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog[open]")) return;
    const box = document.activeElement?.closest(".row")?.querySelector('input[name="ticket"]');
    if (!box) return;
    event.preventDefault();
    box.click();
  });
  // A page that one comes back to may have kept what was selected.
  addEventListener("pageshow", count);
  count();
}
