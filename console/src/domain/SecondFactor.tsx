import { useQuery } from '@tanstack/react-query'
import { Suspense, lazy, useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import { secondFactor } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Copy } from '~/ui/Copy'
import { Dialog } from '~/ui/Dialog'
import { Field } from '~/ui/Field'
import { Raw } from '~/ui/Raw'
import { Loaded } from '~/ui/states'
import { Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { hasPasskeys, makeKey } from './passkey'

const Qr = lazy(() => import('~/ui/Qr'))

type State = Schema['SecondFactor']
type Passkey = Schema['PasskeyView']

type Step =
  | { what: 'codes' | 'passkey' | 'renew' }
  | { what: 'confirm'; proposed: Schema['CodesProposed'] }
  | { what: 'remove'; passkey: Passkey | undefined }
  | { what: 'recovery'; codes: string[] }

/** As the server allows (`PASSKEYS_MAX`). */
const PASSKEYS_MAX = 20
/** So few are left that one should think of new ones. */
const RECOVERY_FEW = 3

/**
 * What one has beside the password; `onAdded` once something was added and its recovery codes are kept.
 * `Heading` is the level that follows the one above.
 */
export function SecondFactor(props: { onAdded?: () => void; Heading?: 'h2' | 'h3' }) {
  const { onAdded, Heading = 'h3' } = props
  const query = useQuery(secondFactor)
  const [step, setStep] = useState<Step>()
  const onClose = () => setStep(undefined)
  const added = ({ recovery_codes: codes }: Schema['RecoveryCodes']) => {
    if (codes.length > 0) return setStep({ what: 'recovery', codes })
    onClose()
    onAdded?.()
  }
  return (
    <>
      <Loaded query={query} rows={3}>
        {(state) => <Shown state={state} Heading={Heading} onStep={setStep} />}
      </Loaded>
      {step?.what === 'codes' && (
        <ProposeCodes
          onClose={onClose}
          onDone={(proposed) => setStep({ what: 'confirm', proposed })}
        />
      )}
      {step?.what === 'confirm' && (
        <ConfirmCodes proposed={step.proposed} onClose={onClose} onDone={added} />
      )}
      {step?.what === 'passkey' && <AddPasskey onClose={onClose} onDone={added} />}
      {step?.what === 'renew' && (
        <Renew
          onClose={onClose}
          onDone={(answer) => setStep({ what: 'recovery', codes: answer.recovery_codes })}
        />
      )}
      {step?.what === 'remove' && <Remove passkey={step.passkey} onClose={onClose} />}
      {step?.what === 'recovery' && (
        <Recovery
          codes={step.codes}
          onKept={() => {
            onClose()
            onAdded?.()
          }}
        />
      )}
    </>
  )
}

export const hasFactor = (state: State) => state.codes_since != null || state.passkeys.length > 0

function Shown(props: { state: State; Heading: 'h2' | 'h3'; onStep: (step: Step) => void }) {
  const { state, Heading, onStep } = props
  const { t } = useTranslation()
  const left = state.recovery_codes_left
  const noPasskey = !state.passkeys_possible
    ? t('factor.passkey.address')
    : !hasPasskeys()
      ? t('factor.passkey.browser')
      : state.passkeys.length >= PASSKEYS_MAX && t('factor.passkey.full', { n: PASSKEYS_MAX })
  return (
    <div className="factor">
      {!hasFactor(state) && <p>{t(state.required ? 'factor.required' : 'factor.none')}</p>}
      <section>
        <Heading>
          {t('factor.codes')}{' '}
          {state.codes_since != null && <Badge tone="good">{t('factor.on')}</Badge>}
        </Heading>
        {state.codes_since == null ? (
          <p className="quiet">{t('factor.codes.text')}</p>
        ) : (
          <p className="quiet">
            {t('factor.since')} <Time at={state.codes_since} />
          </p>
        )}
        <p className="row">
          {state.codes_since == null ? (
            <Button onClick={() => onStep({ what: 'codes' })}>{t('factor.codes.add')}</Button>
          ) : (
            <Button
              onClick={() => onStep({ what: 'remove', passkey: undefined })}
              aria-label={`${t('factor.remove')}: ${t('factor.codes')}`}
            >
              {t('factor.remove')}
            </Button>
          )}
        </p>
      </section>
      <section>
        <Heading>{t('factor.passkeys')}</Heading>
        <p className="quiet">{t('factor.passkeys.text')}</p>
        {state.passkeys.length > 0 && (
          <ul className="factor-keys">
            {state.passkeys.map((passkey) => (
              <li key={passkey.id}>
                <span>
                  <Raw text={passkey.name} />
                  <span className="quiet">
                    {t('factor.since')} <Time at={passkey.created} form="ago" /> ·{' '}
                    {t('factor.used')}{' '}
                    {passkey.last_used == null ? (
                      t('factor.never')
                    ) : (
                      <Time at={passkey.last_used} form="ago" />
                    )}
                  </span>
                </span>
                <Button
                  onClick={() => onStep({ what: 'remove', passkey })}
                  aria-label={`${t('factor.remove')}: ${passkey.name}`}
                >
                  {t('factor.remove')}
                </Button>
              </li>
            ))}
          </ul>
        )}
        <p className="row">
          <Button why={noPasskey} onClick={() => onStep({ what: 'passkey' })}>
            {t('factor.passkey.add')}
          </Button>
          {noPasskey && <span className="quiet">{noPasskey}</span>}
        </p>
      </section>
      {hasFactor(state) && (
        <section>
          <Heading>{t('factor.recovery')}</Heading>
          <p className={left <= RECOVERY_FEW ? 'warning' : 'quiet'}>
            {t(left <= RECOVERY_FEW ? 'factor.recovery.few' : 'factor.recovery.left', { n: left })}
          </p>
          <p className="row">
            <Button onClick={() => onStep({ what: 'renew' })}>{t('factor.renew')}</Button>
          </p>
        </section>
      )}
    </div>
  )
}

type StepProps<T> = { onClose: () => void; onDone: (answer: T) => void }

function Password({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { t } = useTranslation()
  return (
    <Field label={t('signin.password')} hint={t('factor.password.hint')}>
      {(ids) => (
        <input
          {...ids}
          type="password"
          autoComplete="current-password"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  )
}

function ProposeCodes({ onClose, onDone }: StepProps<Schema['CodesProposed']>) {
  const { t } = useTranslation()
  const [password, setPassword] = useState('')
  return (
    <Ask
      title={t('factor.codes.add')}
      go={t('factor.next')}
      fault={!password && t('factor.password.missing')}
      run={() => take(api.POST('/api/v1/second-factor/codes', { body: { password } }))}
      onDone={onDone}
      onClose={onClose}
    >
      <p>{t('factor.codes.how')}</p>
      <Password value={password} onChange={setPassword} />
    </Ask>
  )
}

function ConfirmCodes(
  props: StepProps<Schema['RecoveryCodes']> & { proposed: Schema['CodesProposed'] },
) {
  const { proposed, onClose, onDone } = props
  const { t } = useTranslation()
  const [code, setCode] = useState('')
  return (
    <Ask
      title={t('factor.codes.add')}
      go={t('factor.codes.go')}
      fault={!/^(\s*\d){6}\s*$/.test(code) && t('factor.code.six')}
      run={() => take(api.POST('/api/v1/second-factor/codes/confirm', { body: { code } }))}
      onDone={onDone}
      onClose={onClose}
    >
      <p>{t('factor.scan')}</p>
      <Suspense fallback={<div className="qr" />}>
        <Qr text={proposed.uri} label={t('factor.qr')} />
      </Suspense>
      <p>{t('factor.type')}</p>
      {/* Apps leave the spaces out; who types needs them. */}
      <Copy text={proposed.secret.replace(/(.{4})(?=.)/g, '$1 ')} label={t('factor.secret')} />
      <Field label={t('factor.code')} hint={t('factor.code.hint')}>
        {(ids) => (
          <input
            {...ids}
            className="code-input"
            autoComplete="one-time-code"
            inputMode="numeric"
            maxLength={12}
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
        )}
      </Field>
    </Ask>
  )
}

function AddPasskey({ onClose, onDone }: StepProps<Schema['RecoveryCodes']>) {
  const { t } = useTranslation()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const run = async () => {
    const options = api.POST('/api/v1/second-factor/passkeys/options', { body: { password } })
    const made = await makeKey(await take(options))
    const body = { name: name.trim(), ...made }
    return take(api.POST('/api/v1/second-factor/passkeys', { body }))
  }
  return (
    <Ask
      title={t('factor.passkey.add')}
      go={t('factor.next')}
      fault={!name.trim() ? t('factor.passkey.unnamed') : !password && t('factor.password.missing')}
      run={run}
      onDone={(answer) => {
        say(t('factor.passkey.added'))
        onDone(answer)
      }}
      onClose={onClose}
    >
      <p>{t('factor.passkey.how')}</p>
      <Field label={t('factor.passkey.name')} hint={t('factor.passkey.name.hint')}>
        {(ids) => (
          <input
            {...ids}
            autoComplete="off"
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Password value={password} onChange={setPassword} />
    </Ask>
  )
}

function Renew({ onClose, onDone }: StepProps<Schema['RecoveryCodes']>) {
  const { t } = useTranslation()
  const [password, setPassword] = useState('')
  return (
    <Ask
      title={t('factor.renew')}
      go={t('factor.renew')}
      fault={!password && t('factor.password.missing')}
      run={() => take(api.POST('/api/v1/second-factor/recovery-codes', { body: { password } }))}
      onDone={onDone}
      onClose={onClose}
    >
      <p>{t('factor.renew.text')}</p>
      <Password value={password} onChange={setPassword} />
    </Ask>
  )
}

function Remove({ passkey, onClose }: { passkey: Passkey | undefined; onClose: () => void }) {
  const { t } = useTranslation()
  const [password, setPassword] = useState('')
  const body = { password, ...(passkey && { passkey: passkey.id }) }
  return (
    <Ask
      title={t('factor.remove.title', { name: passkey?.name ?? t('factor.codes') })}
      go={t('factor.remove')}
      look="danger"
      fault={!password && t('factor.password.missing')}
      run={() => take(api.POST('/api/v1/second-factor/remove', { body }))}
      onDone={() => {
        say(t('factor.removed'))
        onClose()
      }}
      onClose={onClose}
    >
      <p>{t('factor.remove.text')}</p>
      <Password value={password} onChange={setPassword} />
    </Ask>
  )
}

/** The codes for the day the device is lost; whoever closes this without them may be locked out then. */
function Recovery({ codes, onKept }: { codes: string[]; onKept: () => void }) {
  const { t } = useTranslation()
  const [isKept, setKept] = useState(false)
  const [isTried, setTried] = useState(false)
  const text = codes.join('\n')
  const close = () => (isKept ? onKept() : setTried(true))
  const download = () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: 'text/plain' }))
    link.download = 'plura-recovery-codes.txt'
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
  }
  return (
    <Dialog title={t('factor.recovery')} onClose={close}>
      <p className="warning">{t('once.warning')}</p>
      <p>{t('factor.recovery.text')}</p>
      <Copy text={text} label={t('factor.recovery')} />
      <p className="row">
        <Button onClick={download}>{t('factor.download')}</Button>
      </p>
      <label className="scope factor-kept">
        <input
          type="checkbox"
          checked={isKept}
          aria-invalid={isTried && !isKept}
          onChange={(event) => setKept(event.target.checked)}
        />
        <span>{t('factor.kept')}</span>
      </label>
      {isTried && !isKept && (
        <p className="field-error" role="alert">
          {t('factor.kept.first')}
        </p>
      )}
      <footer className="dialog-foot">
        <Button look="primary" why={!isKept && t('factor.kept.first')} onClick={close}>
          {t('factor.done')}
        </Button>
      </footer>
    </Dialog>
  )
}
