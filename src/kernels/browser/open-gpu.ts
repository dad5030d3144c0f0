import { UserError } from '../../common/errors.ts';
import { fnv1aHex } from '../../common/fnv1a.ts';
import { type AdapterSource, type DeviceOptions, openAdapter } from '../device/adapter.ts';
import { type AdapterStore, adapterKey } from '../device/adapter-store.ts';
import { type Gpu, openGpuOf } from '../device/gpu.ts';

/** How a page or worker opens the browser's adapter. */
export interface BrowserGpuOptions extends DeviceOptions {
  /** Keeps what is found out about the adapter: {@link textStore} of `localStorage`, say. By default it is forgotten with the device. */
  readonly store?: AdapterStore | null;
}

/** What a page or worker has; these files are also compiled where there is neither. */
interface Surroundings {
  readonly navigator?: { readonly gpu?: GPU };
  readonly isSecureContext?: boolean;
}

/** Opens the browser's adapter; throws a {@link UserError} with advice where there is none. */
export async function openGpu(options: BrowserGpuOptions = {}): Promise<Gpu> {
  const { store = null } = options;
  const { navigator, isSecureContext } = globalThis as Surroundings;
  const gpu = navigator?.gpu;
  if (!gpu)
    throw new UserError(
      'this browser has no WebGPU',
      isSecureContext === false
        ? 'Browsers offer it only to pages from https: or localhost.'
        : 'Use a current Chrome, Edge, Firefox or Safari; on Linux it may have to be switched on.',
    );
  const source: AdapterSource = {
    gpu,
    request: () => gpu.requestAdapter({ powerPreference: 'high-performance' }),
    advice: 'The browser has WebGPU, but no graphics driver that it trusts: update the driver.',
    immediate: false,
    store,
  };
  return openGpuOf(() => openAdapter(source, options));
}

/** Texts by name, such as `localStorage`. */
export interface Texts {
  /** The text of a name; null where there is none. */
  getItem(name: string): string | null;
  /** Keeps a text under a name. */
  setItem(name: string, text: string): void;
}

/** Keeps what is found out about adapters as texts. Where storage is full or forbidden, it lasts as long as the device. */
export function textStore(texts: Texts): AdapterStore {
  const nameOf = (...[kind, adapter]: Parameters<AdapterStore['read']>) =>
    `clip-agiqa-webgpu ${kind} ${fnv1aHex(adapterKey(adapter))}`;
  return {
    read(kind, adapter) {
      try {
        return texts.getItem(nameOf(kind, adapter)) ?? undefined;
      } catch {
        return undefined;
      }
    },
    async write(kind, adapter, text) {
      try {
        texts.setItem(nameOf(kind, adapter), text);
      } catch {
        // The next visit measures again.
      }
    },
  };
}
