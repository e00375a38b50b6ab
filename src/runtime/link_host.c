/* SPDX-License-Identifier: Apache-2.0
 *
 * The host of the links: what they report goes to their endpoint's courier, to its receipts, and to the log.
 */
#include "runtime/endpoint.h"
#include "runtime/log.h"

/* The courier of the link that is there; the one of the link to come does not hear it. */
static struct courier *courier_of(const struct endpoint *end)
{
	return end->courier_is_next ? NULL : end->courier;
}

static void host_link_up(struct link_host *host, const struct sink_traits *traits)
{
	struct endpoint *end = (struct endpoint *)host;
	log_info("link_up", "connection=%s", end->config->name);
	end->link_is_up = true;
	end->traits = *traits;
	if (courier_of(end) &&
		end->bridge->state <= BRIDGE_DRAINING) /* then it sends nothing, but may have lost its session */
		courier_link_up(end->courier, traits);
}

static void host_link_down(struct link_host *host, const char *reason)
{
	struct endpoint *end = (struct endpoint *)host;
	log_warn("link_down", "connection=%s reason=\"%s\"", end->config->name, reason ? reason : "");
	end->link_downs += end->link_is_up;
	end->link_is_up = false;
	receipts_clear(&end->receipts);
	if (courier_of(end))
		courier_link_down(end->courier, reason);
	bridge_check_drained(end->bridge);
}

static void host_window(struct link_host *host, uint32_t max_in_flight)
{
	struct endpoint *end = (struct endpoint *)host;
	end->traits.max_in_flight = max_in_flight;
	if (courier_of(end))
		courier_window(end->courier, max_in_flight);
}

static void host_alarm(struct link_host *host, const char *what)
{
	struct endpoint *end = (struct endpoint *)host;
	log_error("alarm", "connection=%s what=\"%s\"", end->config->name, what);
}

static void host_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct endpoint *end = (struct endpoint *)host;
	if (end->bridge->watched)
		watching_outcome(end, seq, outcome);
	if (courier_of(end))
		courier_outcome(end->courier, seq, outcome);
}

static void host_delivered(struct link_host *host, const uint64_t *seqs, size_t n)
{
	struct endpoint *end = (struct endpoint *)host;
	if (end->bridge->watched)
		watching_delivered(end, seqs, n);
	if (courier_of(end))
		courier_delivered(end->courier, seqs, n);
}

static void host_stage(struct link_host *host, uint64_t seq, uint8_t stage)
{
	struct endpoint *end = (struct endpoint *)host;
	if (courier_of(end))
		courier_stage(end->courier, seq, stage);
}

static bool host_settle(struct link_host *host, uint64_t seq)
{
	struct endpoint *end = (struct endpoint *)host;
	return !courier_of(end) || courier_settle(end->courier, seq);
}

static void host_stopped(struct link_host *host)
{
	struct endpoint *end = (struct endpoint *)host;
	end->stopped = true;
	if (end->phase == ENDPOINT_STOPPING)
		loop_post(end->bridge->loop, &end->left_job); /* it may be speaking from inside a call of ours */
	bridge_finish_stop(end->bridge);
}

const struct link_host_ops endpoint_host_ops = {
	.offer = intake_offer,
	.link_up = host_link_up,
	.link_down = host_link_down,
	.window = host_window,
	.alarm = host_alarm,
	.outcome = host_outcome,
	.delivered = host_delivered,
	.stage = host_stage,
	.settle = host_settle,
	.replace = together_replace,
	.outbox = together_outbox,
	.key = intake_key,
	.key_room = intake_key_room,
	.last_value = keeping_last_value,
	.last_values = keeping_last_values,
	.stopped = host_stopped,
};
