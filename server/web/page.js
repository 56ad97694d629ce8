import { Files } from "./files.js";

// What the code after # opens, asked of this very server; nothing of it is stored, and no device is used up by looking.

const state = document.getElementById("state");

function node(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text; // never as HTML: names and labels are other people's words
  made.append(...children);
  return made;
}

function show(kind, ...children) {
  state.className = kind;
  state.replaceChildren(...children);
}

function trouble(title, words) {
  document.title = `${title} · Medical-Blocks`;
  show("warn", node("h1", title), node("p", words));
}

const TROUBLES = {
  "wrong-code": ["This link opens nothing", "Check that you copied the whole of it. If you did, ask whoever gave it to you for a new one."],
  "code-expired": ["This link has expired", "Ask whoever shared the folder for a new one. What you have of it stays on your computer."],
  "code-revoked": ["This link was revoked", "Whoever shared the folder ended it. What you have of it stays on your computer."],
  "used-up": ["This link is used up", "It was redeemed on as many devices as it allows. A device that redeemed it goes on; for another one, ask whoever shared the folder for a code of your own."],
  "not-found": ["The folder is not there any more", "It was deleted. Ask whoever shared it."],
  "too-many-tries": ["Too many wrong codes came from your network", "Wait some minutes, and load this page again."],
};

function size(count) {
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  for (; count >= 1000 && at < 3; at += 1) count /= 1000;
  return `${at && count < 10 ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}

function download(file) {
  const link = node("a", file.name);
  link.href = `s/downloads/${encodeURIComponent(file.name)}`;
  link.download = file.name;
  return node("li", "", link, ` (${size(file.size)})`, node("span", `SHA-256 ${file.sha256}`));
}

function copyable(text) {
  const line = node("div", "", node("code", text));
  line.className = "line";
  if (navigator.clipboard) {
    const button = node("button", "Copy");
    button.type = "button";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    });
    line.append(button);
  }
  return line;
}

// What became of the code meanwhile.  False: the word is not about the code.
function over(code) {
  const known = ["code-expired", "code-revoked", "code-used-up"].includes(code);
  if (known) trouble(...(TROUBLES[code === "code-used-up" ? "used-up" : code]));
  return known;
}

function opened(shown, code) {
  const name = shown.name || "A folder for you";
  document.title = `${name} · Medical-Blocks`;
  const facts = node("dl");
  const fact = (what, value) => facts.append(node("dt", what), node("dd", value));
  fact("Shared by", shown.shared_by);
  if (shown.label) fact("For", shown.label);
  fact("Until", new Date(shown.expires_at_ms).toLocaleString([], { dateStyle: "long", timeStyle: "short" }));
  fact("You may", "read it, and get what comes into it");
  if (shown.pin) fact("PIN", "you will be asked for it; you were told it by another way");
  if (shown.approve) fact("Your computer", "waits until whoever shared the folder lets it in");

  const program = [node("h2", "1. Get MB-SyncLight")];
  if (shown.downloads.length) {
    const files = node("ul", "", ...shown.downloads.map(download));
    files.className = "files";
    for (const one of files.querySelectorAll("span")) one.className = "hash";
    program.push(node("p", "The small program that receives the folder. Choose the one for your system, and compare its hash."), files);
  } else {
    program.push(node("p", "This server offers no download of it. Ask whoever shared the folder, or the server's operator, how to get the program mb-synclight."));
  }
  const link = window.location.href;
  show("", node("h1", name), node("p", "was shared with you on this server."), facts, ...program,
    node("h2", "2. Receive the folder"),
    node("p", "Open a terminal, and run this line. It waits for the link: paste it, and press Enter."),
    copyable("mb-synclight - Received"),
    node("p", "Your link"),
    copyable(link),
    node("p", "Nothing that you change in the folder is overwritten, and nothing of it is sent back."),
    ...(shown.browse ? files(shown, code) : []));
}

function files(shown, code) {
  const list = new Files(shown, code, { node, size, trouble: over });
  return [
    node("h2", "Or get single files here"),
    node("p", "No program is needed. This browser counts as one of the devices that the link is good for, and what it downloads is noted for whoever shared the folder."),
    list.place,
  ];
}

async function look() {
  const code = window.location.hash.slice(1).split(".")[0];
  if (!code) {
    trouble("This link is not whole", "The part after # is missing. Copy the whole link, as you were given it.");
    return;
  }
  show("", node("p", "Looking at your link…"));
  try {
    const answer = await fetch("api/v1/codes/look", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ code }),
      credentials: "omit",
      redirect: "error",
    });
    const told = await answer.json();
    if (answer.ok && told.used_up && !(told.browse && Files.areKnownHere())) trouble(...TROUBLES["used-up"]);
    else if (answer.ok) opened(told, code);
    else trouble(...(TROUBLES[told.error] ?? ["This link cannot be opened now", "Try again in a while."]));
  } catch {
    trouble("The server cannot be reached", "Check your network, and load this page again.");
  }
}

window.addEventListener("hashchange", look);
look();
