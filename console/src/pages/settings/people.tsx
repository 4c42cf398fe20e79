import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take } from '~/api/client'
import { users, type User } from '~/api/queries'
import { Once } from '~/domain/Once'
import { PERSON_RIGHTS, ROLES, roleMay, type Role } from '~/domain/rights'
import { useMay, useMe, useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { Icon } from '~/ui/Icon'
import { Menu, type MenuItem } from '~/ui/Menu'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'

type Step = { what: 'change' | 'reset' | 'factor' | 'disable' | 'enable' | 'remove'; user: User }
type Made = { user: User; password: string | null | undefined }

/** Who works in this tenant, and as what. */
export function People() {
  const { t } = useTranslation()
  const may = useMay()
  const query = useQuery(users(useTenant()))
  const [isInviting, setInviting] = useState(false)
  const [step, setStep] = useState<Step>()
  const [made, setMade] = useState<Made>()
  return (
    <Page
      title={t('settings.people')}
      aside={
        may('users.write') && (
          <Button look="primary" onClick={() => setInviting(true)}>
            {t('people.invite')}
          </Button>
        )
      }
    >
      <div className="stack">
        <div className="panel">
          <Loaded query={query}>{(list) => <List users={list} onStep={setStep} />}</Loaded>
        </div>
        {may('users.write') && <p className="quiet">{t('people.limits')}</p>}
        <RoleMatrix />
      </div>
      {isInviting && (
        <Invite
          onClose={() => setInviting(false)}
          onMade={(one) => {
            setInviting(false)
            setMade(one)
          }}
        />
      )}
      {step && (
        <StepDialog
          key={`${step.what} ${step.user.id}`}
          step={step}
          onClose={() => setStep(undefined)}
          onMade={(one) => {
            setStep(undefined)
            setMade(one)
          }}
        />
      )}
      {made?.password && (
        <Once
          title={t('people.password', { name: made.user.name })}
          secret={made.password}
          label={t('people.password.label')}
          onClose={() => setMade(undefined)}
        >
          <p>{t('people.password.text')}</p>
        </Once>
      )}
    </Page>
  )
}

function List({ users: list, onStep }: { users: User[]; onStep: (step: Step) => void }) {
  const { t } = useTranslation()
  const me = useMe()
  const rank = (user: User) => ROLES.indexOf(user.role as Role)
  const sorted = [...list].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))
  if (list.length === 0) return <Empty title={t('people.none')} />
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label={t('settings.people')}>
      <table className="table people">
        <thead>
          <tr>
            <th scope="col">{t('people.who')}</th>
            <th scope="col">{t('people.role')}</th>
            <th scope="col">{t('people.state')}</th>
            <th scope="col">{t('factor.title')}</th>
            <th scope="col">{t('people.since')}</th>
            <th scope="col">
              <span className="only-read">{t('people.steps')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((user) => (
            <tr key={user.id}>
              <td>
                <span className="people-name">
                  <Raw text={user.display} />
                  {user.id === me.user && <Badge tone="info">{t('people.you')}</Badge>}
                </span>
                {user.display !== user.name && (
                  <span className="quiet">
                    <Raw text={user.name} />
                  </span>
                )}
              </td>
              <td>{t(`role.${user.role as Role}`)}</td>
              <td>
                {user.disabled ? (
                  <Badge tone="high">{t('people.disabled')}</Badge>
                ) : user.must_change_password ? (
                  <Badge tone="medium">{t('people.invited')}</Badge>
                ) : (
                  <Badge tone="good">{t('people.active')}</Badge>
                )}
              </td>
              <td>
                {user.second_factor ? (
                  <Badge tone="good">{t('people.second.yes')}</Badge>
                ) : (
                  <span className="quiet">{t('people.second.no')}</span>
                )}
              </td>
              <td>
                <Time at={user.created} form="ago" />
              </td>
              <td className="steps">
                <Steps user={user} onStep={onStep} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** What may be done about somebody; to oneself, only what cannot lock one out. */
function Steps({ user, onStep }: { user: User; onStep: (step: Step) => void }) {
  const { t } = useTranslation()
  const me = useMe()
  const may = useMay()
  const navigate = useNavigate()
  const role = useRole()
  const isOwn = user.id === me.user
  const isAbove = user.role === 'owner' && role !== 'owner'
  const step = (what: Step['what']) => ({
    label: t(`people.${what}`),
    onSelect: () => onStep({ what, user }),
  })
  const items: MenuItem[] = []
  if (may('users.write') && !isAbove) {
    items.push(step('change'))
    if (!isOwn) {
      items.push(step('reset'))
      if (user.second_factor) items.push(step('factor'))
      items.push(step(user.disabled ? 'enable' : 'disable'), 'line', step('remove'))
    }
  }
  if (may('audit.read')) {
    if (items.length > 0) items.push('line')
    items.push({
      label: t('people.ledger'),
      onSelect: () => void navigate({ to: '/audit', search: { subject: user.id } }),
    })
  }
  if (items.length === 0) return null
  return (
    <Menu
      label={t('people.steps.of', { name: user.name })}
      trigger={<Icon name="more" />}
      items={items}
    />
  )
}

/** One's own role in the tenant on screen. */
function useRole(): Role | undefined {
  const me = useMe()
  return me.tenants.find(({ tenant }) => tenant === me.tenant)?.role as Role | undefined
}

function RoleField(props: { value: Role; onChange: (role: Role) => void; why?: string | false }) {
  const { value, onChange, why } = props
  const { t } = useTranslation()
  const own = useRole()
  // Only an owner makes an owner.
  const roles = ROLES.filter((role) => role !== 'owner' || own === 'owner')
  return (
    <Field label={t('people.role')} hint={why || t(`role.${value}.text`)}>
      {(ids) => (
        <select
          {...ids}
          value={value}
          disabled={!!why}
          onChange={(event) => onChange(event.target.value as Role)}
        >
          {(why ? [value] : roles).map((role) => (
            <option key={role} value={role}>
              {t(`role.${role}`)}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

/** As the server asks of a login name. */
const NAME = /^[\p{L}\p{N}._@+-]{1,128}$/u

function Invite({ onClose, onMade }: { onClose: () => void; onMade: (made: Made) => void }) {
  const { t } = useTranslation()
  const [name, setName] = useState('')
  const [display, setDisplay] = useState('')
  const [role, setRole] = useState<Role>('analyst')
  const typed = name.trim()
  return (
    <Ask
      title={t('people.invite')}
      go={t('people.invite.go')}
      fault={!NAME.test(typed) && t('problem.name-invalid')}
      run={() =>
        take(
          api.POST('/api/v1/users', {
            body: { name: typed, role, ...(display.trim() && { display: display.trim() }) },
          }),
        )
      }
      onDone={({ user, one_time_password: password }) => {
        // An account that was there keeps its own password.
        if (!password) say(t('people.joined', { name: user.name }))
        onMade({ user, password })
      }}
      onClose={onClose}
    >
      <p>{t('people.invite.text')}</p>
      <Field label={t('people.name')} hint={t('people.name.hint')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={128}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label={t('people.display')} hint={t('people.display.hint')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            maxLength={200}
            value={display}
            onChange={(event) => setDisplay(event.target.value)}
          />
        )}
      </Field>
      <RoleField value={role} onChange={setRole} />
    </Ask>
  )
}

function StepDialog(props: { step: Step; onClose: () => void; onMade: (made: Made) => void }) {
  const { step, onClose, onMade } = props
  const { what, user } = step
  const { t } = useTranslation()
  const me = useMe()
  const [display, setDisplay] = useState(user.display)
  const [role, setRole] = useState(user.role as Role)
  const params = { path: { id: user.id } }
  const change = () => {
    const body = {
      ...(display.trim() !== user.display && { display: display.trim() }),
      ...(role !== user.role && { role }),
    }
    return take(api.PATCH('/api/v1/users/{id}', { params, body }))
  }
  const run = async () => {
    switch (what) {
      case 'change':
        return change()
      case 'reset':
        return take(api.PATCH('/api/v1/users/{id}', { params, body: { reset_password: true } }))
      case 'factor': {
        const body = { reset_second_factor: true }
        return take(api.PATCH('/api/v1/users/{id}', { params, body }))
      }
      case 'disable':
      case 'enable': {
        const body = { disabled: what === 'disable' }
        return take(api.PATCH('/api/v1/users/{id}', { params, body }))
      }
      case 'remove':
        await take(api.DELETE('/api/v1/users/{id}', { params }))
        return undefined
    }
  }
  const isDangerous = ['disable', 'remove', 'reset', 'factor'].includes(what)
  const nothing = display.trim() === user.display && role === user.role
  return (
    <Ask
      title={t(`people.${what}.title`, { name: user.name })}
      go={t(`people.${what}`)}
      look={isDangerous ? 'danger' : 'primary'}
      fault={
        what === 'change' &&
        (display.trim() === '' ? t('people.display.missing') : nothing && t('people.nothing'))
      }
      run={run}
      onDone={(answer) => {
        say(t(`people.${what}.done`))
        onMade({ user, password: answer?.one_time_password })
      }}
      onClose={onClose}
    >
      <p>{t(`people.${what}.text`)}</p>
      {what === 'change' && (
        <>
          <Field label={t('people.display')}>
            {(ids) => (
              <input
                {...ids}
                autoComplete="off"
                maxLength={200}
                value={display}
                onChange={(event) => setDisplay(event.target.value)}
              />
            )}
          </Field>
          <RoleField
            value={role}
            onChange={setRole}
            why={user.id === me.user && t('people.own.role')}
          />
        </>
      )}
    </Ask>
  )
}

/** Which role may do what. */
function RoleMatrix() {
  const { t } = useTranslation()
  return (
    <Panel title={t('people.matrix')}>
      <div className="scroll-x" tabIndex={0} role="region" aria-label={t('people.matrix')}>
        <table className="table role-matrix">
          <thead>
            <tr>
              <th scope="col">{t('people.matrix.right')}</th>
              {ROLES.map((role) => (
                <th scope="col" key={role} title={t(`role.${role}.text`)}>
                  {t(`role.${role}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {PERSON_RIGHTS.map((right) => (
              <tr key={right} data-right={right}>
                <th scope="row">{t(`right.${right}`)}</th>
                {ROLES.map((role) => (
                  <td key={role}>
                    {roleMay(role, right) ? (
                      <>
                        <Icon name="check" />
                        <span className="only-read">{t('finding.yes')}</span>
                      </>
                    ) : (
                      <span className="only-read">{t('finding.no')}</span>
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}
