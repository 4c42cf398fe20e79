import { Graph as Dagre, layout } from '@dagrejs/dagre'
import type { Graph, GraphEdge, GraphNode } from './graph'

export const NODE = { width: 168, height: 46 }
const LABEL = { width: 104, height: 34 }

type Point = { x: number; y: number }
export type Placed = {
  width: number
  height: number
  nodes: (GraphNode & Point)[]
  edges: (GraphEdge & { points: Point[]; at: Point })[]
}

/** Where everything stands: who came first at the left, what was done last at the right. */
export function place(graph: Graph): Placed {
  const plan = new Dagre({ multigraph: false })
  plan.setGraph({ rankdir: 'LR', nodesep: 14, edgesep: 10, ranksep: 22, marginx: 12, marginy: 12 })
  for (const node of graph.nodes) plan.setNode(node.id, { ...NODE })
  for (const edge of graph.edges) {
    plan.setEdge(edge.from, edge.to, { ...LABEL, labelpos: 'c', minlen: 1 })
  }
  layout(plan)
  const whole = plan.graph() as { width?: number; height?: number }
  return {
    width: Math.ceil(whole.width ?? 0),
    height: Math.ceil(whole.height ?? 0),
    nodes: graph.nodes.map((node) => ({ ...node, ...(plan.node(node.id) as Point) })),
    edges: graph.edges.map((edge) => {
      const drawn = plan.edge(edge.from, edge.to) as Point & { points: Point[] }
      return { ...edge, points: drawn.points, at: { x: drawn.x, y: drawn.y } }
    }),
  }
}
