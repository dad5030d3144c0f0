/** Of the page of explanations, beside that of all reports. */
export const pageStyle = `
.raises { color: var(--blue); }
.lowers { color: var(--vermilion); }
.legend { display: flex; gap: 8px; align-items: center; font-size: 13px; color: var(--muted); max-width: 320px; }
.legend i { flex: 1; height: 10px; border-radius: 5px; background: linear-gradient(90deg, #d55e00, #d55e0000 50%, #0072b200 50%, #0072b2); border: 1px solid var(--line); }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(46%, 190px), 1fr)); gap: 12px; margin-bottom: 12px; }
.maps figure { margin: 0; }
.map { position: relative; aspect-ratio: 1; border-radius: 6px; overflow: hidden; background: var(--line); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.map:not(.plain)::before { content: ""; position: absolute; inset: 0; background: var(--picture) center / cover; filter: grayscale(1) brightness(1.1) contrast(0.75); }
.map img { position: relative; width: 100%; height: 100%; display: block; }
.maps figcaption { margin-top: 4px; overflow-wrap: anywhere; }
.maps figcaption b { color: var(--text); }
.score { float: right; font-variant-numeric: tabular-nums; }
h2 { overflow-wrap: anywhere; }
section[id] svg { width: 100%; max-width: 560px; height: auto; display: block; margin: 0 auto; }
section[id]:target { outline: 2px solid var(--blue); }
.note-small { color: var(--muted); font-size: 13px; margin: 4px 0 0; }
@media print { section[id] { break-inside: avoid; } .maps { grid-template-columns: repeat(4, 1fr); } section[id] svg { max-width: 90mm; } }
`;
