/** Names of interfaces. */

/** IFNAMSIZ less the final zero, linux/if.h. */
const IFNAME_MAX_BYTES = 15
/** Latin-1's, which the kernel sees in "à", too. lib/ctype.c. */
const NO_BREAK_SPACE = 0xa0

/**
 * Undefined: a pod's interface may have it. Otherwise why not, to be put behind the name. As dev_valid_name of the kernel
 * (net/core/dev.c), without its patterns ("eth%d"), and neither the loopback interface's nor those that stand for all
 * interfaces in /proc/sys/net (sysctl_dev_name_is_allowed).
 */
export function ifnameFault(name: string): string | undefined {
  const bytes = Buffer.from(name)
  if (bytes.length > IFNAME_MAX_BYTES) return `is longer than ${IFNAME_MAX_BYTES} bytes`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in it
  if (/[/:%\s\u0000-\u001f\u007f]/.test(name))
    return 'has a slash, a colon, a percent sign, white space or a control character'
  if (bytes.includes(NO_BREAK_SPACE)) return 'has a letter with a byte that the kernel takes for white space'
  if (['.', '..', 'lo', 'all', 'default'].includes(name)) return "cannot be a pod interface's name"
  return undefined
}
