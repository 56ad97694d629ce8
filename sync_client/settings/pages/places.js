// Choosing a folder of this computer.

import { Refusal, ask } from "./asking.js";
import { dialog, h, picture } from "./dom.js";
import { shown, t, troubleWords } from "./words.js";

// begin: a path that is shown if it is there, else what is nearest above it.  The chosen path, or null.
export async function choosePlace(begin) {
  const where = h("p", { class: "path here" });
  const list = h("ul", { class: "places", "aria-label": t("places.list") });
  const wrong = h("p", { role: "alert", class: "wrong" });
  const name = h("input", { type: "text", "aria-label": t("places.new"), placeholder: t("places.new"), spellcheck: "false", autocomplete: "off" });
  let here = "";
  let parent = null;

  const line = (words, path, icon) => h("li", {}, h("button", { type: "button", class: "line", on: { click: () => open(path, true) } }, picture(icon), h("span", {}, words)));

  async function open(path, byHand = false) {
    wrong.textContent = "";
    let found;
    try {
      found = await ask("local", { path });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (byHand) wrong.textContent = troubleWords(error);
      return false;
    }
    here = found.path;
    parent = found.parent;
    where.textContent = shown(here);
    list.replaceChildren(...[parent === null ? null : line(t("places.up"), parent, "up"), ...found.folders.map((one) => line(shown(one.name), one.path, "folder"))].filter(Boolean));
    if (!found.folders.length) list.append(h("li", { class: "hint" }, t("places.none")));
    if (byHand) list.querySelector("button")?.focus();
    return true;
  }

  for (let path = begin.trim(); ; path = path.slice(0, Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"), 0))) {
    if (await open(path)) break;
    if (!path) return null;
  }
  const separator = here.includes("\\") ? "\\" : "/";
  const inside = () => (name.value.trim() ? `${here.replace(/[\\/]$/, "")}${separator}${name.value.trim()}` : here);
  return dialog(t("places.title"), [where, list, wrong, h("label", { class: "by-ear", for: "new-place" }, t("places.new")), Object.assign(name, { id: "new-place" })], [
    { words: t("cancel"), value: null },
    { words: t("places.take"), value: inside, kind: "main" },
  ]);
}

