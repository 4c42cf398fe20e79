import { useMay, useMe } from '~/domain/session'
import { useTranslation } from '~/i18n'

export type Section = {
  to:
    | '/settings/you'
    | '/settings/tenant'
    | '/settings/people'
    | '/settings/tokens'
    | '/settings/tenants'
    | '/settings/policy'
    | '/settings/connectors'
    | '/settings/site'
    | '/settings/health'
  title: string
  isThere: boolean
}

/** The sections this person may see, in groups: for the side list and the palette. */
export function useSections(): { title: string; sections: Section[] }[] {
  const { t } = useTranslation()
  const may = useMay()
  const me = useMe()
  const groups = [
    {
      title: t('settings.group.you'),
      sections: [{ to: '/settings/you' as const, title: t('settings.you'), isThere: true }],
    },
    {
      title: t('settings.group.tenant'),
      sections: [
        { to: '/settings/tenant' as const, title: t('settings.tenant'), isThere: true },
        {
          to: '/settings/people' as const,
          title: t('settings.people'),
          isThere: may('users.read'),
        },
        {
          to: '/settings/tokens' as const,
          title: t('settings.tokens'),
          isThere: may('tokens.read'),
        },
        {
          to: '/settings/tenants' as const,
          title: t('settings.tenants'),
          isThere: may('tenants.create') || me.tenants.length > 1,
        },
      ],
    },
    {
      title: t('settings.group.protection'),
      sections: [
        {
          to: '/settings/policy' as const,
          title: t('settings.policy'),
          isThere: may('policies.read'),
        },
        {
          to: '/settings/connectors' as const,
          title: t('settings.connectors'),
          isThere: may('policies.read'),
        },
        { to: '/settings/site' as const, title: t('settings.site'), isThere: may('trust.read') },
      ],
    },
    {
      title: t('settings.group.system'),
      sections: [
        {
          to: '/settings/health' as const,
          title: t('settings.health'),
          isThere: may('health.read'),
        },
      ],
    },
  ]
  return groups
    .map(({ title, sections }) => ({ title, sections: sections.filter((one) => one.isThere) }))
    .filter(({ sections }) => sections.length > 0)
}
