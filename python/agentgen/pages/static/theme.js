// Light or dark theme: the system's until the button selects one. Colours are CSS variables, so nothing is redrawn.

import { el } from "./dom.js";

const THEMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

function setTheme(button, theme) {
  document.documentElement.dataset.theme = theme;
  button.replaceChildren(el("span", {}, THEMES[theme]));
}

{
  const button = document.getElementById("theme");
  const names = Object.keys(THEMES);
  let stored = null;
  try {
    stored = localStorage.getItem("agentgen-theme");
  } catch { /* browsers may deny storage to files */ }
  setTheme(button, names.includes(stored) ? stored : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
    setTheme(button, next);
    try {
      localStorage.setItem("agentgen-theme", next);
    } catch { /* not stored: valid until the page is closed */ }
  });
}
