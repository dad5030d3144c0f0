/** The page's styles: Okabe and Ito's colors (blue, vermilion, green), lighter on a dark ground. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --text: #1b1f24; --muted: #59636e; --line: #e3e6ea;
  --blue: #0072b2; --on-blue: #ffffff; --vermilion: #d55e00; --green: #009e73;
  --purple: #b0568f; --orange: #b87700; --sky: #2a8fc4; --yellow: #8f8500;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151a; --card: #1b2027; --text: #e8ebef; --muted: #a3adb8; --line: #2d343d;
    --blue: #56b4e9; --on-blue: #0b1420; --vermilion: #f28e2b; --green: #2fc79b;
    --purple: #e09cc8; --orange: #e6a938; --sky: #8ccdf2; --yellow: #e8dc50;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1020px; padding: 24px 16px 48px;
  background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
body.wide { max-width: 1440px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 12px; }
h2 { font-size: 17px; margin: 0 0 10px; }
h3 { font-size: 15px; margin: 18px 0 8px; }
section, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; margin: 0 0 16px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 8px 20px; margin: 0 0 20px; }
.facts dt { color: var(--muted); font-size: 13px; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; padding: 0; border: 0; background: none; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; display: flex; flex-direction: column; }
.tile span { color: var(--muted); font-size: 13px; }
.tile strong { font-size: 26px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile small { color: var(--muted); font-size: 12.5px; line-height: 1.45; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px; margin-bottom: 16px; }
body.wide .cards { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 560px)); }
.card { margin: 0; display: flex; flex-direction: column; }
.card svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--muted); font-size: 13px; margin-top: 8px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { color: var(--muted); font-weight: 500; }
tbody th { font-weight: 400; text-align: left; padding-left: 0; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.settings th { width: 11em; color: var(--muted); }
.changed td { font-weight: 600; }
details { margin-top: 10px; }
summary { cursor: pointer; color: var(--muted); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); gap: 12px; }
.gallery figure { margin: 0; }
.gallery img, .absent { width: 100%; height: auto; aspect-ratio: 1; border-radius: 6px; display: block; background: var(--line); }
.gallery img + img { margin-top: 4px; }
.absent { display: grid; place-items: center; color: var(--muted); font-size: 13px; }
.gallery figcaption { margin-top: 4px; line-height: 1.35; }
.gallery b { color: var(--text); font-size: 15px; }
.gallery small { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 12px; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
th[aria-sort="descending"] button::after { content: " ▼"; font-size: 10px; }
th[aria-sort="ascending"] button::after { content: " ▲"; font-size: 10px; }
.left { text-align: left; }
.sortable th:first-child { text-align: left; }
.seed th, .seed td { color: var(--muted); font-size: 13px; border-bottom: 0; padding-top: 2px; padding-bottom: 2px; }
.seed th { padding-left: 14px; }
.note { border-left: 3px solid var(--vermilion); padding: 4px 12px; margin: 0 0 12px; overflow-wrap: anywhere; }
footer { color: var(--muted); font-size: 13px; }
@media (max-width: 640px) {
  body { padding: 16px 10px 32px; }
  section, .card { padding: 12px; }
  .tiles { grid-template-columns: 1fr 1fr; padding: 0; }
  .facts { grid-template-columns: 1fr 1fr; }
  table { font-size: 13px; }
  th, td { padding: 5px 6px; }
  tbody th { white-space: normal; min-width: 7em; }
  .gallery { grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); gap: 8px; }
}
@media (pointer: coarse) {
  th button, summary { min-height: 32px; min-width: 32px; }
  summary { padding: 6px 0; }
}
a { color: inherit; text-decoration-color: var(--muted); }
@media print {
  :root {
    --ground: #fff; --card: #fff; --text: #000; --muted: #444; --line: #ccc;
    --blue: #0072b2; --on-blue: #fff; --vermilion: #d55e00; --green: #009e73;
  }
  @page { margin: 12mm; }
  body, body.wide { max-width: none; padding: 0; font-size: 10px; }
  h1 { font-size: 16px; } h2 { font-size: 12px; margin-bottom: 4px; }
  section, .card { padding: 6px 8px; margin-bottom: 6px; border-radius: 4px; }
  section, .card, .gallery figure { break-inside: avoid; }
  section:has(.gallery) { break-inside: auto; }
  h2, h3 { break-after: avoid; }
  h3 { font-size: 10px; margin: 8px 0 3px; }
  section:has(> h2 + details:last-child:not([open])) { display: none; }
  .facts { grid-template-columns: repeat(4, 1fr); gap: 3px 12px; margin-bottom: 6px; }
  .facts dt, .tile span, .tile small, figcaption, th, td, summary { font-size: 9px; }
  .tiles { grid-template-columns: repeat(5, 1fr); gap: 6px; padding: 0; }
  .tile { padding: 4px 8px; } .tile strong { font-size: 15px; }
  .cards { grid-template-columns: repeat(3, 1fr); gap: 6px; margin-bottom: 6px; }
  th, td { padding: 1px 6px; }
  .gallery { grid-template-columns: repeat(7, minmax(0, 1fr)); gap: 4px 6px; }
  .gallery img + img { margin-top: 2px; }
  .gallery figcaption, .gallery b, .gallery small { font-size: 8px; }
  .settings, .settings tbody { display: block; }
  .settings tbody { columns: 3; }
  .settings tr { display: flex; break-inside: avoid; }
  .settings td { flex: 1; }
  details:not([open]), footer { display: none; }
}
`;
