export function missingNvidiaVulkan(root?: string): string[];
