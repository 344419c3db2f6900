// Rows of events: what happens next is put in front of what the server has listed, in a copy of its own row.

import type { EventRow } from "./shapes";
import { moment, say } from "./words";

export function prepend(row: EventRow): void {
  for (const list of document.querySelectorAll<HTMLOListElement>("[data-events]")) {
    const tone = list.dataset["tone"];
    if (tone && tone !== row.tone) continue;
    const item = made(row);
    if (!item) return;
    list.prepend(item);
    list.parentElement?.querySelector("[data-empty]")?.remove();
    while (list.childElementCount > Number(list.dataset["most"] ?? 50)) list.lastElementChild?.remove();
  }
}

function made(row: EventRow): HTMLLIElement | null {
  const template = document.querySelector<HTMLTemplateElement>("#event-row");
  const item = template?.content.querySelector("li")?.cloneNode(true) as HTMLLIElement | undefined;
  if (!item) return null;
  item.classList.add("fresh");
  item.dataset["tone"] = row.tone;
  item.dataset["id"] = String(row.id);
  const time = item.querySelector("time");
  if (time) {
    time.dateTime = new Date(row.at).toISOString();
    time.textContent = moment(row.at);
  }
  const where = item.querySelector<HTMLAnchorElement>(".where");
  if (where) {
    const bank = `/banks/${encodeURIComponent(row.bank)}`;
    where.href = row.locker ? `${bank}?locker=${encodeURIComponent(row.locker.slice(row.bank.length + 1))}` : bank;
    where.textContent = row.locker ?? say("bank.title", { bank: row.bank });
  }
  fill(item, ".what", row.what);
  fill(item, ".who", row.who);
  fill(item, ".how", row.how);
  return item;
}

function fill(item: HTMLElement, place: string, text: string | null): void {
  const element = item.querySelector(place);
  if (text) element?.replaceChildren(text);
  else element?.remove();
}
