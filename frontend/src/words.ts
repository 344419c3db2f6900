// The page's language. The texts are the server's own, sent with the page; nothing is translated here.

import type { Locker, Physical } from "./shapes";

const page = document.documentElement;
const texts: Record<string, string> = JSON.parse(document.body.dataset["words"] ?? "{}") as Record<string, string>;
const zone = page.dataset["zone"] ?? "UTC";

// A text with its {names} filled in; n equal to 1 takes key.one where there is one.
export function say(key: string, values: Record<string, string | number> = {}): string {
  const one = values["n"] === 1 ? texts[`${key}.one`] : undefined;
  const text = one ?? texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

function parts(at: number): Record<string, string> {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit",
  });
  return Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
}

// Time of day at the site, with the day where it is not today's. The server's Words.moment says the same.
export function moment(at: number, now = Date.now()): string {
  const [then, today] = [parts(at), parts(now)];
  const clock = `${then["hour"]}:${then["minute"]}`;
  if (["year", "month", "day"].every((part) => then[part] === today[part])) return clock;
  return `${say("date", { day: Number(then["day"]), month: say(`month.${Number(then["month"])}`) })}, ${clock}`;
}

// The word and icon that stand for a locker. The server's bank_svg.look_of says the same.
export function lookOf(locker: Locker): string {
  return locker.state === "oos" && locker.check && !locker.out_of_service ? "check" : locker.state;
}

// What a screen reader says of a door. The server's bank_svg.locker_label says the same, and a test compares them.
export function label(locker: Locker): string {
  const said = [locker.id, say(`size.${locker.size}`), say(`state.${lookOf(locker)}`)];
  if (locker.door !== "closed") said.push(say(`door.${locker.door}`));
  if (locker.lock === "jammed" || locker.lock === "released") said.push(say(`lock.${locker.lock}`));
  return [...said, ...locker.features.map((name) => say(`feature.${name}`))].join(", ");
}

export function physicalLabel(id: string, size: string, seen: Physical): string {
  const said = [id, say(`size.${size}`), say(`door.${seen.door}`)];
  if (seen.jammed) said.push(say("bench.jammed"));
  if (seen.light) said.push(say("bench.light"));
  if (seen.occupied && seen.door === "open") said.push(say("bench.inside"));
  return said.join(", ");
}
