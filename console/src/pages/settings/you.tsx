import { Link } from '@tanstack/react-router'
import { PERSON_RIGHTS } from '~/domain/rights'
import { SecondFactor } from '~/domain/SecondFactor'
import { useMe } from '~/domain/session'
import { useSignOut } from '~/domain/sign-out'
import { LANGUAGES, isLanguage, setLanguage, useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Field } from '~/ui/Field'
import { Page, Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { THEMES, setTheme, useTheme } from '~/ui/theme'

/** Who one is here, what one may do, and how one likes to see it. */
export function You() {
  const { t, i18n } = useTranslation()
  const me = useMe()
  const theme = useTheme()
  const signOut = useSignOut()
  const rights = PERSON_RIGHTS.filter((right) => me.rights.includes(right))
  const missing = PERSON_RIGHTS.filter((right) => !me.rights.includes(right))
  return (
    <Page title={t('settings.you')}>
      <div className="stack">
        <Panel title={t('you.who')}>
          <dl className="facts panel-body">
            <dt>{t('signin.name')}</dt>
            <dd>
              <Raw text={me.name} />
            </dd>
            {me.tenants.map(({ tenant, role }) => (
              <div className="facts-pair" key={tenant}>
                <dt>{t('you.role', { tenant })}</dt>
                <dd>
                  {t(`role.${role as 'owner'}`)}{' '}
                  <span className="quiet">{t(`role.${role as 'owner'}.text`)}</span>
                </dd>
              </div>
            ))}
          </dl>
        </Panel>
        <Panel title={t('you.sign-in')}>
          <div className="panel-body">
            <p className="quiet">{t('you.password')}</p>
            <p className="row">
              <Link
                className="button button-plain"
                to="/password"
                search={{ back: '/settings/you' }}
              >
                {t('password.change')}
              </Link>
              <Button busy={signOut.isPending} onClick={() => signOut.mutate()}>
                {t('person.out')}
              </Button>
            </p>
          </div>
        </Panel>
        <Panel title={t('factor.title')} id="second-factor">
          <div className="panel-body">
            <SecondFactor />
          </div>
        </Panel>
        <Panel title={t('you.browser')}>
          <div className="panel-body fields-2">
            <Field label={t('ui.language')}>
              {(ids) => (
                <select
                  {...ids}
                  value={i18n.language}
                  onChange={({ target }) =>
                    void (isLanguage(target.value) && setLanguage(target.value))
                  }
                >
                  {Object.entries(LANGUAGES).map(([language, name]) => (
                    <option key={language} value={language}>
                      {name}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            <Field label={t('theme.title')}>
              {(ids) => (
                <select
                  {...ids}
                  value={theme}
                  onChange={({ target }) => {
                    const chosen = THEMES.find((one) => one === target.value)
                    if (chosen) setTheme(chosen)
                  }}
                >
                  {THEMES.map((one) => (
                    <option key={one} value={one}>
                      {t(`theme.${one}`)}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          </div>
        </Panel>
        <Panel title={t('you.may', { tenant: me.tenant })}>
          <ul className="rights">
            {rights.map((right) => (
              <li key={right} className="right-yes">
                {t(`right.${right}`)}
              </li>
            ))}
            {missing.map((right) => (
              <li key={right} className="right-no">
                {t(`right.${right}`)} <span className="only-read">({t('finding.no')})</span>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
    </Page>
  )
}
