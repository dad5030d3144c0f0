import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backportsSource } from '../scripts/apt-backports.mjs';
import { missingNvidiaVulkan } from '../scripts/nvidia-vulkan.mjs';
import { temporaryFolder } from './temporary-folder.ts';

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

  it('reads field names in any case, and stanzas after one for security alone', () => {
    const text = `types: deb deb-src
uris: http://mirror.example/debian-security/
suites: bookworm-security
components: main contrib

types: deb deb-src
uris: http://mirror.example/debian/ http://second.example/debian/
suites: bookworm
components: main contrib
architectures: amd64 arm64
`;
    expect(backportsSource([file('debian.sources', text)], 'bookworm')).toBe(`Types: deb
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm-backports
Components: main
Architectures: amd64 arm64
`);
  });

  it('takes them from a one-line source with options', () => {
    const text = `# deb cdrom:[Debian] bookworm main
deb-src http://mirror.example/debian bookworm main
deb [ arch=amd64,arm64 signed-by=/etc/keys.gpg ]   http://mirror.example/debian/ bookworm main contrib # ours
deb http://mirror.example/debian-security bookworm-security main
`;
    expect(backportsSource([file('sources.list', text)], 'bookworm')).toBe(`Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By: /etc/keys.gpg
Architectures: amd64 arm64
`);
  });

  it('keeps a key that is written out over several lines', () => {
    const text =
      'Types: deb\nURIs: http://m.example\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN KEY-----\n .\n abc\n';
    expect(backportsSource([file('x.sources', text)], 'bookworm')).toContain(
      'Signed-By: \n -----BEGIN KEY-----\n .\n abc',
    );
  });

  it("passes over a vendor's source whose suite is named by the release too", () => {
    const files = [
      file('a-vendor.list', 'deb https://vendor.example/tool bookworm main\n'),
      file(
        'sources.list',
        'deb http://m.example/deb bookworm main\ndeb http://m.example/deb bookworm-updates main\n',
      ),
    ];
    expect(backportsSource(files, 'bookworm')).toContain('URIs: http://m.example/deb\n');
    const noUpdates = [files[0]!, file('debian.list', 'deb http://m.example/debian bookworm main\n')];
    expect(backportsSource(noUpdates, 'bookworm')).toContain('URIs: http://m.example/debian\n');
  });

  it("knows the release by its status, 'oldstable'", () => {
    const text =
      'deb http://m.example/debian oldstable main\ndeb http://m.example/debian oldstable-updates main\n';
    expect(backportsSource([file('sources.list', text)], 'bookworm')).toContain(
      'Suites: bookworm-backports\n',
    );
  });

  it('has nothing to add where backports are configured already', () => {
    const files = [
      file('a.list', 'deb http://m.example/debian bookworm main\n'),
      file(
        'b.sources',
        'Types: deb\nURIs: http://m.example/debian\nSuites: bookworm-backports\nComponents: main\n',
      ),
    ];
    expect(backportsSource(files, 'bookworm')).toBeNull();
  });

  it('says when there is no archive: disabled, source-only, security-only, CD and other files do not count', () => {
    const files = [
      file(
        'x.sources',
        'Types: deb\nEnabled: no\nURIs: http://m.example\nSuites: bookworm\nComponents: main\n\nTypes: deb-src\nURIs: http://m.example\nSuites: bookworm\nComponents: main\n',
      ),
      file('security.list', 'deb http://m.example/debian-security bookworm-security main\n'),
      file('cd.list', 'deb cdrom:[Debian-12]/ bookworm main\n'),
      file('old.list.save', 'deb http://m.example/debian bookworm main\n'),
      file('ubuntu.list', 'deb http://m.example/ubuntu noble main universe\n'),
    ];
    expect(() => backportsSource(files, 'bookworm')).toThrow(
      /no source for Debian's own archive of bookworm/,
    );
  });

  it("derives Ubuntu's in the same way", () => {
    const text =
      'Types: deb\nURIs: http://m.example/ubuntu\nSuites: noble noble-updates\nComponents: main universe\nSigned-By: /k.gpg\n';
    const files = [file('ubuntu.sources', text)];
    expect(backportsSource(files, 'noble')).toContain('Suites: noble-backports\n');
    const configured = [file('ubuntu.sources', text.replace('updates', 'updates noble-backports'))];
    expect(backportsSource(configured, 'noble')).toBeNull();
  });
});

describe('missingNvidiaVulkan', () => {
  const folder = temporaryFolder('nvidia-');
  const machine = (name: string, ...files: string[]) => {
    const root = join(folder, name);
    for (const file of files) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), '');
    }
    return missingNvidiaVulkan(root);
  };
  const icd = 'usr/share/vulkan/icd.d/nvidia_icd.json';

  it('has nothing to say where there is no GPU, or its driver is complete', () => {
    expect(machine('none', 'dev/null', 'usr/share/vulkan/icd.d/lvp_icd.json')).toEqual([]);
    expect(machine('complete', 'dev/nvidia0', icd)).toEqual([]);
    expect(machine('etc', 'dev/nvidia0', 'etc/vulkan/icd.d/nvidia_icd.x86_64.json')).toEqual([]);
  });

  it('says how to get the driver, on a machine and in a container', () => {
    const [what, how] = machine('bare', 'dev/nvidia0', 'usr/share/vulkan/icd.d/lvp_icd.json');
    expect(what).toContain('an NVIDIA GPU is here (/dev/nvidia0), but WebGPU cannot use it');
    expect(how).toMatch(/^install it: /);
    for (const sign of ['.dockerenv', 'run/.containerenv'])
      expect(machine(`container ${sign}`, 'dev/nvidia0', sign)[1]).toContain(
        '-e NVIDIA_DRIVER_CAPABILITIES=all',
      );
  });

  it('names a driver that lies where the loader does not look', () => {
    const hidden = 'usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json';
    expect(machine('hidden', 'dev/nvidia0', hidden).join()).toContain(`VK_DRIVER_FILES=/${hidden}`);
  });
});
