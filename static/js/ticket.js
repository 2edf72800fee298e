// The ticket's page: the composer. Everything here is a convenience; sending works without it.

import { toast } from "./base.js";

const composer = document.getElementById("composer");
const conversation = document.getElementById("conversation");

// The newest message is what one came for.
if (conversation && !location.hash) conversation.scrollTop = conversation.scrollHeight;

if (composer) {
  const body = composer.querySelector("textarea");
  const csrf = composer.querySelector("[name=csrfmiddlewaretoken]").value;

  // --- Reply or note: choosing one means writing it, at once, so that no key that follows is lost.
  for (const radio of composer.querySelectorAll("input[type=radio][name=internal]")) {
    radio.closest("label").addEventListener("click", (event) => {
      if (event.target !== radio) setTimeout(() => body.focus());
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if ((event.key !== "r" && event.key !== "n") || event.target.closest?.("input, textarea, select, dialog[open]")) return;
    const radio = composer.querySelector(`input[type=radio][name=internal][value="${event.key === "n" ? 1 : 0}"]`);
    if (!radio && event.key === "r") return;
    event.preventDefault();
    if (radio) radio.checked = true;
    body.focus();
  });

  // --- A draft is kept on this device as one types.
  const place = `draft:${composer.dataset.ticket}`;
  const keep = () => {
    try {
      if (body.value.trim()) localStorage.setItem(place, body.value);
      else localStorage.removeItem(place);
    } catch {
      // A browser that keeps nothing: the page works without drafts.
    }
  };
  const forget = () => {
    try {
      localStorage.removeItem(place);
    } catch {
      // As above.
    }
  };
  try {
    if (!body.value && !("bound" in composer.dataset)) body.value = localStorage.getItem(place) ?? "";
  } catch {
    // As above.
  }
  body.addEventListener("input", keep);
  composer.addEventListener("submit", forget);
  composer.querySelector("[data-discard]")?.addEventListener("click", forget);
  if (composer.hasAttribute("data-bound")) body.focus();

  // --- Ctrl+Enter sends.
  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const button = [...composer.querySelectorAll(".send button[type=submit]:not([name])")].find((one) => one.offsetParent);
      composer.requestSubmit(button);
    }
  });

  // --- Files: picked, dropped or pasted, and shown by name.
  const files = composer.querySelector("input[type=file]");
  const list = document.getElementById("files");
  const size = (bytes) => (bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`);
  const show = () => {
    for (const item of list.querySelectorAll("[data-picked]")) item.remove();
    [...files.files].forEach((file, index) => {
      const item = document.createElement("li");
      item.dataset.picked = "";
      const label = document.createElement("span");
      label.className = "attachment";
      const name = document.createElement("span");
      name.textContent = file.name;
      const note = document.createElement("small");
      note.textContent = size(file.size);
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "button";
      remove.dataset.kind = "quiet";
      remove.dataset.size = "small";
      remove.textContent = "Remove";
      remove.setAttribute("aria-label", `Remove ${file.name}`);
      remove.addEventListener("click", () => take([...files.files].filter((_, at) => at !== index)));
      label.append(name, note, remove);
      item.append(label);
      list.append(item);
    });
  };
  const take = (chosen) => {
    const transfer = new DataTransfer();
    for (const file of chosen) transfer.items.add(file);
    files.files = transfer.files;
    show();
  };
  files.addEventListener("change", show);
  composer.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    composer.dataset.drag = "";
  });
  composer.addEventListener("dragleave", () => delete composer.dataset.drag);
  composer.addEventListener("drop", (event) => {
    delete composer.dataset.drag;
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take([...files.files, ...event.dataTransfer.files]);
  });
  body.addEventListener("paste", (event) => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    take([...files.files, ...event.clipboardData.files]);
  });

  // --- Preview
  const preview = document.getElementById("preview");
  const previewButton = document.getElementById("preview-button");
  previewButton.addEventListener("click", async () => {
    const showing = previewButton.getAttribute("aria-pressed") === "true";
    if (!showing) {
      const answer = await fetch(previewButton.dataset.url, {
        method: "POST",
        headers: { "X-CSRFToken": csrf },
        body: new URLSearchParams({ body: body.value }),
      }).catch(() => null);
      if (!answer?.ok) return toast("The preview is not available now.", { tone: "bad" });
      preview.innerHTML = (await answer.text()).trim() || "Nothing to show yet.";
    }
    previewButton.setAttribute("aria-pressed", String(!showing));
    preview.hidden = showing;
    body.hidden = !showing;
    if (showing) body.focus();
  });

  // --- Canned responses: from the menu, or by typing / and a shortcut.
  const menu = composer.querySelector(".canned-menu");
  if (menu) {
    const found = document.getElementById("canned-list");
    const search = document.getElementById("canned-search");
    const SHORTCUT = /(^|\s)\/([a-z0-9_-]{0,40})$/i;
    let asked = 0;
    let bySlash = false;

    const load = async (text) => {
      const mine = ++asked;
      const answer = await fetch(`${found.dataset.url}&q=${encodeURIComponent(text)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
      if (!answer?.ok || mine !== asked) return;
      found.innerHTML = await answer.text();
      mark(0);
    };
    const options = () => [...found.querySelectorAll("[data-canned]")];
    const mark = (index) => options().forEach((option, at) => option.toggleAttribute("data-marked", bySlash && at === index));
    const marked = () => Math.max(0, options().findIndex((option) => option.hasAttribute("data-marked")));
    const slash = (on) => {
      bySlash = on;
      menu.toggleAttribute("data-slash", on);
    };
    const typed = () => SHORTCUT.exec(body.value.slice(0, body.selectionStart));

    const insert = (option) => {
      const match = bySlash ? typed() : null;
      const start = match ? body.selectionStart - match[2].length - 1 : body.selectionStart;
      body.setRangeText(option.dataset.text, start, body.selectionEnd, "end");
      menu.open = false;
      slash(false);
      body.focus();
      keep();
      fetch(option.dataset.canned, { method: "POST", headers: { "X-CSRFToken": csrf } }).catch(() => {});
    };

    menu.addEventListener("toggle", () => {
      if (!menu.open) {
        slash(false);
        return;
      }
      if (!bySlash) {
        search.value = "";
        load("");
        search.focus();
      }
    });
    search.addEventListener("input", () => load(search.value));
    search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const first = options()[0];
      if (first) insert(first);
    });
    found.addEventListener("click", (event) => {
      const option = event.target.closest("[data-canned]");
      if (option) insert(option);
    });

    // Whoever knows the shortcut types on before the list has come: then the text follows the typing.
    const FINISHED = /(^|\s)\/([a-z0-9][a-z0-9_-]{0,39})\s$/i;
    const complete = async (shortcut, start) => {
      const answer = await fetch(`${found.dataset.url}&q=${encodeURIComponent(shortcut)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
      if (!answer?.ok) return;
      const list = document.createElement("template");
      list.innerHTML = await answer.text();
      const option = list.content.querySelector(`[data-shortcut="${CSS.escape(shortcut.toLowerCase())}"]`);
      const end = start + shortcut.length + 1;
      if (!option || body.value.slice(start, end) !== `/${shortcut}`) return;
      body.setRangeText(option.dataset.text, start, end, "preserve");
      keep();
      fetch(option.dataset.canned, { method: "POST", headers: { "X-CSRFToken": csrf } }).catch(() => {});
    };

    body.addEventListener("input", () => {
      const match = typed();
      if (!match) {
        if (bySlash) {
          const finished = FINISHED.exec(body.value.slice(0, body.selectionStart));
          if (finished) complete(finished[2], body.selectionStart - finished[2].length - 2);
          menu.open = false;
        }
        return;
      }
      slash(true);
      menu.open = true;
      search.value = match[2];
      load(match[2]);
    });
    body.addEventListener("keydown", (event) => {
      if (!bySlash || !menu.open) return;
      const shown = options();
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        if (!shown.length) return;
        event.preventDefault();
        mark((marked() + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length);
      } else if (event.key === "Enter" || event.key === "Tab") {
        if (event.ctrlKey || event.metaKey || !shown.length) return;
        event.preventDefault();
        insert(shown[marked()]);
      } else if (event.key === " ") {
        const exact = shown.find((option) => option.dataset.shortcut === typed()?.[2].toLowerCase());
        if (!exact) return;
        event.preventDefault();
        insert(exact);
      } else if (event.key === "Escape") {
        event.stopPropagation();
        menu.open = false;
      }
    });
  }

  // --- Help articles: from the composer's menu, or from the panel among the properties. A link stands apart from the
  // words around it, a text in paragraphs of its own.
  const put = (text, apart) => {
    const before = body.value.slice(0, body.selectionStart);
    const behind = body.value.slice(body.selectionEnd);
    const lead = !before || (apart === " " ? /\s$/.test(before) : before.endsWith(apart)) ? "" : apart;
    const trail = behind && !/^\s/.test(behind) ? apart : "";
    if (body.hidden) previewButton.click();
    body.setRangeText(lead + text + trail, body.selectionStart, body.selectionEnd, "end");
    body.focus();
    keep();
  };
  const articles = composer.querySelector(".article-menu");
  if (articles) {
    const found = document.getElementById("article-list");
    const search = document.getElementById("article-search");
    let asked = 0;
    const load = async (text) => {
      const mine = ++asked;
      const answer = await fetch(`${found.dataset.url}&q=${encodeURIComponent(text)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
      if (answer?.ok && mine === asked) found.innerHTML = await answer.text();
    };
    const insert = (option) => {
      articles.open = false;
      put(option.dataset.article, " ");
    };
    articles.addEventListener("toggle", () => {
      if (!articles.open) return;
      search.value = "";
      load("");
      search.focus();
    });
    search.addEventListener("input", () => load(search.value));
    search.addEventListener("keydown", async (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      await load(search.value); // whoever types quickly means what they typed
      const first = found.querySelector("[data-article]");
      if (first && articles.open) insert(first);
    });
    found.addEventListener("click", (event) => {
      const option = event.target.closest("[data-article]");
      if (option) insert(option);
    });
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-insert], [data-insert-from]");
    if (!button) return;
    if (button.dataset.insert) return put(button.dataset.insert, " ");
    const answer = await fetch(button.dataset.insertFrom).catch(() => null);
    if (!answer?.ok) return toast("The text of this article is not available now.", { tone: "bad" });
    put((await answer.text()).trim(), "\n\n");
  });

  // --- Cc is changed among the properties.
  composer.querySelector("[data-edit-cc]")?.addEventListener("click", () => {
    const edit = document.getElementById("cc");
    if (!edit) return;
    edit.open = true;
    edit.querySelector("input:not([type=hidden])")?.focus();
  });
}

// --- Opening a property to edit it puts the cursor there.
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.open && event.target.matches(".edit, .edit-subject")) {
      const input = event.target.querySelector("input:not([type=hidden])");
      input?.focus();
      input?.select();
    }
  },
  true,
);
document.addEventListener("keydown", (event) => {
  const edit = event.key === "Escape" && event.target.closest?.(".edit[open], .edit-subject[open]");
  if (!edit) return;
  edit.open = false;
  edit.querySelector("summary").focus();
});
