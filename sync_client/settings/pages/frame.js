// What both pages have around them: coming in with a token, the brand, the language, the end.

import { enter, forget, hasSession } from "./asking.js";
import { h, mark } from "./dom.js";
import { LANGUAGES, chosenLanguage, currentLanguage, keepLanguage, speak, t } from "./words.js";

// Speaks the person's language, and turns the token in the address into a session.  Throws what the server said.
export async function comeIn() {
  await speak(chosenLanguage());
  const [, token, place] = /^#([\w-]{20,})\/?(.*)$/.exec(location.hash) ?? [];
  if (token) {
    history.replaceState(null, "", `#/${place}`);
    await enter(token);
  }
  return hasSession();
}

export function brand(name) {
  return h("div", { class: "brand" }, h("img", { src: "icon.svg", alt: "", width: "28", height: "28" }), h("span", {}, name));
}

export function languageSwitch() {
  const choice = h("select", { "aria-label": t("language"), class: "language", on: { change: () => {
    keepLanguage(choice.value);
    location.reload();
  } } }, ...Object.entries(LANGUAGES).map(([one, name]) => h("option", { value: one, lang: one, selected: one === currentLanguage() }, name)));
  return choice;
}

// The page does nothing any more: why, and how to open it again.
export function showEnd(app, name, code, command) {
  forget();
  const key = ["used-twice", "no-token", "gone"].includes(code) ? code : "no-session";
  document.title = `${t(`ended.${key}.title`)} · ${name}`;
  app.replaceChildren(
    h("header", {}, brand(name), languageSwitch()),
    h("main", { class: "narrow" }, h("section", { class: "card ended" }, mark("offline"), h("h1", { tabindex: "-1" }, t(`ended.${key}.title`)), h("p", {}, t(`ended.${key}.text`)), h("p", { class: "hint" }, t("ended.again", { command })))),
  );
  app.querySelector("h1").focus();
}
