// Help articles: the preview of the editor, and categories that are dragged to their place. Without scripts the buttons
// beside each category move it, and the saved draft shows how it looks in the portal.

import { toast } from "./base.js";

// --- Preview
const button = document.getElementById("article-preview-button");

button?.addEventListener("click", async () => {
  const preview = document.getElementById("article-preview");
  const form = button.closest("form");
  const body = form.querySelector("textarea");
  const isShowing = button.getAttribute("aria-pressed") === "true";
  if (!isShowing) {
    const answer = await fetch(button.dataset.url, {
      method: "POST",
      headers: { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value },
      body: new URLSearchParams({ body: body.value }),
    }).catch(() => null);
    if (!answer?.ok) return toast("The preview is not available now.", { tone: "bad" });
    preview.innerHTML = (await answer.text()).trim() || "Nothing to show yet.";
    preview.style.minBlockSize = `${body.offsetHeight}px`; // what stands below stays where it is
  }
  button.setAttribute("aria-pressed", String(!isShowing));
  preview.hidden = isShowing;
  body.hidden = !isShowing;
  if (isShowing) body.focus();
});

// --- A category is dragged by its grip. The buttons do the same for the keyboard.
const rowsOf = (list) => [...list.querySelectorAll(":scope > li")];
const orderOf = (list) => rowsOf(list).map((row) => row.dataset.shelf);
const number = (list) => rowsOf(list).forEach((row, n) => (row.querySelector(".num").textContent = n + 1));

document.addEventListener("pointerdown", (event) => {
  const grip = event.button === 0 && event.target.closest?.("#shelves .grip");
  if (!grip) return;
  event.preventDefault();
  const row = grip.closest("li");
  const list = row.parentElement;
  const before = orderOf(list);
  row.dataset.dragged = "";
  grip.setPointerCapture(event.pointerId);

  const move = ({ clientY }) => {
    const others = rowsOf(list).filter((one) => one !== row);
    const next = others.find((one) => clientY < one.getBoundingClientRect().top + one.offsetHeight / 2) ?? null;
    // The others make room: a row that is taken out of the page would let go of the pointer.
    const at = next ? others.indexOf(next) : others.length;
    for (const one of others.slice(0, at)) if (row.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) row.before(one);
    for (const one of others.slice(at).reverse()) if (row.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING) row.after(one);
    number(list);
  };
  const end = (ended) => {
    grip.removeEventListener("pointermove", move);
    delete row.dataset.dragged;
    if (ended.type === "pointercancel") return putBack(list, before);
    if (String(orderOf(list)) !== String(before)) send(list, row, before);
  };
  grip.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) grip.addEventListener(name, end, { once: true });
});

function putBack(list, order) {
  for (const id of order) list.append(list.querySelector(`[data-shelf="${CSS.escape(id)}"]`));
  number(list);
}

async function send(list, row, before) {
  const said = `${row.dataset.name} is now number ${rowsOf(list).indexOf(row) + 1}.`;
  let failed = false;
  const fail = () => (failed = true);
  document.addEventListener("htmx:sendError", fail, { once: true });
  // The answer is the list as it is, also where somebody has changed it meanwhile.
  await htmx.ajax("POST", list.dataset.order, { target: "#shelves", swap: "outerHTML", values: { category_ids: orderOf(list) } });
  document.removeEventListener("htmx:sendError", fail);
  if (failed) putBack(list, before);
  else document.getElementById("order-said").textContent = said;
}

// Moved with the keyboard: the same is said.
document.addEventListener("htmx:afterSettle", (event) => {
  const pressed = document.activeElement;
  const said = document.getElementById("order-said");
  if (!said || event.detail.target?.id !== "shelves" || pressed?.name !== "direction") return;
  const row = pressed.closest("li");
  said.textContent = `${row.dataset.name} is now number ${rowsOf(row.parentElement).indexOf(row) + 1}.`;
});

// A session that ended answers with the page to sign in, which does not belong here.
document.addEventListener("htmx:beforeSwap", (event) => {
  const place = event.target.closest?.("#shelves");
  if (!place || event.detail.xhr.responseText.includes('id="shelves"')) return;
  event.detail.shouldSwap = false;
  location.reload();
});
