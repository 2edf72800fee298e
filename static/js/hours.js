// Business hours: add and remove hours and dates, draw each day, copy Monday. Without it there are empty rows to fill in.

const form = document.getElementById("hours-form");
const WORKDAYS = ["tuesday", "wednesday", "thursday", "friday"];
const SVG = "http://www.w3.org/2000/svg";

// What is there for those without scripts would only be sent along empty.
for (const spare of form.querySelectorAll("[data-without-js]:not(button)")) spare.remove();

const changed = () => form.dispatchEvent(new Event("input", { bubbles: true }));
const dayOf = (name) => form.querySelector(`[data-day="${name}"]`);
const pairsOf = (day) => [...day.querySelectorAll(".stretch")];
const timesOf = (pair) => [...pair.querySelectorAll("input")];
const boxOf = (day) => day.querySelector("input[type=checkbox]");

function minutes(value) {
  const match = /^(\d\d):(\d\d)/.exec(value);
  return match ? Number(match[1]) * 60 + Number(match[2]) : null;
}

function draw(day) {
  const bar = day.querySelector(".bar");
  bar.replaceChildren();
  if (!boxOf(day).checked) return;
  for (const pair of pairsOf(day)) {
    const [start, end] = timesOf(pair).map((input) => minutes(input.value));
    const until = end || 1440; // 00:00 is the midnight at the end
    if (start === null || end === null || until <= start) continue;
    const part = document.createElementNS(SVG, "rect");
    for (const [name, value] of [["x", start], ["y", 0], ["width", until - start], ["height", 10]]) part.setAttribute(name, value);
    bar.append(part);
  }
}

function addPair(day, [start, end] = ["", ""]) {
  const pair = pairsOf(day)[0].cloneNode(true);
  const times = timesOf(pair);
  [times[0].value, times[1].value] = [start, end];
  day.querySelector("[data-add-pair]").before(pair);
  return times[0];
}

function setPairs(day, values) {
  const pairs = pairsOf(day);
  for (const extra of pairs.slice(1)) extra.remove();
  const [first, ...rest] = values.length ? values : [["", ""]];
  const times = timesOf(pairs[0]);
  [times[0].value, times[1].value] = first;
  for (const value of rest) addPair(day, value);
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[type=button]");
  if (!button) return;
  const day = button.closest("[data-day]");
  if ("addPair" in button.dataset) addPair(day).focus();
  else if ("removePair" in button.dataset) {
    const left = pairsOf(day).filter((pair) => pair !== button.closest(".stretch"));
    if (left.length) {
      button.closest(".stretch").remove();
      timesOf(left.at(-1))[0].focus();
    } else {
      setPairs(day, []); // the last hours of a day: it is closed
      boxOf(day).checked = false;
      boxOf(day).focus();
    }
  } else if ("addDate" in button.dataset) {
    const made = document.getElementById("date-template").content.firstElementChild.cloneNode(true);
    form.querySelector("[data-dates]").append(made);
    made.querySelector("input").focus();
    return;
  } else if ("removeDate" in button.dataset) {
    button.closest(".date").remove();
    form.querySelector("[data-add-date]").focus();
  } else if ("copyMonday" in button.dataset) {
    const monday = dayOf("monday");
    const values = pairsOf(monday).map((pair) => timesOf(pair).map((input) => input.value));
    for (const name of WORKDAYS) {
      setPairs(dayOf(name), values);
      boxOf(dayOf(name)).checked = boxOf(monday).checked;
    }
  } else return;
  changed();
});

// --- A day that is opened begins with the hours of the open day before it.
form.addEventListener("change", (event) => {
  const day = event.target.matches("input[type=checkbox]") ? event.target.closest("[data-day]") : null;
  if (!day || !event.target.checked || pairsOf(day).some((pair) => timesOf(pair).some((input) => input.value))) return;
  const days = [...form.querySelectorAll("[data-day]")];
  const before = days.slice(0, days.indexOf(day)).reverse().find((other) => boxOf(other).checked);
  setPairs(day, before ? pairsOf(before).map((pair) => timesOf(pair).map((input) => input.value)) : [["09:00", "18:00"]]);
  changed();
});

form.addEventListener("input", () => form.querySelectorAll("[data-day]").forEach(draw));
form.querySelectorAll("[data-day]").forEach(draw);
