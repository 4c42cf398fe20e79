import { useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { useEffect, useId, useRef, useState } from 'react'
import { useTenant } from '~/domain/session'
import {
  SIGNAL_GROUPS,
  groupOf,
  readSignals,
  spoken,
  whatIf,
  writeSignals,
  type Signals,
  type SignalKind,
  type Value,
} from '~/domain/trust'
import { Score, Waterfall } from '~/domain/Waterfall'
import { useTranslation, useWord } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Select } from '~/ui/Field'
import { useKeys } from '~/ui/keys'
import { Panel } from '~/ui/Page'
import { usePaused } from '~/ui/paused'
import { Raw } from '~/ui/Raw'
import { Empty, Failed, Loaded } from '~/ui/states'

const route = getRouteApi('/in/trust')

/** Moving a slider asks a few times a second, not at each step. */
const PAUSE_MS = 180

type Tried = { signals: Signals; silent: string[] }

/** What would be said of an access that never was. */
export function WhatIf() {
  const { t, i18n } = useTranslation()
  const { signals: address, profile, least, required, q } = route.useSearch()
  const navigate = route.useNavigate()
  const [tried, setTried] = useState<Tried>(() => readSignals(address))
  const find = useRef<HTMLInputElement>(null)
  const text = writeSignals(tried.signals, tried.silent)
  const paused = usePaused(text, PAUSE_MS)
  useEffect(() => {
    if (paused === address || paused !== text) return
    void navigate({ search: (now) => ({ ...now, signals: paused }), replace: true })
  }, [paused, text, address, navigate])
  const query = useQuery(
    whatIf(useTenant(), {
      profile,
      ...readSignals(paused),
      demands: {
        ...(least ? { profile: least } : {}),
        ...(required ? { required: required.split(',') } : {}),
      },
    }),
  )
  const change = (next: Partial<ReturnType<typeof route.useSearch>>) =>
    void navigate({ search: (now) => ({ ...now, ...next }), replace: true })
  const set = (name: string, value: Value | undefined) =>
    setTried(({ signals, silent }) => {
      const others = Object.entries(signals).filter(([one]) => one !== name)
      return value === undefined
        ? { signals: Object.fromEntries(others), silent: silent.filter((one) => one !== name) }
        : { signals: { ...signals, [name]: value }, silent }
    })
  const setSilent = (name: string, isSilent: boolean) =>
    setTried(({ signals, silent }) => ({
      signals,
      silent: isSilent ? [...silent, name] : silent.filter((one) => one !== name),
    }))
  const reset = () => {
    setTried({ signals: {}, silent: [] })
    change({ profile: undefined, least: undefined, required: undefined, q: undefined })
  }
  useKeys({ '/': () => find.current?.focus() })
  const language = spoken(i18n.language)
  const isTouched = Boolean(text ?? profile ?? least ?? required)
  return (
    <>
      <div className="filters" role="search">
        <input
          ref={find}
          type="search"
          className="filter-text"
          aria-label={t('trust.find')}
          placeholder={t('trust.find')}
          value={q ?? ''}
          onChange={(event) => change({ q: event.target.value || undefined })}
          onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        />
        <Select
          label={t('trust.profile')}
          value={profile ?? ''}
          onChange={(next) => change({ profile: next || undefined })}
          choices={[
            { value: '', label: t('trust.profile.force') },
            ...(query.data?.profiles ?? (profile ? [profile] : [])).map((one) => ({
              value: one,
              label: one,
            })),
          ]}
        />
        <span className="filters-end">
          <Link className="button button-plain" to="/trust" search={{}}>
            {t('trust.start-from')}
          </Link>
          <Button why={!isTouched && t('desk.same')} onClick={reset}>
            {t('trust.reset')}
          </Button>
        </span>
      </div>
      <Loaded query={query} rows={10}>
        {(answer) => {
          const nameOf = (code: string) => answer.words[language][code] ?? code
          const { decision } = answer
          return (
            <div className="trust-bench">
              <Signs kinds={answer.signals} tried={tried} q={q} set={set} setSilent={setSilent} />
              <div className="trust-answer" aria-busy={query.isPlaceholderData}>
                <Panel title={t('trust.answer')}>
                  <div className="trust-body">
                    <div aria-live="polite">
                      <Score decision={decision} />
                      <p className="trust-codes">
                        {decision.decisions.map((code) => (
                          <Badge key={code} tone={decision.permit ? 'info' : 'high'}>
                            {nameOf(code)}
                          </Badge>
                        ))}
                        {decision.obligations.map((code) => (
                          <Badge key={code}>{nameOf(code)}</Badge>
                        ))}
                      </p>
                    </div>
                    {query.error && <Failed error={query.error} />}
                    {(least ?? required) && (
                      <p className="quiet">
                        {t('trust.demands')}{' '}
                        <Raw text={[least, required].filter(Boolean).join(', ')} />
                      </p>
                    )}
                    <h3>{t('trust.reasons')}</h3>
                    <ul className="trust-sentences">
                      {answer.sentences[language].map((sentence, at) => (
                        <li key={at}>
                          <Raw text={sentence} />
                        </li>
                      ))}
                    </ul>
                    <h3>{t('trust.waterfall')}</h3>
                    <Waterfall decision={decision} nameOf={nameOf} />
                  </div>
                </Panel>
              </div>
            </div>
          )
        }}
      </Loaded>
    </>
  )
}

function Signs(props: {
  kinds: Record<string, SignalKind>
  tried: Tried
  q: string | undefined
  set: (name: string, value: Value | undefined) => void
  setSilent: (name: string, isSilent: boolean) => void
}) {
  const { kinds, tried, q, set, setSilent } = props
  const { t } = useTranslation()
  const word = useWord()
  const sought = q?.toLowerCase() ?? ''
  const shown = Object.keys(kinds).filter((name) =>
    `${name} ${word('trust.signal', name)}`.toLowerCase().includes(sought),
  )
  // What the policy does not know is refused: it has to be seen to be taken out.
  const foreign = Object.keys(tried.signals).filter((name) => !(name in kinds))
  if (shown.length === 0) {
    return (
      <div className="panel">
        <Empty title={t('trust.find.none')}>{t('trust.find.none.text')}</Empty>
      </div>
    )
  }
  return (
    <div className="stack trust-signals">
      {foreign.map((name) => (
        <p className="note" key={name}>
          <code>{name}</code> {t('trust.foreign')}{' '}
          <Button onClick={() => set(name, undefined)}>{t('trust.unknown')}</Button>
        </p>
      ))}
      {SIGNAL_GROUPS.map((group) => {
        const names = shown.filter((name) => groupOf(name) === group)
        if (names.length === 0) return null
        return (
          <Panel key={group} title={t(`trust.group.${group}`)}>
            <ul className="lines">
              {names.map((name) => {
                const kind = kinds[name]
                return (
                  kind && (
                    <Sign
                      key={name}
                      name={name}
                      kind={kind}
                      value={tried.signals[name]}
                      isSilent={tried.silent.includes(name)}
                      onValue={(value) => set(name, value)}
                      onSilent={(isSilent) => setSilent(name, isSilent)}
                    />
                  )
                )
              })}
            </ul>
          </Panel>
        )
      })}
    </div>
  )
}

function Sign(props: {
  name: string
  kind: SignalKind
  value: Value | undefined
  isSilent: boolean
  onValue: (value: Value | undefined) => void
  onSilent: (isSilent: boolean) => void
}) {
  const { name, kind, value, isSilent, onValue, onSilent } = props
  const { t } = useTranslation()
  const id = useId()
  return (
    <li className={value === undefined ? 'sign' : 'sign sign-known'}>
      <label htmlFor={id} className="sign-name">
        <code>{name}</code>
      </label>
      <span className="sign-value">
        <Control id={id} name={name} kind={kind} value={value} onValue={onValue} />
      </span>
      <label className="sign-silent">
        <input
          type="checkbox"
          checked={isSilent}
          disabled={value === undefined}
          aria-label={t('trust.silent', { name })}
          onChange={(event) => onSilent(event.target.checked)}
        />
        {t('trust.knowledge.silent')}
      </label>
    </li>
  )
}

/** Beyond it one writes the number: a slider to a million moves by thousands. */
const SLIDER_MAX = 365

function Control(props: {
  id: string
  name: string
  kind: SignalKind
  value: Value | undefined
  onValue: (value: Value | undefined) => void
}) {
  const { id, name, kind, value, onValue } = props
  const { t } = useTranslation()
  if (kind.kind === 'text') {
    return (
      <>
        <input
          id={id}
          list={`${id}-named`}
          placeholder={t('trust.unknown')}
          maxLength={200}
          spellCheck={false}
          value={value === undefined ? '' : String(value)}
          onChange={(event) => onValue(event.target.value || undefined)}
        />
        <datalist id={`${id}-named`}>
          {kind.named.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      </>
    )
  }
  if (kind.kind === 'integer') {
    const most = Math.min(kind.max, Math.max(kind.min, 0) + SLIDER_MAX)
    const number = (text: string) => {
      const found = text === '' ? undefined : Math.round(Number(text))
      const isIn = found !== undefined && found >= kind.min && found <= kind.max
      if (found === undefined || isIn) onValue(found)
    }
    return (
      <>
        <input
          type="range"
          aria-label={t('trust.slider', { name })}
          min={kind.min}
          max={most}
          value={typeof value === 'number' ? Math.min(value, most) : kind.min}
          aria-valuetext={value === undefined ? t('trust.unknown') : String(value)}
          onChange={(event) => number(event.target.value)}
        />
        <input
          id={id}
          type="number"
          className="sign-number"
          min={kind.min}
          max={kind.max}
          placeholder="—"
          value={typeof value === 'number' ? value : ''}
          onChange={(event) => number(event.target.value)}
        />
        <Button
          look="quiet"
          aria-label={t('trust.forget', { name })}
          why={value === undefined && t('trust.unknown')}
          onClick={() => onValue(undefined)}
        >
          {t('trust.unknown')}
        </Button>
      </>
    )
  }
  const values: Value[] = kind.kind === 'boolean' ? [true, false] : kind.values
  return (
    <select
      id={id}
      value={value === undefined ? '' : String(value)}
      onChange={(event) => onValue(values.find((one) => String(one) === event.target.value))}
    >
      <option value="">{t('trust.unknown')}</option>
      {values.map((one) => (
        <option key={String(one)} value={String(one)}>
          {typeof one === 'boolean' ? t(`trust.${one}`) : one}
        </option>
      ))}
    </select>
  )
}
