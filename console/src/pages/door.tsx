import { useEffect, type ReactNode } from 'react'
import { LANGUAGES, isLanguage, setLanguage, useTranslation } from '~/i18n'
import { Select } from '~/ui/Field'

/** What stands before the console: signing in and choosing a password, in one's own language. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  const { t, i18n } = useTranslation()
  useEffect(() => {
    document.title = `${title} · Plura`
  }, [title])
  return (
    <main className="door">
      <div className="door-card">
        <p className="brand">
          <img src="/icon.svg" alt="" width="28" height="28" /> Plura
        </p>
        <h1>{title}</h1>
        {children}
      </div>
      <p className="door-foot">
        <Select
          label={t('ui.language')}
          value={i18n.language}
          choices={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
          onChange={(value) => isLanguage(value) && void setLanguage(value)}
        />
      </p>
    </main>
  )
}
