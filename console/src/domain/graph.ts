import type { Action, Finding, Rung, ActionState, Severity } from '~/api/queries'
import { entitiesOf, idOf, text, timeOf, type Event } from './event'

/** More nodes than this nobody reads: the least connected are told as a number. */
export const NODES_MAX = 60
/** Nodes alike in everything become one from this many on: accounts that one attack tried. */
const FOLD_FROM = 5
/** Evidence events read for one graph, and of one finding: its first and its last. */
export const EVENTS_MAX = 48
const EVENTS_PER_FINDING = 8

export type GraphNode = {
  id: string
  kind: 'entity' | 'target' | 'effect'
  /** An entity's kind, a target's (`path`, `process`, `file`, `peer`), or an action's rung. */
  type: string
  value: string
  state?: ActionState
  /** What several alike stand for; one that stands for itself has none. */
  members: string[]
  /** Whether it can be taken apart again. */
  isFolded: boolean
  /** The first event that names a target. */
  event?: string
  first: number
}

export type GraphEdge = { from: string; to: string; steps: number[]; time: number; tactic?: string }

/** One finding, or actions alike, in their place in time. */
export type GraphStep = {
  n: number
  kind: 'finding' | 'action'
  time: number
  subjects: string[]
  code: string
  title?: string
  severity?: Severity
  attack?: Finding['attack'][number]
  rung?: Rung
  state?: ActionState
  edges: { from: string; to: string }[]
}

export type Graph = {
  nodes: GraphNode[]
  edges: GraphEdge[]
  steps: GraphStep[]
  /** How many nodes stand together because there were too many. */
  grouped: number
}

/** The evidence to read: of each finding the first events and the last, the earliest findings first. */
export function evidenceOf(findings: Finding[]): string[] {
  const ids = new Set<string>()
  const each = Math.max(
    2,
    Math.min(EVENTS_PER_FINDING, Math.floor(EVENTS_MAX / Math.max(1, findings.length))),
  )
  const first = Math.ceil(each / 2)
  for (const finding of inTime(findings)) {
    const { evidence } = finding
    const last = evidence.slice(first).slice(-(each - first))
    for (const id of [...evidence.slice(0, first), ...last]) {
      if (ids.size < EVENTS_MAX) ids.add(id)
    }
  }
  return [...ids]
}

const inTime = (findings: Finding[]) =>
  [...findings].sort((a, b) => a.first_seen - b.first_seen || a.time - b.time)

type Raw = {
  nodes: Map<string, GraphNode>
  edges: Map<string, GraphEdge>
  steps: GraphStep[]
}

/**
 * From first contact to last effect: who did what to whom, and what was done about it. Made of the incident's
 * records and of the evidence events at hand; without events, findings lead from their first entity to the others.
 */
export function buildGraph(given: {
  findings: Finding[]
  actions: Action[]
  events: ReadonlyMap<string, Event>
  /** Folded nodes that somebody took apart. */
  open?: ReadonlySet<string>
}): Graph {
  const { findings, actions, events, open = new Set<string>() } = given
  const raw: Raw = { nodes: new Map(), edges: new Map(), steps: [] }
  const named = new Set(findings.flatMap((finding) => finding.entities))
  const steps = [
    ...findings.map((finding) => ({ at: finding.first_seen, finding, actions: undefined })),
    ...together(actions).map((actions) => ({
      at: Math.min(...actions.map((one) => one.created)),
      finding: undefined,
      actions,
    })),
    // What is done about a finding comes after it, when both have the same moment.
  ].sort((a, b) => a.at - b.at || Number(!a.finding) - Number(!b.finding))
  for (const { finding, actions } of steps) {
    if (finding) addFinding(raw, finding, events, named)
    else if (actions) addActions(raw, actions)
  }
  // Twice: what leads to a folded node may be alike only now.
  fold(raw, open)
  fold(raw, open)
  const grouped = bound(raw)
  for (const step of raw.steps) {
    step.edges = distinct(step.edges, (edge) => `${edge.from} ${edge.to}`)
  }
  const nodes = [...raw.nodes.values()].sort((a, b) => a.first - b.first)
  return { nodes, edges: [...raw.edges.values()], steps: raw.steps, grouped }
}

function together(actions: Action[]): Action[][] {
  const groups = new Map<string, Action[]>()
  for (const action of actions) {
    const key = `${action.rung} ${action.state}`
    groups.set(key, [...(groups.get(key) ?? []), action])
  }
  return [...groups.values()]
}

function addFinding(
  raw: Raw,
  finding: Finding,
  events: ReadonlyMap<string, Event>,
  named: ReadonlySet<string>,
) {
  const [attack] = finding.attack
  const step: GraphStep = {
    n: raw.steps.length + 1,
    kind: 'finding',
    time: finding.first_seen,
    subjects: [finding.id],
    code: finding.rule,
    title: finding.analytic?.title,
    severity: finding.severity,
    attack,
    edges: [],
  }
  raw.steps.push(step)
  const [primary] = finding.entities
  if (!primary) return
  const told = new Set<string>()
  const link = (from: string, to: string, time: number) => {
    told.add(from).add(to)
    addEdge(raw, step, from, to, time)
  }
  const about = finding.evidence.map((id) => events.get(id)).filter((one) => one !== undefined)
  for (const event of about) {
    const time = timeOf(event)
    const present = entitiesOf(event).filter((entity) => named.has(entity))
    const from =
      present.find((entity) => entity.startsWith('address:')) ??
      present.find((entity) => entity.startsWith('device:')) ??
      (present.includes(primary) ? primary : (present[0] ?? primary))
    addEntity(raw, from, time)
    const endpoint = present.find((entity) => entity.startsWith('endpoint:'))
    const target = endpoint ? addEntity(raw, endpoint, time) : addTarget(raw, event, time)
    if (target) link(from, target, time)
    for (const to of present) {
      const isAffected = finding.entities.includes(to) && to !== from && to !== target
      if (!isAffected) continue
      addEntity(raw, to, time)
      link(target ?? from, to, time)
    }
  }
  // Whom the events at hand do not name stands beside the first.
  addEntity(raw, primary, finding.first_seen)
  for (const entity of finding.entities.slice(1)) {
    if (told.has(entity)) continue
    addEntity(raw, entity, finding.first_seen)
    link(primary, entity, finding.first_seen)
  }
}

function addActions(raw: Raw, actions: Action[]) {
  const [one] = actions
  if (!one) return
  const time = Math.min(...actions.map((action) => action.created))
  const step: GraphStep = {
    n: raw.steps.length + 1,
    kind: 'action',
    time,
    subjects: actions.map((action) => action.id),
    code: one.reason,
    rung: one.rung,
    state: one.state,
    edges: [],
  }
  raw.steps.push(step)
  const id = `effect:${one.rung}:${one.state}`
  const value = distinct(
    actions.map((action) => action.target),
    (target) => target,
  )
  raw.nodes.set(id, {
    id,
    kind: 'effect',
    type: one.rung,
    value: value.length === 1 ? (value[0] ?? '') : '',
    state: one.state,
    members: value,
    isFolded: false,
    first: time,
  })
  for (const action of actions) {
    addEntity(raw, action.target, action.created)
    addEdge(raw, step, action.target, id, action.created)
  }
}

function addEntity(raw: Raw, entity: string, time: number): string {
  const at = entity.indexOf(':')
  const type = entity.slice(0, Math.max(0, at))
  return add(raw, { id: entity, kind: 'entity', type, value: entity.slice(at + 1), first: time })
}

/** What an event was about: a page, a process, a file, a machine elsewhere. */
function addTarget(raw: Raw, event: Event, time: number): string | undefined {
  const found = targetOf(event)
  if (!found) return undefined
  const id = `target:${found.type}:${found.value}`
  return add(raw, { id, kind: 'target', ...found, event: idOf(event), first: time })
}

function targetOf(event: Event): { type: string; value: string } | undefined {
  const method = text(event, 'http_request.http_method')
  if (method) {
    const host = text(event, 'http_request.url.hostname') ?? ''
    const path = text(event, 'http_request.url.path') ?? '/'
    return { type: 'path', value: `${method} ${host}${path}` }
  }
  const peer = text(event, 'dst_endpoint.ip')
  if (peer) {
    const port = text(event, 'dst_endpoint.port')
    return { type: 'peer', value: port ? `${peer}:${port}` : peer }
  }
  const file = text(event, 'file.path')
  const command = text(event, 'process.cmd_line') ?? text(event, 'process.name')
  if (file && !command) return { type: 'file', value: file }
  return command ? { type: 'process', value: command } : undefined
}

function add(raw: Raw, node: Omit<GraphNode, 'members' | 'isFolded'>): string {
  const known = raw.nodes.get(node.id)
  if (known) known.first = Math.min(known.first, node.first)
  else raw.nodes.set(node.id, { ...node, members: [], isFolded: false })
  return node.id
}

const keyOf = (from: string, to: string) => JSON.stringify([from, to])

function addEdge(raw: Raw, step: GraphStep, from: string, to: string, time: number) {
  if (from === to) return
  step.edges.push({ from, to })
  const key = keyOf(from, to)
  const known = raw.edges.get(key)
  if (!known) {
    raw.edges.set(key, { from, to, steps: [step.n], time, tactic: step.attack?.tactic })
    return
  }
  if (!known.steps.includes(step.n)) known.steps.push(step.n)
  known.tactic ??= step.attack?.tactic
  known.time = Math.min(known.time, time)
}

/** Makes one node of those that have the same neighbours on both sides. */
function fold(raw: Raw, open: ReadonlySet<string>) {
  const into = new Map<string, string[]>()
  const out = new Map<string, string[]>()
  for (const { from, to } of raw.edges.values()) {
    out.set(from, [...(out.get(from) ?? []), to])
    into.set(to, [...(into.get(to) ?? []), from])
  }
  const alike = new Map<string, GraphNode[]>()
  for (const node of raw.nodes.values()) {
    if (node.kind === 'effect' || node.members.length > 0) continue
    const sides = [into.get(node.id) ?? [], out.get(node.id) ?? []].map((side) => [...side].sort())
    const key = JSON.stringify([node.kind, node.type, ...sides])
    alike.set(key, [...(alike.get(key) ?? []), node])
  }
  for (const nodes of alike.values()) {
    const id = `fold:${nodes[0]?.id}`
    if (nodes.length >= FOLD_FROM && !open.has(id)) merge(raw, id, nodes, true)
  }
}

function merge(raw: Raw, id: string, nodes: GraphNode[], isFolded: boolean) {
  const [like] = nodes
  if (!like) return
  const members = nodes.flatMap((node) => (node.members.length > 0 ? node.members : [node.value]))
  const first = Math.min(...nodes.map((node) => node.first))
  const gone = new Set(nodes.map((node) => node.id))
  const now = (name: string) => (gone.has(name) ? id : name)
  for (const name of gone) raw.nodes.delete(name)
  raw.nodes.set(id, {
    id,
    kind: like.kind,
    type: like.type,
    value: '',
    members,
    isFolded,
    event: like.event,
    first,
  })
  const edges = [...raw.edges.values()]
  raw.edges.clear()
  for (const edge of edges) {
    const [from, to] = [now(edge.from), now(edge.to)]
    if (from === to) continue
    const known = raw.edges.get(keyOf(from, to))
    if (!known) {
      raw.edges.set(keyOf(from, to), { ...edge, from, to })
      continue
    }
    known.steps = distinct([...known.steps, ...edge.steps], String).sort((a, b) => a - b)
    known.time = Math.min(known.time, edge.time)
    known.tactic ??= edge.tactic
  }
  for (const step of raw.steps) {
    step.edges = step.edges
      .map((edge) => ({ from: now(edge.from), to: now(edge.to) }))
      .filter((edge) => edge.from !== edge.to)
  }
}

/** Keeps the most connected; the others become one node for each kind. Says how many those were. */
function bound(raw: Raw): number {
  if (raw.nodes.size <= NODES_MAX) return 0
  const degree = new Map<string, number>()
  for (const { from, to } of raw.edges.values()) {
    degree.set(from, (degree.get(from) ?? 0) + 1)
    degree.set(to, (degree.get(to) ?? 0) + 1)
  }
  const weight = (node: GraphNode) =>
    node.kind === 'effect' ? Infinity : (degree.get(node.id) ?? 0)
  const all = [...raw.nodes.values()].sort((a, b) =>
    weight(b) > weight(a) ? 1 : weight(b) < weight(a) ? -1 : a.first - b.first,
  )
  const kinds = distinct(all, (node) => `${node.kind} ${node.type}`).length
  const rest = all.slice(Math.max(1, NODES_MAX - kinds))
  const sorts = new Map<string, GraphNode[]>()
  for (const node of rest) {
    const key = `${node.kind}:${node.type}`
    sorts.set(key, [...(sorts.get(key) ?? []), node])
  }
  let grouped = 0
  for (const [key, nodes] of sorts) {
    if (nodes.length === 1) continue
    grouped += nodes.length
    merge(raw, `rest:${key}`, nodes, false)
  }
  return grouped
}

function distinct<T>(items: T[], key: (item: T) => string): T[] {
  const seen = new Set<string>()
  return items.filter((item) => {
    const name = key(item)
    if (seen.has(name)) return false
    seen.add(name)
    return true
  })
}
