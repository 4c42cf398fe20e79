import type { ButtonHTMLAttributes } from 'react'
import { Icon, type IconName } from './Icon'

type Props = Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'disabled'> & {
  look?: 'plain' | 'primary' | 'danger' | 'quiet'
  icon?: IconName
  busy?: boolean
  /** Why it cannot be pressed now. A button that cannot says so. */
  why?: string | false
}

export function Button(props: Props) {
  const { look = 'plain', icon, busy = false, why, children, onClick, className, ...rest } = props
  const isOff = busy || Boolean(why)
  return (
    <button
      type="button"
      {...rest}
      className={`button button-${look} ${className ?? ''}`}
      aria-disabled={isOff || undefined}
      title={why || rest.title}
      onClick={isOff ? (event) => event.preventDefault() : onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  )
}
