// The first steps: server, sign in, folders, place.  Then the first sync, until all is there.

import { Refusal, ask } from "./asking.js";
import { button, field, fill, h, mark, picture, say, uid } from "./dom.js";
import { progressWords, signInAgain } from "./home.js";
import { choosePlace } from "./places.js";
import { Choice, Tree } from "./tree.js";
import { nameOf, placeOf, shown, size, t, troubleWords } from "./words.js";

const STEPS = ["server", "sign_in", "folders", "place"];
const WORKS_MS = 20_000;
const LOOK_MS = 350; // after the last key, before a place is looked at

export class FirstRun {
  constructor(page) {
    this.page = page;
    this.given = { server: "", user: "", device: "", proxy: "", authority: "" };
    this.choice = new Choice();
    this.places = new Map(); // remote path → what was typed for it
    this.isOver = false;
    this.step = "";
    this.list = h("ol", { class: "steps", "aria-label": t("first.steps") });
    this.card = h("section", { class: "card step" });
    this.place = h("div", {}, this.list, this.card);
    const { status } = page.now;
    this.given.server = status.server ?? "";
    this.given.user = status.user ?? "";
    this.signedIn = Boolean(status.server) && !signInAgain(status);
    this.firstTime = !status.folders.length;
    this.show(this.signedIn ? "folders" : "server");
  }

  update({ status }) {
    if (this.step === "syncing") this.showSyncing(status);
  }

  // ---- one step at a time ----------------------------------------------------------------------------------

  show(step) {
    this.step = step;
    const at = STEPS.indexOf(step);
    this.list.hidden = at < 0;
    this.list.replaceChildren(...STEPS.map((one, number) => h("li", { class: number < at ? "done" : "", "aria-current": number === at ? "step" : null }, h("span", { class: "number", "aria-hidden": "true" }, number < at ? picture("tick") : String(number + 1)), h("span", {}, t(`first.${one}.short`)))));
    const made = { server: () => this.server(), sign_in: () => this.signIn(), folders: () => this.folders(), place: () => this.choosePlaces(), syncing: () => this.syncing() }[step]();
    this.card.shownFacts = null;
    this.card.replaceChildren(...made.flat(9).filter(Boolean));
    const heading = this.card.querySelector("h1");
    document.title = `${heading.textContent} · MB-Sync`;
    if (at >= 0) heading.prepend(h("span", { class: "by-ear" }, t("first.step", { at: at + 1, of: STEPS.length })));
    const first = this.card.querySelector("input:not([type=file]), [role=treeitem][tabindex='0']");
    heading.tabIndex = -1;
    if (first && this.shownOnce) first.focus();
    else heading.focus();
    this.shownOnce = true;
  }

  // A form with its buttons; `act` may throw, and what it says is shown.
  form(parts, words, act, { back = null, cancel = false } = {}) {
    const wrong = h("p", { role: "alert", class: "wrong" });
    const go = h("button", { type: "submit", class: "main" }, h("span", {}, words));
    const buttons = h("div", { class: "buttons" }, back && button(t("back"), back, { kind: "back" }), cancel && button(t("cancel"), () => this.leaveFor("home")), go);
    const form = h("form", { novalidate: true, on: { submit: async (event) => {
      event.preventDefault();
      if (go.disabled) return;
      wrong.textContent = "";
      go.disabled = true;
      go.classList.add("busy");
      try {
        await act();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        wrong.textContent = troubleWords(error);
      } finally {
        go.disabled = false;
        go.classList.remove("busy");
      }
    } } }, ...parts, wrong, buttons);
    form.wrong = wrong;
    form.go = go;
    return form;
  }

  leaveFor(part) {
    this.isOver = true;
    location.hash = `#/${part}`;
    this.page.go();
  }

  // ---- 1: the server ---------------------------------------------------------------------------------------

  server() {
    const { given } = this;
    const address = h("input", { type: "url", inputmode: "url", autocomplete: "url", spellcheck: "false", required: true, placeholder: "files.example.org", value: given.server });
    const proxy = h("input", { type: "text", inputmode: "url", spellcheck: "false", autocomplete: "off", placeholder: "http://proxy.example.org:3128", value: given.proxy });
    const file = h("input", { type: "file", accept: ".pem,.crt,.cer" });
    const addressField = field(t("first.server.address"), address, { hint: t("first.server.hint") });
    address.addEventListener("input", () => addressField.say(""));
    address.addEventListener("blur", () => address.value && addressField.say(addressTrouble(address.value)));
    const more = h("details", { open: Boolean(given.proxy || given.authority) }, h("summary", {}, t("first.server.more")), field(t("network.proxy"), proxy, { hint: t("network.proxy_hint") }), field(t("network.authority"), file, { hint: t("network.authority_hint") }));
    const form = this.form([addressField, more], t("continue"), async () => {
      const trouble = addressTrouble(address.value);
      addressField.say(trouble);
      if (trouble) {
        address.focus();
        return;
      }
      given.server = address.value;
      given.proxy = proxy.value;
      if (file.files.length) given.authority = await file.files[0].text();
      await this.greet({});
    }, { cancel: this.signedIn });
    return [h("h1", {}, t("first.server.title")), h("p", {}, t("first.server.about")), form];
  }

  async greet(more) {
    const { server, proxy, authority } = this.given;
    const told = await ask("greet", { server, proxy, authority, ...more });
    this.given.server = told.server;
    this.given.device ||= told.device;
    if (told.fingerprint) this.compare(told.fingerprint);
    else this.show("sign_in");
  }

  // The server has an authority of its own: a person compares what it shows with what they were told.
  compare(fingerprint) {
    const groups = fingerprint.split(" ");
    const form = this.form([h("p", {}, t("first.compare.about")), h("p", { class: "fingerprint", "aria-label": t("first.compare.label") }, ...groups.map((one) => h("code", {}, one))), h("p", { class: "hint" }, t("first.compare.hint"))], t("first.compare.yes"), () => this.greet({ fingerprint }), { back: () => this.show("server") });
    this.card.replaceChildren(h("h1", { tabindex: "-1" }, t("first.compare.title")), form);
    this.card.querySelector("h1").focus();
  }

  // ---- 2: signing in ---------------------------------------------------------------------------------------

  signIn() {
    const { given } = this;
    const user = h("input", { type: "text", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, value: given.user });
    const password = h("input", { type: "password", autocomplete: "current-password", required: true });
    const device = h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: given.device });
    const reveal = h("button", { type: "button", class: "reveal", "aria-pressed": "false", on: { click: () => {
      const shows = password.type === "password";
      password.type = shows ? "text" : "password";
      reveal.setAttribute("aria-pressed", String(shows));
    } } }, t("first.sign_in.show"));
    h("div", { class: "with" }, password, reveal);
    const fields = [field(t("first.sign_in.user"), user), field(t("first.sign_in.password"), password), field(t("first.sign_in.device"), device, { hint: t("first.sign_in.device_hint") })];
    const missing = (input, one) => {
      one.say(input.value.trim() ? "" : t("missing"));
      return !input.value.trim();
    };
    for (const [input, one] of [[user, fields[0]], [password, fields[1]]]) input.addEventListener("input", () => one.say(""));
    const form = this.form(fields, t("first.sign_in.go"), async () => {
      const wrong = [[user, fields[0]], [password, fields[1]]].filter(([input, one]) => missing(input, one));
      if (wrong.length) {
        wrong[0][0].focus();
        return;
      }
      given.user = user.value;
      given.device = device.value;
      await ask("sign-in", { user: user.value, password: password.value, device: device.value });
      this.signedIn = true;
      await this.untilItWorks();
      this.firstTime = !this.page.now.status.folders.length;
      if (!this.firstTime) this.leaveFor("home");
      else this.show("folders");
    }, { back: () => this.show("server") });
    return [h("h1", {}, t("first.sign_in.title")), h("p", { class: "hint path" }, shown(given.server)), form];
  }

  // A client that was just started, or told of the new sign-in, knows its folders a moment later.
  async untilItWorks() {
    const ends = Date.now() + WORKS_MS;
    do {
      await this.page.look();
      if (!["starting", "error"].includes(this.page.now.status.state)) return;
      await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
    } while (Date.now() < ends);
  }

  // ---- 3: folders ------------------------------------------------------------------------------------------

  folders() {
    const chosen = h("p", { class: "hint", role: "status" });
    const waiting = h("p", { class: "hint" }, t("loading"));
    const tree = new Tree({
      label: t("first.folders.tree"),
      load: async (item) => {
        const found = foldersOnly(await ask("remote", { path: item.path }));
        this.countSizes(found.items, tree);
        return found;
      },
      state: (item) => (item.may_read === false || this.isFollowed(item.path) ? "fixed" : this.choice.state(item.path)),
      toggle: (item) => {
        this.choice.toggle(item);
        tellChosen();
      },
      words: (item) => (this.isFollowed(item.path) ? t("first.folders.followed") : item.may_read === false ? t("first.folders.names_only") : item.size ? t(item.more ? "first.folders.more_than" : "first.folders.size", { size: size(item.size) }) : ""),
      wrong: (error) => { form.wrong.textContent = troubleWords(error); },
    });
    const tellChosen = () => {
      const count = this.choice.folders().length;
      chosen.textContent = count ? t("first.folders.chosen", { count }) : t("first.folders.none");
    };
    const form = this.form([waiting, tree.place, chosen], t("continue"), async () => {
      if (!this.choice.folders().length) throw new Refusal("nothing-chosen", t("first.folders.none"));
      await this.fillPlaces();
      this.show("place");
    }, { back: this.page.now.status.folders.length ? null : () => this.show("server"), cancel: !this.firstTime });
    this.loadTree(tree, waiting, form, tellChosen);
    return [h("h1", {}, t("first.folders.title")), h("p", {}, t("first.folders.about")), form];
  }

  // One after the other, while this step is shown: a person reads meanwhile.
  async countSizes(items, tree) {
    for (const item of items) {
      if (this.step !== "folders" || item.may_read === false) continue;
      try {
        const found = await ask("size", { path: item.path });
        Object.assign(item, { size: found.bytes, more: !found.whole });
      } catch (error) {
        if (!(error instanceof Refusal)) return; // the page has ended: it says so itself
      }
      tree.refresh();
    }
  }

  isFollowed(path) {
    return this.page.now.status.folders.some((folder) => folder.remote === path);
  }

  async loadTree(tree, waiting, form, tellChosen) {
    try {
      const { items } = await ask("remote", { path: "/" });
      const usable = items.map((item) => ({ ...item, name: placeName(item), picture: item.kind === "home" ? "person" : item.kind === "folder" ? "people" : "folder" }));
      if (!this.choice.said.size) {
        const home = usable.find((item) => item.kind === "home" && !this.isFollowed(item.path));
        if (home && this.firstTime) this.choice.toggle(home);
      }
      tree.show(usable);
      waiting.remove();
      if (!this.page.part || document.activeElement === this.card.querySelector("h1") || document.activeElement === document.body) tree.place.querySelector("[tabindex='0']")?.focus();
      tellChosen();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      waiting.remove();
      form.wrong.textContent = troubleWords(error);
      form.wrong.after(button(t("again"), () => this.show("folders"), { icon: "again" }));
    }
  }

  // ---- 4: places -------------------------------------------------------------------------------------------

  async fillPlaces() {
    const { local, separator } = await ask("usual");
    for (const { item } of this.choice.folders()) {
      if (!this.places.has(item.path)) this.places.set(item.path, `${placeOf(local)}${separator}${safeName(item)}`);
    }
  }

  choosePlaces() {
    const folders = this.choice.folders();
    const rows = folders.map(({ item, without }) => this.placeRow(item, without));
    const form = this.form(rows.map((row) => row.place), t("first.place.go"), async () => {
      await Promise.all(rows.map((row) => row.look()));
      const bad = rows.find((row) => row.isWrong());
      if (bad) {
        bad.input.focus();
        return;
      }
      for (const row of rows) if (!row.isAdded) await row.add();
      this.show("syncing");
      await this.page.look();
    }, { back: () => this.show("folders") });
    return [h("h1", {}, t("first.place.title")), h("p", {}, t("first.place.about")), form];
  }

  placeRow(item, without) {
    const input = h("input", { type: "text", spellcheck: "false", autocomplete: "off", required: true, value: this.places.get(item.path) });
    const told = h("p", { class: "hint", id: uid() });
    const pick = button(t("first.place.choose"), async () => {
      const chosen = await choosePlace(input.value);
      if (chosen) {
        input.value = chosen;
        await look();
      }
      input.focus();
    }, { "aria-label": t("first.place.choose_for", { name: placeName(item) }) });
    h("div", { class: "with" }, input, pick);
    const title = [placeName(item), without.length ? t("first.place.without", { count: without.length }) : ""].filter(Boolean).join(", ");
    const made = field(title, input);
    made.append(told);
    let wrong = false;
    const look = async () => {
      this.places.set(item.path, input.value);
      try {
        const place = await ask("place", { local: input.value });
        wrong = false;
        made.say("");
        told.textContent = [place.exists ? (place.items ? t("first.place.holds", { count: place.items }) : t("first.place.empty")) : t("first.place.new"), t("first.place.free", { size: size(place.free_bytes) })].join(" ");
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        wrong = true;
        told.textContent = "";
        made.say(troubleWords(error));
      }
    };
    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(look, LOOK_MS);
    });
    look();
    const row = { place: made, input, look: async () => (row.isAdded ? null : look()), isWrong: () => wrong, isAdded: false };
    row.add = async () => {
      await ask("add", { remote: item.path, local: input.value, without: without.map((one) => one.node) });
      row.isAdded = true;
      input.disabled = true;
    };
    return row;
  }

  // ---- the first sync --------------------------------------------------------------------------------------

  syncing() {
    this.bar = h("progress", { "aria-label": t("home.progress") });
    this.line = h("p", { class: "tabular" });
    this.state = h("div", { class: "finish" });
    this.deeds = h("div", { class: "buttons" });
    this.toldSynced = false;
    return [h("h1", {}, t("first.syncing.title")), this.state, this.bar, this.line, this.deeds];
  }

  showSyncing(status) {
    const { progress, state } = status;
    const busy = ["syncing", "starting"].includes(state);
    fill(this.state, [state, status.words], () => [mark(state), h("p", { class: "big" }, t(`state.${state}`))]);
    this.bar.hidden = !busy;
    if (progress?.total_bytes) {
      this.bar.max = progress.total_bytes;
      this.bar.value = progress.done_bytes;
    }
    this.line.textContent = progress && busy ? progressWords(progress) : busy ? t("first.syncing.looking") : t("files_here", { count: status.folders.reduce((sum, one) => sum + one.files, 0) });
    const first = status.folders[0];
    fill(this.deeds, [busy, first?.local], () => [
      first ? button(t("home.open", { name: nameOf(first.local) }), () => ask("show", { path: first.local }).catch(() => {}), { icon: "open", kind: busy ? "" : "main", "data-key": "open" }) : null,
      button(t("first.syncing.overview"), () => this.leaveFor("home"), { "data-key": "overview" }),
    ]);
    if (state === "synced" && !this.toldSynced) {
      this.toldSynced = true;
      this.card.querySelector("h1").textContent = t("first.syncing.done");
      document.title = `${t("first.syncing.done")} · MB-Sync`;
      say(t("state.synced"));
    }
  }
}

function foldersOnly({ items, more }) {
  return { items: items.filter((item) => item.kind !== "file"), more };
}

// "/Home" is what people know as theirs; the others are called what they are called.
export function placeName(item) {
  if (item.kind === "home") return t("remote.home");
  if (item.kind === "intake") return t("remote.intake", { project: shown(item.path.split("/")[2] ?? "") });
  return shown(item.name);
}

// A name for a folder of this computer, which every system can hold.
function safeName(item) {
  const name = item.kind === "intake" ? `${item.path.split("/")[2]} ${item.name}` : item.name;
  return name.replace(/[<>:"|?*\\/\p{Cc}]/gu, "_").replace(/[. ]+$/, "_");
}

// What can be seen of an address without asking anybody.
function addressTrouble(text) {
  const address = text.trim();
  if (!address) return t("missing");
  if (/\s/.test(address)) return t("first.server.spaces");
  let url;
  try {
    url = new URL(address.includes("://") ? address : `https://${address}`);
  } catch {
    return t("first.server.no_address");
  }
  if (!["http:", "https:"].includes(url.protocol)) return t("first.server.no_address");
  const near = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol === "http:" && !near) return t("first.server.clear");
  return "";
}

