import { QueryClient } from '@tanstack/react-query'
import {
  Outlet,
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  retainSearchParams,
} from '@tanstack/react-router'
import { Refusal, session } from './api/client'
import { me, shouldRetry } from './api/queries'
import { RouteFailed, RouteMissing } from './pages/failures'
import { Loading } from './ui/states'
import { Toasts } from './ui/Toasts'

export const queryClient = new QueryClient({
  defaultOptions: {
    // A browser that is offline is told of as a server that does not answer.
    queries: {
      retry: shouldRetry,
      staleTime: 2_000,
      refetchOnWindowFocus: true,
      networkMode: 'always',
    },
  },
})

type Search = Record<string, unknown>
const text = (value: unknown) =>
  typeof value === 'string' && value !== ''
    ? value
    : typeof value === 'number'
      ? `${value}`
      : undefined
const oneOf = <T extends string | boolean>(value: unknown, ...known: T[]) =>
  known.find((one) => one === value)

/** What the address may say; all of it may be absent. */
const read =
  <T extends object>(from: (search: Search) => T) =>
  (search: Search): Partial<T> =>
    from(search)

const REMEMBERED_TENANT = 'plura.tenant'

const root = createRootRoute({
  // A link names the tenant, so that a colleague with several sees the same.
  validateSearch: read((search) => ({ tenant: text(search.tenant) })),
  search: { middlewares: [retainSearchParams(['tenant'])] },
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
  notFoundComponent: RouteMissing,
  errorComponent: RouteFailed,
})

/**
 * Only a path of ours: a link must not lead elsewhere after signing in. Browsers leave out controls, so that
 * `/\t/elsewhere` would be `//elsewhere`.
 */
export function ownPath(path: unknown): string | undefined {
  return typeof path === 'string' && /^\/(?![/\\])[^\s\p{Cc}]*$/u.test(path) ? path : undefined
}

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: read((search) => ({
    back: ownPath(search.back),
    why: oneOf(search.why, 'ended'),
  })),
  component: lazyRouteComponent(() => import('./pages/sign-in'), 'SignIn'),
})

const password = createRoute({
  getParentRoute: () => root,
  path: '/password',
  validateSearch: (search: Search): { back?: string | undefined } => ({
    back: ownPath(search.back),
  }),
  beforeLoad: ({ search, location }) => admit(search.tenant, location.href),
  component: lazyRouteComponent(() => import('./pages/password'), 'OwnPassword'),
})

const secondFactor = createRoute({
  getParentRoute: () => root,
  path: '/second-factor',
  validateSearch: (search: Search): { back?: string | undefined } => ({
    back: ownPath(search.back),
  }),
  beforeLoad: async ({ search, location }) => {
    const who = await admit(search.tenant, location.href)
    if (who.must_change_password) throw redirect({ to: '/password', search: { back: search.back } })
  },
  component: lazyRouteComponent(() => import('./pages/second-factor'), 'AddSecondFactor'),
})

/** Who is here, or off to sign in. */
async function admit(tenant: string | undefined, back: string) {
  try {
    return await queryClient.ensureQueryData(me(tenant))
  } catch (error) {
    if (error instanceof Refusal && error.problem.status === 401) {
      throw redirect({ to: '/sign-in', search: { back: ownPath(back) } })
    }
    // A link to somebody else's tenant leads to one's own.
    if (tenant && error instanceof Refusal && FOREIGN.includes(error.problem.code)) {
      throw redirect({ to: '.', search: (now) => ({ ...now, tenant: undefined }), replace: true })
    }
    throw error
  }
}

const FOREIGN = ['not-a-member', 'tenant-invalid']

const inside = createRoute({
  getParentRoute: () => root,
  id: 'in',
  beforeLoad: async ({ search, location }) => {
    const who = await admit(search.tenant, location.href)
    if (who.must_change_password) {
      throw redirect({ to: '/password', search: { back: ownPath(location.href) } })
    }
    if (who.must_add_second_factor) {
      throw redirect({ to: '/second-factor', search: { back: ownPath(location.href) } })
    }
    // With several tenants, each request says which; so does the address.
    if (who.tenants.length > 1 && !search.tenant) {
      const last = localStorage.getItem(REMEMBERED_TENANT)
      const known = who.tenants.find((one) => one.tenant === last) ?? who.tenants[0]
      throw redirect({
        to: '.',
        search: (now) => ({ ...now, tenant: known?.tenant }),
        replace: true,
      })
    }
    if (search.tenant) localStorage.setItem(REMEMBERED_TENANT, search.tenant)
    return { me: who }
  },
  component: lazyRouteComponent(() => import('./pages/shell'), 'Shell'),
  pendingComponent: () => <Loading rows={8} />,
})

const overview = createRoute({
  getParentRoute: () => inside,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/overview'), 'Overview'),
})

export const INCIDENT_SORTS = ['opened', 'updated', 'severity', 'due'] as const

const incidents = createRoute({
  getParentRoute: () => inside,
  path: '/incidents',
  validateSearch: read((search) => ({
    status: text(search.status),
    severity: text(search.severity),
    isExact: oneOf(search.isExact, true),
    assignee: text(search.assignee),
    q: text(search.q),
    due: oneOf(search.due, 'overdue'),
    sort: oneOf(search.sort, ...INCIDENT_SORTS),
  })),
  component: lazyRouteComponent(() => import('./pages/incidents'), 'Incidents'),
})

const incident = createRoute({
  getParentRoute: () => inside,
  path: '/incidents/$id',
  validateSearch: read((search) => ({
    tab: oneOf(search.tab, 'graph', 'findings', 'actions', 'talk'),
    event: text(search.event),
  })),
  component: lazyRouteComponent(() => import('./pages/incident'), 'OneIncident'),
})

const moment = (value: unknown) =>
  /^\d{1,15}$/.test(text(value) ?? '') ? Number(value) : undefined

const hunt = createRoute({
  getParentRoute: () => inside,
  path: '/hunt',
  validateSearch: read((search) => ({
    q: text(search.q),
    mode: oneOf(search.mode, 'sql'),
    sql: text(search.sql),
    range: oneOf(search.range, '15m', '1h', '24h', '7d', '30d'),
    from: moment(search.from),
    until: moment(search.until),
    cols: text(search.cols),
    sort: oneOf(search.sort, 'oldest'),
    stack: oneOf(search.stack, 'class_uid'),
    tail: oneOf(search.tail, true),
    event: text(search.event),
  })),
  component: lazyRouteComponent(() => import('./pages/hunt'), 'Hunt'),
})

const entity = createRoute({
  getParentRoute: () => inside,
  path: '/entities/$entity',
  validateSearch: read((search) => ({ event: text(search.event) })),
  component: lazyRouteComponent(() => import('./pages/entity'), 'OneEntity'),
})

const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('./pages/settings/frame'), 'Settings'),
})

const settingsStart = createRoute({
  getParentRoute: () => settings,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/settings/you', search: (now) => now, replace: true })
  },
})

const settingsYou = createRoute({
  getParentRoute: () => settings,
  path: '/you',
  component: lazyRouteComponent(() => import('./pages/settings/you'), 'You'),
})

const settingsTenant = createRoute({
  getParentRoute: () => settings,
  path: '/tenant',
  component: lazyRouteComponent(() => import('./pages/settings/tenant'), 'OneTenant'),
})

const settingsPeople = createRoute({
  getParentRoute: () => settings,
  path: '/people',
  component: lazyRouteComponent(() => import('./pages/settings/people'), 'People'),
})

const settingsTokens = createRoute({
  getParentRoute: () => settings,
  path: '/tokens',
  validateSearch: read((search) => ({ isAll: oneOf(search.isAll, true) })),
  component: lazyRouteComponent(() => import('./pages/settings/tokens'), 'Tokens'),
})

const settingsTenants = createRoute({
  getParentRoute: () => settings,
  path: '/tenants',
  component: lazyRouteComponent(() => import('./pages/settings/tenants'), 'Tenants'),
})

const settingsPolicy = createRoute({
  getParentRoute: () => settings,
  path: '/policy',
  validateSearch: read((search) => ({
    version: /^\d{1,9}$/.test(text(search.version) ?? '') ? Number(search.version) : undefined,
  })),
  component: lazyRouteComponent(() => import('./pages/settings/policy'), 'ResponsePolicy'),
})

const settingsConnectors = createRoute({
  getParentRoute: () => settings,
  path: '/connectors',
  component: lazyRouteComponent(() => import('./pages/settings/connectors'), 'Connectors'),
})

export const REGISTERS = ['devices', 'trips', 'invitations'] as const

const settingsSite = createRoute({
  getParentRoute: () => settings,
  path: '/site',
  validateSearch: read((search) => ({ register: oneOf(search.register, ...REGISTERS) })),
  component: lazyRouteComponent(() => import('./pages/settings/site'), 'Site'),
})

const settingsHealth = createRoute({
  getParentRoute: () => settings,
  path: '/health',
  component: lazyRouteComponent(() => import('./pages/settings/health'), 'Health'),
})

const response = createRoute({
  getParentRoute: () => inside,
  path: '/response',
  validateSearch: read((search) => ({
    view: oneOf(search.view, 'force', 'history'),
    rung: text(search.rung),
  })),
  component: lazyRouteComponent(() => import('./pages/response'), 'Response'),
})

export const RULE_SORTS = ['hits', 'last', 'level', 'title', 'changed'] as const

const rules = createRoute({
  getParentRoute: () => inside,
  path: '/rules',
  validateSearch: read((search) => ({
    view: oneOf(search.view, 'coverage', 'noise', 'exceptions', 'packs', 'new'),
    q: text(search.q),
    level: text(search.level),
    status: text(search.status),
    origin: text(search.origin),
    tag: text(search.tag),
    state: oneOf(search.state, 'on', 'off', 'broken', 'never', 'noisy'),
    stage: oneOf(search.stage, 'shadow', 'canary', 'enforce'),
    sort: oneOf(search.sort, ...RULE_SORTS),
    ended: oneOf(search.ended, true),
  })),
  component: lazyRouteComponent(() => import('./pages/rules'), 'Rules'),
})

const rule = createRoute({
  getParentRoute: () => inside,
  path: '/rules/$id',
  validateSearch: read((search) => ({
    view: oneOf(search.view, 'replay', 'text', 'exceptions'),
    event: text(search.event),
  })),
  component: lazyRouteComponent(() => import('./pages/rule'), 'OneRule'),
})

const trust = createRoute({
  getParentRoute: () => inside,
  path: '/trust',
  validateSearch: read((search) => ({
    view: oneOf(search.view, 'what-if', 'policy'),
    session: text(search.session),
    permit: oneOf(search.permit, true, false),
    since: oneOf(search.since, '24h', '7d', '30d'),
    id: text(search.id),
    profile: text(search.profile),
    signals: text(search.signals),
    least: text(search.least),
    required: text(search.required),
    q: text(search.q),
    version: /^\d{1,9}$/.test(text(search.version) ?? '') ? Number(search.version) : undefined,
  })),
  component: lazyRouteComponent(() => import('./pages/trust'), 'Trust'),
})

const audit = createRoute({
  getParentRoute: () => inside,
  path: '/audit',
  validateSearch: read((search) => ({
    from: /^\d{1,15}$/.test(text(search.from) ?? '') ? Number(search.from) : undefined,
    subject: text(search.subject),
    entry: /^\d{1,15}$/.test(text(search.entry) ?? '') ? Number(search.entry) : undefined,
  })),
  component: lazyRouteComponent(() => import('./pages/audit'), 'Audit'),
})

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    password,
    secondFactor,
    inside.addChildren([
      overview,
      incidents,
      incident,
      hunt,
      entity,
      response,
      rules,
      rule,
      trust,
      audit,
      settings.addChildren([
        settingsStart,
        settingsYou,
        settingsTenant,
        settingsPeople,
        settingsTokens,
        settingsTenants,
        settingsPolicy,
        settingsConnectors,
        settingsSite,
        settingsHealth,
      ]),
    ]),
  ]),
  defaultPreload: 'intent',
  scrollRestoration: true,
})

session.whenSignedOut(() => {
  const { pathname, href } = router.state.location
  if (pathname === '/sign-in' || router.state.status === 'pending') return
  queryClient.clear()
  session.keepCsrf(undefined)
  session.keepTenant(undefined)
  void router.navigate({ to: '/sign-in', search: { back: ownPath(href), why: 'ended' } })
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
