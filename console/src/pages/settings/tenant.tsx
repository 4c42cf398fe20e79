import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { tenants, type Tenant } from '~/api/queries'
import { useMay, useTenant } from '~/domain/session'
import { useTranslation, useWord } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'

const MODES = ['observe', 'canary', 'enforce'] as const
type Mode = (typeof MODES)[number]
type Retention = Schema['Retention']

/** Whose data this is, how far Plura goes on its own, and how long events are kept. */
export function OneTenant() {
  const { t } = useTranslation()
  const id = useTenant()
  const query = useQuery(tenants(id))
  return (
    <Page title={t('settings.tenant')}>
      <Loaded query={query}>
        {(list) => {
          const tenant = list.find((one) => one.id === id)
          if (!tenant) return null
          return (
            <div className="stack">
              <Name tenant={tenant} />
              <ModePanel tenant={tenant} />
              <RetentionPanel tenant={tenant} />
            </div>
          )
        }}
      </Loaded>
    </Page>
  )
}

const patch = (body: Schema['TenantChange']) => take(api.PATCH('/api/v1/tenant', { body }))

function Name({ tenant }: { tenant: Tenant }) {
  const { t } = useTranslation()
  const may = useMay()
  const [isOpen, setOpen] = useState(false)
  const [name, setName] = useState(tenant.name)
  return (
    <Panel
      title={t('tenant.title')}
      aside={
        may('tenant.write') && (
          <Button
            onClick={() => {
              setName(tenant.name)
              setOpen(true)
            }}
          >
            {t('tenant.rename')}
          </Button>
        )
      }
    >
      <dl className="facts panel-body">
        <dt>{t('tenant.name')}</dt>
        <dd>
          <Raw text={tenant.name} />
        </dd>
        <dt>{t('tenants.id')}</dt>
        <dd>
          <code>{tenant.id}</code>
        </dd>
        <dt>{t('people.since')}</dt>
        <dd>
          <Time at={tenant.created} form="whole" />
        </dd>
      </dl>
      {isOpen && (
        <Ask
          title={t('tenant.rename')}
          go={t('tenant.save')}
          withReason
          fault={
            name.trim() === ''
              ? t('tenant.name.missing')
              : name.trim() === tenant.name && t('people.nothing')
          }
          run={(reason) => patch({ name: name.trim(), reason })}
          onDone={() => {
            say(t('tenant.saved'))
            setOpen(false)
          }}
          onClose={() => setOpen(false)}
        >
          <Field label={t('tenant.name')}>
            {(ids) => (
              <input
                {...ids}
                maxLength={200}
                autoComplete="off"
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
        </Ask>
      )}
    </Panel>
  )
}

/** A choice with consequences: each mode says what happens in it, and the change says what it changes. */
function ModePanel({ tenant }: { tenant: Tenant }) {
  const { t } = useTranslation()
  const may = useMay()
  const [next, setNext] = useState<Mode>()
  const now = MODES.indexOf(tenant.mode as Mode)
  return (
    <Panel title={t('tenant.mode')}>
      <ol className="modes">
        {MODES.map((mode, at) => (
          <li key={mode} className={at === now ? 'mode-row mode-row-now' : 'mode-row'}>
            <span className={`mode mode-${mode}`}>{t(`mode.${mode}`)}</span>
            <div>
              <p>{t(`mode.${mode}.text`)}</p>
              <p className="quiet">{t(`tenant.mode.${mode}`)}</p>
            </div>
            {at === now ? (
              <Badge tone="info">{t('tenant.mode.now')}</Badge>
            ) : (
              may('tenant.write') && (
                <Button
                  onClick={() => setNext(mode)}
                  aria-label={t('tenant.mode.choose.of', { mode: t(`mode.${mode}`) })}
                >
                  {t('tenant.mode.choose')}
                </Button>
              )
            )}
          </li>
        ))}
      </ol>
      {next && (
        <Ask
          title={t('tenant.mode.title', { mode: t(`mode.${next}`) })}
          go={t('tenant.mode.choose')}
          look={MODES.indexOf(next) > now ? 'danger' : 'primary'}
          withReason
          run={(reason) => patch({ mode: next, reason })}
          onDone={() => {
            say(t('tenant.saved'))
            setNext(undefined)
          }}
          onClose={() => setNext(undefined)}
        >
          <p>{t(`mode.${next}.text`)}</p>
          <p>{t(`tenant.mode.${next}`)}</p>
          {MODES.indexOf(next) - now > 1 && <p className="warning">{t('tenant.mode.leap')}</p>}
          <p className="quiet">
            {t(MODES.indexOf(next) < now ? 'tenant.mode.back' : 'tenant.mode.forth')}
          </p>
        </Ask>
      )}
    </Panel>
  )
}

type Row = { uid: string; days: string }

/** OCSF classes that Plura's own sources make. */
const CLASSES = ['4002', '3002', '3001', '1007', '1001', '4001', '1002', '0']
const DAYS_MAX = 36_500

const isDays = (text: string) => /^\d{1,5}$/.test(text) && +text >= 1 && +text <= DAYS_MAX

function RetentionPanel({ tenant }: { tenant: Tenant }) {
  const { t } = useTranslation()
  const may = useMay()
  const [isOpen, setOpen] = useState(false)
  return (
    <Panel
      title={t('retention.title')}
      aside={
        may('tenant.write') && (
          <Button onClick={() => setOpen(true)}>{t('retention.change')}</Button>
        )
      }
    >
      <div className="panel-body">
        <Kept retention={tenant.retention} />
        <p className="quiet">{t('retention.text')}</p>
      </div>
      {isOpen && <RetentionDialog retention={tenant.retention} onClose={() => setOpen(false)} />}
    </Panel>
  )
}

function useClassName() {
  const word = useWord()
  return (uid: string) => {
    const name = word('class_uid', uid)
    return name === uid ? uid : `${name} (${uid})`
  }
}

function Kept({ retention }: { retention: Retention }) {
  const { t } = useTranslation()
  const format = useFormat()
  const named = useClassName()
  const days = (n: number | null | undefined) =>
    n == null ? t('retention.ever') : t('retention.days', { n: format.number(n) })
  return (
    <dl className="facts">
      <dt>{t('retention.default')}</dt>
      <dd>{days(retention.default_days)}</dd>
      {Object.entries(retention.class_days ?? {}).map(([uid, n]) => (
        <div className="facts-pair" key={uid}>
          <dt>{named(uid)}</dt>
          <dd>{days(n)}</dd>
        </div>
      ))}
    </dl>
  )
}

function RetentionDialog(props: { retention: Retention; onClose: () => void }) {
  const { retention, onClose } = props
  const { t } = useTranslation()
  const named = useClassName()
  const [general, setGeneral] = useState(`${retention.default_days ?? ''}`)
  const [rows, setRows] = useState<Row[]>(
    Object.entries(retention.class_days ?? {}).map(([uid, days]) => ({ uid, days: `${days}` })),
  )
  const free = CLASSES.filter((uid) => !rows.some((row) => row.uid === uid))
  const next: Retention = {
    default_days: general === '' ? null : Number(general),
    class_days: Object.fromEntries(rows.map(({ uid, days }) => [uid, Number(days)])),
  }
  const isWrong = (general !== '' && !isDays(general)) || rows.some(({ days }) => !isDays(days))
  const isSame =
    (retention.default_days ?? null) === next.default_days &&
    JSON.stringify(Object.entries(retention.class_days ?? {}).sort()) ===
      JSON.stringify(Object.entries(next.class_days ?? {}).sort())
  const set = (at: number, days: string) =>
    setRows((now) => now.map((row, one) => (one === at ? { ...row, days } : row)))
  return (
    <Ask
      title={t('retention.change')}
      go={t('retention.save')}
      look={isShorter(retention, next) ? 'danger' : 'primary'}
      withReason
      fault={isWrong ? t('retention.wrong', { max: DAYS_MAX }) : isSame && t('people.nothing')}
      run={(reason) => patch({ retention: next, reason })}
      onDone={() => {
        say(t('tenant.saved'))
        onClose()
      }}
      onClose={onClose}
    >
      <Field label={t('retention.default')} hint={t('retention.default.hint')}>
        {(ids) => (
          <input
            {...ids}
            inputMode="numeric"
            autoComplete="off"
            value={general}
            onChange={(event) => setGeneral(event.target.value.trim())}
          />
        )}
      </Field>
      {rows.map(({ uid, days }, at) => (
        <div className="field-row" key={uid}>
          <Field label={named(uid)}>
            {(ids) => (
              <input
                {...ids}
                inputMode="numeric"
                autoComplete="off"
                value={days}
                onChange={(event) => set(at, event.target.value.trim())}
              />
            )}
          </Field>
          <Button
            aria-label={t('retention.remove', { what: named(uid) })}
            onClick={() => setRows((now) => now.filter((row) => row.uid !== uid))}
            icon="close"
          />
        </div>
      ))}
      {free.length > 0 && (
        <Field label={t('retention.add')}>
          {(ids) => (
            <select
              {...ids}
              value=""
              onChange={(event) =>
                setRows((now) => [...now, { uid: event.target.value, days: general || '90' }])
              }
            >
              <option value="">{t('retention.add.none')}</option>
              {free.map((uid) => (
                <option key={uid} value={uid}>
                  {named(uid)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      {!isWrong && isShorter(retention, next) && (
        <p className="warning">{t('retention.shorter')}</p>
      )}
    </Ask>
  )
}

/** Whether something that is kept now would be deleted. */
function isShorter(now: Retention, next: Retention): boolean {
  const of = (one: Retention, uid: string) =>
    one.class_days?.[uid] ?? one.default_days ?? Number.POSITIVE_INFINITY
  const classes = ['', ...Object.keys({ ...now.class_days, ...next.class_days })]
  return classes.some((uid) => of(next, uid) < of(now, uid))
}
