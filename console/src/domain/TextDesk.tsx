import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useId, useRef, useState } from 'react'
import { Refusal } from '~/api/client'
import { policyCheck, type Diagnostic } from '~/api/queries'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Button } from '~/ui/Button'
import { CodeEditor, type CodeEditorHandle } from '~/ui/CodeEditor'
import { Diff } from '~/ui/Diff'
import { Raw } from '~/ui/Raw'
import { say } from '~/ui/Toasts'

/**
 * What somebody typed and has not saved. It stays while they look elsewhere, and goes with the session: the cache it is
 * in is emptied then.
 */
export function useDraft(what: string): [string | null, (text: string | null) => void] {
  const queries = useQueryClient()
  const queryKey = [useTenant(), 'draft', what]
  const { data } = useQuery<string | null>({
    queryKey,
    queryFn: () => null,
    initialData: null,
    enabled: false,
    gcTime: Infinity,
    staleTime: Infinity,
  })
  return [data, (text) => void queries.setQueryData(queryKey, text)]
}

const PAUSE_MS = 400

/** A text that is in force: written, checked, compared with what it replaces, and saved with a reason. */
export function TextDesk<T>(props: {
  label: string
  inForce: string
  draft: string | null
  onDraft: (text: string | null) => void
  mayWrite: boolean
  /** Whether it is a response policy, which the server checks when typing pauses; others it checks when they are saved. */
  isChecked?: boolean
  save: (text: string, reason: string) => Promise<T>
  saveTitle: string
  saveText: string
  saved: string
}) {
  const { label, inForce, draft, onDraft, mayWrite, isChecked = false } = props
  const { t } = useTranslation()
  const text = draft ?? inForce
  const isChanged = draft !== null && draft !== inForce
  const [isSaving, setSaving] = useState(false)
  const [refused, setRefused] = useState<{ text: string; diagnostics: Diagnostic[] }>()
  const editor = useRef<CodeEditorHandle>(null)
  const below = useId()
  const paused = usePaused(text)
  const asked = useQuery({
    ...policyCheck(useTenant(), paused),
    enabled: isChecked && isChanged,
  })
  const isKnown = isChanged && paused === text && asked.data !== undefined
  const told = refused?.text === text ? refused.diagnostics : isKnown ? asked.data.diagnostics : []
  const faults = told.map((one) => ({ ...one, line: lineOf(one.place) }))
  useLeaveWarning(isChanged)
  return (
    <div className="desk">
      <CodeEditor
        ref={editor}
        label={label}
        describedBy={below}
        value={text}
        isReadOnly={!mayWrite}
        marks={faults.flatMap(({ line, message }) => (line ? [{ line, text: message }] : []))}
        onChange={(next) => onDraft(next === inForce ? null : next)}
      />
      <div id={below} className="desk-below">
        {faults.length > 0 && (
          <ul className="faults" role="alert">
            {faults.map((fault, at) => (
              <li key={at}>
                {fault.line ? (
                  <button
                    type="button"
                    className="link-button"
                    onClick={() => editor.current?.goTo(fault.line ?? 1)}
                  >
                    {t('desk.line', { n: fault.line })}
                  </button>
                ) : (
                  <Raw text={fault.place} />
                )}{' '}
                <Raw text={fault.message} />{' '}
                {fault.hint && (
                  <span className="quiet">
                    <Raw text={fault.hint} />
                  </span>
                )}{' '}
                <code className="quiet">{fault.code}</code>
              </li>
            ))}
          </ul>
        )}
        {mayWrite && (
          <p className="desk-foot">
            <span className="quiet" aria-live="polite">
              {!isChanged
                ? t('desk.same')
                : faults.length > 0
                  ? t('desk.faults', { n: faults.length })
                  : isKnown
                    ? t('desk.good')
                    : isChecked
                      ? t('desk.checking')
                      : t('desk.changed')}
            </span>
            <Button
              onClick={() => onDraft(null)}
              why={!isChanged && t('desk.same')}
              className="desk-discard"
            >
              {t('desk.discard')}
            </Button>
            <Button
              look="primary"
              why={
                !isChanged
                  ? t('desk.same')
                  : faults.length > 0 && t('desk.faults', { n: faults.length })
              }
              onClick={() => setSaving(true)}
            >
              {t('desk.review')}
            </Button>
          </p>
        )}
      </div>
      {isSaving && (
        <Ask
          title={props.saveTitle}
          go={t('desk.save')}
          withReason
          run={(reason) => props.save(text, reason)}
          onRefused={(error) => {
            const diagnostics = error instanceof Refusal ? error.problem.diagnostics : undefined
            if (diagnostics?.length) setRefused({ text, diagnostics })
          }}
          onDone={() => {
            say(props.saved)
            setSaving(false)
            onDraft(null)
          }}
          onClose={() => setSaving(false)}
        >
          <p>{props.saveText}</p>
          <Diff before={inForce} after={text} label={t('desk.diff')} />
        </Ask>
      )}
    </div>
  )
}

/** `policy.yaml:3:5` → 3. */
function lineOf(place: string): number | undefined {
  const found = /:(\d+):\d+$/.exec(place) ?? /\bline (\d+)/.exec(place)
  return found ? Number(found[1]) : undefined
}

function usePaused(text: string): string {
  const [paused, setPaused] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setPaused(text), PAUSE_MS)
    return () => clearTimeout(timer)
  }, [text])
  return paused
}

/** The browser asks before a window with unsaved text closes. */
function useLeaveWarning(isOn: boolean) {
  useEffect(() => {
    if (!isOn) return
    const warn = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', warn)
    return () => window.removeEventListener('beforeunload', warn)
  }, [isOn])
}
