import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useRouter } from '@tanstack/react-router'
import { secondFactor } from '~/api/queries'
import { SecondFactor, hasFactor } from '~/domain/SecondFactor'
import { useSignOut } from '~/domain/sign-out'
import { useTranslation } from '~/i18n'
import { queryClient } from '~/router'
import { Button } from '~/ui/Button'
import { Door } from './door'

const route = getRouteApi('/second-factor')

/** Where nobody works with a password alone, one is added before anything else. */
export function AddSecondFactor() {
  const { t } = useTranslation()
  const { back } = route.useSearch()
  const router = useRouter()
  const signOut = useSignOut()
  const state = useQuery(secondFactor).data
  const goOn = () => {
    queryClient.clear()
    router.history.push(back ?? '/')
  }
  return (
    <Door title={t('factor.title')}>
      <SecondFactor Heading="h2" onAdded={goOn} />
      <p className="row">
        {state && hasFactor(state) && (
          <Button look="primary" onClick={goOn}>
            {t('factor.go-on')}
          </Button>
        )}
        <Button look="quiet" busy={signOut.isPending} onClick={() => signOut.mutate()}>
          {t('person.out')}
        </Button>
      </p>
    </Door>
  )
}
