// A job in the background shows itself, and asks again (htmx) until it is over.

// --- A question that got no answer is asked again with the next tick: nobody needs to read of it.
for (const name of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(
    name,
    (event) => {
      if (!event.target.closest?.("[data-job]")) return;
      if (event.detail.xhr?.status >= 400 && event.detail.xhr.status < 500) {
        // The job is gone, or one may no longer see it: stop asking, and let the failure be said.
        event.target.replaceWith(event.target.cloneNode(true));
        return;
      }
      event.stopPropagation();
    },
    true,
  );
}

// --- A session that ended answers with the page to sign in, which does not belong here.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (!event.target.closest?.("[data-job]") || event.detail.xhr.responseText.includes("data-job")) return;
  event.detail.shouldSwap = false;
  location.reload();
});

// --- The end is said to those who do not see it.
document.addEventListener("htmx:afterSettle", (event) => {
  const job = event.target.closest?.("[data-job]") ?? event.target.querySelector?.("[data-job]");
  const said = document.getElementById("job-said");
  if (said && job?.hasAttribute("data-over")) said.textContent = job.querySelector("[data-said]")?.textContent.trim() ?? "";
});
