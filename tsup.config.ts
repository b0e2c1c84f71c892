import { copyFile } from 'node:fs/promises';
import { defineConfig } from 'tsup';

/**
 * The package: library, command and demo in one graph of chunks, the core and declarations beside
 * them.
 */
export default defineConfig({
  entry: {
    index: 'host/index.ts',
    cli: 'host/cli/main.ts',
    start: 'host/cli/start.ts',
  },
  outDir: 'dist',
  format: 'esm',
  target: 'node20',
  platform: 'node',
  sourcemap: true,
  clean: true,
  dts: { entry: { index: 'host/index.ts' } },
  // `node:sqlite` exists with its prefix only.
  removeNodeProtocol: false,
  silent: true,
  async onSuccess() {
    await copyFile('build/core.wasm', 'dist/core.wasm');
  },
});
