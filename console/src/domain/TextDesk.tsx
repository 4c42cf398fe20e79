import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useId, useRef, useState, type ReactNode } from 'react'
import { Refusal } from '~/api/client'
import { SLOW_MS, type Diagnostic } from '~/api/queries'
import { useTenant } from '~/domain/session'
import { useTranslation } from '~/i18n'
import { Ask } from '~/ui/Ask'
import { Button } from '~/ui/Button'
import { CodeEditor, type CodeEditorHandle } from '~/ui/CodeEditor'
import { Diff } from '~/ui/Diff'
import { usePaused } from '~/ui/paused'
import { Raw } from '~/ui/Raw'
import { Failed } from '~/ui/states'
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

export type DeskAnswer = {
  /** Why it cannot be saved. */
  diagnostics: Diagnostic[]
  /** What should be looked at and may be saved. */
  doubts?: Diagnostic[]
}

/** A text that is in force: written, checked, compared with what it replaces, and saved with a reason. */
export function TextDesk<T>(props: {
  label: string
  inForce: string
  draft: string | null
  onDraft: (text: string | null) => void
  mayWrite: boolean
  /** How the server checks it when typing pauses; without, it checks what is saved. */
  check?: (text: string, signal: AbortSignal) => Promise<DeskAnswer>
  /** What the check depends on beside the text. */
  checkedWith?: string
  /** Something that is saved with the text has changed. */
  isElseChanged?: boolean
  /** Takes back what else has changed. */
  onDiscard?: () => void
  /** What else one should see before saving. */
  beforeSave?: ReactNode
  save: (text: string, reason: string) => Promise<T>
  saveTitle: string
  saveText: string
  saved: string
}) {
  const { label, inForce, draft, onDraft, mayWrite, isElseChanged = false } = props
  const { t } = useTranslation()
  const text = draft ?? inForce
  const isTextChanged = draft !== null && draft !== inForce
  const isChanged = isTextChanged || isElseChanged
  const [isSaving, setSaving] = useState(false)
  const [refused, setRefused] = useState<{ text: string; diagnostics: Diagnostic[] }>()
  const editor = useRef<CodeEditorHandle>(null)
  const below = useId()
  const paused = usePaused(text, PAUSE_MS)
  const { check, checkedWith = '' } = props
  const asked = useQuery({
    queryKey: [useTenant(), 'desk-check', label, paused, checkedWith],
    queryFn: ({ signal }) => check?.(paused, signal) ?? { diagnostics: [] },
    staleTime: Infinity,
    gcTime: SLOW_MS,
    enabled: check !== undefined && isChanged,
  })
  const isKnown = isChanged && paused === text && asked.data !== undefined
  const failed = isChanged && paused === text ? asked.error : null
  const told = refused?.text === text ? refused.diagnostics : isKnown ? asked.data.diagnostics : []
  const doubts = isKnown ? (asked.data.doubts ?? []) : []
  const faults = told
  useLeaveWarning(isTextChanged)
  return (
    <div className="desk">
      <CodeEditor
        ref={editor}
        label={label}
        describedBy={below}
        value={text}
        isReadOnly={!mayWrite}
        marks={faults.flatMap(({ place, message }) => {
          const line = lineOf(place)
          return line ? [{ line, text: message }] : []
        })}
        onChange={(next) => onDraft(next === inForce ? null : next)}
      />
      <div id={below} className="desk-below">
        {faults.length > 0 && (
          <Faults of={faults} isAlert onGo={(line) => editor.current?.goTo(line)} />
        )}
        {doubts.length > 0 && (
          <>
            <p>
              <strong>{t('desk.doubts', { n: doubts.length })}</strong>
            </p>
            <Faults of={doubts} onGo={(line) => editor.current?.goTo(line)} />
          </>
        )}
        {failed && <Failed error={failed} onRetry={() => void asked.refetch()} />}
        {mayWrite && (
          <p className="desk-foot">
            <span className="quiet" aria-live="polite">
              {!isChanged
                ? t('desk.same')
                : faults.length > 0
                  ? t('desk.faults', { n: faults.length })
                  : isKnown
                    ? t('desk.good')
                    : check
                      ? t('desk.checking')
                      : t('desk.changed')}
            </span>
            <Button
              onClick={() => {
                onDraft(null)
                props.onDiscard?.()
              }}
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
                  : faults.length > 0
                    ? t('desk.faults', { n: faults.length })
                    : failed !== null && t('desk.refused')
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
          {props.beforeSave}
          <Diff before={inForce} after={text} label={t('desk.diff')} />
        </Ask>
      )}
    </div>
  )
}

function Faults(props: { of: Diagnostic[]; isAlert?: boolean; onGo: (line: number) => void }) {
  const { t } = useTranslation()
  return (
    <ul className="faults" role={props.isAlert ? 'alert' : undefined}>
      {props.of.map((fault, at) => {
        const line = lineOf(fault.place)
        return (
          <li key={at}>
            {line ? (
              <button type="button" className="link-button" onClick={() => props.onGo(line)}>
                {t('desk.line', { n: line })}
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
        )
      })}
    </ul>
  )
}

/** `policy.yaml:3:5` → 3. */
function lineOf(place: string): number | undefined {
  const found = /:(\d+):\d+$/.exec(place) ?? /\bline (\d+)/.exec(place)
  return found ? Number(found[1]) : undefined
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
