// Building the page: elements, pictures, what is said to those who listen.  Text is always set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
let counted = 0;

export function uid() {
  counted += 1;
  return `n${counted}`;
}

// h("button", { class: "main", on: { click } }, "text", element, …); a property that is null or false is left out.
export function h(name, about = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(about)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (key === "value" || key === "checked" || key === "indeterminate") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

// The seven states are told apart by shape; the others are what the page itself needs.
const PICTURES = {
  synced: ["disc", "M7.5 12.5l3 3 6-6.5"],
  syncing: ["disc", "M7.2 10.8a5 5 0 0 1 8.9-1.6M16.8 13.2a5 5 0 0 1-8.9 1.6M16.6 6.6v3h-3M7.4 17.4v-3h3"],
  paused: ["disc", "M9.5 8.5v7M14.5 8.5v7"],
  offline: ["ring", "M6 18L18 6"],
  attention: ["triangle", "M12 9.5v4.5M12 17v.1"],
  error: ["disc", "M9 9l6 6M15 9l-6 6"],
  starting: ["disc", "M8 12h.1M12 12h.1M16 12h.1"],
  home: ["", "M4 11l8-7 8 7v9h-5v-6H9v6H4z"],
  folder: ["", "M3 6.5a1 1 0 0 1 1-1h5l2 2.5h9a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z"],
  folders: ["", "M3 6.5a1 1 0 0 1 1-1h5l2 2.5h9a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z"],
  file: ["", "M6 3h8l4 4v14H6zM14 3v4h4"],
  activity: ["", "M3 12h4l3-8 4 16 3-8h4"],
  conflicts: ["", "M12 21v-7M12 14L5 7M12 14l7-7M5 12V7h5M19 12V7h-5"],
  problems: ["", "M12 4l9 16H3zM12 10v4M12 17v.1"],
  settings: ["", "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.5v5M9 14.5v5"],
  open: ["", "M9 5H5v14h14v-4M13 5h6v6M19 5l-8 8"],
  up: ["", "M12 19V5M6 11l6-6 6 6"],
  down: ["", "M12 5v14M6 13l6 6 6-6"],
  right: ["", "M9 6l6 6-6 6"],
  tick: ["", "M5 12.5l4.5 4.5L19 7"],
  plus: ["", "M12 5v14M5 12h14"],
  close: ["", "M6 6l12 12M18 6L6 18"],
  pause: ["", "M9 6v12M15 6v12"],
  play: ["", "M8 5l11 7-11 7z"],
  again: ["", "M19 12a7 7 0 1 1-2-5M19 4v4h-4"],
  person: ["", "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM5 20c0-4 3-6 7-6s7 2 7 6"],
  people: ["", "M9 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 19c0-3.5 2.5-5.5 6-5.5s6 2 6 5.5M15.5 5.3a3.5 3.5 0 0 1 0 6.4M17.5 13.9c2.2.7 3.5 2.5 3.5 5.1"],
};

// A picture says nothing to a screen reader: words stand beside it.
export function picture(name, kind = "") {
  const [ground, lines] = PICTURES[name] ?? PICTURES.file;
  const made = document.createElementNS(SVG, "svg");
  const about = { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false", class: `picture ${kind}` };
  for (const [key, value] of Object.entries(about)) made.setAttribute(key, value);
  const add = (tag, of) => {
    const part = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(of)) part.setAttribute(key, value);
    made.append(part);
  };
  if (ground === "disc") add("circle", { cx: 12, cy: 12, r: 10, class: "ground" });
  if (ground === "ring") add("circle", { cx: 12, cy: 12, r: 8.5, class: "ring" });
  if (ground === "triangle") add("path", { d: "M12 2.5L22.5 21h-21z", class: "ground" });
  add("path", { d: lines, class: ground === "disc" || ground === "triangle" ? "sign" : "line" });
  return made;
}

export function mark(state) {
  return picture(state, `mark is-${state}`);
}

export function button(words, act, { kind = "", icon = null, ...about } = {}) {
  return h("button", { type: "button", class: kind, on: { click: act }, ...about }, icon && picture(icon), h("span", {}, words));
}

// A label, its field, a hint and the place of an error, tied together for those who listen.
export function field(words, input, { hint = "", error = null } = {}) {
  input.id ||= uid();
  const about = [];
  const parts = [h("label", { for: input.id }, words)];
  if (hint) {
    const told = h("p", { class: "hint", id: uid() }, hint);
    about.push(told.id);
    parts.push(told);
  }
  parts.push(input.closest(".with") ?? input);
  const wrong = error ?? h("p", { class: "wrong" });
  wrong.id ||= uid();
  about.push(wrong.id);
  input.setAttribute("aria-describedby", about.join(" "));
  parts.push(wrong);
  const made = h("div", { class: "field" }, ...parts);
  made.say = (text) => {
    wrong.textContent = text;
    input.toggleAttribute("aria-invalid", Boolean(text));
    if (text) input.setAttribute("aria-invalid", "true");
  };
  return made;
}

// Puts new children into a place only where what they are made of has changed, and keeps the focus where it was.
export function fill(place, facts, build) {
  const told = JSON.stringify(facts);
  if (place.shownFacts === told) return false;
  place.shownFacts = told;
  const had = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...[build()].flat(9).filter(Boolean));
  if (had) place.querySelector(`[data-key="${CSS.escape(had)}"]`)?.focus();
  return true;
}

let quietUntil = null;
export function say(words) {
  const place = document.getElementById("said");
  clearTimeout(quietUntil);
  place.textContent = "";
  quietUntil = setTimeout(() => { place.textContent = words; }, 60);
}

// A question to the person, over the page.  Resolves to what was chosen, or null.
export function dialog(title, body, choices) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: uid() }, title);
    const box = h("dialog", { "aria-labelledby": heading.id });
    const end = (value) => {
      box.close();
      box.remove();
      resolve(value);
    };
    const buttons = choices.map(({ words, value, kind }) => button(words, () => end(typeof value === "function" ? value() : value), { kind }));
    box.append(heading, ...[body].flat(), h("div", { class: "buttons" }, ...buttons));
    box.addEventListener("cancel", (event) => {
      event.preventDefault();
      end(null);
    });
    document.body.append(box);
    box.showModal();
  });
}
