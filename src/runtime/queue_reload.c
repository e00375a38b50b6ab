/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan reload: hands the order to the bridge and passes on what has become of it. A client that goes away does not end it.
 */
#include "runtime/bridge.h"
#include "runtime/queue_impl.h"

#include <errno.h>
#include <string.h>

static void on_done(void *ctx, const struct reload_result *result)
{
	struct queue_job *job = ctx;
	if (*result->text)
		queue_send_text(job, result->text);
	if (!result->applied) {
		queue_end(job, "%s", result->summary);
		return;
	}
	queue_send_text(job, result->summary);
	queue_end(job, NULL);
}

static void reload_start(struct queue_job *job)
{
	const struct queue_service_options *options = &job->service->options;
	struct reload_order order = {
		.drop = (const char *const *)job->request.drop,
		.drain = (const char *const *)job->request.drain,
		.done = on_done,
		.ctx = job,
	};
	int r = options->reload ? options->reload(options->ctx, &order) : -ESHUTDOWN;
	if (r < 0)
		queue_end(job, "%s",
			r == -ESHUTDOWN ? "linkspan does not run; it reads its configuration when it starts"
					: strerror(-r));
}

void queue_reload_cancel(struct queue_job *job)
{
	const struct queue_service_options *options = &job->service->options;
	if (job->ended)
		return;
	if (options->reload_forget)
		options->reload_forget(options->ctx, job);
	queue_end(job, NULL);
}

const struct queue_job_ops queue_reload_ops = {.start = reload_start};
