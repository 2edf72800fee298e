// Mail on a ticket's page: the seconds in which an answer can be taken back, and @ in a note. All of it is a convenience.

// --- The countdown beside Undo. When it ends the button goes: the mail is on its way. The line itself is asked anew.

const ends = new WeakMap(); // the server said how long; the clock of this machine may be wrong

function count() {
  for (const shown of document.querySelectorAll("[data-countdown]")) {
    if (!ends.has(shown)) ends.set(shown, performance.now() + Number(shown.dataset.countdown) * 1000);
    const left = Math.ceil((ends.get(shown) - performance.now()) / 1000);
    if (left > 0) {
      shown.textContent = `${left} s`;
      continue;
    }
    const line = shown.closest(".delivery");
    const undo = line.querySelector("[data-undo]");
    if (undo?.contains(document.activeElement)) document.getElementById("conversation")?.focus();
    undo?.remove();
    shown.parentElement.textContent = "Sending…";
  }
}
if (document.querySelector("[data-countdown]")) count();
setInterval(count, 500);

// --- A text that was taken back stands in the composer; what one had begun to write meanwhile is kept below it.

const composer = document.getElementById("composer");
const taken = new URLSearchParams(location.search).get("taken_back");
if (composer && taken) {
  const body = composer.querySelector("textarea");
  try {
    const draft = localStorage.getItem(`draft:${composer.dataset.ticket}`) ?? "";
    const isAgain = sessionStorage.getItem("taken-back") === taken; // the page was loaded anew
    if (isAgain && draft) body.value = draft;
    else if (draft.trim() && draft.trim() !== body.value.trim()) body.value = `${body.value.trimEnd()}\n\n${draft}`;
    sessionStorage.setItem("taken-back", taken);
  } catch {
    // A browser that keeps nothing has no draft.
  }
  body.dispatchEvent(new Event("input", { bubbles: true })); // so that it is kept as a draft
  body.focus();
  const conversation = document.getElementById("conversation");
  conversation.scrollTop = conversation.scrollHeight;
}

// --- @ in a note offers members: a list box that the text field controls (the combobox pattern of WAI-ARIA).

const list = document.getElementById("mentions");

if (composer && list) {
  const body = composer.querySelector("textarea");
  const TYPED = /(^|[\s(,;])@([\p{L}\p{N}._+-]{0,40})$/u;
  let asked = 0;
  let at = 0;

  body.setAttribute("aria-autocomplete", "list");
  body.setAttribute("aria-controls", list.id);

  const isNote = () => composer.dataset.mode === "note" || Boolean(composer.querySelector("[data-note]:checked"));
  const typed = () => (isNote() ? TYPED.exec(body.value.slice(0, body.selectionStart)) : null);
  const options = () => [...list.querySelectorAll("[role=option]")];

  const close = () => {
    asked += 1; // an answer that is still on its way opens nothing
    list.hidden = true;
    body.removeAttribute("aria-activedescendant");
  };
  const mark = (index) => {
    at = index;
    options().forEach((option, place) => {
      option.setAttribute("aria-selected", String(place === index));
      if (place !== index) return;
      body.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    });
  };
  const insert = (option) => {
    const match = typed();
    if (!match) return close();
    const start = body.selectionStart - match[2].length - 1;
    body.setRangeText(`@${option.dataset.handle} `, start, body.selectionStart, "end");
    close();
    body.focus();
    body.dispatchEvent(new Event("input", { bubbles: true })); // so that the draft is kept
  };
  const offer = async () => {
    const match = typed();
    if (!match) return close();
    const mine = ++asked;
    const answer = await fetch(`${list.dataset.url}?q=${encodeURIComponent(match[2])}`).catch(() => null);
    if (!answer?.ok || mine !== asked) return;
    list.innerHTML = await answer.text();
    if (mine !== asked || !options().length) return close();
    list.hidden = false;
    mark(0);
  };

  body.addEventListener("input", offer);
  body.addEventListener("blur", close); // a press on an option keeps the cursor in the text
  list.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[role=option]");
    event.preventDefault();
    if (option) insert(option);
  });
  body.addEventListener(
    "keydown",
    (event) => {
      if (list.hidden) return;
      const shown = options();
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        mark((at + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length);
      } else if ((event.key === "Enter" || event.key === "Tab") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        insert(shown[at]);
      } else if (event.key === "Escape") {
        event.stopPropagation();
        close();
      }
    },
    true,
  );
}
