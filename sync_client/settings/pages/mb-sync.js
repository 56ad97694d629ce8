// The page of MB-Sync: comes in with a token, asks how things are, shows the part that was chosen.

import { Ended, Refusal, ask } from "./asking.js";
import { fill, h, mark, picture, say } from "./dom.js";
import { Folders } from "./folders.js";
import { FirstRun } from "./first_run.js";
import { Home, stateWords, troubleCount } from "./home.js";
import { Activity } from "./activity.js";
import { Conflicts } from "./conflicts.js";
import { Problems } from "./problems.js";
import { Settings } from "./settings.js";
import { Sharing } from "./sharing.js";
import { Versions } from "./versions.js";
import { brand, comeIn, languageSwitch, showEnd } from "./frame.js";
import { currentLanguage, knowOwn, t } from "./words.js";

const PARTS = { home: Home, folders: Folders, activity: Activity, conflicts: Conflicts, problems: Problems, settings: Settings };
const OF_A_FILE = { sharing: Sharing, versions: Versions }; // #/versions/PATH: they are not in the list of parts
const NAME = "MB-Sync";
const SEEN_MS = 1_000;
const BUSY_MS = 500;
const HIDDEN_MS = 20_000;

const app = document.getElementById("app");

class Page {
  constructor() {
    this.now = null;
    this.part = null;
    this.name = "";
    this.about = "";
    this.toldState = "";
    this.timer = 0;
    this.looking = null;
  }

  // ---- coming in -------------------------------------------------------------------------------------------

  async begin() {
    try {
      if (!(await comeIn())) throw new Ended("no-session");
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      this.end(error.code);
      return;
    }
    window.addEventListener("hashchange", () => this.go());
    document.addEventListener("visibilitychange", () => this.look());
    await this.look();
  }

  end(code) {
    clearTimeout(this.timer);
    this.part = null;
    showEnd(app, NAME, code, "mb-sync settings");
  }

  // ---- how things are --------------------------------------------------------------------------------------

  // Asks, shows it, and asks again in a while.  Asked while it asks: the same answer does.
  look() {
    this.looking ??= this.lookOnce().finally(() => { this.looking = null; });
    return this.looking;
  }

  async lookOnce() {
    clearTimeout(this.timer);
    try {
      this.now = await ask("now");
    } catch (error) {
      if (error instanceof Ended) {
        this.end(error.code);
        return;
      }
      if (!(error instanceof Refusal)) throw error;
    }
    if (this.now) {
      knowOwn(this.now.own);
      this.show();
    }
    const busy = ["syncing", "starting"].includes(this.now?.status.state);
    this.timer = setTimeout(() => this.look(), document.hidden ? HIDDEN_MS : busy ? BUSY_MS : SEEN_MS);
  }

  show() {
    if (!this.part) this.go();
    else this.part.update(this.now);
    this.showFrame();
    this.tellState();
  }

  tellState() {
    const { state } = this.now.status;
    if (this.toldState && this.toldState !== state) say(t(`state.${state}`));
    this.toldState = state;
  }

  // ---- parts -----------------------------------------------------------------------------------------------

  // The part that the address names; where nobody is signed in yet, the first steps.
  go() {
    if (!this.now) return;
    const [, asked, about] = /^#?\/?(\w*)\/?(.*)$/.exec(location.hash);
    const signedIn = Boolean(this.now.status.server);
    const stays = this.name === "first" && this.part && !this.part.isOver;
    const name = !signedIn || stays || asked === "first" ? "first" : asked in PARTS || (asked in OF_A_FILE && about) ? asked : "home";
    if (name === this.name && about === this.about && this.part) return;
    this.name = name;
    this.about = about;
    this.part?.leave?.();
    if (name === "first") {
      this.frame = null;
      this.part = new FirstRun(this);
      app.replaceChildren(brandOnly(), h("main", { class: "narrow" }, this.part.place));
    } else {
      if (!this.frame) this.makeFrame();
      this.part = name in PARTS ? new PARTS[name](this) : new OF_A_FILE[name](this, decodeURIComponent(about));
      this.frame.main.replaceChildren(this.part.place);
      document.title = `${t(`part.${name}`)} · MB-Sync`;
    }
    this.part.update(this.now);
    this.showFrame();
    const heading = this.part.place.querySelector("h1");
    if (heading) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
    window.scrollTo(0, 0);
  }

  over() {
    this.name = "";
    this.part = null;
    location.hash = "#/home";
    this.go();
  }

  makeFrame() {
    const links = Object.fromEntries(
      Object.keys(PARTS).map((name) => {
        const badge = h("span", { class: "badge" });
        const link = h("a", { href: `#/${name}` }, picture(name), h("span", { class: "name" }, t(`part.${name}`)), badge);
        return [name, { link, badge }];
      }),
    );
    const state = h("div", { class: "state-line" });
    const main = h("main", { id: "main" });
    app.replaceChildren(
      h("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.querySelector("h1")?.focus(); } } }, t("skip")),
      h("header", {}, brand(NAME), state, languageSwitch()),
      h("div", { class: "frame" }, h("nav", { "aria-label": t("parts") }, h("ul", {}, ...Object.values(links).map(({ link }) => h("li", {}, link)))), main),
    );
    this.frame = { main, links, state };
  }

  showFrame() {
    if (!this.frame || this.name === "first") return;
    const { status, guards } = this.now;
    for (const [name, { link }] of Object.entries(this.frame.links)) {
      if (name === this.name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    fill(this.frame.state, [status.state, status.running, status.user, currentLanguage()], () => [mark(status.state), h("span", {}, stateWords(status))]);
    const counts = { conflicts: status.conflicts, problems: troubleCount(status) + guards.length };
    for (const [name, count] of Object.entries(counts)) {
      const found = this.frame.links[name];
      if (found) fill(found.badge, [count], () => (count ? [h("span", { "aria-hidden": "true" }, String(count)), h("span", { class: "by-ear" }, t("count.waiting", { count }))] : []));
    }
  }
}

function brandOnly() {
  return h("header", {}, brand(NAME), languageSwitch());
}

new Page().begin();
