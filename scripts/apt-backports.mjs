// Debian's backports source, derived from the machine's own apt configuration: whatever mirror and keys it uses.

/**
 * @param {{ path: string, text: string }[]} files contents of sources.list and sources.list.d/*
 * @param {string} codename the release, such as "bookworm"
 * @returns {string | null} a deb822 stanza for `CODENAME-backports`; null if there is one already
 * @throws {Error} when no source of the release's main suite is configured
 */
export function backportsSource(files, codename) {
  const sources = files.flatMap(({ path, text }) =>
    path.endsWith('.sources') ? deb822(text) : oneLine(text),
  );
  const suite = `${codename}-backports`;
  if (sources.some(({ suites }) => suites.includes(suite))) return null;
  const main = sources.find(({ suites }) => suites.includes(codename));
  if (!main) throw new Error(`apt has no source for the suite ${codename}`);
  const lines = ['Types: deb', `URIs: ${main.uris.join(' ')}`, `Suites: ${suite}`, 'Components: main'];
  for (const [name, value] of Object.entries(main.options)) lines.push(`${name}: ${value}`);
  return `${lines.join('\n')}\n`;
}

/** Options that a source for another suite of the same archive needs as well. */
const kept = ['Signed-By', 'Trusted', 'Architectures', 'Check-Valid-Until'];

/** Stanzas of a .sources file (deb822 format), enabled ones that give binary packages. */
function deb822(text) {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = {};
    let last;
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#')) continue;
      const field = /^([\w-]+):\s*(.*)$/.exec(line);
      if (field) fields[(last = canonical(field[1]))] = field[2].trim();
      else if (last && /^\s/.test(line)) fields[last] += `\n${line.trimEnd()}`;
    }
    const words = (name) => (fields[name] ?? '').split(/\s+/).filter(Boolean);
    if (!words('Types').includes('deb') || /^(no|false)$/i.test(fields.Enabled ?? 'yes')) return [];
    const options = Object.fromEntries(
      kept.filter((name) => fields[name]).map((name) => [name, fields[name]]),
    );
    return [{ uris: words('Uris'), suites: words('Suites'), options }];
  });
}

/** Lines of a sources.list: `deb [options] URI SUITE COMPONENT…`. */
function oneLine(text) {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line);
    if (!found) return [];
    const given = Object.fromEntries(
      (found[1] ?? '')
        .split(/\s+/)
        .filter(Boolean)
        .map((pair) => pair.split('=')),
    );
    const options = Object.fromEntries(
      kept.flatMap((name) => {
        const short = { Architectures: 'arch' }[name] ?? name.toLowerCase();
        return given[short] ? [[name, given[short].replaceAll(',', ' ')]] : [];
      }),
    );
    return [{ uris: [found[2]], suites: [found[3].replace(/\/$/, '')], options }];
  });
}

const canonical = (name) => name.toLowerCase().replace(/(^|-)\w/g, (letter) => letter.toUpperCase());
