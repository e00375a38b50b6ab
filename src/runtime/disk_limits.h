/* SPDX-License-Identifier: Apache-2.0
 *
 * Does the disk hold what the configuration allows to wait? Said once, at the start: whoever sets limits that the disk
 * cannot keep would learn it in the middle of an outage.
 */
#ifndef LINKSPAN_RUNTIME_DISK_LIMITS_H
#define LINKSPAN_RUNTIME_DISK_LIMITS_H

#include "config/config.h"
#include "journal/disk.h"

/* Warns (event=disk_limits) when max_bytes and dead_max_bytes of all destinations together with the journal's own files
 * are more than is free on the disk and used by linkspan already. Blocks on the disk: before the loop runs. */
void disk_limits_check(struct disk *disk, const struct config *config);

#endif
