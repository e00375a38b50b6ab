/* SPDX-License-Identifier: Apache-2.0
 *
 * getrusage, /proc/self/statm and /proc/self/fd.
 */
#include "admin/process.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double cpu_seconds(void)
{
	struct rusage usage;
	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return NAN;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void read_memory(struct process_figures *figures)
{
	unsigned long long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	bool known = file && fscanf(file, "%llu %llu", &pages, &resident) == 2;
	double page_bytes = (double)sysconf(_SC_PAGESIZE);
	figures->virtual_bytes = known ? (double)pages * page_bytes : NAN;
	figures->resident_bytes = known ? (double)resident * page_bytes : NAN;
	if (file)
		fclose(file);
}

static double open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	if (!folder)
		return NAN;
	double n = 0;
	for (const struct dirent *entry; (entry = readdir(folder));)
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n - 1; /* the folder's own */
}

static double max_files(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : NAN;
}

void process_read(struct process_figures *ret_figures)
{
	ret_figures->cpu_s = cpu_seconds();
	read_memory(ret_figures);
	ret_figures->open_fds = open_files();
	ret_figures->max_fds = max_files();
}
