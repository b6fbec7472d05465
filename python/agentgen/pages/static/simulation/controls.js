// The form: a number field and a slider for every setting, and its error.

import { el } from "../dom.js";
import { bytes, count, short } from "../format.js";
import { capacityBlocks, fault, SETTINGS, sliderOf, valueOf } from "./settings.js";

/** The choice of a model, which sets `kv`, the KV bytes per token. */
function modelChoice(models, choose) {
  const options = models.map(({ name }) => el("option", { value: name }, name));
  const select = el("select", { id: "model" }, el("option", { value: "" }, "other"), options);
  const kvOf = (name) => models.find((model) => model.name === name)?.kv_bytes_per_token;
  select.addEventListener("change", () => select.value && choose(kvOf(select.value)));
  // Several models have the same KV bytes per token: the chosen one stays.
  const show = (kv) => {
    if (kvOf(select.value) !== kv) select.value = models.find((model) => model.kv_bytes_per_token === kv)?.name ?? "";
  };
  return { select, show };
}

/** One setting; `changed(value)` is called with every valid value. */
function control(setting, isFixed, changed) {
  const { name, label, unit, min, max, whole } = setting;
  const number = el("input", {
    type: "number", id: name, min, max, step: whole ? 1 : "any", required: true, disabled: isFixed,
    "aria-describedby": `${name}-fault`,
  });
  const slider = el("input", { type: "range", min: 0, max: 1000, step: 1, "aria-label": `${label}, ${unit}`, disabled: isFixed });
  const wrong = el("p", { class: "fault", id: `${name}-fault`, role: "alert" });
  const tell = (value) => {
    wrong.textContent = fault(setting, value);
    number.setAttribute("aria-invalid", String(wrong.textContent !== ""));
    slider.setAttribute("aria-valuetext", `${count(value)} ${unit}`);
    return wrong.textContent === "";
  };
  number.addEventListener("input", () => {
    if (!tell(number.valueAsNumber)) return;
    slider.value = sliderOf(setting, number.valueAsNumber);
    changed(number.valueAsNumber);
  });
  slider.addEventListener("input", () => {
    const value = valueOf(setting, Number(slider.value));
    number.value = value;
    tell(value);
    changed(value);
  });
  const set = (value) => {
    number.value = value;
    slider.value = sliderOf(setting, value);
    tell(value);
  };
  const heading = el("label", { for: name }, label, el("span", { class: "units" }, unit));
  return { set, element: el("div", { class: "control" }, heading, number, slider, wrong) };
}

/**
 * All controls. `changed(settings)` is called with valid settings; `set(settings)` shows others.
 * `hasSlots`: whether the concurrency is a setting, rather than given by the trace.
 */
export function controls({ models, model: first, blockTokens, hasSlots, changed, reset }) {
  let settings = {};
  const change = (name, value) => {
    settings = { ...settings, [name]: value };
    derive();
    changed(settings);
  };
  const fields = SETTINGS.map((setting) => {
    const isFixed = setting.name === "concurrency" && !hasSlots;
    return { name: setting.name, ...control(setting, isFixed, (value) => change(setting.name, value)) };
  });
  const set = (next) => {
    settings = { ...next };
    for (const field of fields) field.set(settings[field.name]);
    derive();
  };
  const model = modelChoice(models, (value) => {
    set({ ...settings, kv: value });
    changed(settings);
  });
  model.select.value = first;
  const derived = el("p", { id: "derived" });
  function derive() {
    const blocks = capacityBlocks(settings, blockTokens);
    derived.textContent = `${bytes(settings.capacity * 1e9)}: ${count(blocks)} blocks of ${count(blockTokens)} tokens, ${short(blocks * blockTokens)} tokens`;
    model.show(settings.kv);
  }
  const label = el("label", { for: "model" }, "Model", el("span", { class: "units" }, "sets the KV of a token"));
  const choice = el("div", { class: "control" }, label, model.select);
  const button = el("button", { type: "button", id: "reset", onclick: reset }, "Reset");
  const whole = el("form", { class: "settings", "aria-label": "Settings" }, fields.map(({ element }) => element), choice);
  whole.addEventListener("submit", (event) => event.preventDefault());
  return { element: whole, derived, button, set };
}
