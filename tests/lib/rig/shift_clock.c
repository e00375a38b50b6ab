/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program, moves its wall clock by the milliseconds that the file $SHIFT_CLOCK holds (int64_t, mapped, so
 * that a test can change them while the program runs). All other clocks are left as they are: what libfaketime cannot do. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_ms;

static void __attribute__((constructor)) map(void)
{
	const char *path = getenv("SHIFT_CLOCK");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, file, 0);
	if (at != MAP_FAILED)
		shift_ms = at;
	if (file >= 0)
		close(file);
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int r = (int)syscall(SYS_clock_gettime, id, now);
	if (r == 0 && shift_ms && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		int64_t ns = now->tv_nsec + *shift_ms % 1000 * 1000000;
		now->tv_sec += *shift_ms / 1000 + (ns >= 1000000000) - (ns < 0);
		now->tv_nsec = (ns + 1000000000) % 1000000000;
	}
	return r;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	(void)zone;
	struct timespec precise;
	clock_gettime(CLOCK_REALTIME, &precise);
	*now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *now)
{
	struct timespec precise;
	clock_gettime(CLOCK_REALTIME, &precise);
	if (now)
		*now = precise.tv_sec;
	return precise.tv_sec;
}
