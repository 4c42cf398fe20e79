import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useId, useState } from 'react'
import { api, take } from '~/api/client'
import { packs, rules, selection, type Choice, type Rule } from '~/api/queries'
import { Diagnostics, ReasonDialog } from '~/domain/rules'
import { useMay, useTenant } from '~/domain/session'
import { LEVELS, RULE_STATUSES, SITE, worksUnder } from '~/domain/sigma'
import { useTranslation } from '~/i18n'
import { Badge } from '~/ui/Badge'
import { Button } from '~/ui/Button'
import { Field, Select } from '~/ui/Field'
import { useFormat } from '~/ui/format'
import { Panel } from '~/ui/Page'
import { Raw } from '~/ui/Raw'
import { Empty, Loaded } from '~/ui/states'

/** The folders rules come from, and which of their rules are at work here. */
export function PacksAndSelection() {
  const { t } = useTranslation()
  const tenant = useTenant()
  const query = useQuery(packs(tenant))
  const all = useQuery(rules(tenant))
  const chosen = useQuery(selection(tenant))
  return (
    <div className="stack">
      <Panel title={t('packs.title')}>
        <Loaded query={query} rows={4}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={t('packs.none')}>{t('packs.none.text')}</Empty>
            ) : (
              <div className="scroll-x">
                <table className="table packs">
                  <thead>
                    <tr>
                      <th scope="col">{t('packs.name')}</th>
                      <th scope="col">{t('packs.signature')}</th>
                      <th scope="col">{t('packs.version')}</th>
                      <th scope="col" className="number">
                        {t('packs.files')}
                      </th>
                      <th scope="col" className="number">
                        {t('packs.rules')}
                      </th>
                      <th scope="col" className="number">
                        {t('packs.broken')}
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {items.map((pack) => (
                      <tr key={pack.name}>
                        <td>
                          <Link to="/rules" search={{ origin: pack.name }}>
                            <Raw text={pack.name} />
                          </Link>
                        </td>
                        <td>
                          {pack.signed_by ? (
                            <>
                              <Badge tone="good">{t('packs.signed')}</Badge>{' '}
                              <code className="quiet">
                                <Raw text={pack.signed_by} />
                              </code>
                            </>
                          ) : (
                            <Badge tone="medium">{t('packs.unsigned')}</Badge>
                          )}
                        </td>
                        <td>
                          {pack.signed_as ? (
                            <Raw text={pack.signed_as} />
                          ) : (
                            <span className="quiet">{t('packs.version.none')}</span>
                          )}
                        </td>
                        <td className="number">{pack.files}</td>
                        <PackCounts
                          rules={all.data?.items.filter(({ origin }) => origin === pack.name)}
                        />
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )
          }
        </Loaded>
      </Panel>
      {all.data && all.data.faults.length > 0 && (
        <Panel
          title={t('packs.faults')}
          aside={<span className="quiet">{all.data.faults.length}</span>}
        >
          <p className="panel-note">{t('packs.faults.text')}</p>
          <Diagnostics list={all.data.faults} />
        </Panel>
      )}
      <Panel title={t('selection.title')}>
        <Loaded query={chosen} rows={4}>
          {(choice) => (
            <Selection
              key={JSON.stringify(choice)}
              choice={choice}
              rules={all.data?.items.filter(({ origin }) => origin !== SITE)}
            />
          )}
        </Loaded>
      </Panel>
    </div>
  )
}

function PackCounts({ rules }: { rules: Rule[] | undefined }) {
  const { t } = useTranslation()
  const format = useFormat()
  const on = rules?.filter(({ enabled }) => enabled).length ?? 0
  const broken = rules?.filter(({ problems }) => problems.length > 0).length ?? 0
  return (
    <>
      <td className="number">
        {rules && t('packs.on', { on: format.number(on), n: format.number(rules.length) })}
      </td>
      <td className="number">{rules && format.number(broken)}</td>
    </>
  )
}

const asTags = (text: string) => [...new Set(text.split(/[\s,]+/).filter(Boolean))]

/** Which rules of packs are at work; what it would change is counted before it is saved. */
function Selection({ choice, rules }: { choice: Choice; rules: Rule[] | undefined }) {
  const { t } = useTranslation()
  const format = useFormat()
  const isWriter = useMay()('rules.write')
  const [level, setLevel] = useState(choice.level ?? '')
  const [status, setStatus] = useState(choice.status ?? [])
  const [tags, setTags] = useState((choice.tags ?? []).join(' '))
  const [without, setWithout] = useState((choice.without_tags ?? []).join(' '))
  const [isSaving, setSaving] = useState(false)
  const id = useId()
  const next: Choice = {
    level: level || null,
    status,
    tags: asTags(tags),
    without_tags: asTags(without),
  }
  const plain = (one: Choice) =>
    JSON.stringify([one.level ?? null, [...(one.status ?? [])].sort(), one.tags, one.without_tags])
  const isSame = plain(next) === plain(choice)
  const works = (rule: Rule) => worksUnder(next, rule)
  const now = rules?.filter(({ enabled }) => enabled).length ?? 0
  const after = rules?.filter(works).length ?? 0
  const more = rules?.filter((rule) => !rule.enabled && works(rule)).length ?? 0
  const less = rules?.filter((rule) => rule.enabled && !works(rule)).length ?? 0
  const preview = rules && (
    <p className="selection-preview" role="status">
      {isSame
        ? t('selection.now', { n: format.number(now), all: format.number(rules.length) })
        : t('selection.preview', {
            now: format.number(now),
            after: format.number(after),
            more: format.number(more),
            less: format.number(less),
          })}
    </p>
  )
  const off = !isWriter && t('problem.forbidden')
  return (
    <>
      <form
        className="selection"
        onSubmit={(event) => {
          event.preventDefault()
          if (isWriter && !isSame) setSaving(true)
        }}
      >
        <p className="quiet">{t('selection.text')}</p>
        <div className="selection-fields">
          <Select
            label={t('selection.level')}
            isLabelShown
            value={level}
            onChange={setLevel}
            why={off}
            choices={[
              { value: '', label: t('selection.level.any') },
              ...LEVELS.map((one, at) => ({
                value: one,
                label:
                  at === 0
                    ? t(`severity.${one}`)
                    : t('incidents.severity.from', { severity: t(`severity.${one}`) }),
              })),
            ]}
          />
          <fieldset className="selection-status" aria-describedby={`${id}-status`}>
            <legend>{t('rules.status')}</legend>
            {RULE_STATUSES.map((one) => (
              <label key={one}>
                <input
                  type="checkbox"
                  checked={status.includes(one)}
                  disabled={!isWriter}
                  onChange={() =>
                    setStatus(
                      status.includes(one)
                        ? status.filter((known) => known !== one)
                        : [...status, one],
                    )
                  }
                />{' '}
                {t(`rules.status.${one}`)}
              </label>
            ))}
            <p className="field-hint" id={`${id}-status`}>
              {t('selection.status.hint')}
            </p>
          </fieldset>
          <Field label={t('selection.tags')} hint={t('selection.tags.hint')}>
            {(ids) => (
              <input
                {...ids}
                className="raw"
                spellCheck={false}
                readOnly={!isWriter}
                value={tags}
                onChange={(event) => setTags(event.target.value)}
              />
            )}
          </Field>
          <Field label={t('selection.without')}>
            {(ids) => (
              <input
                {...ids}
                className="raw"
                spellCheck={false}
                readOnly={!isWriter}
                value={without}
                onChange={(event) => setWithout(event.target.value)}
              />
            )}
          </Field>
        </div>
        {preview}
        {isWriter && (
          <Button type="submit" look="primary" why={isSame && t('selection.same')}>
            {t('selection.save')}
          </Button>
        )}
      </form>
      {isSaving && (
        <ReasonDialog
          title={t('selection.title')}
          go={t('selection.save')}
          done={t('selection.done')}
          act={(reason) =>
            take(api.PUT('/api/v1/sigma/selection', { body: { selection: next, reason } }))
          }
          onClose={() => setSaving(false)}
        >
          {preview}
        </ReasonDialog>
      )}
    </>
  )
}
