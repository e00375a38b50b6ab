/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders to reload: IDLE → LOADING (the worker reads and compiles) → applied or refused, the order is answered → SETTLING (what
 * leaves, leaves) → IDLE.
 */
#define _GNU_SOURCE /* asprintf */
#include "runtime/reload.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/endpoint.h"
#include "runtime/log.h"

struct order {
	struct reload_order base; /* its names are owned */
	struct order *next;
};

enum reload_state { RELOAD_IDLE, RELOAD_LOADING, RELOAD_SETTLING };

struct reload {
	struct bridge *bridge;
	char *path; /* NULL: there is no file */
	void (*on_reloaded)(void *ctx, const struct config *config);
	void *ctx;
	enum reload_state state;
	struct order *orders; /* the first one is at work unless IDLE */
	struct loop_job begin_job, loaded_job;

	pthread_t worker; /* LOADING; what follows is its own until it has posted loaded_job */
	struct config *config;
	struct router *router;
	int result;
	char *text;
	size_t text_len;

	pthread_t remover;
	bool removing;
	struct generation *old_generation; /* that the router which is being freed borrows from */
	unsigned long n_settled;
};

/* --- orders ----------------------------------------------------------------------------------------------------------- */

static void free_names(const char *const *names)
{
	for (size_t i = 0; names && names[i]; i++)
		free((char *)(uintptr_t)names[i]);
	free((void *)(uintptr_t)names);
}

static int copy_names(const char *const *names, const char *const **ret_copy)
{
	size_t n = 0;
	while (names && names[n])
		n++;
	const char **copy = calloc(n + 1, sizeof *copy);
	for (size_t i = 0; copy && i < n; i++)
		if (!(copy[i] = strdup(names[i]))) {
			free_names(copy);
			return -ENOMEM;
		}
	*ret_copy = copy;
	return copy ? 0 : -ENOMEM;
}

static void free_order(struct order *order)
{
	free_names(order->base.drop);
	free_names(order->base.drain);
	free(order);
}

int bridge_reload(struct bridge *bridge, const struct reload_order *wish)
{
	struct reload *reload = bridge->reload;
	if (bridge->state != BRIDGE_RUNNING)
		return -ESHUTDOWN;
	struct order *order = calloc(1, sizeof *order), **last = &reload->orders;
	if (!order)
		return -ENOMEM;
	order->base = *wish;
	order->base.drop = order->base.drain = NULL;
	if (copy_names(wish->drop, &order->base.drop) < 0 || copy_names(wish->drain, &order->base.drain) < 0) {
		free_order(order);
		return -ENOMEM;
	}
	while (*last)
		last = &(*last)->next;
	*last = order;
	if (reload->state == RELOAD_IDLE)
		loop_post(bridge->loop, &reload->begin_job);
	return 0;
}

void bridge_reload_forget(struct bridge *bridge, const void *ctx)
{
	for (struct order *order = bridge->reload->orders; order; order = order->next)
		if (order->base.ctx == ctx)
			order->base.done = NULL;
}

/* Takes the first order off. */
static void answer(struct reload *reload, const struct reload_result *result)
{
	struct order *order = reload->orders;
	reload->orders = order->next;
	if (order->base.done)
		order->base.done(order->base.ctx, result);
	free_order(order);
}

/* --- the worker ------------------------------------------------------------------------------------------------------- */

static void *load(void *arg)
{
	struct reload *reload = arg;
	FILE *errors = open_memstream(&reload->text, &reload->text_len);
	reload->result = errors ? config_load(reload->path, errors, &reload->config, NULL) : -ENOMEM;
	if (reload->result == 0 && !(reload->router = router_new(reload->config)))
		reload->result = -ENOMEM;
	if (errors && fclose(errors) != 0 && reload->result == 0)
		reload->result = -ENOMEM;
	loop_post(reload->bridge->loop, &reload->loaded_job);
	return NULL;
}

static void *free_old_router(void *arg)
{
	router_free(arg);
	return NULL;
}

static void join_remover(struct reload *reload)
{
	if (reload->removing)
		pthread_join(reload->remover, NULL);
	reload->removing = false;
	generation_unref(reload->old_generation);
	reload->old_generation = NULL;
}

/* A thousand jq programs are more than a turn of the loop has time for. */
static void remove_old(struct reload *reload, const struct reload_output *output)
{
	join_remover(reload); /* it has had as long as it takes to compile the next one */
	reload->old_generation = output->old_generation;
	reload->removing = pthread_create(&reload->remover, NULL, free_old_router, output->old_router) == 0;
	if (!reload->removing)
		router_free(output->old_router);
}

static void forget_load(struct reload *reload)
{
	router_free(reload->router);
	config_free(reload->config);
	free(reload->text);
	reload->router = NULL;
	reload->config = NULL;
	reload->text = NULL;
	reload->text_len = 0;
}

/* --- one order ---------------------------------------------------------------------------------------------------------- */

/* Each line of its own; what quotes the file is for people who look at it. */
static void log_text(const char *event, const char *text)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");
		if (len > 0 && *text != ' ' && *text != '\t')
			log_error(event, "what=\"%.*s\"", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void refuse(struct reload *reload, const char *text, const char *summary)
{
	struct reload_result result = {.text = text ? text : "", .summary = summary};
	log_text("reload_refused", text);
	answer(reload, &result);
	reload->state = RELOAD_SETTLING;
	reload_settled(reload->bridge);
}

/* Warnings of the file, and what else there is to say; by which file, since who asks may have named another one. */
static void tell_applied(struct reload *reload, const char *warnings, const char *remarks, const char *summary)
{
	char *text = NULL, *named = NULL;
	if (asprintf(&text, "%s%s", warnings ? warnings : "", remarks ? remarks : "") < 0)
		text = NULL;
	if (asprintf(&named, "%s: %s", reload->path, summary) < 0)
		named = NULL;
	struct reload_result result = {.applied = true, .text = text ? text : "", .summary = named ? named : summary};
	answer(reload, &result);
	free(text);
	free(named);
}

static void apply(struct reload *reload)
{
	char *why = NULL, *text = reload->text;
	size_t len;
	FILE *out = open_memstream(&why, &len);
	struct reload_input input = {
		.config = reload->config, .router = reload->router, .order = &reload->orders->base, .why = out};
	struct reload_output output;
	int r = out ? reload_apply(reload->bridge, &input, &output) : -ENOMEM;
	if (out)
		fclose(out);
	if (r < 0) {
		refuse(reload, why && *why ? why : strerror(-r), "nothing has changed");
		free(why);
		return;
	}
	reload->config = NULL;
	reload->router = NULL;
	reload->text = NULL; /* warnings */
	remove_old(reload, &output);
	if (reload->on_reloaded)
		reload->on_reloaded(reload->ctx, reload->bridge->config);
	reload->state = RELOAD_SETTLING;
	tell_applied(reload, text, why, output.summary);
	free(text);
	free(why);
	if (!endpoints_are_leaving(reload->bridge))
		reload_settled(reload->bridge);
}

static void on_loaded(void *arg)
{
	struct reload *reload = arg;
	pthread_join(reload->worker, NULL);
	if (reload->bridge->state != BRIDGE_RUNNING)
		reload->state = RELOAD_IDLE; /* whoever waited has been told */
	else if (reload->result < 0)
		refuse(reload, reload->text, "nothing has changed: the configuration has mistakes");
	else
		apply(reload);
	forget_load(reload);
}

static void read_files_again(struct bridge *bridge)
{
	for (size_t i = 0; i < bridge->n_endpoints; i++) {
		const struct endpoint *end = bridge->endpoints[i];
		if (!end->stopped && end->phase == ENDPOINT_SERVING && end->connector->reload)
			end->connector->reload(end->link);
	}
}

static void on_begin(void *arg)
{
	struct reload *reload = arg;
	struct reload_result result = {.applied = true, .text = "", .summary = "there is no file to read"};
	if (!reload->orders || reload->state != RELOAD_IDLE || reload->bridge->state != BRIDGE_RUNNING)
		return;
	read_files_again(reload->bridge);
	if (!reload->path) {
		answer(reload, &result);
		loop_post(reload->bridge->loop, &reload->begin_job);
		return;
	}
	reload->state = RELOAD_LOADING;
	int r = pthread_create(&reload->worker, NULL, load, reload);
	if (r != 0)
		refuse(reload, "there is no thread to be had that reads the configuration\n", "nothing has changed");
}

void reload_settled(struct bridge *bridge)
{
	struct reload *reload = bridge->reload;
	endpoints_start_pending(bridge);
	if (reload->state != RELOAD_SETTLING)
		return; /* one that was told to drain has left */
	reload->state = RELOAD_IDLE;
	log_info("reload_settled", "n=%lu", ++reload->n_settled);
	if (reload->orders)
		loop_post(bridge->loop, &reload->begin_job);
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

int reload_new(struct bridge *bridge, const struct bridge_options *options, struct reload **ret_reload)
{
	struct reload *reload = calloc(1, sizeof *reload);
	if (!reload)
		return -ENOMEM;
	reload->bridge = bridge;
	reload->on_reloaded = options->on_reloaded;
	reload->ctx = options->ctx;
	loop_job_init(&reload->begin_job, on_begin, reload);
	loop_job_init(&reload->loaded_job, on_loaded, reload);
	if (options->config_path && !(reload->path = strdup(options->config_path))) {
		free(reload);
		return -ENOMEM;
	}
	*ret_reload = reload;
	return 0;
}

void reload_stop(struct reload *reload)
{
	static const struct reload_result stops = {.text = "linkspan stops\n", .summary = "nothing has changed"};
	while (reload && reload->orders)
		answer(reload, &stops);
}

void reload_free(struct reload *reload)
{
	if (!reload)
		return;
	reload_stop(reload);
	loop_cancel(reload->bridge->loop, &reload->begin_job);
	if (reload->state == RELOAD_LOADING)
		pthread_join(reload->worker, NULL);
	loop_cancel(reload->bridge->loop, &reload->loaded_job);
	forget_load(reload);
	join_remover(reload);
	free(reload->path);
	free(reload);
}
