// The window of MB-SyncLight: paste the link, choose the place, start; how the folders stand.

import { Ended, Refusal, ask } from "./asking.js";
import { button, dialog, field, fill, h, mark, picture, say, uid } from "./dom.js";
import { brand, comeIn, languageSwitch, showEnd } from "./frame.js";
import { choosePlace } from "./places.js";
import { currentLanguage, foreign, knowOwn, moment, nameOf, placeOf, shown, size, t, troubleWords } from "./words.js";

const NAME = "MB-SyncLight";
const COMMAND = "mb-synclight --window";
const LOOK_MS = 1_000;
const HIDDEN_MS = 20_000;
const TYPED_MS = 350;

const app = document.getElementById("app");

class Window {
  constructor() {
    this.now = null;
    this.timer = 0;
    this.states = "";
  }

  async begin() {
    try {
      if (!(await comeIn())) throw new Ended("no-session");
      const { local, own, separator } = await ask("usual");
      knowOwn(own);
      this.usual = `${placeOf(local)}${separator}`;
      this.make();
      document.addEventListener("visibilitychange", () => this.look());
      await this.look();
    } catch (error) {
      this.failed(error);
    }
  }

  failed(error) {
    if (!(error instanceof Ended)) throw error;
    clearTimeout(this.timer);
    showEnd(app, NAME, error.code, COMMAND);
  }

  async look() {
    clearTimeout(this.timer);
    try {
      this.now = await ask("now");
    } catch (error) {
      if (error instanceof Refusal) return;
      this.failed(error);
      return;
    }
    knowOwn(this.now.own);
    this.show();
    this.timer = setTimeout(() => this.look(), document.hidden ? HIDDEN_MS : LOOK_MS);
  }

  make() {
    document.title = t("light.title");
    this.list = h("div", {});
    this.form = this.makeForm();
    app.replaceChildren(h("header", {}, brand(NAME), languageSwitch()), h("main", { class: "narrow" }, h("h1", { tabindex: "-1" }, t("light.title")), this.list, this.form.place));
  }

  // ---- a new link ------------------------------------------------------------------------------------------

  makeForm() {
    const link = h("input", { type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "none", required: true, placeholder: "https://files.example.org/s#…" });
    const place = h("input", { type: "text", spellcheck: "false", autocomplete: "off", required: true, value: `${this.usual}${t("light.folder")}` });
    const pin = h("input", { type: "text", inputmode: "numeric", autocomplete: "one-time-code" });
    const proxy = h("input", { type: "text", inputmode: "url", spellcheck: "false", autocomplete: "off", placeholder: "http://proxy.example.org:3128" });
    const file = h("input", { type: "file", accept: ".pem,.crt,.cer" });
    const told = h("p", { class: "hint", id: uid() });
    const pick = button(t("first.place.choose"), async () => {
      const chosen = await choosePlace(place.value);
      if (chosen) place.value = chosen;
      await lookAtPlace();
      place.focus();
    }, { "aria-label": t("light.choose") });
    h("div", { class: "with" }, place, pick);
    const linkField = field(t("light.link"), link, { hint: t("light.link_hint") });
    const placeField = field(t("light.place"), place);
    placeField.append(told);
    const pinField = field(t("light.pin"), pin, { hint: t("light.pin_hint") });
    pinField.hidden = true;
    const wrong = h("p", { role: "alert", class: "wrong" });
    const waits = h("p", { role: "status", class: "waits" });
    const go = h("button", { type: "submit", class: "main" }, h("span", {}, t("light.go")));
    const lookAtPlace = async () => {
      try {
        const found = await ask("place", { local: place.value });
        placeField.say("");
        told.textContent = [found.exists ? (found.items ? t("light.holds", { count: found.items }) : t("first.place.empty")) : t("first.place.new"), t("first.place.free", { size: size(found.free_bytes) })].join(" ");
        return true;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        told.textContent = "";
        placeField.say(troubleWords(error));
        return false;
      }
    };
    let timer = 0;
    place.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(lookAtPlace, TYPED_MS);
    });
    link.addEventListener("input", () => linkField.say(""));
    const title = h("h2", { id: uid() }, t("light.new"));
    const form = h("form", { novalidate: true, on: { submit: async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      linkField.say(link.value.trim() ? "" : t("missing"));
      if (!link.value.trim()) {
        link.focus();
        return;
      }
      go.disabled = true;
      try {
        if (!(await lookAtPlace())) {
          place.focus();
          return;
        }
        const authority = file.files.length ? await file.files[0].text() : "";
        const done = await ask("follow", { link: link.value, local: place.value, pin: pin.value, proxy: proxy.value, authority });
        waits.textContent = done.waits ? t("light.waits") : "";
        await this.look();
        if (!done.waits) this.begun();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (error.code === "pin-needed" && pinField.hidden) {
          pinField.hidden = false;
          pin.focus();
          say(t("light.pin_hint"));
        } else wrong.textContent = troubleWords(error);
      } finally {
        go.disabled = this.now?.waits ?? false;
      }
    } } }, linkField, placeField, pinField, h("details", {}, h("summary", {}, t("first.server.more")), field(t("network.proxy"), proxy, { hint: t("network.proxy_hint") }), field(t("network.authority"), file, { hint: t("network.authority_hint") })), waits, wrong, h("div", { class: "buttons" }, go));
    const section = h("section", { class: "card step", "aria-labelledby": title.id }, title, form);
    return { place: section, wrong, waits, go, empty: () => {
      link.value = "";
      pin.value = "";
      pinField.hidden = true;
      place.value = `${this.usual}${t("light.folder")} ${this.now.folders.length + 1}`;
      told.textContent = "";
    } };
  }

  begun() {
    this.form.empty();
    say(t("light.begun"));
    app.querySelector("h1").focus();
  }

  // ---- the folders -----------------------------------------------------------------------------------------

  show() {
    const { folders, running, waits, wrong } = this.now;
    if (wrong) this.form.wrong.textContent = troubleWords({ code: wrong.error, message: wrong.message });
    else if (this.waited && !waits) this.begun();
    this.waited = waits;
    if (!waits) this.form.waits.textContent = "";
    this.form.go.disabled = waits;
    fill(this.list, [folders.map(({ looked_at_ms: _, ...one }) => one), running], () => {
      const live = folders.some((one) => one.state !== "ended");
      const start = live && !running ? h("section", { class: "card state" }, mark("offline"), h("div", { class: "words" }, h("p", { class: "big" }, t("light.stopped"))), h("div", { class: "buttons" }, button(t("light.start"), () => this.act(() => ask("start")), { kind: "main", icon: "play", "data-key": "start" }))) : null;
      return [start, ...folders.map((one) => this.card(one))];
    });
    const states = folders.map((one) => one.state).join();
    if (this.states && this.states !== states) say(folders.map((one) => `${nameOf(one.folder)}: ${stateWords(one)}`).join(". "));
    this.states = states;
  }

  async act(what, words) {
    try {
      await what();
      if (words) say(words);
      await this.look();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.form.wrong.textContent = troubleWords(error);
    }
  }

  card(one) {
    const ended = one.state === "ended";
    const state = ended ? "error" : one.running ? one.state : "offline";
    const name = nameOf(one.folder);
    const waits = one.problems.some((problem) => problem.code === "guard");
    const troubled = one.problems.filter((problem) => problem.code !== "guard" && problem.path);
    const facts = [t("files", { count: one.files }), size(one.bytes), one.own_files ? t("home.own_files", { count: one.own_files }) : ""].filter(Boolean);
    const about = [one.shared_by ? t("light.by", { name: shown(one.shared_by) }) : "", one.label ? shown(one.label) : "", one.expires_at_ms && !ended ? t("light.until", { time: moment(one.expires_at_ms) }) : ""].filter(Boolean);
    const buttons = [button(t("open"), () => this.act(() => ask("show", { path: one.folder })), { icon: "open", "aria-label": t("home.open", { name }), "data-key": `open ${one.folder}` }), button(t(ended ? "light.forget" : "folders.remove"), () => this.remove(one, name), { "data-key": `remove ${one.folder}`, "aria-label": ended ? t("light.forget_of", { name }) : t("folders.remove_of", { name }) })];
    if (waits) buttons.unshift(button(t("guard.apply"), () => this.act(() => ask("apply", { folder: one.folder }), t("guard.done_apply")), { kind: "bad", "data-key": `apply ${one.folder}` }));
    const words = ended || currentLanguage() === "en" ? foreign(h("p", { class: ended ? "wrong" : "" }), one.words) : h("p", {}, stateWords(one));
    return h("section", { class: "card folder", "aria-label": name }, mark(state),
      h("div", { class: "words" }, h("h2", {}, name), h("p", { class: "hint path" }, placeOf(one.folder)), words, waits ? h("p", {}, t("light.guard")) : null,
        h("p", { class: "facts" }, ...facts.map((fact) => h("span", {}, fact))), h("p", { class: "facts" }, ...about.map((fact) => h("span", {}, fact))),
        troubled.length ? h("ul", { class: "hint" }, ...troubled.slice(0, 5).map((problem) => h("li", {}, picture("problems", "warn"), " ", foreign(h("span", {}), `${problem.path}: ${problem.message}`)))) : null,
        h("div", { class: "buttons" }, ...buttons)));
  }

  async remove(one, name) {
    const sure = await dialog(t("folders.sure", { name }), h("p", {}, t("light.sure_about")), [
      { words: t("cancel"), value: false },
      { words: t("folders.remove"), value: true, kind: "main" },
    ]);
    if (!sure) return;
    await this.act(() => ask("remove", { folder: one.folder }), t("folders.removed", { name }));
    app.querySelector("h1").focus();
  }
}

function stateWords(one) {
  if (one.state === "ended") return t("light.ended");
  return one.state === "synced" ? t("light.synced") : t(`state.${one.state}`);
}

new Window().begin();
