// Reports once per article and browser session that somebody reads it: a GET changes nothing, so the page cannot count
// itself. The server counts each visitor once a day. Pages that a browser loads ahead report when they are looked at.

const article = document.querySelector("[data-viewed]");

function report() {
  const key = `viewed:${article.dataset.viewed}`;
  try {
    if (sessionStorage.getItem(key)) return;
    sessionStorage.setItem(key, "1");
  } catch {
    // A browser that keeps nothing reports each time.
  }
  const token = new FormData();
  token.set("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]").value);
  navigator.sendBeacon(article.dataset.viewed, token);
}

if (article) {
  if (document.visibilityState === "visible" && !document.prerendering) report();
  else document.addEventListener("visibilitychange", report, { once: true });
}
