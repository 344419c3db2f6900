// What the server's live feed says. The same shapes as its API.

export interface Locker {
  id: string;
  number: string;
  state: string;
  door: string;
  lock: string;
  label?: string;
}

export interface BankHeader {
  id: string;
  online: boolean;
  offline_since: number | null;
  free: number;
  in_use: number;
  total: number;
}

export interface EventRow {
  id: number;
  bank: string;
  at: number;
  type: string;
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
  words?: { free?: Record<string, string>; presence?: Record<string, string> };
}
