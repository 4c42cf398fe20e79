import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Refusal, TENANT, api, session, take } from '~/api/client'
import { say } from '~/ui/Toasts'
import { useTell } from '~/ui/told'

/** Ends the session. Where the server did not, one stays and is told: somebody else may come to this browser. */
export function useSignOut() {
  const navigate = useNavigate()
  const queries = useQueryClient()
  const tell = useTell()
  return useMutation({
    networkMode: 'always',
    mutationFn: async () => {
      const out = () => take(api.POST('/api/v1/logout'))
      await out()
        .catch(async (error: unknown) => {
          if (codeOf(error) !== 'csrf-missing') throw error
          const me = await take(api.GET('/api/v1/me', { headers: { [TENANT]: '' } }))
          session.keepCsrf(me.csrf)
          await out()
        })
        .catch((error: unknown) => {
          // It had ended already.
          if (!(error instanceof Refusal && error.problem.status === 401)) throw error
        })
    },
    onSuccess: async () => {
      queries.clear()
      session.keepCsrf(undefined)
      session.keepTenant(undefined)
      await navigate({ to: '/sign-in', search: { tenant: undefined } })
    },
    onError: (error) => say(tell(error).detail, 'bad'),
  })
}

const codeOf = (error: unknown) => (error instanceof Refusal ? error.problem.code : undefined)
