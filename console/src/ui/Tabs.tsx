import type { ReactNode } from 'react'

/** Links that look like tabs: what is chosen stands in the address. */
export function Tabs({ label, children }: { label: string; children: ReactNode }) {
  return (
    <nav className="tabs" aria-label={label}>
      {children}
    </nav>
  )
}
