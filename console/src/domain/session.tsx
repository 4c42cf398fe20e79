import { getRouteApi } from '@tanstack/react-router'
import type { Me } from '~/api/queries'

const inside = getRouteApi('/in')

export type Right =
  | 'incidents.read'
  | 'incidents.write'
  | 'events.read'
  | 'events.query'
  | 'evidence.reveal'
  | 'evidence.export'
  | 'policies.read'
  | 'policies.write'
  | 'users.read'
  | 'users.write'
  | 'tokens.read'
  | 'tokens.write'
  | 'tenant.write'
  | 'tenants.create'
  | 'trust.read'
  | 'trust.write'
  | 'trust.register'
  | 'actions.decide'
  | 'rules.read'
  | 'rules.write'
  | 'rules.except'
  | 'audit.read'
  | 'trust.read'
  | 'health.read'

export function useMe(): Me {
  return inside.useRouteContext({ select: (context) => context.me })
}

/** Whose data is on screen: what is asked for names it. */
export function useTenant(): string {
  return inside.useRouteContext({ select: (context) => context.me.tenant })
}

/** Whether the person may: what they may not is not offered, and the server would refuse it. */
export function useMay(): (right: Right) => boolean {
  const { rights } = useMe()
  return (right) => rights.includes(right)
}
