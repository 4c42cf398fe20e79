import type { ReactNode } from 'react'

export type Tone = 'none' | 'low' | 'medium' | 'high' | 'critical' | 'good' | 'info'

export function Badge({ tone = 'none', children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge badge-${tone}`}>{children}</span>
}
