import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type Attack, fileAttack } from './attack.ts';
import {
  type ForgedEntry,
  forgeSafetensors,
  forgeZip,
  pickledDict,
  pickledTensor,
  runEntry,
  storedEntry,
} from './forge.ts';

const command = ['weights', '--info'];

/** A state dict of tensors of 4 numbers, each in the storage that `keyOf` says. */
const fours = (tensors: number, keyOf: (i: number) => string): ForgedEntry => {
  const dict = Object.fromEntries(
    Array.from({ length: tensors }, (_, i) => [`w${i}`, pickledTensor(keyOf(i), 4, [4], [1])]),
  );
  return storedEntry('x/data.pkl', Buffer.from(pickledDict(dict), 'latin1'));
};

/** PyTorch's end of an archive with a number overwritten by one beyond what a double holds. */
const zip64With = (signature: string, offset: number): Buffer => {
  const archive = forgeZip([fours(1, () => '0'), storedEntry('x/data/0', Buffer.alloc(16))], { zip64: true });
  archive.writeBigUInt64LE(2n ** 63n, archive.lastIndexOf(Buffer.from(signature, 'latin1')) + offset);
  return archive;
};

/** Zip archives, safetensors, and what is no file at all. */
export const archiveAttacks: readonly Attack[] = [
  fileAttack('attack.pt', {
    name: 'a deflated storage of 1.9 GB with 40 tensors in it',
    once: 'one tensor took 5.5 GB and 130 s, and each the same again',
    reader: 'tensors',
    bytes: () => forgeZip([fours(40, () => '0'), runEntry('x/data/0', 0, 120)]),
    message: /its compressed entries unpack to 2,013,265,920 bytes, more than the limit of/,
  }),
  fileAttack('attack.pt', {
    name: 'forty deflated storages of 48 MB',
    once: 'each within the limit, together 1.9 GB',
    reader: 'tensors',
    bytes: () => {
      const run = runEntry('', 0, 3);
      return forgeZip([
        fours(40, String),
        ...Array.from({ length: 40 }, (_, i) => ({ ...run, name: `x/data/${i}` })),
      ]);
    },
    message: /its compressed entries unpack to [\d,]+ bytes, more than the limit of/,
  }),
  fileAttack('attack.pt', {
    name: 'an end record 2^63 bytes into the archive',
    once: 'fs.read threw in a callback: the process died, whoever tried to catch it',
    reader: 'tensors',
    bytes: () => zip64With('PK\x06\x07', 8),
    message: /ends at byte \d+, but bytes 9223372036854776000/,
    command,
  }),
  fileAttack('attack.pt', {
    name: 'a directory 2^63 bytes into the archive',
    once: 'the same',
    reader: 'tensors',
    bytes: () => zip64With('PK\x06\x06', 48),
    message: /ends at byte \d+, but bytes 9223372036854776000/,
  }),
  fileAttack('attack.pt', {
    name: 'an archive that claims 2^63 entries',
    once: 'they were read until the directory ended',
    reader: 'tensors',
    bytes: () => zip64With('PK\x06\x06', 32),
    message: /its archive has 9,223,372,036,854,776,000 entries, more than the limit of/,
  }),
  fileAttack('attack.pt', {
    name: 'a thousand entries that share their bytes',
    once: 'a file of some megabytes held petabytes',
    reader: 'tensors',
    bytes: () => {
      const data = Buffer.alloc(2 ** 16);
      const shared = { packed: data, method: 0, size: data.length, crc: crc32(data), at: 0 } as const;
      return forgeZip([
        storedEntry('x/data/0', data),
        ...Array.from({ length: 1000 }, (_, i) => ({ ...shared, name: `x/data/${i + 1}` })),
        fours(1000, String),
      ]);
    },
    message: /its entries overlap/,
  }),
  fileAttack('attack.safetensors', {
    name: 'a header of 1.5 million empty tensors',
    once: '87 MB: no end (100 s, 0.8 GB)',
    reader: 'info',
    bytes: () =>
      forgeSafetensors(
        `{${Array.from({ length: 1_500_000 }, (_, i) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join(',')}}`,
      ),
    message: /its header has [\d,]+ bytes, more than the limit of/,
    command,
  }),
  fileAttack('attack.safetensors', {
    name: 'a header of 25,000 empty tensors',
    once: 'as many as fit into the header, and each is compared with patterns',
    reader: 'info',
    bytes: () =>
      forgeSafetensors(
        `{${Array.from({ length: 25_000 }, (_, i) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join(',')}}`,
      ),
    message: /holds 25,000 tensors, more than the limit of/,
  }),
  fileAttack('attack.safetensors', {
    name: 'a header of 2.5 million empty lists',
    once: '200 MB of objects out of 8 MB of text',
    reader: 'info',
    bytes: () => forgeSafetensors(`{"a":[${'[],'.repeat(2_500_000)}0]}`),
    message: /holds [\d,]+ values, more than the limit of/,
  }),
  fileAttack('attack.safetensors', {
    name: 'a shape of 3 million numbers',
    once: '6 MB of text on the terminal',
    reader: 'info',
    bytes: () =>
      forgeSafetensors(`{"w":{"dtype":"F32","shape":[${'1,'.repeat(1_900_000)}1],"data_offsets":[0,4]}}`, 4),
    message: /tensor w has 1900001 dimensions, more than 64/,
    command,
  }),
  ...(['dtype', 'shape', 'data_offsets'] as const).map((member) =>
    fileAttack('attack.safetensors', {
      name: `a ${member} nested 100,000 deep`,
      once: 'a stack trace: JSON.stringify of it in the message',
      reader: 'info',
      bytes: () => {
        const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
        const entry = { dtype: '"F32"', shape: '[1]', data_offsets: '[0,4]', [member]: nested };
        return forgeSafetensors(
          `{"w":{${Object.entries(entry)
            .map(([key, value]) => `"${key}":${value}`)
            .join(',')}}}`,
          4,
        );
      },
      message: /its header: is nested 100,00\d levels deep, more than the limit of/,
      command,
    }),
  ),
  fileAttack('attack.safetensors', {
    name: 'as many tensors as may be, of the longest names and shapes',
    once: 'a table of 10 MB, whose columns took a minute to measure',
    reader: 'info',
    bytes: () => {
      const name = (i: number) => `${i}`.padEnd(160, '\u6f22\u5b57');
      const tensor = (i: number) => ({
        dtype: 'F32',
        shape: Array<number>(64).fill(1),
        data_offsets: [4 * i, 4 * i + 4],
      });
      return forgeSafetensors(
        Object.fromEntries(Array.from({ length: 12_000 }, (_, i) => [name(i), tensor(i)])),
        4 * 12_000,
      );
    },
    outcome: 'accepted',
    message: /^$/,
    command,
  }),
  fileAttack('attack.safetensors', {
    name: 'metadata of 300,000 texts',
    once: 'as many lines on the terminal, 14 s',
    reader: 'info',
    bytes: () =>
      forgeSafetensors({
        __metadata__: Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`k${i}`, 'v'])),
      }),
    message: /__metadata__ has 300,000 entries, more than the limit of/,
  }),
  fileAttack('attack.safetensors', {
    name: 'a name of 5 million characters',
    once: 'as long on the terminal',
    reader: 'info',
    bytes: () =>
      forgeSafetensors({ ['n'.repeat(5_000_000)]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, 4),
    message: /a tensor's name has 5,000,000 characters, more than the limit of/,
  }),
  {
    name: 'a tensor of 9 TB in a file without content',
    once: '"Array buffer allocation failed" with its stack',
    reader: 'tensors',
    make: (folder) => {
      const path = join(folder, 'attack.safetensors');
      const bytes = 9 * 2 ** 40;
      const header = forgeSafetensors({ w: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } });
      writeFileSync(path, header);
      truncateSync(path, header.length + bytes);
      return path;
    },
    message: /tensor w of shape \[9895604649984\] takes 39,582,418,599,936 bytes, more than the limit of/,
  },
  {
    name: 'a pipe named as weights',
    once: 'waited for a writer for ever',
    reader: 'info',
    make: (folder) => {
      execFileSync('mkfifo', [join(folder, 'attack.safetensors')]);
      return join(folder, 'attack.safetensors');
    },
    message: /is not a regular file/,
    command,
  },
  {
    name: 'a folder whose configuration is a device',
    once: 'read until memory ended',
    reader: 'clipWeights',
    make: (folder) => {
      symlinkSync('/dev/zero', join(folder, 'config.json'));
      const header = {
        'vision_model.post_layernorm.bias': { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      };
      writeFileSync(join(folder, 'model.safetensors'), forgeSafetensors(header, 4));
      return folder;
    },
    message: /config\.json: is not a regular file/,
  },
  {
    name: 'an index whose shard is its own folder',
    once: 'opened itself until the path was too long',
    reader: 'info',
    make: (folder) => {
      mkdirSync(join(folder, 'model'));
      symlinkSync('.', join(folder, 'model', 'again'));
      const index = { weight_map: { w: 'again' } };
      writeFileSync(join(folder, 'model', 'model.safetensors.index.json'), JSON.stringify(index));
      return join(folder, 'model');
    },
    message: /is not a regular file/,
  },
];
