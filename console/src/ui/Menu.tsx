import { DropdownMenu } from 'radix-ui'
import { useCallback, type ReactNode } from 'react'
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
          <MenuItems items={items} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

function MenuItems({ items }: { items: MenuItem[] }) {
  return items.map((item, at) =>
    item === 'line' ? (
      <DropdownMenu.Separator className="menu-line" key={at} />
    ) : (
      <DropdownMenu.Item className="menu-item" key={at} onSelect={item.onSelect}>
        <span className="menu-mark">{item.isChosen && <Icon name="check" />}</span>
        {item.label}
      </DropdownMenu.Item>
    ),
  )
}

/** A menu beside something that was pressed: one for many small things, which then need none of their own. */
export function MenuAt(props: {
  anchor: HTMLElement
  label: string
  items: MenuItem[]
  onClose: () => void
}) {
  const { anchor, label, items, onClose } = props
  const stand = useCallback(
    (trigger: HTMLElement | null) => {
      const { left, top, width, height } = anchor.getBoundingClientRect()
      for (const [name, value] of Object.entries({ left, top, width, height })) {
        trigger?.style.setProperty(name, `${value}px`)
      }
    },
    [anchor],
  )
  return (
    <DropdownMenu.Root open modal={false} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <DropdownMenu.Trigger className="menu-anchor" aria-label={label} tabIndex={-1} ref={stand} />
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          className="menu"
          align="start"
          sideOffset={2}
          onCloseAutoFocus={(event) => {
            event.preventDefault()
            if (anchor.isConnected) anchor.focus()
          }}
        >
          <MenuItems items={items} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}
