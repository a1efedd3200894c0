/** What a packet may have. */
import type {Family} from './ip.ts'

/** Bytes: the outer headers of IP, UDP and VXLAN, and the inner Ethernet header. By the underlay's family. */
export const VXLAN_OVERHEAD: Readonly<Record<Family, number>> = {4: 20 + 8 + 8 + 14, 6: 40 + 8 + 8 + 14}

/** Bytes. RFC 8200: a device with less has no IPv6. */
export const IPV6_LEAST = 1280
