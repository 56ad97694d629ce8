// The settings of this computer: how fast, which notices, starting, what is ignored, the way to the server, help.

import { Refusal, ask } from "./asking.js";
import { button, dialog, field, fill, h, picture, say, uid } from "./dom.js";
import { tried } from "./trying.js";
import { foreign, moment, nameOf, shown, size, t } from "./words.js";

const LEAST_KILOBYTES = 20;
const LEVELS = ["all", "important", "none"];
const SNOOZES = [3_600, 4 * 3_600, 24 * 3_600];
const FOUND = { ok: "synced", warning: "attention", error: "error" };

export class Settings {
  constructor(page) {
    this.page = page;
    this.about = null;
    this.speed = h("div", {});
    this.notices = h("div", {});
    this.starting = h("div", {});
    this.rules = h("div", {});
    this.network = h("div", {});
    this.help = h("div", {});
    this.place = h("div", { class: "settings" }, h("h1", {}, t("part.settings")), ...[["speed", this.speed], ["notices", this.notices], ["starting", this.starting], ["rules", this.rules], ["network", this.network], ["help", this.help]].map(([name, place]) => {
      const title = h("h2", { id: uid() }, t(`settings.${name}`));
      return h("section", { class: "card group-card", "aria-labelledby": title.id }, title, place);
    }));
    this.fillHelp();
    this.load();
  }

  update({ status }) {
    fill(this.speed, [status.running, status.limits], () => (status.running ? this.speedForm(status.limits ?? {}) : h("p", { class: "hint" }, t("home.not_running"))));
    fill(this.rules, [status.running, status.folders.map((one) => one.local)], () => this.rulesForm(status));
  }

  async load() {
    await this.act(null, async () => this.show(await ask("settings")));
  }

  show(about) {
    this.about = about;
    fill(this.notices, about.notices, () => this.noticesForm(about.notices));
    fill(this.starting, [about.autostart], () => this.startingForm(about.autostart));
    fill(this.network, [about.server, about.user, about.device, about.proxy, about.authority, about.kept], () => this.networkForm(about));
  }

  // Does it; what went wrong is said in `line`, what went well to whoever listens.
  act(line, what, words) {
    return tried(line, what, words);
  }

  form(parts, words, act) {
    const wrong = h("p", { role: "alert", class: "wrong" });
    const told = h("p", { class: "saved" });
    const go = h("button", { type: "submit" }, h("span", {}, words));
    return h("form", { novalidate: true, on: { submit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      told.textContent = "";
      const done = await this.act(wrong, act, t("saved"));
      go.disabled = false;
      if (done) told.textContent = t("saved");
    } } }, ...parts, wrong, h("div", { class: "buttons" }, go, told));
  }

  // ---- speed -----------------------------------------------------------------------------------------------

  speedForm(limits) {
    const rate = (way) => h("input", { type: "number", min: String(LEAST_KILOBYTES), step: "1", inputmode: "numeric", value: limits[way] ? String(Math.round(limits[way] / 1_000)) : "" });
    const up = rate("up");
    const down = rate("down");
    const hour = (minutes) => (minutes === null || minutes === undefined ? "" : `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`);
    const begins = h("input", { type: "time", value: hour(limits.begins) });
    const ends = h("input", { type: "time", value: hour(limits.ends) });
    const fields = [field(t("speed.up"), up), field(t("speed.down"), down)];
    const hours = [field(t("speed.from"), begins), field(t("speed.to"), ends)];
    const bytes = (input, one) => {
      one.say("");
      if (!input.value.trim()) return null;
      const value = Math.round(Number(input.value) * 1_000);
      if (!(value >= LEAST_KILOBYTES * 1_000)) {
        one.say(t("speed.least", { count: LEAST_KILOBYTES }));
        throw new Refusal("no-number", t("speed.least", { count: LEAST_KILOBYTES }));
      }
      return value;
    };
    const minutes = (input) => (input.value ? Number(input.value.slice(0, 2)) * 60 + Number(input.value.slice(3, 5)) : null);
    const form = this.form([h("p", { class: "hint" }, t("speed.about")), h("div", { class: "pair" }, ...fields), h("div", { class: "pair" }, ...hours), h("p", { class: "hint" }, t("speed.hours"))], t("save"), async () => {
      const changed = { ...limits, up: bytes(up, fields[0]), down: bytes(down, fields[1]), begins: minutes(begins), ends: minutes(ends) };
      if ((changed.begins === null) !== (changed.ends === null)) throw new Refusal("no-hours", t("speed.both"));
      const told = await ask("limit", { limits: changed });
      this.speed.shownFacts = JSON.stringify([true, told]); // what was typed stays as it is
      return told;
    });
    return form;
  }

  // ---- notices ---------------------------------------------------------------------------------------------

  noticesForm(notices) {
    const wrong = h("p", { role: "alert", class: "wrong" });
    const save = async (level, seconds) => {
      const about = await this.act(wrong, () => ask("notices", { level, snooze_seconds: seconds }), t("saved"));
      if (about) this.show(about);
    };
    const left = Math.max(0, Math.round(notices.snooze_until - Date.now() / 1000));
    const name = uid();
    const radios = LEVELS.map((level) => h("label", { class: "choice" }, h("input", { type: "radio", name, value: level, checked: level === notices.level, "data-key": level, on: { change: () => save(level, left) } }), h("span", {}, h("span", { class: "name" }, t(`notices.${level}`)), h("span", { class: "hint" }, t(`notices.${level}_about`)))));
    const snooze = left
      ? h("div", { class: "buttons" }, h("p", {}, t("notices.until", { time: moment(notices.snooze_until * 1000) })), button(t("notices.again"), () => save(notices.level, 0), { "data-key": "snooze" }))
      : h("div", { class: "buttons" }, h("p", {}, t("notices.snooze")), ...SNOOZES.map((seconds) => button(t("home.pause_hours", { count: seconds / 3_600 }), () => save(notices.level, seconds), { "data-key": `snooze ${seconds}` })));
    return [h("fieldset", {}, h("legend", { class: "by-ear" }, t("settings.notices")), ...radios), snooze, wrong];
  }

  // ---- starting --------------------------------------------------------------------------------------------

  startingForm(on) {
    const wrong = h("p", { role: "alert", class: "wrong" });
    const box = h("input", { type: "checkbox", checked: on, "data-key": "autostart", on: { change: async () => {
      const about = await this.act(wrong, () => ask("autostart", { on: box.checked }), t("saved"));
      if (about) this.show(about);
      else box.checked = on;
    } } });
    return [h("label", { class: "choice" }, box, h("span", {}, h("span", { class: "name" }, t("starting.login")), h("span", { class: "hint" }, t("starting.login_about")))), wrong];
  }

  // ---- what is ignored -------------------------------------------------------------------------------------

  rulesForm(status) {
    if (!status.running || !status.folders.length) return [h("p", { class: "hint" }, t(status.running ? "home.no_folder" : "home.not_running"))];
    const folder = h("select", {}, ...status.folders.map((one) => h("option", { value: one.local }, nameOf(one.local))));
    const text = h("textarea", { rows: "7", spellcheck: "false" });
    let before = "";
    const read = () => this.act(wrong, async () => {
      before = (await ask("rules", { folder: folder.value })).text;
      text.value = before;
    });
    folder.addEventListener("change", read);
    const form = this.form([h("p", { class: "hint" }, t("rules.about")), field(t("rules.folder"), folder), field(t("rules.text"), text, { hint: t("rules.hint") })], t("save"), async () => {
      const told = await ask("save-rules", { folder: folder.value, text: text.value, before });
      before = told.text;
      return told;
    });
    const wrong = form.querySelector("[role=alert]");
    read();
    const path = h("input", { type: "text", spellcheck: "false", autocomplete: "off", placeholder: "raw/scan.log" });
    const answer = h("p", { role: "status", class: "answer" });
    const test = h("form", { novalidate: true, on: { submit: async (event) => {
      event.preventDefault();
      const asked = path.value.trim();
      const whole = /^([\\/~]|[A-Za-z]:)/.test(asked) ? asked : `${folder.value}/${asked}`;
      answer.textContent = "";
      const found = asked ? await this.act(answer, () => ask("ignore-test", { path: whole })) : null;
      if (found) answer.replaceChildren(h("strong", {}, t(found.ignored ? "rules.ignored" : "rules.synced")), " ", foreign(h("span", {}), found.words));
    } } }, field(t("rules.test"), path, { hint: t("rules.test_hint") }), answer, h("div", { class: "buttons" }, h("button", { type: "submit" }, h("span", {}, t("rules.ask")))));
    return [form, h("hr"), test];
  }

  // ---- the way to the server -------------------------------------------------------------------------------

  networkForm(about) {
    if (!about.server) return [h("p", { class: "hint" }, t("network.nobody"))];
    const facts = h("dl", {});
    const fact = (name, value) => facts.append(h("dt", {}, name), h("dd", {}, value));
    fact(t("network.server"), shown(about.server));
    fact(t("network.user"), shown(about.user));
    fact(t("network.device"), shown(about.device));
    fact(t("network.kept"), t(`network.kept_${about.kept}`));
    if (about.authority) fact(t("network.pinned"), h("code", {}, about.authority));
    const proxy = h("input", { type: "text", inputmode: "url", spellcheck: "false", autocomplete: "off", placeholder: "http://proxy.example.org:3128", value: about.proxy });
    const file = h("input", { type: "file", accept: ".pem,.crt,.cer" });
    const form = this.form([field(t("network.proxy"), proxy, { hint: t("network.proxy_hint") }), field(t("network.authority"), file, { hint: t("network.authority_hint") })], t("network.save"), async () => {
      const changed = {};
      if (proxy.value.trim() !== about.proxy) changed.proxy = proxy.value;
      if (file.files.length) changed.authority = await file.files[0].text();
      const told = await ask("network", changed);
      this.show(told);
      return told;
    });
    return [facts, h("details", {}, h("summary", {}, t("network.change")), form)];
  }

  // ---- help ------------------------------------------------------------------------------------------------

  fillHelp() {
    const found = h("ul", { class: "findings", "aria-live": "polite" });
    const wrong = h("p", { role: "alert", class: "wrong" });
    const look = button(t("help.doctor"), async () => {
      look.disabled = true;
      found.replaceChildren(h("li", { class: "hint" }, t("help.looking")));
      const told = await this.act(wrong, () => ask("doctor"));
      look.disabled = false;
      found.replaceChildren(...(told?.checks ?? []).map((one) => h("li", {}, picture(FOUND[one.result], `mark is-${FOUND[one.result]}`), h("div", { class: "words" }, h("span", { class: "by-ear" }, t(`help.${one.result}`)), foreign(h("p", {}), one.message), one.hint ? foreign(h("p", { class: "hint" }), one.hint) : null))));
    });
    const bundle = button(t("help.bundle"), async () => {
      bundle.disabled = true;
      const told = await this.act(wrong, () => ask("bundle"));
      bundle.disabled = false;
      if (!told) return;
      const list = h("ul", { class: "parts" }, ...told.parts.map((one) => h("li", {}, h("code", {}, one.name), h("span", { class: "hint" }, size(one.bytes)))));
      const sure = await dialog(t("help.bundle_title"), [h("p", {}, t("help.bundle_about")), list], [{ words: t("cancel"), value: false }, { words: t("help.bundle_save"), value: true, kind: "main" }]);
      if (sure) download(told.zip, "mb-sync-report.zip");
    });
    this.help.replaceChildren(h("p", { class: "hint" }, t("help.about")), h("div", { class: "buttons" }, look, bundle), wrong, found);
  }
}

function download(base64, name) {
  const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
  const link = h("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
