import { useEffect, type ReactNode } from 'react'

/** A page with its name, in the window's title too. */
export function Page(props: {
  title: string
  head?: ReactNode
  aside?: ReactNode
  children: ReactNode
}) {
  const { title, head, aside, children } = props
  useEffect(() => {
    document.title = `${title} · Plura`
  }, [title])
  return (
    <div className="page">
      <header className="page-head">
        {head ?? <h1>{title}</h1>}
        {aside && <div className="page-aside">{aside}</div>}
      </header>
      {children}
    </div>
  )
}

export function Panel(props: {
  title: ReactNode
  aside?: ReactNode
  children: ReactNode
  id?: string
}) {
  const { title, aside, children, id } = props
  return (
    <section className="panel" id={id}>
      <header className="panel-head">
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  )
}
