// Who sees a folder, and sync codes for somebody outside.

import { ask } from "./asking.js";
import { button, dialog, field, fill, h, picture, say } from "./dom.js";
import { tried } from "./trying.js";
import { moment, nameOf, placeOf, shown, t } from "./words.js";

const ROLES = ["reader", "editor", "metadata"];
const KINDS = ["user", "team", "project"];
const DAYS = [1, 7, 30, 90, 365];

export class Sharing {
  constructor(page, path) {
    this.page = page;
    this.path = path;
    this.name = nameOf(path);
    this.found = null;
    this.wrong = h("p", { role: "alert", class: "wrong" });
    this.made = h("div", { class: "made" });
    this.body = h("div", {}, h("p", { class: "hint" }, t("loading")));
    this.place = h("div", {}, h("h1", {}, t("sharing.title", { name: this.name })), h("p", { class: "hint path" }, placeOf(path)), this.wrong, this.body);
    this.load();
  }

  update() {}

  async load() {
    const found = await this.act(() => ask("shared", { path: this.path }));
    if (found) this.show(found);
    else if (!this.found) this.body.replaceChildren(button(t("again"), () => this.load(), { icon: "again" }));
  }

  act(what) {
    return tried(this.wrong, what);
  }

  show(found) {
    this.found = found;
    fill(this.body, found, () => {
      if (!found.may_share) return [h("p", { class: "card empty" }, t("sharing.may_not"))];
      if (found.is_whole) return [h("p", { class: "card empty" }, t("sharing.whole"))];
      return [this.people(found), this.outside(found)];
    });
  }

  // ---- people of this server -------------------------------------------------------------------------------

  people(found) {
    const lines = found.seers.map((one) => this.seer(one));
    return h("section", { "aria-label": t("sharing.people") }, h("h2", {}, t("sharing.people")), h("ul", { class: "card items" }, ...lines), this.invitation());
  }

  seer(one) {
    const [kind, name] = one.who.includes(":") ? one.who.split(/:(.*)/s) : ["user", one.who];
    const from = one.here || one.role === "owner" ? "" : t("sharing.through", { folder: shown(one.on) });
    const end = one.removable ? button(t("sharing.end"), () => this.end(one), { "aria-label": t("sharing.end_of", { name: shown(name) }), "data-key": `end ${one.who}` }) : null;
    return h("li", {}, picture(kind === "user" ? "person" : "people"), h("div", { class: "words" }, h("p", { class: "name" }, shown(name)), h("p", { class: "hint" }, [t(`role.${one.role}`), from].filter(Boolean).join(" · "))), end);
  }

  invitation() {
    const kind = h("select", {}, ...KINDS.map((one) => h("option", { value: one }, t(`sharing.kind.${one}`))));
    const name = h("input", { type: "text", autocomplete: "off", spellcheck: "false", maxlength: "100" });
    const role = h("select", {}, ...ROLES.map((one) => h("option", { value: one }, t(`role.${one}`))));
    const named = field(t("sharing.name"), name);
    const send = async (event) => {
      event.preventDefault();
      named.say(name.value.trim() ? "" : t("sharing.name_missing"));
      if (!name.value.trim()) {
        name.focus();
        return;
      }
      const who = `${kind.value}:${name.value.trim()}`;
      const done = await this.act(() => ask("share", { path: this.path, who, role: role.value }));
      if (done) await this.again(t("sharing.done", { name: name.value.trim(), role: t(`role.${role.value}`) }));
    };
    return h("form", { class: "card step group-card", novalidate: true, on: { submit: send } }, h("h3", {}, t("sharing.with")), h("div", { class: "pair" }, field(t("sharing.kind"), kind), named), field(t("sharing.role"), role), h("div", { class: "buttons" }, h("button", { class: "main" }, t("sharing.share"))));
  }

  async end(one) {
    const name = shown(one.who.split(/:(.*)/s)[1] ?? one.who);
    const sure = await dialog(t("sharing.sure", { name }), h("p", {}, t("sharing.sure_about")), [
      { words: t("cancel"), value: false },
      { words: t("sharing.end"), value: true, kind: "main" },
    ]);
    if (!sure) return;
    const done = await this.act(() => ask("unshare", { path: this.path, who: one.who }));
    if (done) await this.again(t("sharing.ended", { name }));
  }

  // ---- somebody outside ------------------------------------------------------------------------------------

  outside(found) {
    const lines = found.codes.map((one) => this.code(one));
    return h("section", { "aria-label": t("codes.title") }, h("h2", {}, t("codes.title")), h("p", { class: "hint" }, t("codes.about")), this.made, lines.length ? h("ul", { class: "card items" }, ...lines) : null, this.newCode());
  }

  code(one) {
    const used = one.devices.filter((device) => !device.waiting).length;
    const about = [t("codes.until", { day: moment(one.expires_at_ms) }), t("codes.devices", { used, count: one.devices_allowed })].join(" · ");
    return h("li", {}, picture("open"), h("div", { class: "words" }, h("p", { class: "name" }, shown(one.label) || one.code), h("p", { class: "hint tabular" }, one.label ? `${one.code} · ${about}` : about)), button(t("codes.end"), () => this.revoke(one), { "aria-label": t("codes.end_of", { name: shown(one.label) || one.code }), "data-key": `revoke ${one.code}` }));
  }

  newCode() {
    const label = h("input", { type: "text", autocomplete: "off", maxlength: "200" });
    const days = h("select", {}, ...DAYS.map((one) => h("option", { value: one, selected: one === 30 }, t("codes.days", { count: one }))));
    const devices = h("input", { type: "number", min: "1", max: "1000", value: "3", inputmode: "numeric" });
    const pin = h("input", { type: "checkbox" });
    const browse = h("input", { type: "checkbox" });
    const many = field(t("codes.how_many"), devices);
    const send = async (event) => {
      event.preventDefault();
      const count = Number(devices.value);
      const fits = Number.isInteger(count) && count >= 1 && count <= 1000;
      many.say(fits ? "" : t("codes.how_many_wrong"));
      if (!fits) return;
      const made = await this.act(() => ask("make-code", { path: this.path, label: label.value, days: Number(days.value), devices: count, pin: pin.checked, browse: browse.checked }));
      if (made) {
        this.tell(made);
        await this.again(t("codes.made"), this.made.querySelector("input"));
      }
    };
    return h("form", { class: "card step group-card", novalidate: true, on: { submit: send } }, h("h3", {}, t("codes.new")), field(t("codes.label"), label, { hint: t("codes.label_hint") }), h("div", { class: "pair" }, field(t("codes.how_long"), days), many), h("label", { class: "choice" }, pin, h("span", {}, t("codes.pin"))), h("label", { class: "choice" }, browse, h("span", {}, t("codes.browse"))), h("div", { class: "buttons" }, h("button", { class: "main" }, t("codes.make"))));
  }

  // The link is shown this once.
  tell(made) {
    const link = h("input", { type: "text", readonly: true, value: made.link, on: { focus: () => link.select() } });
    const copied = h("span", { role: "status", class: "hint" });
    const copy = button(t("codes.copy"), async () => {
      try {
        await navigator.clipboard.writeText(made.link);
      } catch {
        link.focus();
        return;
      }
      copied.textContent = t("codes.copied");
    }, { kind: "main" });
    const pin = made.pin ? h("p", {}, t("codes.pin_is"), " ", h("code", {}, made.pin)) : null;
    this.made.replaceChildren(h("div", { class: "card step group-card" }, h("h3", {}, t("codes.made")), h("div", { class: "with" }, link, copy), copied, pin, h("p", { class: "hint" }, t("codes.once", { day: moment(made.expires_at_ms) }))));
    link.setAttribute("aria-label", t("codes.link"));
  }

  async revoke(one) {
    const name = shown(one.label) || one.code;
    const sure = await dialog(t("codes.sure", { name }), h("p", {}, t("codes.sure_about")), [
      { words: t("cancel"), value: false },
      { words: t("codes.end"), value: true, kind: "main" },
    ]);
    if (!sure) return;
    const done = await this.act(() => ask("revoke-code", { code: one.code }));
    if (done) await this.again(t("codes.ended", { name }));
  }

  async again(words, focus = null) {
    this.body.shownFacts = "";
    await this.load();
    say(words);
    (focus ?? this.place.querySelector("h1")).focus();
  }
}
