// A bank's picture was drawn by the server; here it only comes to life: states change in place, arrows walk the doors.

import type { Locker, Physical } from "./shapes";
import { label, lookOf, physicalLabel } from "./words";

const DETAIL: [number, string][] = [
  [0.085, "mini"],
  [0.17, "mid"],
  [Infinity, "full"],
];

export class BankPicture extends HTMLElement {
  #watch: ResizeObserver | undefined;

  get bank(): string {
    return this.dataset["bank"] ?? "";
  }

  connectedCallback(): void {
    this.#watch = new ResizeObserver(() => this.#scale());
    this.#watch.observe(this);
    this.addEventListener("keydown", (event) => this.#key(event));
    this.addEventListener("click", (event) => this.#choose(event.target));
    this.addEventListener("focusin", () => this.#frame());
    this.addEventListener("focusout", () => requestAnimationFrame(() => this.#frame()));
  }

  disconnectedCallback(): void {
    this.#watch?.disconnect();
  }

  // Put a locker's new state into the picture; returns whether it was another. A door that is not in it is none of ours.
  show(locker: Locker): boolean {
    const look = { state: locker.state, door: locker.door, lock: locker.lock };
    return this.#draw(locker.id, look, `#i-${lookOf(locker)}`, label(locker));
  }

  // Put what one sees on looking at a simulated locker into the picture.
  showPhysical(number: string, seen: Physical): void {
    const id = `${this.bank}-${number}`;
    const door = this.#door(id);
    if (!door) return;
    const look = { door: seen.door, lock: seen.jammed ? "jammed" : seen.lock };
    this.#draw(id, look, seen.jammed ? "#i-alarm" : "#i-bench", physicalLabel(id, door.dataset["size"] ?? "", seen));
    door.toggleAttribute("data-light", seen.light);
    door.toggleAttribute("data-occupied", seen.occupied);
  }

  #door(id: string): SVGGElement | null {
    return this.querySelector<SVGGElement>(`.door[data-locker="${CSS.escape(id)}"]`);
  }

  #draw(id: string, look: Record<string, string>, icon: string, said: string): boolean {
    const door = this.#door(id);
    if (!door) return false;
    const same = Object.entries(look).every(([name, value]) => door.dataset[name] === value);
    if (same && door.querySelector("title")?.textContent === said) return false;
    const swing = this.querySelector<SVGGElement>(`.swing[data-for="${CSS.escape(id)}"]`);
    const swings = look["door"] !== door.dataset["door"] && door.dataset["door"] !== "unknown" && look["door"] !== "unknown";
    for (const part of [door, swing]) {
      if (!part) continue;
      Object.assign(part.dataset, look);
      part.toggleAttribute("data-moved", swings);
    }
    door.querySelector(".glyph")?.setAttribute("href", icon);
    if (door.hasAttribute("aria-label")) door.setAttribute("aria-label", said);
    door.querySelector("title")?.replaceChildren(said);
    return true;
  }

  select(number: string | null): void {
    for (const door of this.querySelectorAll<SVGGElement>(".door")) {
      const chosen = door.dataset["number"] === number;
      door.toggleAttribute("data-selected", chosen);
      this.#halo(door.dataset["locker"])?.toggleAttribute("data-selected", chosen);
    }
  }

  // The frame of the door that has the focus stands above all doors, so it is no part of that door.
  #frame(): void {
    for (const halo of this.querySelectorAll(".halo[data-focused]")) halo.removeAttribute("data-focused");
    const door = this.querySelector<SVGGElement>(".door:focus-visible");
    if (door) this.#halo(door.dataset["locker"])?.toggleAttribute("data-focused", true);
  }

  #halo(id: string | undefined): Element | null {
    return this.querySelector(`.halo[data-for="${CSS.escape(id ?? "")}"]`);
  }

  focusDoor(number: string): void {
    const door = this.querySelector<SVGGElement>(`.door[data-number="${CSS.escape(number)}"]`);
    if (door) this.#move(this.querySelector('.door[tabindex="0"]'), door);
  }

  // How much is drawn follows the drawn scale in pixels per millimetre, not the device.
  #scale(): void {
    const picture = this.querySelector<SVGSVGElement>(".bank");
    if (!picture) return;
    const scale = picture.clientWidth / Number(picture.dataset["width"]);
    picture.dataset["lod"] = DETAIL.find(([most]) => scale < most)?.[1] ?? "full";
  }

  #choose(target: EventTarget | null): void {
    const door = target instanceof Element ? target.closest<SVGGElement>(".door[tabindex]") : null;
    if (!door) return;
    const detail = { bank: this.bank, number: door.dataset["number"] ?? "" };
    this.dispatchEvent(new CustomEvent("door", { bubbles: true, detail }));
  }

  #key(event: KeyboardEvent): void {
    const from = event.target instanceof Element ? event.target.closest<SVGGElement>(".door[tabindex]") : null;
    if (!from) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#choose(from);
      return;
    }
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const next = this.#nearest(from, way[0] ?? 0, way[1] ?? 0);
    if (!next) return;
    this.#move(from, next);
  }

  // The picture is one tab stop; which door it is, moves.
  #move(from: SVGGElement | null, to: SVGGElement): void {
    if (from) from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  // The next door by where it stands, not by its number: ahead counts once, aside two and a half times.
  #nearest(from: SVGGElement, dx: number, dy: number): SVGGElement | null {
    let best: SVGGElement | null = null;
    let least = Infinity;
    for (const door of this.querySelectorAll<SVGGElement>(".door[tabindex]")) {
      const x = Number(door.dataset["cx"]) - Number(from.dataset["cx"]);
      const y = Number(door.dataset["cy"]) - Number(from.dataset["cy"]);
      const ahead = x * dx + y * dy;
      const cost = ahead + 2.5 * Math.abs(x * dy + y * dx);
      if (ahead > 20 && cost < least) [best, least] = [door, cost];
    }
    return best;
  }
}
