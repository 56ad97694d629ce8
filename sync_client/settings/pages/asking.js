// Questions to the server behind this page.

const KEEPS = "session";
const HEADER = "X-MB-Session";

export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Ended extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

let session = sessionStorage.getItem(KEEPS);

export function hasSession() {
  return Boolean(session);
}

export async function enter(token) {
  forget();
  const told = await post("session", { token });
  session = told.session;
  sessionStorage.setItem(KEEPS, session);
}

export function forget() {
  session = null;
  sessionStorage.removeItem(KEEPS);
}

export async function ask(name, about = {}) {
  return post(name, about);
}

async function post(name, about) {
  let answer;
  try {
    answer = await fetch(`ask/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(session ? { [HEADER]: session } : {}) },
      body: JSON.stringify(about),
      credentials: "omit",
      redirect: "error",
      cache: "no-store",
    });
  } catch {
    throw new Ended("gone");
  }
  const told = await answer.json();
  if (answer.status === 403) {
    forget();
    throw new Ended(told.error);
  }
  if (!told.ok) throw new Refusal(told.error, told.message ?? "");
  return told.value;
}
