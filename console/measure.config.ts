import base from './playwright.config'

/** How fast the console is over many events: figures, not verdicts (`benches/console.sh`). */
export default {
  ...base,
  testMatch: 'measure.ts',
  timeout: 3_600_000,
  retries: 0,
  workers: 1,
  fullyParallel: false,
}
