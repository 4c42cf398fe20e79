import react from '@vitejs/plugin-react'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

const OUT = 'dist/www'

/** Writes `.br` and `.gz` beside each text file; the server picks by Accept-Encoding. */
function precompress(): Plugin {
  const pack = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const file = join(folder, entry.name)
      if (entry.isDirectory()) pack(file)
      else if (/\.(js|css|html|svg|json)$/.test(entry.name)) {
        const text = readFileSync(file)
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }
        writeFileSync(`${file}.br`, brotliCompressSync(text, quality))
        writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }))
      }
    }
  }
  return { name: 'precompress', apply: 'build', closeBundle: () => pack(OUT) }
}

export default defineConfig({
  plugins: [react(), precompress()],
  resolve: { alias: { '~': new URL('./src', import.meta.url).pathname } },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: 'es2023',
    // The policy forbids what is inlined, and a polyfill nobody needs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev` beside a server or `plura demo` on its usual port.
    proxy: {
      '/api': { target: process.env.PLURA_SERVER ?? 'https://127.0.0.1:8443', secure: false },
    },
  },
})
