import { Link, Outlet } from '@tanstack/react-router'
import { Suspense } from 'react'
import { useTranslation } from '~/i18n'
import { Loading } from '~/ui/states'
import { useSections } from './sections'

/** The side list of what can be set, beside the section that is open; tabs on a telephone. */
export function Settings() {
  const { t } = useTranslation()
  const groups = useSections()
  return (
    <div className="settings">
      <nav className="settings-nav" aria-label={t('settings.sections')}>
        {groups.map(({ title, sections }) => (
          <div className="settings-group" key={title}>
            <p>{title}</p>
            <ul>
              {sections.map((section) => (
                <li key={section.to}>
                  <Link to={section.to} className="nav-link">
                    {section.title}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </nav>
      <div className="settings-body">
        <Suspense fallback={<Loading rows={8} />}>
          <Outlet />
        </Suspense>
      </div>
    </div>
  )
}
