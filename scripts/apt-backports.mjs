// Debian's backports as an apt source, derived from the machine's own apt configuration: its mirror, its keys.

/**
 * @param {{ path: string, text: string }[]} files sources.list and the files of sources.list.d
 * @param {string} codename the release, such as "bookworm"
 * @returns {string | null} a deb822 stanza for `CODENAME-backports`; null where that suite is configured already
 * @throws {Error} when no source of the release's main archive is configured
 */
export function backportsSource(files, codename) {
  const sources = files.flatMap(({ path, text }) =>
    path.endsWith('.sources') ? deb822(text) : path.endsWith('.list') ? oneLine(text) : [],
  );
  const suite = `${codename}-backports`;
  if (sources.some(({ suites }) => suites.includes(suite))) return null;
  const archive = mainArchive(sources, codename);
  if (!archive) throw new Error(`apt has no source for Debian's own archive of ${codename}`);
  const lines = ['Types: deb', `URIs: ${archive.uris.join(' ')}`, `Suites: ${suite}`, 'Components: main'];
  for (const [name, value] of Object.entries(archive.options)) lines.push(`${name}: ${value}`);
  return `${lines.join('\n')}\n`;
}

/**
 * The source of Debian itself. Vendors name their suites by the release too, so that one whose mirror also serves
 * the release's updates goes first, then one whose path is Debian's.
 */
function mainArchive(sources, codename) {
  const aliases = [codename, 'stable', 'oldstable'];
  const found = sources.filter(
    ({ suites, components, uris }) =>
      uris.length > 0 && components.includes('main') && suites.some((suite) => aliases.includes(suite)),
  );
  const updated = new Set(
    sources
      .filter(({ suites }) => suites.some((suite) => aliases.some((name) => suite === `${name}-updates`)))
      .flatMap(({ uris }) => uris),
  );
  return (
    found.find(({ uris }) => uris.some((uri) => updated.has(uri))) ??
    found.find(({ uris }) => uris.some((uri) => /\/debian$/.test(uri))) ??
    found.find(({ suites }) => suites.includes(codename))
  );
}

/** Options that another suite of the same archive needs as well, and their names in one-line sources. */
const kept = {
  'Signed-By': 'signed-by',
  Trusted: 'trusted',
  Architectures: 'arch',
  'Check-Valid-Until': 'check-valid-until',
};

/** Stanzas of a .sources file (deb822 format): the enabled ones that give binary packages. */
function deb822(text) {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = {};
    let last;
    for (const line of stanza.split('\n')) {
      if (line.startsWith('#')) continue;
      const field = /^([\w-]+):\s*(.*)$/.exec(line);
      if (field) fields[(last = field[1].toLowerCase())] = field[2].trim();
      else if (last && /^\s/.test(line)) fields[last] += `\n${line.trimEnd()}`;
    }
    const words = (name) => (fields[name] ?? '').split(/\s+/).filter(Boolean);
    if (!words('types').includes('deb') || /^(no|false|without|off|0)$/i.test(fields.enabled)) return [];
    const options = Object.keys(kept).flatMap((name) => {
      const value = fields[name.toLowerCase()];
      return value ? [[name, value]] : [];
    });
    return [source(words('uris'), words('suites'), words('components'), options)];
  });
}

/** Lines of a .list file: `deb [options] URI SUITE COMPONENT…`. */
function oneLine(text) {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (!found) return [];
    const [, bracket = '', uri, suite, components] = found;
    const given = Object.fromEntries(bracket.split(/\s+/).map((pair) => pair.split(/=(.*)/)));
    const options = Object.entries(kept).flatMap(([name, short]) =>
      given[short] ? [[name, given[short].replaceAll(',', ' ')]] : [],
    );
    return [source([uri], [suite], components.split(/\s+/), options)];
  });
}

/** Only mirrors on the network: a CD has no backports. */
function source(uris, suites, components, options) {
  return {
    uris: uris.filter((uri) => /^(\w+\+)?(https?|mirror):/.test(uri)).map((uri) => uri.replace(/\/+$/, '')),
    suites: suites.map((suite) => suite.replace(/\/+$/, '')),
    components,
    options: Object.fromEntries(options),
  };
}
