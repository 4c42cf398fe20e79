import { useQuery, useQueryClient, type Query } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { Suspense, lazy, useEffect, useState } from 'react'
import { session } from '~/api/client'
import { actions, incidents, tenants } from '~/api/queries'
import { useMe, useTenant } from '~/domain/session'
import { useSignOut } from '~/domain/sign-out'
import { OPEN } from '~/domain/words'
import { LANGUAGES, isLanguage, setLanguage, useTranslation } from '~/i18n'
import { Icon } from '~/ui/Icon'
import { useKeys } from '~/ui/keys'
import { Menu } from '~/ui/Menu'
import { Loading } from '~/ui/states'
import { THEMES, setTheme, useTheme } from '~/ui/theme'
import { usePages } from './pages'

const loadPalette = () => import('./palette')
const Palette = lazy(() => loadPalette().then((it) => ({ default: it.Palette })))
const Help = lazy(() => import('./help').then((it) => ({ default: it.Help })))

export const WAITING = { state: 'awaiting-approval' }
export const OPEN_INCIDENTS = { status: OPEN.join(',') }

/** With another tenant, everything begins anew: nothing of one may be seen under another's name. */
export function Shell() {
  const tenant = useTenant()
  const queries = useQueryClient()
  useEffect(() => {
    session.keepTenant(tenant)
    const isOther = ({ queryKey: [first] }: Query) => first !== tenant && first !== 'me'
    queries.removeQueries({ predicate: isOther, type: 'inactive' })
  }, [tenant, queries])
  return <Inside key={tenant} />
}

function Inside() {
  const { t } = useTranslation()
  const [opened, setOpened] = useState<{ what: 'palette' | 'help' | 'nav'; path: string }>()
  const navigate = useNavigate()
  const path = useRouterState({ select: (state) => state.location.pathname })
  const pages = usePages()
  // Who presses the keys types on at once.
  useEffect(() => void loadPalette(), [])
  // Going to another page closes what was open on this one.
  const open = opened?.path === path ? opened.what : undefined
  const setOpen = (what: 'palette' | 'help' | 'nav' | undefined) =>
    setOpened(what && { what, path })
  const close = () => setOpen(undefined)
  useKeys({
    'mod+k': () => setOpen('palette'),
    '?': () => setOpen('help'),
    ...Object.fromEntries(pages.map((page) => [page.keys, () => void navigate({ to: page.to })])),
  })
  return (
    <div className="shell">
      <a className="skip" href="#main">
        {t('ui.skip')}
      </a>
      <header className="topbar">
        <button
          type="button"
          className="icon-button"
          aria-expanded={open === 'nav'}
          aria-controls="sidebar"
          aria-label={t('ui.menu')}
          onClick={() => setOpen(open === 'nav' ? undefined : 'nav')}
        >
          <Icon name={open === 'nav' ? 'close' : 'menu'} size={20} />
        </button>
        <span className="brand">
          <img src="/icon.svg" alt="" width="22" height="22" /> Plura
        </span>
      </header>
      <aside id="sidebar" className={`sidebar ${open === 'nav' ? 'is-open' : ''}`}>
        <div className="sidebar-top">
          <span className="brand">
            <img src="/icon.svg" alt="" width="24" height="24" /> Plura
          </span>
          <TenantSwitch />
        </div>
        <button type="button" className="search-button" onClick={() => setOpen('palette')}>
          <Icon name="search" />
          <span>{t('palette.open')}</span>
          <kbd>{isMac() ? '⌘K' : 'Ctrl K'}</kbd>
        </button>
        <nav aria-label={t('ui.nav')}>
          <ul className="nav">
            {pages.map((page) => (
              <li key={page.to}>
                <Link to={page.to} className="nav-link" activeOptions={{ exact: page.to === '/' }}>
                  <Icon name={page.icon} size={18} />
                  <span>{page.title}</span>
                  {page.to === '/incidents' && <OpenCount />}
                  {page.to === '/response' && <WaitingCount />}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div className="sidebar-foot">
          <button type="button" className="nav-link" onClick={() => setOpen('help')}>
            <kbd>?</kbd> <span>{t('help.title')}</span>
          </button>
          <PersonMenu />
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<Loading rows={8} />}>
          <Outlet />
        </Suspense>
      </main>
      <Suspense>
        {open === 'palette' && <Palette onClose={close} onHelp={() => setOpen('help')} />}
        {open === 'help' && <Help onClose={close} />}
      </Suspense>
    </div>
  )
}

function isMac() {
  return navigator.platform.startsWith('Mac')
}

function OpenCount() {
  const { t } = useTranslation()
  const open = useQuery(incidents(useTenant(), OPEN_INCIDENTS)).data
  if (!open?.items.length) return null
  const n = `${open.items.length}${open.next ? '+' : ''}`
  return (
    <span className="nav-count" title={t('nav.open', { n })}>
      <span aria-hidden="true">{n}</span>
      <span className="only-read"> {t('nav.open', { n })}</span>
    </span>
  )
}

function WaitingCount() {
  const { t } = useTranslation()
  const waiting = useQuery(actions(useTenant(), WAITING)).data
  if (!waiting?.items.length) return null
  const n = `${waiting.items.length}${waiting.next ? '+' : ''}`
  return (
    <span className="nav-count nav-count-now" title={t('nav.waiting', { n })}>
      <span aria-hidden="true">{n}</span>
      <span className="only-read"> {t('nav.waiting', { n })}</span>
    </span>
  )
}

/** Whose data this is; to change it where one belongs to several. */
function TenantSwitch() {
  const { t } = useTranslation()
  const me = useMe()
  const known = useQuery(tenants(useTenant())).data
  const navigate = useNavigate()
  const named = (id: string) => known?.find((tenant) => tenant.id === id)?.name ?? id
  const mode = known?.find((tenant) => tenant.id === me.tenant)?.mode
  const modeLine = mode && (
    <span className={`mode mode-${mode}`} title={t(`mode.${mode as 'observe'}.text`)}>
      {t(`mode.${mode as 'observe'}`)}
    </span>
  )
  if (me.tenants.length < 2) {
    return (
      <p className="tenant">
        <span className="tenant-name">{named(me.tenant)}</span>
        {modeLine}
      </p>
    )
  }
  return (
    <div className="tenant">
      <Menu
        label={t('tenant.switch')}
        trigger={
          <>
            <span className="tenant-name">{named(me.tenant)}</span> <Icon name="down" size={14} />
          </>
        }
        items={me.tenants.map(({ tenant, role }) => ({
          label: (
            <>
              {named(tenant)} <span className="quiet">{t(`role.${role as 'owner'}`)}</span>
            </>
          ),
          isChosen: tenant === me.tenant,
          onSelect: () => void navigate({ to: '/', search: { tenant } }),
        }))}
      />
      {modeLine}
    </div>
  )
}

function PersonMenu() {
  const { t, i18n } = useTranslation()
  const me = useMe()
  const theme = useTheme()
  const navigate = useNavigate()
  const signOut = useSignOut()
  const role = me.tenants.find((one) => one.tenant === me.tenant)?.role
  return (
    <Menu
      label={t('person.menu', { name: me.name })}
      side="top"
      trigger={
        <span className="person">
          <Icon name="user" size={18} />
          <span className="person-name">{me.name}</span>
          {role && <span className="quiet">{t(`role.${role as 'owner'}`)}</span>}
        </span>
      }
      items={[
        ...Object.entries(LANGUAGES).map(([language, name]) => ({
          label: <span lang={language}>{name}</span>,
          isChosen: i18n.language === language,
          onSelect: () => void (isLanguage(language) && setLanguage(language)),
        })),
        'line' as const,
        ...THEMES.map((one) => ({
          label: t(`theme.${one}`),
          isChosen: theme === one,
          onSelect: () => setTheme(one),
        })),
        'line' as const,
        {
          label: t('password.change'),
          onSelect: () => void navigate({ to: '/password', search: {} }),
        },
        { label: t('person.out'), onSelect: () => signOut.mutate() },
      ]}
    />
  )
}
