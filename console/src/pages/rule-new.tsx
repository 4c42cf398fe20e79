import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take } from '~/api/client'
import type { Stage } from '~/api/queries'
import { ReasonField, StageField } from '~/domain/rules'
import { RuleEditor, useCheck } from '~/domain/RuleEditor'
import { useMay } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Page } from '~/ui/Page'
import { Empty, Failed } from '~/ui/states'
import { say } from '~/ui/Toasts'

/** A rule that runs here, to be rewritten: requests for a path that the gateway tells of. */
const example = () => `title: Requests for the admin path
id: ${crypto.randomUUID()}
status: experimental
description: Somebody asks for /admin.
tags:
  - attack.initial-access
  - attack.t1190
logsource:
  category: webserver
detection:
  selection:
    cs-uri-stem|startswith: /admin
  condition: selection
falsepositives:
  - Administrators
level: low
`

/** Paste or write a rule. It is saved switched off, so that it is tried on stored events before it speaks. */
export function NewRule() {
  const { t } = useTranslation()
  const isWriter = useMay()('rules.write')
  const navigate = useNavigate()
  const queries = useQueryClient()
  const [text, setText] = useState('')
  // A new rule is best seen to be right before anything follows from it.
  const [stage, setStage] = useState<Stage>('shadow')
  const [reason, setReason] = useState('')
  const [isTried, setTried] = useState(false)
  const checked = useCheck(text)
  const save = useMutation({
    mutationFn: (enabled: boolean) =>
      take(api.POST('/api/v1/sigma/rules', { body: { text, reason, enabled, stage } })),
    onSuccess: (made) => {
      say(t(made.enabled ? 'rule.new.done.on' : 'rule.new.done.off'))
      const view = made.enabled ? undefined : ('replay' as const)
      void navigate({ to: '/rules/$id', params: { id: made.id }, search: { view } })
    },
    onSettled: () => queries.invalidateQueries(),
  })
  const isEmpty = reason.trim() === ''
  const why = text.trim() === '' ? t('rule.check.none') : !checked.isValid && t('rule.save.invalid')
  const go = (enabled: boolean) => {
    setTried(true)
    if (!isEmpty && !why && !save.isPending) save.mutate(enabled)
  }
  return (
    <Page
      title={t('rules.new')}
      head={
        <div className="incident-head">
          <Link to="/rules" className="quiet">
            {t('rule.back')}
          </Link>
          <h1>{t('rules.new')}</h1>
        </div>
      }
    >
      {isWriter ? (
        <form
          className="panel rule-form"
          onSubmit={(event) => {
            event.preventDefault()
            go(false)
          }}
        >
          <p className="quiet">
            {t('rule.new.text')}{' '}
            {text === '' && (
              <button type="button" className="link-button" onClick={() => setText(example())}>
                {t('rule.new.example')}
              </button>
            )}
          </p>
          <RuleEditor text={text} onChange={setText} checked={checked} />
          <StageField value={stage} onChange={setStage} />
          <p className="quiet">{t('rule.new.stage')}</p>
          <ReasonField value={reason} onChange={setReason} isMissing={isTried && isEmpty} />
          {save.error && <Failed error={save.error} />}
          <footer className="dialog-foot">
            <Button why={why} busy={save.isPending} onClick={() => go(true)}>
              {t('rule.new.on')}
            </Button>
            <Button type="submit" look="primary" why={why} busy={save.isPending}>
              {t('rule.new.off')}
            </Button>
          </footer>
        </form>
      ) : (
        <div className="panel">
          <Empty title={t('problem.forbidden')}>{t('hint.forbidden')}</Empty>
        </div>
      )}
    </Page>
  )
}
