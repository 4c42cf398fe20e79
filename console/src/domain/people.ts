import { useQuery } from '@tanstack/react-query'
import { people } from '~/api/queries'
import { useTenant } from './session'
import { useTranslation } from '~/i18n'

/** The name of who did it: `user:<id>`, a bare user id, `policy:<id>@<version>`, `gateway:<id>`, `system`. */
export function useActor(): (actor: string) => string {
  const { t } = useTranslation()
  const known = useQuery(people(useTenant())).data
  return (actor) => {
    const [kind, name] = split(actor)
    switch (kind) {
      case 'user':
        // Until the people are known, nothing is said of who belongs here.
        if (!known) return name
        return known.find((person) => person.id === name)?.display ?? t('actor.user')
      case 'policy':
        return t('actor.policy', { name })
      case 'gateway':
        return t('actor.gateway', { name })
      case 'rule':
        return t('actor.rule', { name })
      case 'token':
      case 'trust':
        return t(`actor.${kind}`)
      case 'system':
      case 'local':
        return t(`actor.${kind}`)
      default:
        return actor
    }
  }
}

/** Whether somebody wrote the reason: what a person or a token says is never put in other words. */
export function isSaid(actor: string): boolean {
  return ['user', 'token'].includes(split(actor)[0])
}

const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/

function split(actor: string): [string, string] {
  if (ID.test(actor)) return ['user', actor]
  const at = actor.indexOf(':')
  return at < 0 ? [actor, ''] : [actor.slice(0, at), actor.slice(at + 1)]
}
