// The files behind a link, in the browser itself: listed folder by folder, given one at a time.
//
// The token that the code was exchanged for lives in this page alone and goes with it; only a number that tells this
// browser from others is kept, so that it counts once.

const MAX_BYTES = 1_000_000_000; // the browser holds a file until it is whole
const KEEPS = "medical-blocks-device";

function thisBrowser() {
  try {
    const known = localStorage.getItem(KEEPS);
    if (known) return known;
    const made = freshId();
    localStorage.setItem(KEEPS, made);
    return made;
  } catch {
    return freshId(); // it keeps nothing: then it counts anew each time
  }
}

function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // RFC 9562, version 4
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// A name as it may be shown: what is not seen, or turns the direction of writing, is marked.
function shown(name) {
  return name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "\ufffd");
}

class Refusal extends Error {
  constructor(told) {
    super(told.message);
    this.code = told.error;
  }
}

async function told(answer) {
  if (answer.ok) return answer;
  let problem = { error: "internal", message: "The server did not answer as it should. Try again in a while." };
  try {
    problem = await answer.json();
  } catch {
    // not from the server itself: a proxy on the way
  }
  throw new Refusal(problem);
}

export class Files {
  // Whether this browser got files before: then it may be one of the devices of a link that is used up.
  static areKnownHere() {
    try {
      return localStorage.getItem(KEEPS) !== null;
    } catch {
      return false;
    }
  }

  // parts: node, size and trouble of the page.  code: what stands behind #.
  constructor(about, code, parts) {
    Object.assign(this, parts);
    this.about = about;
    this.code = code;
    this.path = [];
    this.place = this.node("div");
    this.place.className = "browse";
    this.askToBegin();
  }

  button(text, act, kind = "") {
    const made = this.node("button", text);
    made.type = "button";
    made.className = kind;
    made.addEventListener("click", act);
    return made;
  }

  // ---- the first step: this browser becomes a device of the code ----

  askToBegin(words = "") {
    const form = this.node("form");
    if (this.about.pin) {
      const label = this.node("label", "PIN, which you were told by another way");
      label.htmlFor = "pin";
      this.pin = this.node("input");
      Object.assign(this.pin, { id: "pin", name: "pin", required: true, inputMode: "numeric", autocomplete: "one-time-code", maxLength: 64 });
      form.append(label, this.pin);
    }
    const go = this.node("button", "Show the files");
    this.said = this.node("p", words);
    this.said.setAttribute("role", "alert");
    form.append(go, this.said);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.begin(go);
    });
    this.place.replaceChildren(form);
  }

  async begin(go) {
    go.disabled = true;
    this.said.textContent = "";
    try {
      const answer = await told(await fetch("api/v1/redeem", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify({
          code: this.code,
          device: thisBrowser(),
          device_name: `Browser${navigator.platform ? ` on ${navigator.platform}` : ""}`.slice(0, 100),
          pin: this.pin?.value.trim() || null,
          browser: true,
        }),
        credentials: "omit",
        redirect: "error",
      }));
      const redeemed = await answer.json();
      [this.token, this.view, this.name] = [redeemed.token, redeemed.view, redeemed.name];
      await this.open([]);
    } catch (error) {
      this.failed(error, (words) => { this.said.textContent = words; });
    } finally {
      go.disabled = false;
    }
  }

  // What became of the code is the page's to say; all else is said where it happened.
  failed(error, say) {
    if (error.name === "AbortError") say("Stopped.");
    else if (!(error instanceof Refusal)) say("The server cannot be reached. Check your network, and try again.");
    else if (error.code === "not-signed-in") this.askToBegin("This link was opened again elsewhere in this browser. Go on here?");
    else if (!this.trouble(error.code)) say(error.message);
  }

  ask(path, options = {}) {
    return fetch(`api/v1/views/${this.view}${path}`, {
      headers: { Authorization: `Bearer ${this.token}`, Accept: "application/json" },
      credentials: "omit",
      redirect: "error",
      cache: "no-store",
      ...options,
    }).then(told);
  }

  // ---- a folder ----

  async open(path, after = "") {
    const words = new URLSearchParams({ path: `/${path.join("/")}`, after });
    const listing = await (await this.ask(`/list?${words}`)).json();
    if (!after) this.draw(path);
    for (const one of listing.items) this.rows.append(this.row(one));
    this.more.replaceChildren();
    if (listing.next) this.more.append(this.button("Show more", () => this.go(path, listing.next), "plain"));
    if (!this.rows.childElementCount) this.more.append(this.node("p", "This folder is empty."));
    this.table.hidden = !this.rows.childElementCount;
    if (!after) this.heading.focus();
  }

  async go(path, after = "") {
    this.said.textContent = "";
    try {
      await this.open(path, after);
    } catch (error) {
      this.failed(error, (words) => { this.said.textContent = words; });
    }
  }

  draw(path) {
    this.path = path;
    const names = [this.name, ...path];
    this.heading = this.node("h3", shown(names.at(-1)));
    this.heading.tabIndex = -1;
    const way = this.node("nav");
    way.setAttribute("aria-label", "Folders above");
    names.slice(0, -1).forEach((name, depth) => {
      way.append(this.button(shown(name), () => this.go(path.slice(0, depth)), "plain"), this.node("span", "/"));
    });
    const head = this.node("tr", "", ...["Name", "Size", "Changed"].map((text) => {
      const cell = this.node("th", text);
      cell.scope = "col";
      return cell;
    }));
    this.rows = this.node("tbody");
    this.table = this.node("table", "", this.node("thead", "", head), this.rows);
    this.more = this.node("div");
    this.said = this.node("p");
    this.said.setAttribute("role", "status");
    this.place.replaceChildren(...(path.length ? [way] : []), this.heading, this.table, this.more, this.said);
  }

  row(one) {
    const isFolder = one.kind === "folder";
    const act = isFolder ? () => this.go([...this.path, one.name]) : () => this.bring(one, button);
    const button = this.button(shown(one.name), act, isFolder ? "plain folder" : "plain file");
    const name = this.node("td", "", button);
    if (one.kind === "link") name.replaceChildren(`${shown(one.name)} (a link)`);
    const date = one.kind === "file" ? new Date(one.mtime_ns / 1e6).toLocaleDateString([], { dateStyle: "medium" }) : "";
    return this.node("tr", "", name, this.node("td", one.kind === "file" ? this.size(one.size) : ""), this.node("td", date));
  }

  // ---- a file ----

  async bring(one, button) {
    if (this.stop) {
      this.said.textContent = "One file after the other: wait for it, or stop it first.";
      return;
    }
    if (one.size > MAX_BYTES) {
      this.said.textContent = `${shown(one.name)} is too large for a browser (${this.size(one.size)}). Get it with MB-SyncLight.`;
      return;
    }
    this.stop = new AbortController();
    const words = this.node("span");
    const stop = this.button("Stop", () => this.stop?.abort(), "plain");
    this.said.replaceChildren(words, " ", stop);
    let end = "";
    try {
      const pieces = [];
      let have = 0;
      const answer = await this.ask(`/files/${one.node}`, { signal: this.stop.signal });
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        pieces.push(value);
        have += value.length;
        words.textContent = `${shown(one.name)}: ${this.size(have)} of ${this.size(one.size)}`;
      }
      this.save(new Blob(pieces, { type: "application/octet-stream" }), one.name);
      end = `${shown(one.name)} was downloaded.`;
    } catch (error) {
      this.failed(error, (said) => { end = said; });
    }
    this.stop = null;
    this.said.replaceChildren(end);
    if (document.activeElement === document.body) button.focus(); // "Stop" is gone
  }

  save(blob, name) {
    const link = this.node("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}
