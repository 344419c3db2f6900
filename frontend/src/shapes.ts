// What the server's live feed says. The same shapes as its API.

export interface Locker {
  id: string;
  number: string;
  size: string;
  features: string[];
  state: string;
  door: string;
  lock: string;
  holder: { name: string } | null;
  check: string | null;
  out_of_service: string | null;
  alarm: string | null;
}

export interface BankHeader {
  id: string;
  online: boolean;
  offline_since: number | null;
  lagging: boolean;
  clock_doubt: boolean;
  stale: boolean;
  quarantine: string | null;
  free: number;
  in_use: number;
  total: number;
}

export interface EventRow {
  id: number;
  bank: string;
  at: number;
  locker: string | null;
  who: string | null;
  what: string;
  how: string | null;
  tone: string;
}

export interface Change {
  banks: BankHeader[];
  lockers: Locker[];
  events: EventRow[];
}

// What one sees on looking at a locker of the simulated hardware.
export interface Physical {
  door: string;
  lock: string;
  occupied: boolean;
  light: boolean;
  jammed: boolean;
}

export function bankOf(locker: string): string {
  return locker.slice(0, locker.lastIndexOf("-"));
}
