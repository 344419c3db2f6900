// The live feed: one EventSource that outlives a restarted server, and says when the page may be out of date.

import type { Change } from "./shapes";

const PATIENCE_MS = 1_500;
const WAIT_MOST_MS = 15_000;

export class Feed {
  #source: EventSource | undefined;
  #last: string;
  #timer = 0;
  #stale = 0;
  #failed = 0;
  #reloading = false;
  readonly #banks: string;
  readonly #hear: (change: Change) => void;

  // `after` is the feed ordinal of the picture that the page has; `banks` are ids with commas between, "" for all.
  constructor(banks: string, after: string, hear: (change: Change) => void) {
    this.#banks = banks;
    this.#last = after;
    this.#hear = hear;
    this.#open();
  }

  close(): void {
    this.#source?.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#stale);
  }

  #open(): void {
    const asked = new URLSearchParams();
    if (this.#banks) asked.set("banks", this.#banks);
    if (this.#last) asked.set("after", this.#last);
    const source = new EventSource(`/live?${asked}`);
    this.#source = source;
    source.addEventListener("open", () => this.#fresh());
    source.addEventListener("change", (event) => {
      if (event.lastEventId) this.#last = event.lastEventId;
      this.#hear(JSON.parse(event.data) as Change);
    });
    // The feed could not keep up with us, or the server was replaced: what the page shows is no longer certain.
    source.addEventListener("reset", () => {
      source.close();
      if (this.#reloading) return;
      this.#reloading = true;
      this.#timer = window.setTimeout(() => location.reload(), 1_000);
    });
    source.addEventListener("error", () => this.#lost(source));
  }

  #fresh(): void {
    this.#failed = 0;
    clearTimeout(this.#stale);
    this.#stale = 0;
    document.documentElement.removeAttribute("data-stale");
  }

  // A broken line is taken up again by the browser; a refusal is final for it, so we ask anew ourselves.
  #lost(source: EventSource): void {
    this.#stale ||= window.setTimeout(() => document.documentElement.setAttribute("data-stale", ""), PATIENCE_MS);
    if (source.readyState !== EventSource.CLOSED) return;
    const wait = Math.min(WAIT_MOST_MS, 1_000 * 2 ** this.#failed);
    this.#failed += 1;
    this.#timer = window.setTimeout(() => void this.#again(), wait);
  }

  async #again(): Promise<void> {
    try {
      const page = await fetch(location.href, { redirect: "manual", cache: "no-store", headers: { Accept: "text/html" } });
      // Signed out meanwhile: the server leads to the sign-in, and back here afterwards.
      if (page.type === "opaqueredirect") return location.reload();
    } catch {
      // Still away; the next attempt says so too.
    }
    this.#open();
  }
}
