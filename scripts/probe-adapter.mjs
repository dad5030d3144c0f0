// Asks for a WebGPU adapter and a device, and prints what they are as JSON. setup.mjs runs it in a process of its
// own, because a broken driver may end the process.
// Mesa warns when this is unset, and writes nothing there.
if (process.platform === 'linux') process.env.XDG_RUNTIME_DIR ??= '/tmp';
const { create, globals } = await import('webgpu');
Object.assign(globalThis, globals);
const instance = create([]);
const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
if (!adapter) {
  process.stdout.write('null');
  process.exit(0);
}
const { vendor, architecture, device, description } = adapter.info;
await adapter.requestDevice();
const software =
  adapter.info.isFallbackAdapter === true ||
  /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(`${architecture} ${device} ${description}`);
process.stdout.write(JSON.stringify({ name: device || vendor, driver: description, software }), () =>
  process.exit(0),
);
