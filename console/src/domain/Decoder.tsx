import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from '~/i18n'
import { Button } from '~/ui/Button'
import { Field, Select } from '~/ui/Field'
import { Raw } from '~/ui/Raw'
import { RESULT_BYTES_MAX, STEPS, TooLarge, decode, detect, type Step } from './decode'

/** Undoes encodings, one after the other, in this browser. */
export function Decoder({ start }: { start: string }) {
  const { t } = useTranslation()
  const [input, setInput] = useState(start)
  const [steps, setSteps] = useState<Step[]>()
  const detected = useQuery({
    queryKey: ['decoder', 'detect', input],
    queryFn: () => detect(input),
    gcTime: 0,
  })
  const chain = steps ?? detected.data ?? []
  const result = useQuery({
    queryKey: ['decoder', input, chain],
    queryFn: () => decode(input, chain),
    enabled: chain.length > 0,
    retry: false,
    gcTime: 0,
  })
  const last = chain.at(-1)
  const isNothing = input.trim() !== '' && chain.length === 0 && detected.isSuccess
  return (
    <section className="decoder">
      <h3>{t('decoder.title')}</h3>
      <Field label={t('decoder.input')} hint={t('decoder.text')}>
        {(ids) => (
          <textarea
            {...ids}
            rows={4}
            spellCheck={false}
            className="raw"
            value={input}
            onChange={(event) => setInput(event.target.value)}
          />
        )}
      </Field>
      <p className="decoder-steps">
        {chain.map((step, at) => (
          <span className="badge badge-info" key={at}>
            {t(`decoder.${step}`)}
          </span>
        ))}
        <Select
          label={t('decoder.add')}
          value=""
          onChange={(step) => {
            const known = STEPS.find((one) => one === step)
            if (known) setSteps([...chain, known])
          }}
          choices={[
            { value: '', label: t('decoder.add') },
            ...STEPS.map((step) => ({ value: step, label: t(`decoder.${step}`) })),
          ]}
        />
        {chain.length > 0 && (
          <Button onClick={() => setSteps(chain.slice(0, -1))}>{t('decoder.remove')}</Button>
        )}
        {steps && <Button onClick={() => setSteps(undefined)}>{t('decoder.auto')}</Button>}
      </p>
      <div aria-live="polite">
        {isNothing && <p className="quiet">{t('decoder.unknown')}</p>}
        {result.error && last && (
          <p className="field-error">
            {result.error instanceof TooLarge
              ? t('decoder.too-large', { n: RESULT_BYTES_MAX })
              : t('decoder.failed', { what: t(`decoder.${last}`) })}
          </p>
        )}
        {result.data !== undefined && chain.length > 0 && (
          <>
            <p className="quiet">{t('decoder.result')}</p>
            <pre className="block">
              <Raw text={result.data} lines />
            </pre>
          </>
        )}
      </div>
    </section>
  )
}
