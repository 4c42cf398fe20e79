import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useId, useState } from 'react'
import { incidents } from '~/api/queries'
import { showFirstSteps, useFirstSteps } from '~/domain/first'
import { useMe, useTenant } from '~/domain/session'
import { useSignOut } from '~/domain/sign-out'
import { LANGUAGES, isLanguage, setLanguage, useTranslation, useWord } from '~/i18n'
import { Dialog } from '~/ui/Dialog'
import { Icon, type IconName } from '~/ui/Icon'
import { Raw } from '~/ui/Raw'
import { THEMES, setTheme } from '~/ui/theme'
import { usePages } from './pages'
import { useSections } from './settings/sections'
import { OPEN_INCIDENTS } from './shell'

type Command = { id: string; text: string; about?: string; icon?: IconName; run: () => void }

const SHOWN_MAX = 12

/** Where to, and what to do, by typing a few letters of it. */
export function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const { t } = useTranslation()
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(0)
  const list = useId()
  const commands = useCommands(onHelp)
  const navigate = useNavigate()
  const entity = entityOf(typed)
  const found = match(commands, typed).slice(0, SHOWN_MAX)
  if (entity) {
    const run = () => void navigate({ to: '/entities/$entity', params: { entity } })
    found.unshift({ id: 'typed', text: entity, about: t('palette.entity'), icon: 'search', run })
  }
  const chosen = found[Math.min(at, found.length - 1)]
  const run = (command: Command | undefined) => {
    if (!command) return
    onClose()
    command.run()
  }
  return (
    <Dialog title={t('palette.title')} onClose={onClose}>
      <input
        className="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={chosen && `${list}-${chosen.id}`}
        aria-label={t('palette.title')}
        placeholder={t('palette.hint')}
        autoFocus
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setAt(0)
        }}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return
          const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
          if (step !== 0) {
            event.preventDefault()
            setAt((at + step + found.length) % Math.max(1, found.length))
          } else if (event.key === 'Enter') {
            event.preventDefault()
            run(chosen)
          }
        }}
      />
      <ul className="palette-list" role="listbox" id={list} aria-label={t('palette.title')}>
        {found.map((command) => (
          <li
            key={command.id}
            id={`${list}-${command.id}`}
            role="option"
            aria-selected={command === chosen}
            onClick={() => run(command)}
          >
            <Icon name={command.icon ?? 'right'} />
            <span>
              <Raw text={command.text} />
            </span>
            {command.about && <span className="quiet">{command.about}</span>}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="quiet palette-none">{t('palette.none')}</p>}
    </Dialog>
  )
}

const ENTITY = /^(credential|account|session|endpoint|device|address):.+/
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:.]+)$/i

function match(commands: Command[], typed: string): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  return commands.filter(({ text, about }) => {
    const all = `${text} ${about ?? ''}`.toLowerCase()
    return words.every((word) => all.includes(word))
  })
}

/** An entity or an address that was typed or pasted is a place to go to. */
function entityOf(typed: string): string | undefined {
  const text = typed.trim()
  return ENTITY.test(text) ? text : ADDRESS.test(text) ? `address:${text}` : undefined
}

function useCommands(onHelp: () => void): Command[] {
  const { t } = useTranslation()
  const word = useWord()
  const me = useMe()
  const navigate = useNavigate()
  const pages = usePages()
  const signOut = useSignOut()
  const sections = useSections().flatMap((group) => group.sections)
  const first = useFirstSteps()
  const open = useQuery(incidents(useTenant(), OPEN_INCIDENTS)).data?.items ?? []
  return [
    ...pages.map((page) => ({
      id: `page${page.keys.replace(' ', '')}`,
      text: page.title,
      about: page.keys,
      icon: page.icon,
      run: () => void navigate({ to: page.to }),
    })),
    ...open.slice(0, 50).map((one) => ({
      id: one.id,
      text: word('rule', one.title),
      about: `${t(`severity.${one.severity}`)} · ${one.entities[0] ?? ''}`,
      icon: 'incidents' as const,
      run: () => void navigate({ to: '/incidents/$id', params: { id: one.id } }),
    })),
    {
      id: 'mine',
      text: t('palette.mine'),
      icon: 'incidents',
      run: () => void navigate({ to: '/incidents', search: { assignee: me.user } }),
    },
    ...sections.map(({ to, title }) => ({
      id: `section${to.replaceAll('/', '')}`,
      text: `${t('page.settings')}: ${title}`,
      icon: 'settings' as const,
      run: () => void navigate({ to }),
    })),
    ...(first.isOffered && !first.isShown
      ? [
          {
            id: 'first',
            text: t('first.show'),
            icon: 'check' as const,
            run: () => {
              showFirstSteps(true)
              void navigate({ to: '/' })
            },
          },
        ]
      : []),
    ...THEMES.map((theme) => ({
      id: `theme${theme}`,
      text: `${t('theme.title')}: ${t(`theme.${theme}`)}`,
      icon: 'eye' as const,
      run: () => setTheme(theme),
    })),
    ...Object.entries(LANGUAGES).map(([language, name]) => ({
      id: `language${language}`,
      text: `${t('ui.language')}: ${name}`,
      run: () => void (isLanguage(language) && setLanguage(language)),
    })),
    { id: 'help', text: t('help.title'), about: '?', run: onHelp },
    { id: 'out', text: t('person.out'), icon: 'user', run: () => signOut.mutate() },
  ]
}
