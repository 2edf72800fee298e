// A recurring ticket: small helps for its schedule. Which controls are shown is said by the style sheet.

// --- One week, two weeks.
const interval = document.getElementById("id_interval");
const units = document.querySelectorAll("#id_every option");
interval.addEventListener("input", () => {
  for (const unit of units) unit.textContent = interval.value.trim() === "1" ? unit.dataset.one : unit.dataset.many;
});

// --- Who chooses a day means that kind of day.
document.getElementById("recurring-form").addEventListener("input", (event) => {
  const radio = event.target.matches("select") && event.target.closest(".of-month .said-line")?.querySelector("[type=radio]");
  if (radio) radio.checked = true;
});
