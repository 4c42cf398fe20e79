import i18next from 'i18next'
import { initReactI18next, useTranslation } from 'react-i18next'
import en from './en.json'
import type ja from './ja.json'
import type ko from './ko.json'

export type Key = keyof typeof en
export type Words = Record<Key, string>

/** A word that only a translation has is a mistake, as one it lacks is. */
type Superfluous = Exclude<keyof typeof ko | keyof typeof ja, Key>
const nothingSuperfluous: [Superfluous] extends [never] ? true : Superfluous = true
void nothingSuperfluous

export const LANGUAGES = { en: 'English', ko: '한국어', ja: '日本語' } as const
export type Language = keyof typeof LANGUAGES

const load: Record<Language, () => Promise<{ default: Words }>> = {
  en: () => Promise.resolve({ default: en }),
  ko: () => import('./ko.json'),
  ja: () => import('./ja.json'),
}

const REMEMBERED = 'plura.language'

export function isLanguage(text: string | null | undefined): text is Language {
  return text != null && Object.hasOwn(LANGUAGES, text)
}

function preferred(): Language {
  const chosen = localStorage.getItem(REMEMBERED)
  if (isLanguage(chosen)) return chosen
  const spoken = navigator.languages.map((tag) => tag.slice(0, 2))
  return spoken.find(isLanguage) ?? 'en'
}

export async function setLanguage(language: Language, remember = true) {
  const words = await load[language]()
  i18next.addResourceBundle(language, 'translation', words.default)
  await i18next.changeLanguage(language)
  document.documentElement.lang = language
  if (remember) localStorage.setItem(REMEMBERED, language)
}

export async function startLanguage() {
  await i18next.use(initReactI18next).init({
    lng: 'en',
    fallbackLng: 'en',
    resources: { en: { translation: en } },
    keySeparator: false,
    nsSeparator: false,
    // React escapes.
    interpolation: { escapeValue: false },
  })
  await setLanguage(preferred(), false)
}

export function language(): Language {
  return isLanguage(i18next.language) ? i18next.language : 'en'
}

/** `word('rule', code)`: the sentence for a code of the server's, or the code itself. */
export function useWord() {
  const { i18n } = useTranslation()
  return (group: string, code: string): string => {
    const key = `${group}.${code}`
    return i18n.exists(key) ? i18n.t(key as Key) : code
  }
}

export function hasWord(key: string): key is Key {
  return Object.hasOwn(en, key)
}

export { useTranslation }
