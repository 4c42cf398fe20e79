import { useMay } from '~/domain/session'
import { useTranslation } from '~/i18n'
import type { IconName } from '~/ui/Icon'

type Page = {
  to: '/' | '/incidents' | '/hunt' | '/response' | '/rules' | '/trust' | '/audit' | '/settings'
  title: string
  icon: IconName
  keys: string
}

/** The pages this person may see: for the navigation, the palette and the keys. */
export function usePages(): Page[] {
  const { t } = useTranslation()
  const may = useMay()
  const all: (Page & { isThere: boolean })[] = [
    { to: '/', title: t('page.overview'), icon: 'overview', keys: 'g o', isThere: true },
    { to: '/incidents', title: t('page.incidents'), icon: 'incidents', keys: 'g i', isThere: true },
    {
      to: '/hunt',
      title: t('page.hunt'),
      icon: 'hunt',
      keys: 'g h',
      isThere: may('events.query'),
    },
    { to: '/response', title: t('page.response'), icon: 'response', keys: 'g r', isThere: true },
    {
      to: '/rules',
      title: t('page.rules'),
      icon: 'rules',
      keys: 'g u',
      isThere: may('rules.read'),
    },
    {
      to: '/trust',
      title: t('page.trust'),
      icon: 'trust',
      keys: 'g t',
      isThere: may('trust.read'),
    },
    {
      to: '/audit',
      title: t('page.audit'),
      icon: 'audit',
      keys: 'g a',
      isThere: may('audit.read'),
    },
    { to: '/settings', title: t('page.settings'), icon: 'settings', keys: 'g s', isThere: true },
  ]
  return all.filter((page) => page.isThere)
}
