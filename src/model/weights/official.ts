/** A weights file as its makers publish it. */
export interface OfficialWeights {
  readonly name: string;
  readonly file: string;
  /** SHA-256 of the file's bytes. */
  readonly sha256: string;
  /** Whether this program runs it: ResNets are not vision transformers. */
  readonly supported: boolean;
}

/**
 * OpenAI's models. The digests are those that CLIP's own loader checks: it takes them from the addresses it downloads from
 * (github.com/openai/CLIP, clip/clip.py).
 */
export const officialWeights: readonly OfficialWeights[] = [
  ['ViT-B/32', 'ViT-B-32.pt', '40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af'],
  ['ViT-B/16', 'ViT-B-16.pt', '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f'],
  ['ViT-L/14', 'ViT-L-14.pt', 'b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836'],
  ['ViT-L/14@336px', 'ViT-L-14-336px.pt', '3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02'],
  ['RN50', 'RN50.pt', 'afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762'],
  ['RN101', 'RN101.pt', '8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599'],
  ['RN50x4', 'RN50x4.pt', '7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd'],
  ['RN50x16', 'RN50x16.pt', '52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa'],
  ['RN50x64', 'RN50x64.pt', 'be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c'],
].map(([name, file, sha256]) => ({
  name: `OpenAI CLIP ${name}`,
  file: file!,
  sha256: sha256!,
  supported: name!.startsWith('ViT'),
}));

/** What a digest says of a file: which official one it is, or, if only its name is an official one's, that it differs from it. */
export function identifyWeights(sha256: string, fileName: string): string | null {
  const official = officialWeights.find((known) => known.sha256 === sha256);
  if (official)
    return `${official.name}, the published ${official.file}${official.supported ? '' : ' (a ResNet, which is not supported)'}`;
  const namesake = officialWeights.find(({ file }) => file.toLowerCase() === fileName.toLowerCase());
  return namesake
    ? `not the published ${namesake.file} of ${namesake.name}, whose SHA-256 is ${namesake.sha256}`
    : null;
}
