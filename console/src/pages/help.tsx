import { useNavigate } from '@tanstack/react-router'
import { showFirstSteps, useFirstSteps } from '~/domain/first'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Dialog } from '~/ui/Dialog'
import { usePages } from './pages'

export function Help({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation()
  const pages = usePages()
  const first = useFirstSteps()
  const navigate = useNavigate()
  const keys: [string, string][] = [
    ['Ctrl K / ⌘ K', t('help.palette')],
    ['?', t('help.title')],
    ...pages.map((page): [string, string] => [page.keys, page.title]),
    ['j / k', t('help.jk')],
    ['Enter', t('help.enter')],
    ['x', t('help.x')],
    ['/', t('help.slash')],
    ['Esc', t('help.esc')],
  ]
  return (
    <Dialog title={t('help.title')} onClose={onClose}>
      <dl className="keys">
        {keys.map(([key, text]) => (
          <div key={key}>
            <dt>
              {key
                .split(' ')
                .map((one, at) => (one === '/' && key !== '/' ? ' / ' : <kbd key={at}>{one}</kbd>))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      {first.isOffered && !first.isShown && (
        <footer className="dialog-foot">
          <Button
            onClick={() => {
              showFirstSteps(true)
              onClose()
              void navigate({ to: '/' })
            }}
          >
            {t('first.show')}
          </Button>
        </footer>
      )}
    </Dialog>
  )
}
