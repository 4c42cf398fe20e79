import type { InfiniteData, UseInfiniteQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useActor } from '~/domain/people'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'

type Version = {
  version: number
  reason: string
  author: string
  created: number
  profile?: string
}

/** Every version of a text people write, newest first, with who wrote it, when and why. */
export function Versions(props: {
  query: UseInfiniteQueryResult<InfiniteData<Version[]>>
  inForce: number | undefined
  link: (version: number, name: string) => ReactNode
}) {
  const { query, inForce, link } = props
  const { t } = useTranslation()
  const actor = useActor()
  return (
    <Panel title={t('policy.versions')}>
      <Loaded query={query} rows={3}>
        {({ pages }) => {
          const versions = pages.flat()
          if (versions.length === 0) return <Empty title={t('policy.versions.none')} />
          return (
            <>
              <ul className="lines">
                {versions.map((one) => (
                  <li key={one.version} className="version">
                    {link(one.version, t('policy.version', { n: one.version }))}
                    {one.version === inForce && <Badge tone="good">{t('policy.now')}</Badge>}
                    <Raw text={one.reason} />
                    <span className="quiet">
                      {one.profile && `${one.profile} · `}
                      <Raw text={actor(one.author)} /> · <Time at={one.created} />
                    </span>
                  </li>
                ))}
              </ul>
              {query.hasNextPage && (
                <p className="panel-more">
                  <Button
                    busy={query.isFetchingNextPage}
                    onClick={() => void query.fetchNextPage()}
                  >
                    {t('ui.older')}
                  </Button>
                </p>
              )}
            </>
          )
        }}
      </Loaded>
    </Panel>
  )
}
