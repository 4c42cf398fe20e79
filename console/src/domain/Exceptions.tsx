import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api, take } from '~/api/client'
import type { RuleException } from '~/api/queries'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { useFormat } from '~/ui/format'
import { Raw } from '~/ui/Raw'
import { Failed } from '~/ui/states'
import { Left, Time } from '~/ui/Time'
import { say } from '~/ui/Toasts'
import { EntityLink } from './EntityLink'
import { useActor } from './people'
import { useMay } from './session'
import { selectionLines } from './sigma'

/** What is kept quiet, by whom, why, and until when. */
export function Exceptions(props: { items: RuleException[]; title?: (rule: string) => string }) {
  const { items, title } = props
  const { t } = useTranslation()
  const format = useFormat()
  const actor = useActor()
  const isWriter = useMay()('rules.except')
  const [back, setBack] = useState<RuleException>()
  return (
    <>
      <div className="scroll-x">
        <table className="table exceptions">
          <thead>
            <tr>
              <th scope="col">{t('except.scope')}</th>
              <th scope="col">{t('except.why')}</th>
              <th scope="col">{t('except.who')}</th>
              <th scope="col">{t('except.until')}</th>
              <th scope="col" className="number">
                {t('except.quiet')}
              </th>
              {isWriter && (
                <th scope="col">
                  <span className="only-read">{t('except.back')}</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.id}>
                <td className="exceptions-scope">
                  <Scope exception={one} title={title} />
                </td>
                <td className="exceptions-why">
                  <Raw text={one.reason} />
                </td>
                <td className="exceptions-who">
                  <Raw text={actor(one.author)} />
                  <span className="quiet">
                    <Time at={one.created} />
                  </span>
                </td>
                <td className="exceptions-until">
                  {one.ended == null ? (
                    <>
                      <Left at={one.expires_at} />
                      <span className="quiet">
                        <Time at={one.expires_at} />
                      </span>
                    </>
                  ) : (
                    <span className="quiet">
                      {t(one.ended < one.expires_at ? 'except.taken' : 'except.ended')}{' '}
                      <Time at={one.ended} />
                    </span>
                  )}
                </td>
                <td className="number">{format.number(one.suppressed)}</td>
                {isWriter && (
                  <td className="exceptions-back">
                    {one.ended == null && (
                      <Button onClick={() => setBack(one)}>{t('except.back')}</Button>
                    )}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {back && <TakeBack exception={back} title={title} onClose={() => setBack(undefined)} />}
    </>
  )
}

function Scope({
  exception,
  title,
}: {
  exception: RuleException
  title?: (rule: string) => string
}) {
  const { t } = useTranslation()
  return (
    <ul className="scope">
      {title && (
        <li>
          {exception.rule == null ? (
            t('except.any')
          ) : (
            <Link to="/rules/$id" params={{ id: exception.rule }}>
              <Raw text={title(exception.rule)} />
            </Link>
          )}
        </li>
      )}
      {exception.entity && (
        <li>
          <EntityLink entity={exception.entity} />
        </li>
      )}
      {selectionLines(exception.selection).map((line, at) => (
        <li key={at}>
          <code>
            <Raw text={line} />
          </code>
        </li>
      ))}
      {!title && !exception.entity && exception.selection == null && <li>{t('except.all')}</li>}
    </ul>
  )
}

function TakeBack(props: {
  exception: RuleException
  title?: (rule: string) => string
  onClose: () => void
}) {
  const { exception, title, onClose } = props
  const { t } = useTranslation()
  const queries = useQueryClient()
  const undo = useMutation({
    mutationFn: () =>
      take(api.DELETE('/api/v1/sigma/exceptions/{id}', { params: { path: { id: exception.id } } })),
    onSuccess: () => {
      say(t('except.back.done'))
      onClose()
    },
    onSettled: () => queries.invalidateQueries(),
  })
  return (
    <Dialog title={t('except.back.title')} onClose={onClose}>
      <p>{t('except.back.text')}</p>
      <Scope exception={exception} title={title} />
      {undo.error && <Failed error={undo.error} />}
      <footer className="dialog-foot">
        <Button onClick={onClose}>{t('ui.cancel')}</Button>
        <Button look="danger" busy={undo.isPending} onClick={() => undo.mutate()}>
          {t('except.back')}
        </Button>
      </footer>
    </Dialog>
  )
}
