/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk in memory that can lose power. It keeps, beside what a program reads (the page cache), what is really on the
 * medium: a 512-byte sector reaches it at fdatasync, or by chance. Names reach it at sync_dir, or by chance. Sectors are
 * shared between clones, so that thousands of crash states cost little.
 *
 * Single-threaded: for journals opened with options.manual. For tests, and for those that users write (src/simulation):
 * where memory is out it ends the process.
 */
#ifndef LINKSPAN_JOURNAL_DISK_SIMULATED_H
#define LINKSPAN_JOURNAL_DISK_SIMULATED_H

#include <stdbool.h>

#include "journal/disk.h"

#define SIM_SECTOR 512u

struct sim_disk;

struct sim_disk *sim_disk_new(void);
void sim_disk_free(struct sim_disk *sim);
struct disk *sim_disk_ops(struct sim_disk *sim); /* lives as long as sim */

enum sim_loss {
	SIM_KEEP_ALL, /* everything written reached the medium in time */
	SIM_KEEP_NONE, /* only what was synced */
	SIM_KEEP_SOME, /* each unsynced sector and each unsynced name operation by the toss of a coin */
};

/* What the medium holds after a power cut now: a new disk, everything on it durable. *state is a random state. */
struct sim_disk *sim_disk_power_loss(const struct sim_disk *sim, enum sim_loss loss, uint64_t *state);
/* Faults. space: bytes that may still be allocated (UINT64_MAX = no limit). */
void sim_disk_set_space(struct sim_disk *sim, uint64_t bytes);
/* With true, fdatasync and sync_dir succeed without doing anything: the negative control. */
void sim_disk_ignore_sync(struct sim_disk *sim, bool ignore);
/* The same for the contents of files that are created below a folder ("outbox/"); NULL: none. Borrowed. */
void sim_disk_ignore_sync_below(struct sim_disk *sim, const char *prefix);
/* The n-th operation from now that writes or syncs (1 = the next) fails with -EIO, and the `count - 1` after it. */
void sim_disk_fail(struct sim_disk *sim, unsigned n, unsigned count);

/* The sector at offset of that file cannot be read from now on (-EIO). One per disk; a fork or clone has none. */
void sim_disk_bad_sector(struct sim_disk *sim, const char *path, uint64_t offset);

/* Direct access for damage: size of a file (-1: no such name), and one byte of it, on the medium and in the cache. */
int64_t sim_disk_size(const struct sim_disk *sim, const char *path);
void sim_disk_flip(struct sim_disk *sim, const char *path, uint64_t offset, uint8_t mask);
void sim_disk_zero_from(struct sim_disk *sim, const char *path, uint64_t offset);
void sim_disk_read(const struct sim_disk *sim, const char *path, uint64_t offset, void *buf, size_t len);
/* Names of a folder, sorted, as a NULL-terminated list to free with sim_disk_free_names. */
char **sim_disk_names(const struct sim_disk *sim, const char *folder);
void sim_disk_free_names(char **names);
/* A copy in which what is unsynced is still unsynced: the disk beneath a machine whose process has died. */
struct sim_disk *sim_disk_fork(const struct sim_disk *sim);

uint64_t sim_random(uint64_t *state); /* splitmix64 */

#endif
