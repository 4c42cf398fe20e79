const PATHS = {
  overview: 'M3 10.5 10 4l7 6.5M5 9v7h10V9',
  incidents: 'M10 3 2.5 16.5h15L10 3Zm0 5v4m0 2v.5',
  response: 'M10 2.5 4 5v4.5c0 4 2.6 6.6 6 8 3.4-1.4 6-4 6-8V5l-6-2.5ZM7.5 9.8l2 2 3.3-3.6',
  rules: 'M3 5h3m3 0h8M3 10h3m3 0h8M3 15h3m3 0h8M7.500 3.500v3m4 2v3m-5 2v3',
  trust:
    'M3.500 15a7.500 7.500 0 1 1 13 0M10 12l3.500-4.500M10 13.200a1.200 1.200 0 1 0 0-2.400 1.200 1.200 0 0 0 0 2.400Z',
  settings: 'M3 6h7m4 0h3M3 14h3m4 0h7M12 4v4M8 12v4',
  more: 'M4.5 10h.01M10 10h.01M15.500 10h.01',
  audit: 'M5 3h7l3.5 3.5V17H5V3Zm3 6h5m-5 3h5m-5-6h2',
  menu: 'M3 5.5h14M3 10h14M3 14.5h14',
  close: 'm5 5 10 10M15 5 5 15',
  search: 'M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12Zm4.2-1.8L17.5 17.5',
  down: 'm6 8 4 4 4-4',
  right: 'm8 6 4 4-4 4',
  check: 'm4 10.5 4 4 8-9',
  user: 'M10 10a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM3.8 17c.6-3.2 3-5 6.2-5s5.600 1.800 6.200 5',
  credential:
    'M12.500 8.500a3.500 3.500 0 1 0-3.300 3.500L4 17h3v-2h2v-2l1.200-1.200a3.500 3.500 0 0 0 2.300-3.300Z',
  account:
    'M10 10a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400ZM3.800 17c.6-3.200 3-5 6.200-5s5.600 1.800 6.200 5',
  session: 'M3 5h14v10H3V5Zm0 3h14',
  endpoint: 'M4 6h12M4 10h7M4 14h9m3-5 2 2-2 2',
  device: 'M3 4h14v9H3V4Zm5 13h4m-2-4v4',
  address:
    'M10 17s5.500-5 5.500-9a5.500 5.500 0 0 0-11 0c0 4 5.500 9 5.500 9Zm0-7a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  clock: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm0-11v4l2.500 2',
  eye: 'M2 10s3-5.500 8-5.500S18 10 18 10s-3 5.500-8 5.500S2 10 2 10Zm8 2.300a2.300 2.300 0 1 0 0-4.600 2.300 2.300 0 0 0 0 4.600Z',
  export: 'M10 3v9m-3.500-3.500L10 12l3.500-3.500M4 13.500V17h12v-3.500',
  hunt: 'M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12Zm4.200-1.800L17.500 17.500M6.500 9h5M9 6.500v5',
  plus: 'M10 5v10M5 10h10',
  minus: 'M5 10h10',
  play: 'M7 4.500v11l8-5.500-8-5.500Z',
  pause: 'M7 5v10M13 5v10',
  columns: 'M3.500 4h13v12h-13V4Zm4.300 0v12m4.400-12v12',
  up: 'm6 12 4-4 4 4',
  star: 'm10 3.500 2 4.300 4.700.6-3.400 3.200.9 4.700L10 14l-4.200 2.300.9-4.700-3.400-3.200 4.700-.6 2-4.300Z',
} as const

export type IconName = keyof typeof PATHS

/** A picture beside words that say the same. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" width={size} height={size} aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
