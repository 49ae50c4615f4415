// Times as people say them. Absolute ones are UTC, as in the journal and in every log.

export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const clock = (iso) => (iso ? `${iso.slice(11, 19)}Z` : "–");
// With the date where the clock alone would mislead.
export const moment = (iso, now) => (iso && now - Date.parse(iso) > 43200000 ? `${iso.slice(0, 10)} ${clock(iso)}` : clock(iso));
export const day = (iso) => iso.slice(0, 10);
export const millis = (seconds) => (seconds === null || seconds === undefined ? "–" : seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`);
export const since = (iso, now) => (iso ? span((now - Date.parse(iso)) / 1000) : "");
export const left = (iso, now) => (iso ? span((Date.parse(iso) - now) / 1000) : "");
