import { defineConfig } from '@playwright/test'

/** The real server with real data, driven by Debian's Chromium; `PLURA_CHROMIUM` names another. */
export default defineConfig({
  testDir: 'tests',
  testMatch: '*.spec.ts',
  globalSetup: './tests/server.ts',
  fullyParallel: true,
  workers: 2,
  // All specs sign in from one address, whose wrong tries cost waiting time after fifty: seconds, then it goes on.
  retries: 2,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  forbidOnly: !!process.env.CI,
  reporter: [['list']],
  use: {
    ignoreHTTPSErrors: true,
    launchOptions: {
      executablePath: process.env.PLURA_CHROMIUM ?? '/usr/bin/chromium',
      // In a container the browser's own sandbox has nothing to stand on.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    },
    contextOptions: { reducedMotion: 'reduce' },
  },
})
