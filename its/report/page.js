"use strict";
const choice = { dataset: document.getElementById("dataset"), model: document.getElementById("model") };
const methods = [...document.querySelectorAll("nav input[type=checkbox]")];
function show() {
  for (const section of document.querySelectorAll("section")) {
    section.hidden = Object.entries(choice).some(([key, select]) => select.value && section.dataset[key] !== select.value);
  }
  const hidden = new Set(methods.filter((box) => !box.checked).map((box) => box.value));
  for (const part of document.querySelectorAll("[data-method]")) {
    part.toggleAttribute("hidden", hidden.has(part.dataset.method));
  }
}
for (const control of [...Object.values(choice), ...methods]) control.addEventListener("change", show);
for (const [id, checked] of [["all", true], ["no", false]]) {
  document.getElementById(id).addEventListener("click", () => { methods.forEach((box) => { box.checked = checked; }); show(); });
}
window.addEventListener("beforeprint", () => document.querySelectorAll("section > details").forEach((part) => { part.open = true; }));
show();
