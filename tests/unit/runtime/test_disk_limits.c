/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that the disk cannot keep are said at the start. */
#include <string.h>

#include "runtime/disk_limits.h"
#include "runtime/log.h"
#include "journal/disk_simulated.h"
#include "tests/unit/tap.h"

#define MIB UINT64_C(1048576)

static char last[1000];
static unsigned n_lines;

static void keep_line(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(last, sizeof last, "%s", line);
	n_lines++;
}

static struct connection_config connections[3];
static struct target_config targets[2] = {{.connection = 1}, {.connection = 2}};
static struct mapping_config mapping = {.targets = targets, .n_targets = 2};

static bool warns(uint64_t space)
{
	struct config config = {.connections = connections, .n_connections = 3, .mappings = &mapping, .n_mappings = 1};
	config.journal.segment_bytes = MIB;
	config.journal.max_bytes = 7 * MIB;
	struct sim_disk *sim = sim_disk_new();
	struct disk *disk = sim_disk_ops(sim);
	/* Two MiB are used already. */
	static const char *const names[] = {"journal/1.log", "dead/lake/1.dead"};
	static const char mib[1048576];
	CU_ASSERT(disk->ops->mkdir(disk, "journal") == 0 && disk->ops->mkdir(disk, "dead") == 0 &&
		  disk->ops->mkdir(disk, "dead/lake") == 0);
	for (size_t i = 0; i < 2; i++) {
		int handle = disk->ops->open(disk, names[i], DISK_WRITE | DISK_CREATE);
		CU_ASSERT_EQUAL(disk->ops->pwrite(disk, handle, mib, sizeof mib, 0), 0);
		disk->ops->close(disk, handle);
	}
	sim_disk_set_space(sim, space);
	n_lines = 0;
	disk_limits_check(disk, &config);
	sim_disk_free(sim);
	return n_lines == 1;
}

static void test_limits(void)
{
	log_set_sink(keep_line, NULL);
	connections[0].outbox = (struct outbox_config){.max_bytes = 1000 * MIB}; /* no destination */
	connections[1].outbox = (struct outbox_config){.max_bytes = 50 * MIB, .dead_max_bytes = 10 * MIB};
	connections[2].outbox = (struct outbox_config){.max_bytes = 30 * MIB, .dead_max_bytes = 4 * MIB};
	CU_ASSERT_FALSE(warns(104 * MIB)); /* 80 + 14 + 7 and 5 for the journal, 2 of it used */
	CU_ASSERT(warns(104 * MIB - 1));
	CU_ASSERT_PTR_NOT_NULL(strstr(last, "event=disk_limits outboxes=83886080 dead_letters=14680064 "
					    "journal=12582912 free=109051903 used=2097152"));
	connections[2].outbox.max_bytes = UINT64_MAX; /* the sum is not smaller for that */
	CU_ASSERT(warns(104 * MIB));
	log_set_sink(NULL, NULL);
}

static const struct tap_test tests[] = {
	{"limits against the disk", test_limits},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("disk limits", tests);
}
