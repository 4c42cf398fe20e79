import base from './playwright.config'

/** The demo's story by hand, into `docs/tour/`: `npm run tour` (docs/tour.md). */
export default {
  ...base,
  testMatch: 'tour.ts',
  globalSetup: undefined,
  timeout: 600_000,
  retries: 0,
  workers: 1,
}
