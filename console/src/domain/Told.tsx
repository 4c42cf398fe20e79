import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { connectors, type Connector, type Incident } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Panel } from '~/ui/Page'
import { Raw, plain } from '~/ui/Raw'
import { Failed, Loading } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { Outcome, useFailureWords } from './Outcome'
import { useActor } from './people'
import { useMay, useTenant } from './session'

type Notification = Schema['Notification']

/** Who was told of the incident and what came of it; where one may, telling somebody. */
export function Told({ incident }: { incident: Incident }) {
  const { t } = useTranslation()
  const may = useMay()
  const isTeller = may('incidents.write') && may('policies.read')
  const query = useQuery({ ...connectors(useTenant()), enabled: isTeller })
  const [isTelling, setTelling] = useState(false)
  const listeners = query.data?.filter((one) => one.takes_notices) ?? []
  const told = incident.told ?? []
  if (!isTeller && told.length === 0) return null
  return (
    <Panel
      title={t('told.title')}
      id="told"
      aside={
        listeners.length > 0 && <Button onClick={() => setTelling(true)}>{t('told.tell')}</Button>
      }
    >
      {isTeller && query.isPending && <Loading rows={1} />}
      {query.error && !query.data && (
        <Failed error={query.error} onRetry={() => void query.refetch()} />
      )}
      {query.data && listeners.length === 0 && (
        <p className="panel-note">
          {t('told.setup')} <Link to="/settings/connectors">{t('told.setup.how')}</Link>
        </p>
      )}
      {told.length > 0 ? (
        <ol className="told">
          {[...told].reverse().map((one) => (
            <One key={one.id} told={one} />
          ))}
        </ol>
      ) : (
        listeners.length > 0 && <p className="panel-note">{t('told.none')}</p>
      )}
      {isTelling && (
        <TellDialog
          incident={incident.id}
          listeners={listeners}
          onClose={() => setTelling(false)}
        />
      )}
    </Panel>
  )
}

function One({ told }: { told: Notification }) {
  const { t } = useTranslation()
  const actor = useActor()
  return (
    <li>
      <p className="told-head">
        <strong>
          <Raw text={told.connector} />
        </strong>
        <span className="quiet">
          <Time at={told.time} />
        </span>
      </p>
      <p>
        <span className="quiet">
          {t('told.by')} <Raw text={actor(told.author)} />:
        </span>{' '}
        <Raw text={told.reason} lines />
      </p>
      <Outcome answer={told.answer} since={told.time} underWay={t('delivery.underway.text')} />
    </li>
  )
}

/** A ticket is what one mostly wants. */
const ticketsFirst = (list: Connector[]) => [
  ...list.filter((one) => one.kind === 'ticket'),
  ...list.filter((one) => one.kind !== 'ticket'),
]

function TellDialog(props: { incident: string; listeners: Connector[]; onClose: () => void }) {
  const { incident, listeners, onClose } = props
  const { t } = useTranslation()
  const word = useWord()
  const failed = useFailureWords()
  const choices = ticketsFirst(listeners)
  const [chosen, setChosen] = useState(choices[0]?.name)
  return (
    <Ask
      title={t('tell.title')}
      go={t('tell.go')}
      withReason
      reasonHint={t('tell.reason.hint')}
      waiting={t('tell.waiting')}
      fault={chosen === undefined && t('tell.missing')}
      run={async (reason) => {
        const connector = chosen ?? ''
        const params = { path: { id: incident } }
        const body = { connector, reason }
        const known = await take(api.POST('/api/v1/incidents/{id}/tell', { params, body }))
        return known.told?.findLast((one) => one.connector === connector && one.reason === reason)
      }}
      onDone={(told) => {
        const name = plain(told?.connector ?? '')
        const answer = told?.answer
        if (!answer) say(t('tell.trying', { name }))
        else if (!answer.failure) say(t('tell.done', { name }))
        else {
          const why = failed(answer).said ?? plain(answer.message ?? answer.failure)
          say(t('tell.failed', { name, why }), 'bad')
        }
        onClose()
      }}
      onClose={onClose}
    >
      <p>{t('tell.text')}</p>
      <fieldset className="listeners">
        <legend>{t('tell.whom')}</legend>
        {choices.map(({ name, kind, masked }) => (
          <label key={name} className="listener">
            <input
              type="radio"
              name="connector"
              checked={chosen === name}
              onChange={() => setChosen(name)}
            />
            <span>
              <Raw text={name} /> <Badge>{word('connectorkind', kind)}</Badge>{' '}
              <span className="quiet">{t(masked ? 'tell.masked' : 'tell.plain')}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </Ask>
  )
}
