import { useQuery } from '@tanstack/react-query'
import { Link, getRouteApi } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { tokens, type Token } from '~/api/queries'
import { Once } from '~/domain/Once'
import { useActor } from '~/domain/people'
import { MACHINE_SCOPES, SCOPE_NAMES, mayGiveScope, type Scope } from '~/domain/rights'
import { useMay, useMe, useTenant } from '~/domain/session'
import { useTranslation, useWord } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Copy } from '~/ui/Copy'
import { Field } from '~/ui/Field'
import { Page } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Left, Time, useTick } from '~/ui/Time'
import { say } from '~/ui/Toasts'

const route = getRouteApi('/in/settings/tokens')

/** What machines and scripts sign in with. */
export function Tokens() {
  const { t } = useTranslation()
  const may = useMay()
  const { isAll } = route.useSearch()
  const query = useQuery(tokens(useTenant()))
  const [isMaking, setMaking] = useState(false)
  const [made, setMade] = useState<Schema['TokenMade']>()
  const [gone, setGone] = useState<Token>()
  const now = useTick(true)
  return (
    <Page
      title={t('settings.tokens')}
      aside={
        may('tokens.write') && (
          <Button look="primary" onClick={() => setMaking(true)}>
            {t('tokens.make')}
          </Button>
        )
      }
    >
      <p className="page-text">{t('tokens.text')}</p>
      <div className="panel">
        <Loaded query={query}>
          {(list) => {
            const isLive = (one: Token) => !one.revoked && (one.expires ?? Infinity) > now
            const shown = (isAll ? list : list.filter(isLive)).sort((a, b) => b.created - a.created)
            const ended = list.length - list.filter(isLive).length
            return (
              <>
                {shown.length === 0 ? (
                  <Empty title={t('tokens.none')}>
                    {may('tokens.write') && t('tokens.none.text')}
                  </Empty>
                ) : (
                  <List tokens={shown} now={now} onRevoke={setGone} />
                )}
                {ended > 0 && (
                  <p className="panel-more">
                    <Link to="/settings/tokens" search={{ isAll: isAll ? undefined : true }}>
                      {isAll ? t('tokens.live') : t('tokens.ended', { n: ended })}
                    </Link>
                  </p>
                )}
              </>
            )
          }}
        </Loaded>
      </div>
      {isMaking && (
        <Make
          onClose={() => setMaking(false)}
          onMade={(one) => {
            setMaking(false)
            setMade(one)
          }}
        />
      )}
      {made && (
        <Once
          title={t('tokens.made', { name: made.view.name })}
          secret={made.token}
          label={t('tokens.secret')}
          onClose={() => setMade(undefined)}
        >
          <p>{t('tokens.made.text')}</p>
          <Copy
            label={t('tokens.try')}
            text={`curl --cacert server.pem -H "authorization: Bearer $TOKEN" ${window.location.origin}/api/v1/me`}
          />
        </Once>
      )}
      {gone && (
        <Ask
          title={t('tokens.revoke.title', { name: gone.name })}
          go={t('tokens.revoke')}
          look="danger"
          run={() => take(api.DELETE('/api/v1/tokens/{id}', { params: { path: { id: gone.id } } }))}
          onDone={() => {
            say(t('tokens.revoke.done'))
            setGone(undefined)
          }}
          onClose={() => setGone(undefined)}
        >
          <p>{t('tokens.revoke.text')}</p>
        </Ask>
      )}
    </Page>
  )
}

function List(props: { tokens: Token[]; now: number; onRevoke: (token: Token) => void }) {
  const { tokens: list, now, onRevoke } = props
  const { t } = useTranslation()
  const word = useWord()
  const may = useMay()
  const actor = useActor()
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('settings.tokens')}>
      <table className="table tokens">
        <thead>
          <tr>
            <th scope="col">{t('tokens.name')}</th>
            <th scope="col">{t('tokens.scopes')}</th>
            <th scope="col">{t('tokens.by')}</th>
            <th scope="col">{t('tokens.used')}</th>
            <th scope="col">{t('tokens.expires')}</th>
            <th scope="col">
              <span className="only-read">{t('people.steps')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((token) => {
            const isOver = token.expires != null && token.expires <= now
            return (
              <tr key={token.id}>
                <td>
                  <Raw text={token.name} /> <code className="quiet">plura_{token.prefix}_…</code>
                </td>
                <td>
                  <span className="badges">
                    {token.scopes.map((scope) => (
                      <span key={scope} title={word('scope', scope)}>
                        <Badge>{scope}</Badge>
                      </span>
                    ))}
                  </span>
                </td>
                <td>
                  <Raw text={actor(token.created_by)} />{' '}
                  <span className="quiet">
                    <Time at={token.created} form="ago" />
                  </span>
                </td>
                <td>
                  {token.last_used == null ? (
                    <span className="quiet">{t('tokens.unused')}</span>
                  ) : (
                    <Time at={token.last_used} form="ago" />
                  )}
                </td>
                <td>
                  {token.revoked != null ? (
                    <Badge tone="high">{t('tokens.revoked')}</Badge>
                  ) : isOver ? (
                    <Badge tone="medium">{t('tokens.over')}</Badge>
                  ) : token.expires == null ? (
                    t('tokens.endless')
                  ) : (
                    <Left at={token.expires} />
                  )}
                </td>
                <td className="steps">
                  {may('tokens.write') && token.revoked == null && !isOver && (
                    <Button
                      onClick={() => onRevoke(token)}
                      aria-label={`${t('tokens.revoke')}: ${token.name}`}
                    >
                      {t('tokens.revoke')}
                    </Button>
                  )}
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

const DAYS = [7, 30, 90, 180, 365]
const ENDLESS = ''

function Make(props: { onClose: () => void; onMade: (made: Schema['TokenMade']) => void }) {
  const { onClose, onMade } = props
  const { t } = useTranslation()
  const me = useMe()
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<Scope[]>([])
  const [days, setDays] = useState('90')
  const isForMachines = scopes.every((scope) => MACHINE_SCOPES.includes(scope))
  // What a person's work depends on ends some day.
  const chosen = days === ENDLESS && !isForMachines ? '90' : days
  const toggle = (scope: Scope) =>
    setScopes((now) => (now.includes(scope) ? now.filter((one) => one !== scope) : [...now, scope]))
  return (
    <Ask
      title={t('tokens.make')}
      go={t('tokens.make.go')}
      fault={
        name.trim() === ''
          ? t('tokens.name.missing')
          : scopes.length === 0 && t('problem.scope-missing')
      }
      run={() =>
        take(
          api.POST('/api/v1/tokens', {
            body: {
              name: name.trim(),
              scopes,
              ...(chosen !== ENDLESS && { expires_days: Number(chosen) }),
            },
          }),
        )
      }
      onDone={onMade}
      onClose={onClose}
    >
      <Field label={t('tokens.name')} hint={t('tokens.name.hint')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            maxLength={200}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <fieldset className="scopes">
        <legend>{t('tokens.scopes')}</legend>
        {[true, false].map((isMachine) => (
          <div key={`${isMachine}`}>
            <p className="quiet">{t(isMachine ? 'tokens.machines' : 'tokens.persons')}</p>
            {SCOPE_NAMES.filter((one) => MACHINE_SCOPES.includes(one) === isMachine).map(
              (scope) => {
                const isOff = !mayGiveScope(scope, me.rights)
                return (
                  <label key={scope} className={isOff ? 'scope scope-off' : 'scope'}>
                    <input
                      type="checkbox"
                      checked={scopes.includes(scope)}
                      disabled={isOff}
                      onChange={() => toggle(scope)}
                    />
                    <span>
                      <code>{scope}</code> {t(`scope.${scope}`)}
                      {isOff && <em> {t('problem.scope-too-wide')}</em>}
                    </span>
                  </label>
                )
              },
            )}
          </div>
        ))}
      </fieldset>
      <Field label={t('tokens.expires')} hint={t('tokens.expires.hint')}>
        {(ids) => (
          <select {...ids} value={chosen} onChange={(event) => setDays(event.target.value)}>
            {DAYS.map((n) => (
              <option key={n} value={n}>
                {t('tokens.days', { n })}
              </option>
            ))}
            {isForMachines && <option value={ENDLESS}>{t('tokens.endless')}</option>}
          </select>
        )}
      </Field>
    </Ask>
  )
}
