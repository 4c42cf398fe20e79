import base from './playwright.config'

/** Every page as people see it, into `screenshots/`: to be looked at, not compared. */
export default { ...base, testMatch: 'screenshots.ts', timeout: 300_000 }
