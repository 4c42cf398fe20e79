import { Link } from '@tanstack/react-router'
import { useWord } from '~/i18n'
import { Icon, type IconName } from '~/ui/Icon'
import { Raw } from '~/ui/Raw'

const KINDS = ['credential', 'account', 'session', 'endpoint', 'device', 'address'] as const

export function splitEntity(entity: string): { kind: string; value: string; icon: IconName } {
  const at = entity.indexOf(':')
  const kind = entity.slice(0, Math.max(at, 0))
  const icon = KINDS.find((known) => known === kind) ?? 'account'
  return { kind, value: entity.slice(at + 1), icon }
}

/** A credential, account, session, endpoint, device or address, and the way to all about it. */
export function EntityLink({ entity }: { entity: string }) {
  const word = useWord()
  const { kind, value, icon } = splitEntity(entity)
  return (
    <Link className="entity" to="/entities/$entity" params={{ entity }} title={word('kind', kind)}>
      <Icon name={icon} size={14} />
      <span className="only-read">{word('kind', kind)} </span>
      <Raw text={value} />
    </Link>
  )
}
