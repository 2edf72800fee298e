// Settings → Portal: a colour can be picked or typed; each follows the other. htmx shows how it comes out.

for (const picker of document.querySelectorAll("[data-picks]")) {
  const typed = document.getElementById(picker.dataset.picks);
  picker.addEventListener("input", () => {
    typed.value = picker.value;
    typed.dispatchEvent(new Event("input", { bubbles: true }));
  });
  typed.addEventListener("input", () => {
    const digits = typed.value.trim().replace(/^#/, "");
    const long = digits.length === 3 ? digits.replace(/./g, "$&$&") : digits;
    if (/^[0-9a-f]{6}$/i.test(long)) picker.value = `#${long}`;
  });
}
