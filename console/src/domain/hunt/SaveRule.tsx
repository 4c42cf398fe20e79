import { useMutation } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { api, take, type Schema } from '~/api/client'
import type { Stage } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Field, Select } from '~/ui/Field'
import { Raw } from '~/ui/Raw'
import { Failed } from '~/ui/states'
import { StageField } from '../rules'
import { FaultLine } from './FaultLine'
import { Fault, type Node } from './language'
import { LEVELS, toSigma, type Level } from './sigma'

/** The query as a detection: a Sigma rule, to be read and changed before it is saved. */
export function SaveRule(props: { q: string; node: Node; onClose: () => void }) {
  const { q, node, onClose } = props
  const { t } = useTranslation()
  const [id] = useState(() => crypto.randomUUID())
  const [title, setTitle] = useState('')
  const [level, setLevel] = useState<Level>('medium')
  const [stage, setStage] = useState<Stage>('shadow')
  const [reason, setReason] = useState('')
  /** Written over by hand: title and level then stand in the text. */
  const [own, setOwn] = useState<string>()
  const made = useMemo((): { text: string } | { fault: Fault } => {
    try {
      const date = new Date().toISOString().slice(0, 10)
      const name = title.trim() || t('hunt.rule.title.usual')
      return {
        text: toSigma(node, { id, title: name, level, date, description: `Plura: ${q}` }),
      }
    } catch (fault) {
      if (fault instanceof Fault) return { fault }
      throw fault
    }
  }, [node, q, id, title, level, t])
  const text = own ?? ('text' in made ? made.text : '')
  const check = useMutation({
    mutationFn: () => take(api.POST('/api/v1/sigma/rules/check', { body: { text } })),
  })
  const save = useMutation({
    mutationFn: () => take(api.POST('/api/v1/sigma/rules', { body: { text, reason, stage } })),
  })
  if ('fault' in made) {
    return (
      <Dialog title={t('hunt.rule')} onClose={onClose}>
        <p className="field-error" role="alert">
          <FaultLine fault={made.fault} text={q} />
        </p>
        <p className="quiet">{t('hunt.rule.cannot')}</p>
        <div className="dialog-foot">
          <Button onClick={onClose}>{t('ui.close')}</Button>
        </div>
      </Dialog>
    )
  }
  if (save.data) {
    return (
      <Dialog title={t('hunt.rule')} onClose={onClose}>
        <p className="note" role="status">
          {t('hunt.rule.saved')} <code>{save.data.id}</code>
        </p>
        <p className="quiet">{t('hunt.rule.saved.text')}</p>
        <div className="dialog-foot">
          <Button onClick={onClose}>{t('ui.close')}</Button>
        </div>
      </Dialog>
    )
  }
  const locked = own !== undefined && t('hunt.rule.own')
  return (
    <Dialog title={t('hunt.rule')} onClose={onClose} place="side">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!save.isPending && title.trim() && reason.trim()) save.mutate()
        }}
      >
        <Field label={t('hunt.rule.title')} hint={locked || undefined}>
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={200}
              readOnly={own !== undefined}
              value={title}
              onChange={(event) => setTitle(event.target.value)}
            />
          )}
        </Field>
        <p>
          <Select
            label={t('hunt.rule.level')}
            isLabelShown
            why={locked}
            value={level}
            onChange={(chosen) => setLevel(LEVELS.find((one) => one === chosen) ?? 'medium')}
            choices={LEVELS.map((one) => ({ value: one, label: t(`severity.${one}`) }))}
          />
        </p>
        <StageField value={stage} onChange={setStage} />
        <Field label={t('hunt.rule.text')} hint={t('hunt.rule.text.hint')}>
          {(ids) => (
            <textarea
              {...ids}
              className="hunt-yaml"
              rows={18}
              spellCheck={false}
              value={text}
              onChange={(event) => {
                setOwn(event.target.value)
                check.reset()
              }}
            />
          )}
        </Field>
        <p className="hunt-sql-foot">
          <Button busy={check.isPending} onClick={() => check.mutate()}>
            {t('hunt.rule.check')}
          </Button>
          {own !== undefined && (
            <Button look="quiet" onClick={() => setOwn(undefined)}>
              {t('hunt.rule.anew')}
            </Button>
          )}
        </p>
        {check.error && <Failed error={check.error} />}
        {check.data && <Checked checked={check.data} />}
        <Field label={t('decide.reason')} hint={t('hunt.rule.reason')}>
          {(ids) => (
            <input
              {...ids}
              required
              maxLength={200}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        {save.error && <Failed error={save.error} />}
        <div className="dialog-foot">
          <Button onClick={onClose}>{t('ui.cancel')}</Button>
          <Button
            type="submit"
            look="primary"
            busy={save.isPending}
            why={
              !title.trim()
                ? t('hunt.rule.untitled')
                : !reason.trim() && t('problem.reason-missing')
            }
          >
            {t('hunt.rule.save')}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** What the server says of the text before it is used. */
function Checked({ checked }: { checked: Schema['RuleCheck'] }) {
  const { t } = useTranslation()
  const isServed = checked.rules.every((rule) => rule.served)
  const lines = [...checked.diagnostics, ...checked.notices]
  return (
    <div className={checked.valid ? 'note' : 'field-error'} role="status">
      <p>{t(checked.valid ? 'hunt.rule.valid' : 'hunt.rule.invalid')}</p>
      {checked.valid && !isServed && <p>{t('hunt.rule.unserved')}</p>}
      <ul>
        {lines.map((line, at) => (
          <li key={at}>
            <Raw text={`${line.place}: ${line.message}${line.hint ? ` (${line.hint})` : ''}`} />
          </li>
        ))}
      </ul>
    </div>
  )
}
