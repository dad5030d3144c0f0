// The entries of the published declarations, which bring WebGPU's types along, so that a project with "lib": ["es2023"] compiles.
// TypeScript's own DOM library has them from version 6 on; with an older one they come from @webgpu/types, which would declare
// them a second time in a newer one.
import { writeFileSync } from 'node:fs';

const dom = '/// <reference lib="dom" />\n';
for (const [entry, module] of [
  ['library', 'index'],
  ['browser-library', 'browser'],
]) {
  const library = `export * from './${module}.js';\n`;
  writeFileSync(`dist/types/${entry}.d.ts`, `${dom}${library}`);
  writeFileSync(`dist/types/${entry}-5.d.ts`, `${dom}/// <reference types="@webgpu/types" />\n${library}`);
}
