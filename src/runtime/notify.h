/* SPDX-License-Identifier: Apache-2.0
 *
 * sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Does nothing when not started by systemd.
 */
#ifndef LINKSPAN_RUNTIME_NOTIFY_H
#define LINKSPAN_RUNTIME_NOTIFY_H

#include <stdint.h>

/* state: lines such as "READY=1". Never fails, never blocks. */
void notify_systemd(const char *state);
/* Half of WATCHDOG_USEC in milliseconds: how often to say WATCHDOG=1; 0 when no watchdog is set for this process. */
uint64_t notify_watchdog_ms(void);

#endif
