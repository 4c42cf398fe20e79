import { useMutation, useQuery } from '@tanstack/react-query'
import { Suspense, lazy, useState, type ReactNode } from 'react'
import { api, take } from '~/api/client'
import { around, event as eventQuery } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { cutMiddle } from '~/ui/cut'
import { Dialog } from '~/ui/Dialog'
import { Field } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Raw, plain } from '~/ui/Raw'
import { Empty, Failed, Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { EntityLink, splitEntity } from './EntityLink'
import {
  entitiesOf,
  headers,
  idOf,
  number,
  sealedPlaces,
  summary,
  text,
  timeOf,
  type Event,
} from './event'
import { EventTable, Outcome } from './EventTable'
import { useMay, useTenant } from './session'

const Decoder = lazy(() => import('./Decoder').then((it) => ({ default: it.Decoder })))

/** One event whole: what was sent, what came back, and what was masked. All of it is text. */
export function EventPanel(props: { id: string; onClose: () => void }) {
  const { onClose } = props
  const { t } = useTranslation()
  // From here to what happened around it, and back.
  const [way, setWay] = useState([props.id])
  const id = way.at(-1) ?? props.id
  const query = useQuery(eventQuery(useTenant(), id))
  return (
    <Dialog title={t('event.title')} onClose={onClose} place="side">
      {way.length > 1 && (
        <p>
          <Button look="quiet" onClick={() => setWay(way.slice(0, -1))}>
            {t('around.back')}
          </Button>
        </p>
      )}
      <Loaded query={query} rows={10}>
        {(event) => (
          <Whole key={id} id={id} event={event} onEvent={(next) => setWay([...way, next])} />
        )}
      </Loaded>
    </Dialog>
  )
}

function Whole(props: { id: string; event: Event; onEvent: (id: string) => void }) {
  const { id, event, onEvent } = props
  const { t } = useTranslation()
  const [decoding, setDecoding] = useState<string>()
  const isHttp = text(event, 'http_request.http_method') !== undefined
  const raw = text(event, 'raw_data')
  const word = useWord()
  const rung = text(event, 'plura.enforcement.rung')
  const places = sealedPlaces(event)
  return (
    <div className="event">
      <p className="event-what">
        <Raw text={summary(event)} />
      </p>
      <dl className="facts">
        <Fact name={t('event.when')}>
          <Time at={timeOf(event)} form="whole" />
        </Fact>
        <Fact name={t('event.outcome')}>
          <Outcome event={event} />
        </Fact>
        <Fact name={t('event.entities')}>
          <span className="entities">
            {entitiesOf(event).map((entity) => (
              <EntityLink key={entity} entity={entity} />
            ))}
          </span>
        </Fact>
        <TextFact name={t('finding.site')} value={text(event, 'plura.site')} />
        <TextFact name={t('event.source')} value={text(event, 'metadata.log_source')} />
        <TextFact name={t('event.agent')} value={text(event, 'http_request.user_agent')} />
        <TextFact name={t('event.process')} value={text(event, 'process.cmd_line')} />
        <TextFact
          name={t('event.parent')}
          value={
            text(event, 'process.parent_process.cmd_line') ??
            text(event, 'process.parent_process.name')
          }
        />
        <TextFact name={t('event.file')} value={text(event, 'file.path')} />
        <TextFact name={t('event.message')} value={text(event, 'message')} />
        <TextFact name={t('event.enforced')} value={rung && word('rung', rung)} />
      </dl>
      {places.length > 0 && <Sealed id={id} places={places} />}
      {isHttp && (
        <>
          <Side event={event} side="request" onDecode={setDecoding} />
          <Side event={event} side="response" onDecode={setDecoding} />
        </>
      )}
      {raw && (
        <section>
          <h3>
            {t('event.raw')} <DecodeButton text={raw} onDecode={setDecoding} />
          </h3>
          <pre className="block">
            <Raw text={raw} lines />
          </pre>
        </section>
      )}
      <Around event={event} onEvent={onEvent} />
      <details className="event-json">
        <summary>{t('event.json')}</summary>
        <pre className="block">
          <Raw text={JSON.stringify(event, null, 2)} lines />
        </pre>
      </details>
      <Suspense>
        {decoding !== undefined ? (
          <Decoder key={decoding} start={decoding} />
        ) : (
          <p>
            <Button onClick={() => setDecoding('')}>{t('decoder.title')}</Button>
          </p>
        )}
      </Suspense>
    </div>
  )
}

/** What else the same did within a minute before and after. */
function Around({ event, onEvent }: { event: Event; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const word = useWord()
  const of = entitiesOf(event)
  const [entity, setEntity] = useState<string>()
  if (of.length === 0) return null
  const name = (one: string) => {
    const { kind, value } = splitEntity(one)
    return `${word('kind', kind)} ${plain(value)}`
  }
  return (
    <section className="around">
      <h3>{t('around.title')}</h3>
      <p className="around-of">
        {of.map((one) => (
          <Button
            key={one}
            aria-pressed={one === entity}
            onClick={() => setEntity(one === entity ? undefined : one)}
          >
            {cutMiddle(name(one), NAME_COLUMNS)}
          </Button>
        ))}
      </p>
      {entity !== undefined && <AroundList entity={entity} event={event} onEvent={onEvent} />}
    </section>
  )
}

const NAME_COLUMNS = 44

function AroundList(props: { entity: string; event: Event; onEvent: (id: string) => void }) {
  const { entity, event, onEvent } = props
  const { t } = useTranslation()
  const query = useQuery(around(useTenant(), entity, timeOf(event)))
  return (
    <Loaded query={query} rows={4}>
      {({ items, next }) => {
        const others = (items as Event[]).filter((one) => idOf(one) !== idOf(event))
        if (others.length === 0) return <Empty title={t('around.none')} />
        const before = others.filter((one) => timeOf(one) <= timeOf(event)).length
        return (
          <>
            <p className="quiet" role="status">
              {t('around.count', { before, after: others.length - before })}
              {next && ` ${t('around.cut', { n: items.length })}`}
            </p>
            <EventTable events={others} onOpen={onEvent} />
          </>
        )
      }}
    </Loaded>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}

function TextFact({ name, value }: { name: string; value: string | undefined }) {
  return value === undefined ? null : (
    <Fact name={name}>
      <Raw text={value} />
    </Fact>
  )
}

function DecodeButton({ text, onDecode }: { text: string; onDecode: (text: string) => void }) {
  const { t } = useTranslation()
  return (
    <button type="button" className="link-button" onClick={() => onDecode(text)}>
      {t('event.decode')}
    </button>
  )
}

function Side(props: {
  event: Event
  side: 'request' | 'response'
  onDecode: (text: string) => void
}) {
  const { event, side, onDecode } = props
  const { t } = useTranslation()
  const format = useFormat()
  const of = side === 'request' ? 'http_request' : 'http_response'
  const body = text(event, `plura.${side}.body`)
  const bytes = number(event, `${of}.body_length`)
  const list = headers(event, `${of}.http_headers`)
  return (
    <section className="side">
      <h3>
        {t(`event.${side}`)}{' '}
        {bytes !== undefined && (
          <span className="quiet">{t('event.bytes', { n: format.number(bytes) })}</span>
        )}
      </h3>
      {list.length > 0 && (
        <details>
          <summary>
            {t('event.headers')} ({list.length})
          </summary>
          <table className="headers">
            <tbody>
              {list.map((header, at) => (
                <tr key={at}>
                  <th scope="row">
                    <Raw text={header.name} />
                  </th>
                  <td>
                    <Raw text={header.value} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
      {body === undefined ? (
        <p className="quiet">{t('event.body.none')}</p>
      ) : (
        <>
          <pre
            className="block"
            tabIndex={0}
            aria-label={`${t(`event.${side}`)}: ${t('event.body')}`}
          >
            <Raw text={body} lines />
          </pre>
          <p className="quiet block-foot">
            <DecodeButton text={body} onDecode={onDecode} />
            {text(event, `plura.${side}.truncated`) === 'true' && ` · ${t('event.body.cut')}`}
          </p>
        </>
      )}
    </section>
  )
}

/** Personal data in the clear: a right of its own, with a reason, recorded before it is shown. */
function Sealed({ id, places }: { id: string; places: string[] }) {
  const { t } = useTranslation()
  const isAllowed = useMay()('evidence.reveal')
  const [isAsked, setAsked] = useState(false)
  const [reason, setReason] = useState('')
  const reveal = useMutation({
    mutationFn: () =>
      take(
        api.POST('/api/v1/events/{id}/reveal', {
          params: { path: { id } },
          body: { reason, places: [] },
        }),
      ),
    // What was seen stays in this panel, and nowhere else.
    gcTime: 0,
  })
  if (!isAllowed) return null
  if (reveal.data) {
    const { values, unreadable } = reveal.data
    return (
      <section className="reveal">
        <h3>{t('reveal.values')}</h3>
        <dl className="facts">
          {Object.entries(values).map(([place, found]) => (
            <div className="facts-pair" key={place}>
              <dt>
                <Raw text={place} />
              </dt>
              <dd>
                <Raw text={found.join(', ')} />
              </dd>
            </div>
          ))}
        </dl>
        {unreadable.length > 0 && (
          <p>{t('reveal.unreadable', { places: unreadable.join(', ') })}</p>
        )}
      </section>
    )
  }
  return (
    <section className="reveal">
      <p className="quiet">{t('event.masked')}</p>
      {!isAsked ? (
        <Button icon="eye" onClick={() => setAsked(true)}>
          {t('reveal.open')} ({places.length})
        </Button>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            if (reason.trim() && !reveal.isPending) reveal.mutate()
          }}
        >
          <h3>{t('reveal.title')}</h3>
          <Field label={t('decide.reason')} hint={t('reveal.text')}>
            {(ids) => (
              <input
                {...ids}
                required
                maxLength={200}
                autoFocus
                value={reason}
                onChange={(event) => setReason(event.target.value)}
              />
            )}
          </Field>
          {reveal.error && <Failed error={reveal.error} />}
          <Button type="submit" look="primary" busy={reveal.isPending}>
            {t('reveal.go')}
          </Button>
        </form>
      )}
    </section>
  )
}
