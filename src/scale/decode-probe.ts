import { prepareImage } from '../data/images/prepare.ts';

// A process of its own that decodes images as a loader's thread does, for those that may end it; see probe.ts.
process.on('message', async (path: string) => {
  await prepareImage({ path, size: 32, transform: { kind: 'test' } });
  process.send?.('done');
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
