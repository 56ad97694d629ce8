// What a person does on a page: done, or said why not.

import { Refusal } from "./asking.js";
import { say } from "./dom.js";
import { troubleWords } from "./words.js";

// What `what` gives, or null where it was refused.  wrong: where the reason stands, if anywhere; words: said when it is done.
export async function tried(wrong, what, words = "") {
  if (wrong) wrong.textContent = "";
  try {
    const done = await what();
    if (words) say(words);
    return done;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (wrong) wrong.textContent = troubleWords(error);
    return null;
  }
}
