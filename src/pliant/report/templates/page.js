"use strict";
const views = [];
const charts = JSON.parse(document.getElementById("charts").textContent);
const actions = { export: { svg: true, png: true }, source: false, compiled: false, editor: false };
for (const [id, chart] of Object.entries(charts)) {
  const options = { mode: "vega-lite", renderer: "svg", actions, downloadFileName: id };
  vegaEmbed("#" + id, chart, options).then(
    (result) => views.push(result.view),
    (error) => { document.getElementById(id).textContent = "This figure could not be drawn: " + error.message; },
  );
}

const switches = [...document.querySelectorAll("[data-net]")];
const show = () => {
  const shown = switches.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.dataset.net);
  for (const view of views) view.signal("shown", shown).runAsync();
};
for (const one of switches) {
  one.addEventListener("click", () => {
    one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") !== "true"));
    show();
  });
  // A double click shows this net alone, or all of them again.
  one.addEventListener("dblclick", () => {
    const alone = switches.every((other) => (other.getAttribute("aria-pressed") === "true") === (other === one));
    for (const other of switches) other.setAttribute("aria-pressed", String(alone || other === one));
    show();
  });
}
