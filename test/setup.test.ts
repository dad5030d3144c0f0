import { describe, expect, it } from 'vitest';
import { backportsSource } from '../scripts/apt-backports.mjs';

const file = (path: string, text: string) => ({ path, text });

describe('backportsSource', () => {
  it('takes mirror and keys from a deb822 source with several stanzas', () => {
    const text = `Types: deb
# a comment between fields
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/example.gpg

Types: deb
URIs: https://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/security.gpg
`;
    expect(backportsSource([file('debian.sources', text)], 'bookworm')).toBe(`Types: deb
URIs: https://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/example.gpg
`);
  });

  it('takes them from a one-line source with options', () => {
    const text = `# deb cdrom:[Debian] bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/keys.gpg] http://mirror.example/debian bookworm main contrib
`;
    const source = backportsSource([file('sources.list', text)], 'bookworm');
    expect(source).toContain('URIs: http://mirror.example/debian\n');
    expect(source).toContain('Signed-By: /etc/keys.gpg\n');
    expect(source).toContain('Architectures: amd64\n');
  });

  it('keeps a key that is written out over several lines', () => {
    const text =
      'Types: deb\nURIs: http://m.example\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN KEY-----\n .\n abc\n';
    expect(backportsSource([file('x.sources', text)], 'bookworm')).toContain(
      'Signed-By: \n -----BEGIN KEY-----\n .\n abc',
    );
  });

  it('has nothing to add where backports are configured already', () => {
    const files = [
      file('a.list', 'deb http://m.example/debian bookworm main\n'),
      file('b.list', 'deb http://m.example/debian bookworm-backports main\n'),
    ];
    expect(backportsSource(files, 'bookworm')).toBeNull();
  });

  it('does not count disabled or source-only stanzas, and says when no suite is left', () => {
    const text =
      'Types: deb\nEnabled: no\nURIs: http://m.example\nSuites: bookworm\n\nTypes: deb-src\nURIs: http://m.example\nSuites: bookworm\n';
    expect(() => backportsSource([file('x.sources', text)], 'bookworm')).toThrow(
      /no source for the suite bookworm/,
    );
  });
});
