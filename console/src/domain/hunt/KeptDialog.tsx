import { useState } from 'react'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { Raw } from '~/ui/Raw'
import { Time } from '~/ui/Time'
import type { useKept } from './history'

type Kept = ReturnType<typeof useKept>
type Mode = 'bar' | 'sql'

/** Queries with a name, and what was asked last. All of it stays in this browser. */
export function KeptDialog(props: {
  kept: Kept
  current: { q: string; mode: Mode }
  onChoose: (q: string, mode: Mode) => void
  onClose: () => void
}) {
  const { kept, current, onChoose, onClose } = props
  const { t } = useTranslation()
  const [name, setName] = useState('')
  const why = !current.q.trim() ? t('hunt.kept.empty') : !name.trim() && t('hunt.kept.unnamed')
  return (
    <Dialog title={t('hunt.kept')} onClose={onClose} place="side">
      <p className="quiet">{t('hunt.kept.where')}</p>
      <form
        className="hunt-kept-form"
        onSubmit={(event) => {
          event.preventDefault()
          if (why) return
          kept.name(name.trim(), current.q, current.mode)
          setName('')
        }}
      >
        <input
          aria-label={t('hunt.kept.name')}
          placeholder={t('hunt.kept.name')}
          maxLength={80}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Button type="submit" look="primary" icon="star" why={why}>
          {t('hunt.kept.keep')}
        </Button>
      </form>
      <h3>{t('hunt.kept.named')}</h3>
      {kept.named.length === 0 && <p className="quiet">{t('hunt.kept.named.none')}</p>}
      <ul className="hunt-kept">
        {kept.named.map((one) => (
          <li key={one.name}>
            <button
              type="button"
              className="hunt-kept-open"
              onClick={() => onChoose(one.q, one.mode)}
            >
              <strong>
                <Raw text={one.name} />
              </strong>
              <Line q={one.q} mode={one.mode} />
            </button>
            <Button look="quiet" onClick={() => kept.unname(one.name)}>
              {t('hunt.kept.delete')}
              <span className="only-read"> {one.name}</span>
            </Button>
          </li>
        ))}
      </ul>
      <h3 className="hunt-kept-head">
        {t('hunt.kept.asked')}
        {kept.asked.length > 0 && (
          <Button look="quiet" onClick={kept.forgetAll}>
            {t('hunt.kept.delete.all')}
          </Button>
        )}
      </h3>
      {kept.asked.length === 0 && <p className="quiet">{t('hunt.kept.asked.none')}</p>}
      <ul className="hunt-kept">
        {kept.asked.map((one) => (
          <li key={`${one.mode} ${one.q}`}>
            <button
              type="button"
              className="hunt-kept-open"
              onClick={() => onChoose(one.q, one.mode)}
            >
              <Line q={one.q} mode={one.mode} />
              <span className="quiet">
                <Time at={one.at} form="ago" />
              </span>
            </button>
            <Button look="quiet" onClick={() => kept.forget(one)}>
              {t('hunt.kept.delete')}
              <span className="only-read"> {one.q}</span>
            </Button>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}

function Line({ q, mode }: { q: string; mode: Mode }) {
  return (
    <span className="hunt-kept-line">
      {mode === 'sql' && <Badge>SQL</Badge>} <Raw text={q} />
    </span>
  )
}
