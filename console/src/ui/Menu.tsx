import { DropdownMenu } from 'radix-ui'
import type { ReactNode } from 'react'
import { Icon } from './Icon'

export type MenuItem = { label: ReactNode; onSelect: () => void; isChosen?: boolean } | 'line'

export function Menu(props: {
  label: string
  trigger: ReactNode
  items: MenuItem[]
  side?: 'top' | 'bottom'
}) {
  const { label, trigger, items, side = 'bottom' } = props
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="menu-trigger" aria-label={label}>
        {trigger}
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" side={side} align="start" sideOffset={4}>
          {items.map((item, at) =>
            item === 'line' ? (
              <DropdownMenu.Separator className="menu-line" key={at} />
            ) : (
              <DropdownMenu.Item className="menu-item" key={at} onSelect={item.onSelect}>
                <span className="menu-mark">{item.isChosen && <Icon name="check" />}</span>
                {item.label}
              </DropdownMenu.Item>
            ),
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}
