import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { startLanguage } from './i18n'
import { queryClient, router } from './router'
import { rememberFirstKeys } from './ui/keys'
import { applyTheme } from './ui/theme'
import './styles/tokens.css'
import './styles/base.css'
import './styles/ui.css'
import './styles/pages.css'
import './styles/rules.css'
import './styles/story.css'
import './styles/trust.css'
import './styles/tell.css'

applyTheme()
rememberFirstKeys()

const root = document.getElementById('root')
if (root) {
  await startLanguage()
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  )
}
