/**
 * What each role and scope may do, as `crates/server/src/rights.rs` has it. The server tells a person's own rights
 * only; `tests/settings.spec.ts` asks it as every role and with every scope, so that this cannot say otherwise.
 */
export const ROLES = ['owner', 'admin', 'responder', 'analyst', 'auditor', 'viewer'] as const
export type Role = (typeof ROLES)[number]

const ALL: Role[] = [...ROLES]
const NO_VIEWER: Role[] = ['owner', 'admin', 'responder', 'analyst', 'auditor']
const DECIDERS: Role[] = ['owner', 'admin', 'responder']
const OVERSEERS: Role[] = ['owner', 'admin', 'auditor']
const MASTERS: Role[] = ['owner', 'admin']

/** Rights that a person may have, by role; those of machines alone are not among them. */
export const RIGHTS = {
  'incidents.read': ALL,
  'incidents.write': ['owner', 'admin', 'responder', 'analyst'],
  'events.read': NO_VIEWER,
  'events.query': NO_VIEWER,
  'evidence.reveal': ['owner', 'responder'],
  'evidence.export': ['owner', 'admin', 'responder', 'auditor'],
  'actions.decide': DECIDERS,
  'policies.read': NO_VIEWER,
  'policies.write': MASTERS,
  'rules.read': NO_VIEWER,
  'rules.write': MASTERS,
  'rules.except': DECIDERS,
  'audit.read': OVERSEERS,
  'users.read': OVERSEERS,
  'users.write': MASTERS,
  'tokens.read': OVERSEERS,
  'tokens.write': MASTERS,
  'tenant.write': MASTERS,
  'tenants.create': ['owner'],
  'health.read': NO_VIEWER,
  'metrics.read': OVERSEERS,
  'intake.write': MASTERS,
  'trust.read': NO_VIEWER,
  'trust.write': MASTERS,
  'trust.register': DECIDERS,
} satisfies Record<string, Role[]>

export type PersonRight = keyof typeof RIGHTS

export const PERSON_RIGHTS = Object.keys(RIGHTS) as PersonRight[]

export const roleMay = (role: Role, right: PersonRight) =>
  (RIGHTS[right] as readonly Role[]).includes(role)

/** Rights over the installation: they count in the home tenant only. */
export const HOME_ONLY: readonly PersonRight[] = ['tenants.create', 'metrics.read']

/** What an API token may be made for, and the rights that gives. */
export const SCOPES = {
  intake: ['intake.write'],
  gateway: ['gateway.sync', 'intake.write', 'trust.decide'],
  decide: ['trust.decide'],
  signals: ['signals.send'],
  query: [
    'incidents.read',
    'events.read',
    'events.query',
    'policies.read',
    'rules.read',
    'health.read',
    'trust.read',
  ],
  act: ['incidents.read', 'incidents.write', 'actions.decide', 'rules.except', 'trust.register'],
  audit: ['audit.read', 'evidence.export'],
  reveal: ['evidence.reveal'],
  metrics: ['metrics.read'],
  admin: [
    'policies.read',
    'policies.write',
    'rules.read',
    'rules.write',
    'rules.except',
    'users.read',
    'users.write',
    'tokens.read',
    'tokens.write',
    'tenant.write',
    'tenants.create',
    'health.read',
    'trust.read',
    'trust.write',
    'trust.register',
  ],
} satisfies Record<string, string[]>

export type Scope = keyof typeof SCOPES

export const SCOPE_NAMES = Object.keys(SCOPES) as Scope[]

/** These work for machines: they outlive whoever made the token, and may be without end. */
export const MACHINE_SCOPES: readonly Scope[] = ['intake', 'gateway', 'decide', 'signals']

/** As the server asks: a person's scope reaches no further than the person. */
export const mayGiveScope = (scope: Scope, rights: readonly string[]) =>
  MACHINE_SCOPES.includes(scope) || SCOPES[scope].every((right) => rights.includes(right))
