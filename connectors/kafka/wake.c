/* SPDX-License-Identifier: Apache-2.0
 *
 * uv_poll on an eventfd.
 */
#include "connectors/kafka/wake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

struct kafka_wake {
	uv_poll_t poll;
	int fd;
	loop_fn on_wake;
	void *arg;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct kafka_wake *wake = poll->data;
	uint64_t count;
	(void)status, (void)events;
	ssize_t n = read(wake->fd, &count, sizeof count);
	(void)n; /* non-blocking; nothing there is as good */
	wake->on_wake(wake->arg);
}

static void on_closed(uv_handle_t *handle)
{
	struct kafka_wake *wake = handle->data;
	close(wake->fd);
	free(wake);
}

int kafka_wake_open(struct loop *loop, loop_fn on_wake, void *arg, struct kafka_wake **ret_wake)
{
	if (!loop_uv(loop))
		return -ENOTSUP;
	struct kafka_wake *wake = calloc(1, sizeof *wake);
	if (!wake)
		return -ENOMEM;
	wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int r = wake->fd < 0 ? -errno : uv_poll_init(loop_uv(loop), &wake->poll, wake->fd);
	if (r < 0) {
		if (wake->fd >= 0)
			close(wake->fd);
		free(wake);
		return r;
	}
	wake->poll.data = wake;
	wake->on_wake = on_wake;
	wake->arg = arg;
	uv_poll_start(&wake->poll, UV_READABLE, on_readable);
	*ret_wake = wake;
	return 0;
}

int kafka_wake_fd(const struct kafka_wake *wake)
{
	return wake->fd;
}

void kafka_wake_close(struct kafka_wake *wake)
{
	if (!wake)
		return;
	uv_poll_stop(&wake->poll);
	uv_close((uv_handle_t *)&wake->poll, on_closed);
}
