/** WGSL files are imported as text: inlined by the bundler, and by a small plugin in the tests. */
declare module '*.wgsl' {
  const source: string;
  export default source;
}
