import { useQueries } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import type { Schema } from '~/api/client'
import { event as eventQuery } from '~/api/queries'
import { useTranslation, useWord } from '~/i18n'
import { Button } from '~/ui/Button'
import { cutMiddle } from '~/ui/cut'
import { useFormat } from '~/ui/format'
import { Raw, plain } from '~/ui/Raw'
import { Empty } from '~/ui/states'
import { Time } from '~/ui/Time'
import { EntityLink } from './EntityLink'
import { idOf, type Event } from './event'
import {
  NODES_MAX,
  buildGraph,
  evidenceOf,
  type Graph,
  type GraphNode,
  type GraphStep,
} from './graph'
import { NODE, place, type Placed } from './graph-layout'
import { useMay, useTenant } from './session'
import { Tactic } from './Story'
import { SeverityBadge, StateBadge } from './words'

type View = Schema['IncidentView']

const ZOOM_MIN = 0.4
const ZOOM_MAX = 2
const ZOOM_STEP = 1.25
/** Smaller than this nobody reads: what is wider is scrolled instead. */
const FIT_MIN = 0.75
const VALUE_COLUMNS = 21
const KIND_COLUMNS = 28
const TACTIC_COLUMNS = 17
const TITLE_MEMBERS = 30

/** Who did what to whom and what was done about it, from first contact to last effect. */
export function IncidentGraph({ view, onEvent }: { view: View; onEvent: (id: string) => void }) {
  const { t } = useTranslation()
  const tenant = useTenant()
  const isReader = useMay()('events.read')
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const ids = useMemo(() => (isReader ? evidenceOf(view.findings) : []), [isReader, view.findings])
  const read = useQueries({
    queries: ids.map((id) => eventQuery(tenant, id)),
    combine: (results) => ({
      events: results.flatMap((one) => (one.data ? [one.data as Event] : [])),
      waiting: results.filter((one) => one.isPending).length,
      failed: results.filter((one) => one.isError).length,
    }),
  })
  const graph = useMemo(() => {
    const events = new Map(read.events.map((event) => [idOf(event), event]))
    return buildGraph({ findings: view.findings, actions: view.actions, events, open })
  }, [read.events, view.findings, view.actions, open])
  const placed = useMemo(() => place(graph), [graph])
  if (graph.steps.length === 0) return <Empty title={t('graph.none')}>{t('graph.none.text')}</Empty>
  const total = view.findings.reduce((sum, one) => sum + one.evidence_total, 0)
  return (
    <>
      <section className="panel" aria-busy={read.waiting > 0}>
        <Drawing
          placed={placed}
          onNode={(node) => setOpen(new Set([...open, node.id]))}
          onEvent={onEvent}
          aside={
            open.size > 0 && (
              <Button look="quiet" onClick={() => setOpen(new Set())}>
                {t('graph.fold')}
              </Button>
            )
          }
        />
        <p className="panel-note">
          {isReader ? t('graph.read', { n: read.events.length, all: total }) : t('graph.role')}
          {read.failed > 0 && ` ${t('graph.failed', { n: read.failed })}`}
          {graph.grouped > 0 && ` ${t('graph.grouped', { n: graph.grouped, max: NODES_MAX })}`}
        </p>
      </section>
      <section className="panel">
        <header className="panel-head">
          <h2>{t('graph.steps')}</h2>
          <span className="quiet">{graph.steps.length}</span>
        </header>
        <ol className="graph-steps">
          {graph.steps.map((step) => (
            <li key={step.n}>
              <Told step={step} graph={graph} />
            </li>
          ))}
        </ol>
      </section>
    </>
  )
}

function Drawing(props: {
  placed: Placed
  onNode: (node: GraphNode) => void
  onEvent: (id: string) => void
  aside: ReactNode
}) {
  const { placed, onNode, onEvent, aside } = props
  const { t } = useTranslation()
  const format = useFormat()
  const word = useWord()
  const box = useRef<HTMLDivElement>(null)
  const held = useRef<{ x: number; y: number; left: number; top: number }>(undefined)
  const [room, setRoom] = useState(0)
  const [zoom, setZoom] = useState<number>()
  const fit = Math.max(FIT_MIN, Math.min(1, room > 0 ? room / placed.width : 1))
  const scale = zoom ?? fit
  const by = (factor: number) => setZoom(Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, scale * factor)))
  useEffect(() => {
    const at = box.current
    if (!at) return
    const seen = new ResizeObserver(() => setRoom(at.clientWidth))
    seen.observe(at)
    return () => seen.disconnect()
  }, [])
  useEffect(() => {
    const at = box.current
    // React's own wheel listener may not keep the page from zooming.
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      const factor = event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP
      setZoom((now) => Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, (now ?? fit) * factor)))
    }
    at?.addEventListener('wheel', wheel, { passive: false })
    return () => at?.removeEventListener('wheel', wheel)
  }, [fit])
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === '+' || event.key === '=') by(ZOOM_STEP)
    else if (event.key === '-') by(1 / ZOOM_STEP)
    else if (event.key === '0') setZoom(undefined)
    else return
    event.preventDefault()
  }
  return (
    <>
      <div className="graph-bar">
        <span className="graph-key">
          <i className="graph-key-entity" aria-hidden="true" /> {t('graph.entity')}
          <i className="graph-key-target" aria-hidden="true" /> {t('graph.target')}
          <i className="graph-key-effect" aria-hidden="true" /> {t('graph.effect')}
        </span>
        <span className="graph-zoom">
          {aside}
          <Button look="quiet" aria-label={t('graph.out')} onClick={() => by(1 / ZOOM_STEP)}>
            −
          </Button>
          <span className="quiet graph-scale">{format.share(scale)}</span>
          <Button look="quiet" aria-label={t('graph.in')} onClick={() => by(ZOOM_STEP)}>
            +
          </Button>
          <Button look="quiet" onClick={() => setZoom(undefined)}>
            {t('graph.fit')}
          </Button>
        </span>
      </div>
      <div
        ref={box}
        className="graph-box"
        tabIndex={0}
        role="region"
        aria-label={t('graph.label')}
        onKeyDown={keys}
        onPointerDown={(event) => {
          const at = box.current
          const isNode = event.target instanceof Element && event.target.closest('a, [role=button]')
          if (!at || event.pointerType !== 'mouse' || isNode) return
          held.current = {
            x: event.clientX,
            y: event.clientY,
            left: at.scrollLeft,
            top: at.scrollTop,
          }
          at.setPointerCapture(event.pointerId)
        }}
        onPointerMove={(event) => {
          const from = held.current
          if (from) {
            box.current?.scrollTo(
              from.left - event.clientX + from.x,
              from.top - event.clientY + from.y,
            )
          }
        }}
        onPointerUp={() => (held.current = undefined)}
        onPointerCancel={() => (held.current = undefined)}
      >
        <svg
          className="graph"
          width={placed.width * scale}
          height={placed.height * scale}
          viewBox={`0 0 ${placed.width} ${placed.height}`}
        >
          <defs>
            <marker
              id="graph-arrow"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="7"
              markerHeight="7"
              orient="auto"
            >
              <path className="graph-head" d="M0 0.500 8 4 0 7.500Z" />
            </marker>
          </defs>
          <g aria-hidden="true">
            {placed.edges.map((edge) => {
              const [n = 0, ...more] = edge.steps
              const tactic = edge.tactic && word('tactic', edge.tactic)
              return (
                <g key={`${edge.from} ${edge.to}`} className="graph-edge">
                  <title>
                    {[edge.steps.join(', '), format.whole(edge.time), tactic ?? '']
                      .filter(Boolean)
                      .join(' · ')}
                  </title>
                  <path d={curve(edge.points)} markerEnd="url(#graph-arrow)" />
                  <rect
                    x={edge.at.x - 50}
                    y={edge.at.y - 16}
                    width="100"
                    height={tactic ? 32 : 17}
                    rx="4"
                  />
                  <text x={edge.at.x} y={edge.at.y - 3} textAnchor="middle">
                    <tspan className="graph-n">
                      {n}
                      {more.length > 0 ? ` +${more.length}` : ''}
                    </tspan>
                    {`  ${format.clock(edge.time)}`}
                  </text>
                  {tactic && (
                    <text x={edge.at.x} y={edge.at.y + 11} textAnchor="middle">
                      {cutMiddle(tactic, TACTIC_COLUMNS)}
                    </text>
                  )}
                </g>
              )
            })}
          </g>
          {placed.nodes.map((node) => (
            <Node key={node.id} node={node} onNode={onNode} onEvent={onEvent} />
          ))}
        </svg>
      </div>
    </>
  )
}

/** Through all the points, without corners. */
function curve(points: { x: number; y: number }[]): string {
  const [start, ...rest] = points
  if (!start) return ''
  let path = `M${start.x} ${start.y}`
  for (let at = 0; at < rest.length - 1; at++) {
    const [one, two] = [rest[at], rest[at + 1]]
    if (!one || !two) break
    const isEnd = at === rest.length - 2
    const to = isEnd ? two : { x: (one.x + two.x) / 2, y: (one.y + two.y) / 2 }
    path += `Q${one.x} ${one.y} ${to.x} ${to.y}`
  }
  const last = rest.at(-1)
  return rest.length === 1 && last ? `${path}L${last.x} ${last.y}` : path
}

/** What a node is, in words: its kind, and its value or how many it stands for. */
function useNames() {
  const { t } = useTranslation()
  const word = useWord()
  return (node: GraphNode) => {
    const kind =
      node.kind === 'entity'
        ? word('kind', node.type)
        : node.kind === 'effect'
          ? `${word('rung', node.type)} · ${word('state', node.state ?? '')}`
          : word('graph.type', node.type)
    const value = plain(
      node.value === '' && node.members.length > 0
        ? t('graph.members', { n: node.members.length })
        : node.value,
    )
    return { kind, value }
  }
}

function Node(props: {
  node: Placed['nodes'][number]
  onNode: (node: GraphNode) => void
  onEvent: (id: string) => void
}) {
  const { node, onNode, onEvent } = props
  const { t } = useTranslation()
  const navigate = useNavigate()
  const { kind, value } = useNames()(node)
  const members = node.members.slice(0, TITLE_MEMBERS).map(plain)
  const more = node.members.length - members.length
  const label = `${kind}: ${value}`
  const isMany = node.members.length > 1
  const drawn = (
    <>
      <title>
        {isMany
          ? [label, ...members, ...(more > 0 ? [t('incidents.more', { n: more })] : [])].join('\n')
          : label}
      </title>
      <rect
        x={node.x - NODE.width / 2}
        y={node.y - NODE.height / 2}
        width={NODE.width}
        height={NODE.height}
        rx={node.kind === 'effect' ? 22 : 7}
      />
      {isMany && node.kind !== 'effect' && (
        <path
          className="graph-pile"
          d={`M${node.x - NODE.width / 2 + 6} ${node.y + NODE.height / 2 + 3}h${NODE.width - 12}`}
        />
      )}
      <text className="graph-kind" x={node.x - NODE.width / 2 + 12} y={node.y - 5}>
        {cutMiddle(kind, KIND_COLUMNS)}
      </text>
      <text
        className="graph-value"
        direction="ltr"
        x={node.x - NODE.width / 2 + 12}
        y={node.y + 13}
      >
        {cutMiddle(value, VALUE_COLUMNS)}
      </text>
    </>
  )
  const look = `graph-node graph-${node.kind}`
  if (node.kind === 'entity' && !isMany) {
    const entity = `${node.type}:${node.value}`
    return (
      <Link className={look} to="/entities/$entity" params={{ entity }} aria-label={label}>
        {drawn}
      </Link>
    )
  }
  const act = node.isFolded
    ? () => onNode(node)
    : node.kind === 'effect'
      ? () => void navigate({ to: '.', search: (now) => ({ ...now, tab: 'actions' as const }) })
      : node.event && !isMany
        ? () => onEvent(node.event ?? '')
        : undefined
  if (!act) {
    return (
      <g className={look} role="img" aria-label={label}>
        {drawn}
      </g>
    )
  }
  return (
    <g
      className={look}
      role="button"
      tabIndex={0}
      aria-label={node.isFolded ? `${label}, ${t('graph.unfold')}` : label}
      onClick={act}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return
        event.preventDefault()
        act()
      }}
    >
      {drawn}
    </g>
  )
}

const EDGES_TOLD = 6

/** The same in words: each step with who led to what. */
function Told({ step, graph }: { step: GraphStep; graph: Graph }) {
  const { t } = useTranslation()
  const word = useWord()
  const [isAll, setAll] = useState(false)
  const edges = isAll ? step.edges : step.edges.slice(0, EDGES_TOLD)
  const more = step.edges.length - edges.length
  const nodeOf = (id: string) => graph.nodes.find((node) => node.id === id)
  return (
    <>
      <p className="step-head">
        <span className="quiet">
          <Time at={step.time} />
        </span>
        {step.kind === 'finding' ? (
          <>
            <Link
              to="."
              search={(now) => ({ ...now, tab: 'findings' as const })}
              hash={step.subjects[0]}
            >
              {step.title ? <Raw text={step.title} /> : word('rule', step.code)}
            </Link>
            {step.severity && <SeverityBadge severity={step.severity} />}
            <Tactic attack={step.attack} />
          </>
        ) : (
          <>
            <Link to="." search={(now) => ({ ...now, tab: 'actions' as const })}>
              {word('act', `action-${step.rung}`)}
            </Link>
            {step.state && <StateBadge state={step.state} />}
            <span className="quiet">{word('rule', step.code)}</span>
          </>
        )}
      </p>
      <ul className="graph-told">
        {edges.map(({ from, to }) => (
          <li key={`${from} ${to}`}>
            <Name node={nodeOf(from)} /> <span aria-hidden="true">→</span>
            <span className="only-read"> {t('graph.to')} </span> <Name node={nodeOf(to)} />
          </li>
        ))}
      </ul>
      {more > 0 && (
        <button type="button" className="link-button" onClick={() => setAll(true)}>
          {t('incidents.more', { n: more })}
        </button>
      )}
    </>
  )
}

function Name({ node }: { node: GraphNode | undefined }) {
  const names = useNames()
  if (!node) return null
  if (node.kind === 'entity' && node.members.length === 0) return <EntityLink entity={node.id} />
  const { kind, value } = names(node)
  return (
    <span className="graph-name">
      <span className="quiet">{kind}</span> {node.kind !== 'effect' && <Raw text={value} />}
    </span>
  )
}
