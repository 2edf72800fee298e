// Rules: menus that say what is chosen in them, lists that are narrowed by typing, and rules that are dragged to their
// place. The builder itself is drawn by the server (htmx); without scripts it is the same form with full pages.

// --- A menu of many says what is chosen, and is narrowed by typing.

function summarise(menu) {
  const chosen = [...menu.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.parentElement.textContent.trim());
  for (const input of menu.querySelectorAll("[data-written]")) {
    chosen.push(...input.value.split(",").map((word) => word.trim()).filter(Boolean));
  }
  const said = chosen.length > 3 ? [...chosen.slice(0, 2), `${chosen.length - 2} more`] : chosen;
  const shown = menu.querySelector("[data-summary]");
  shown.textContent = [said.slice(0, -1).join(", "), ...said.slice(-1)].filter(Boolean).join(" or ") || shown.dataset.empty;
}

document.addEventListener("input", (event) => {
  const menu = event.target.closest("details.many");
  if (!menu) return;
  if (!event.target.matches("[data-narrows]")) return summarise(menu);
  event.stopPropagation(); // the rule is the same
  const wanted = event.target.value.trim().toLowerCase();
  for (const choice of menu.querySelectorAll(".choice")) choice.hidden = !choice.textContent.toLowerCase().includes(wanted);
}, true);

// Enter in a menu closes it instead of saving the rule.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("details.many input:not([list])")) return;
  event.preventDefault();
  const menu = event.target.closest("details.many");
  menu.open = false;
  menu.querySelector("summary").focus();
});
// In the search for an organisation it adds what was found.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("details.many input[list]")) return;
  event.preventDefault();
  event.target.parentElement.querySelector("button").click();
});

// --- A rule is dragged by its grip. The buttons do the same for the keyboard, and without scripts.

const rowsOf = (list) => [...list.querySelectorAll(":scope > li")];
const orderOf = (list) => rowsOf(list).map((row) => row.dataset.rule);

document.addEventListener("pointerdown", (event) => {
  const grip = event.button === 0 && event.target.closest?.(".rules .grip");
  if (!grip) return;
  event.preventDefault();
  const row = grip.closest("li");
  const list = row.parentElement;
  const before = orderOf(list);
  const inRow = event.clientY - row.getBoundingClientRect().top;
  row.dataset.dragged = "";
  grip.setPointerCapture(event.pointerId);

  const move = ({ clientY }) => {
    for (const other of rowsOf(list)) {
      if (other === row) continue;
      const box = other.getBoundingClientRect();
      const isBefore = other.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_PRECEDING; // the row stands before it
      const middle = box.top + box.height / 2;
      // The others make room: a row that is taken out of the page would let go of the pointer.
      if (isBefore && clientY - inRow + row.offsetHeight > middle) row.before(...rowsOf(list).slice(rowsOf(list).indexOf(row) + 1, rowsOf(list).indexOf(other) + 1));
      else if (!isBefore && clientY - inRow < middle) {
        row.after(...rowsOf(list).slice(rowsOf(list).indexOf(other), rowsOf(list).indexOf(row)));
        break;
      }
    }
    row.style.translate = "0";
    row.style.translate = `0 ${clientY - inRow - row.getBoundingClientRect().top}px`;
    rowsOf(list).forEach((one, n) => (one.querySelector(".num").textContent = n + 1));
  };
  const end = (ended) => {
    grip.removeEventListener("pointermove", move);
    row.style.removeProperty("translate");
    delete row.dataset.dragged;
    if (ended.type === "pointercancel") return putBack(list, before);
    if (String(orderOf(list)) !== String(before)) send(list, row, before);
  };
  grip.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) grip.addEventListener(name, end, { once: true });
});

function putBack(list, order) {
  for (const id of order) list.append(list.querySelector(`[data-rule="${CSS.escape(id)}"]`));
  rowsOf(list).forEach((row, n) => (row.querySelector(".num").textContent = n + 1));
}

async function send(list, row, before) {
  const place = rowsOf(list).indexOf(row) + 1;
  const said = `${row.dataset.name} is now number ${place}.`;
  let failed = false;
  const fail = () => (failed = true);
  document.addEventListener("htmx:sendError", fail, { once: true });
  // The answer is the list as it is, also where somebody has changed it meanwhile.
  await htmx.ajax("POST", list.dataset.order, { target: "#rules", swap: "outerHTML", values: { rule_ids: orderOf(list) } });
  document.removeEventListener("htmx:sendError", fail);
  if (failed) putBack(list, before);
  else document.getElementById("order-said").textContent = said;
}

// Moved with the keyboard: the same is said.
document.addEventListener("htmx:afterSettle", (event) => {
  const button = document.activeElement;
  const said = document.getElementById("order-said");
  if (!said || event.detail.target?.id !== "rules" || button?.name !== "direction") return;
  const row = button.closest("li");
  said.textContent = `${row.dataset.name} is now number ${rowsOf(row.parentElement).indexOf(row) + 1}.`;
});

// A session that ended answers with the page to sign in, which does not belong here.
document.addEventListener("htmx:beforeSwap", (event) => {
  const place = event.target.closest?.("#rule-form, #rules");
  if (!place || event.detail.xhr.responseText.includes(`id="${place.id}"`)) return;
  event.detail.shouldSwap = false;
  location.reload();
});
