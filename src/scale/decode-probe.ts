import { prepareImage } from '../data/images/prepare.ts';
import type { ProbedImage } from './probe.ts';

// A process of its own that decodes images as a loader's thread does, for those that may end it; see probe.ts.
process.on('message', async (image: ProbedImage) => {
  await prepareImage({ ...image, size: 32, transform: { kind: 'test' } });
  process.send?.('done');
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
